"""JSON, TOML and text of any origin: the content, or an error of the class that the caller named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aligncat.errors import ConfigError, DataError
from aligncat.files import documents
from aligncat.files.documents import MAX_DEPTH, parse_json, parse_toml, read_bytes, read_json, read_text, read_toml

NUMBERS = {"a": [1, -2.5, 1e300, 2**63, True, None], "b": {"c": [[], {}, "\u00e9\U0001f600", "\0"]}}


def test_a_document_is_read_as_the_standard_parser_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for encoding in ("utf-8", "utf-8-sig"):
        for escaped in (True, False):
            path.write_text(json.dumps(NUMBERS, ensure_ascii=escaped), encoding=encoding)
            assert read_json(path) == NUMBERS


def test_the_last_of_two_equal_keys_counts() -> None:
    assert parse_json('{"a": 1, "a": 2}', "a.json") == {"a": 2}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[1, 2] 3", "not JSON"),
        ("9" * 5000, "not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": ' * 100_000 + "1" + "}" * 100_000, "nested too deeply"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "nested too deeply"),
        ('{"a": [1, NaN]}', r"a\[1\]: nan is not a finite number"),
        ('{"a": {"b": -Infinity}}', r"a\.b: -inf is not a finite number"),
        ("1e999", "inf is not a finite number"),
        (f"[{10**400}]", r"\[0\]: int is not a finite number"),
        ('{"a": ["x", "\\ud83d"]}', r"a\[1\]: the text .* half a character"),
        ('{"a": {"\\udc00x": 1}}', r"a > a key: the text .* half a character"),
    ],
)
def test_a_bad_json_document_is_an_error_that_says_where(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ConfigError, match=rf"a\.json: ({said})"):
        read_json(tmp_path / "a.json", ConfigError)


def test_readers_of_rows_get_the_odd_values_that_they_check_themselves() -> None:
    [nan, infinite, huge, text] = parse_json(f'[NaN, 1e999, {10**400}, "\\ud83d"]', "a.json", by_row=True)  # type: ignore[misc]
    assert nan != nan and infinite == float("inf") and huge == 10**400 and text == "\ud83d"
    with pytest.raises(DataError, match="nested too deeply"):
        parse_json("[" * 101 + "]" * 101, "a.json", by_row=True)


def test_a_depth_at_the_limit_is_read() -> None:
    assert parse_json("[" * MAX_DEPTH + "]" * MAX_DEPTH, "a.json") is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = ", "not a TOML file"),
        ("a = 1\na = 2", "not a TOML file"),
        ("a = 2020-02-31", "not a TOML file"),
        ("a = " + "[" * 100_000, "nested too deeply"),
        ("a = " + "[" * 101 + "]" * 101, "nested too deeply"),
        ("a = " + "{b = " * 100_000, "nested too deeply"),
        (".".join("a" * 100_000) + " = 1", "1: more than 100 dots"),
        ("[x]\n[" + ".".join("a" * 100_000) + "]", "2: more than 100 dots"),
        ("[a]\nb = [1.0, nan]", r"a\.b\[1\]: nan is not a finite number"),
        ("a = -inf", "a: -inf is not a finite number"),
        ("a = 0x1" + "0" * 100_000, "a: int is not a finite number"),
    ],
)
def test_a_bad_toml_document_is_an_error_that_says_where(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(ConfigError, match=rf"a\.toml: ?({said})"):
        read_toml(tmp_path / "a.toml", ConfigError)


def test_a_toml_document_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbf[a.b]\r\nc = [1, 2.5]\r\n")
    assert read_toml(tmp_path / "a.toml") == {"a": {"b": {"c": [1, 2.5]}}}
    assert parse_toml("a = 0x10", "a.toml") == {"a": 16}


@pytest.mark.parametrize("content", [b"\xff\xfe", b"caf\xe9", b"\xed\xa0\x80"])
def test_text_that_is_not_utf8_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    for read in (read_text, read_json, read_toml):
        with pytest.raises(ConfigError, match=r"a\.json: cannot be read as UTF-8 text"):
            read(tmp_path / "a.json", ConfigError)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "none", "no such file"), (tmp_path, "cannot be read"), (Path("a\0b"), "null")):
        with pytest.raises(ConfigError, match=said):
            read_bytes(path, ConfigError)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="a file without end")
def test_a_file_over_the_limit_is_refused_before_it_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_bytes(tmp_path / "a", limit=5) == b"12345"
    for path in (tmp_path / "a", Path("/dev/zero")):
        with pytest.raises(DataError, match="more than 4 bytes"):
            read_bytes(path, limit=4)


def test_one_million_elements_are_read_and_checked() -> None:
    assert parse_json("[" + "7," * 999_999 + "7]", "a.json") == [7] * 10**6
    with pytest.raises(DataError, match=r"\[9999\]: nan"):
        parse_json("[" + "7," * 9_999 + "NaN]", "a.json")


def test_all_limits_are_above_the_files_of_refcoco_and_coco() -> None:
    """COCO's instances_train2017.json has 448 MB, RefCOCO's instances.json 40 MB."""
    assert documents.MAX_ANNOTATION_BYTES > 2 * 448_000_000
    assert documents.MAX_BYTES > 40_000_000
