"""The quick reader of JSON lines: what it reads is what the usual reader reads, and so are its errors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.fabricate import write_jsonl_dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aligncat.datasets.config import DataConfig
from aligncat.datasets.formats.plain_lines import simple_row
from aligncat.datasets.load import load_split
from aligncat.datasets.split import Split
from aligncat.datasets.tables import ExpressionTable
from aligncat.errors import DataError
from aligncat.types import Expression

GIVEN = '{"image": "photos/0.png", "expression": "the last cup", "category": "cup", "id": "given"}'


def read(folder: Path, *lines: bytes) -> tuple[Split | None, list[str]]:
    """Return the split and its errors. Without images on disk, no name of a photo is wrong for being missing."""
    (folder / "train.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    errors: list[DataError] = []
    found = load_split(DataConfig(folder, "jsonl"), "train", check_images=False, collect_bad_rows=errors)
    return found, list(map(str, errors))


def assert_read_alike(folder: Path, *lines: bytes) -> None:
    """Read lines quickly, and usually: one row with an id of its own makes the whole file be read so."""
    quick, quick_errors = read(folder, *lines)
    usual, usual_errors = read(folder, *lines, GIVEN.encode())
    assert isinstance(quick.expressions, ExpressionTable) and isinstance(usual.expressions, tuple)
    assert usual.expressions[-1].id == "given:0"
    assert list(quick.expressions) == list(usual.expressions[:-1])
    assert quick_errors == usual_errors
    assert dict(quick.images) == {key: usual.images[key] for key in quick.images}


ROWS = [
    {"image": "photos/0.png", "expression": "the dog"},
    {"image": "photos/0.png", "expression": ["the dog", "a brown one"], "category": "dog", "box": [1, 2, 3, 4]},
    {"image": "./photos//1.png", "expression": "caf\N{LATIN SMALL LETTER E WITH ACUTE} cup"},
    {"image": "photos/1.png", "expression": "a Cup", "category": "Dog"},
    {"image": "photos/1.png", "expression": "a cup", "category": "forklift"},
    {"image": "photos/1.png", "expression": "a cup", "box": None},
    {"image": "photos/1.png", "expression": "a cup", "boxes": []},
    {"image": "photos/1.png", "expression": "a cup", "box": None, "width": 4, "height": 3},
    {"image": "photos/1.png", "expression": "a cup", "no_target": True},
    {"image": "photos/1.png", "expression": "a cup", "no_target": True, "box": [1, 2, 3, 4]},
    {"image": "photos/1.png", "expression": "a cup", "no_target": "yes"},
    {"image": "../1.png", "expression": "a cup"},
    {"image": "", "expression": "a cup"},
    {"image": 7, "expression": "a cup"},
    {"image": "photos/1.png"},
    {"image": "photos/1.png", "expression": []},
    {"image": "photos/1.png", "expression": "..."},
    {"image": "photos/1.png", "expression": ["a cup", 7]},
    {"image": "photos/1.png", "expression": "a cup", "category": ""},
    {"image": "photos/1.png", "expression": "a cup", "categori": "cup"},
    {"image": "x" * 300, "expression": "a cup"},
    {"image": "photos/1.png", "expression": "a cup", "mask": [[[[1]]]]},
    ["image"],
    None,
]
ODD = [
    b"",
    b"   ",
    b'  {"image": "photos/1.png", "expression": "a cup"}  ',
    b'{"image": "photos/1.png", "expression": "a cup"}\r',
    b'\xef\xbb\xbf{"image": "photos/1.png", "expression": "a cup"}',
    b'{"image": "photos/1.png", "expression": "a cup"} {}',
    b'{"image": "photos/1.png", "expression": "a cup"',
    b'{"image": "photos/1.png", "expression": "a \xff cup"}',
    b'{"image": "photos/1.png", "expression": "a \\ud800 cup"}',
    b'{"image": "photos/1.png", "expression": "a cup", "image": "photos/2.png"}',
    b'{"image": "photos/1.png", "expression": "a cup", "width": NaN}',
    b'{"image": "photos/1.png", "expression": "a cup", "width": ' + b"9" * 5000 + b"}",
    b'{"image": "photos/1.png", "expression": "a cup", "mask": ' + b"[" * 200 + b"]" * 200 + b"}",
    b'{"image": "photos/1.png", "expression": "a cup", "mask": ' + b"[" * 99 + b"]" * 99 + b"}",
]


@pytest.mark.parametrize("line", [*(json.dumps(row).encode() for row in ROWS), *ODD])
def test_one_line_among_good_ones_is_read_alike(tmp_path: Path, line: bytes) -> None:
    good = json.dumps(ROWS[0]).encode()
    assert_read_alike(tmp_path, good, line, good)


def test_all_of_them_in_one_file_are_read_alike(tmp_path: Path) -> None:
    assert_read_alike(tmp_path, *(json.dumps(row).encode() for row in ROWS), *ODD)


values = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=6), st.just([]), st.just([1, 2, 3, 4]))
rows = st.fixed_dictionaries(
    {"image": st.one_of(st.sampled_from(["a.png", "b/c.png", "b/./c.png", "/a.png"]), values)},
    optional={
        "expression": st.one_of(
            st.sampled_from(["a cup", "the Dog"]), st.lists(st.text(max_size=4), max_size=3), values
        ),
        "category": st.one_of(st.sampled_from(["cup", "Cup", "dog"]), values),
        **dict.fromkeys(("box", "boxes", "mask", "masks", "no_target", "width", "other"), values),
    },
)


@given(st.lists(rows, max_size=6))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_rows_are_read_alike(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    assert_read_alike(tmp_path, json.dumps(ROWS[0]).encode(), *(json.dumps(line).encode() for line in lines))


def test_a_simple_row_takes_the_quick_way() -> None:
    line = b'{"image": "photos/1.png", "expression": "the cup", "category": "cup", "box": [1, 2, 3, 4]}\n'
    assert simple_row(line) == ("photos/1.png", ["the cup"], "cup", False)


def test_a_missing_photo_is_an_error_with_its_line(tmp_path: Path) -> None:
    config = write_jsonl_dataset(tmp_path)
    (tmp_path / "train.jsonl").write_text(
        '{"image": "photos/0.png", "expression": "a cup"}\n\n{"image": "photos/x.png", "expression": "a cup"}\n'
    )
    with pytest.raises(DataError, match=r"train\.jsonl:3: .*x\.png: no such file"):
        load_split(config, "train")


def test_a_table_is_a_sequence_of_expressions(tmp_path: Path) -> None:
    lines = [json.dumps({"image": f"{number % 3}.png", "expression": ["a cup", "a dog"]}) for number in range(5)]
    split, _ = read(tmp_path, *map(str.encode, lines))
    table, listed = split.expressions, tuple(split.expressions)
    assert isinstance(table, ExpressionTable) and len(table) == len(listed) == 10
    assert listed[3] == Expression("train:2:1", "train:2", "1.png", "a dog", "cup", derived=True)
    assert table[3] == listed[3] and table[-1] == listed[-1] and table[2:5] == listed[2:5]
    assert table == listed and listed == table and table != listed[:-1]
    with pytest.raises(IndexError):
        table[10]
    assert list(split.images) == ["0.png", "1.png", "2.png"] and "3.png" not in split.images
    assert split.images["1.png"].path == tmp_path / "1.png"
    with pytest.raises(KeyError):
        split.images["3.png"]


def test_expressions_without_a_target_are_left_out_of_a_table(tmp_path: Path) -> None:
    lines = [
        json.dumps({"image": f"{number}.png", "expression": "a cup", "no_target": number != 1}) for number in range(3)
    ]
    split, _ = read(tmp_path, *map(str.encode, lines))
    listed = replace(split, images=dict(split.images), expressions=tuple(split.expressions))
    kept = split.with_targets()
    assert isinstance(kept.expressions, ExpressionTable)
    assert kept == listed.with_targets() and list(kept.images) == ["1.png"]
