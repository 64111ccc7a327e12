"""Restricted unpickling: plain data from every protocol, and no code."""

from __future__ import annotations

import contextlib
import os
import pickle
import pickletools
import random
import struct
import tracemalloc
from collections import OrderedDict
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from aligncat.errors import DataError, UnsafePickleError
from aligncat.files.pickles import load_plain_pickle

PLAIN = [{"a": 1, "b": [1.5, None, True], "c": ("x", "ü", "日"), "d": {1, 2}, "e": 2**70, "f": frozenset({"q"})}]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_is_read_from_every_protocol(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "plain.p"
    path.write_bytes(pickle.dumps(PLAIN, protocol))
    assert load_plain_pickle(path) == PLAIN


def test_bytes_are_plain_data(tmp_path: Path) -> None:
    path = tmp_path / "bytes.p"
    path.write_bytes(pickle.dumps([b"\x00\xff", bytearray(b"ab")], 5))
    assert load_plain_pickle(path) == [b"\x00\xff", bytearray(b"ab")]


def python2_string(data: bytes, protocol: int) -> bytes:
    """Return a `str` as Python 2 pickles it: STRING with repr's escapes, SHORT_BINSTRING or BINSTRING."""
    if protocol == 0:
        return b"S" + repr(data)[1:].encode("ascii") + b"\n"
    if len(data) < 256:
        return b"U" + struct.pack("<B", len(data)) + data
    return b"T" + struct.pack("<i", len(data)) + data


@pytest.mark.parametrize("protocol", [0, 2])
@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b"left dog", "left dog"),
        (b'it\'s "here"\n', 'it\'s "here"\n'),
        ("caf\u00e9 日".encode(), "caf\u00e9 日"),
        (b"caf\xe9 door", "caf\u00e9 door"),
        (b"caf\xe9 " + "日\u00e9".encode() + b"\xff", "caf\u00e9 日\u00e9\u00ff"),
        ("日".encode()[:2] + b"!", "\u00e6\u0097!"),
        ("🙂".encode()[:3], "\u00f0\u009f\u0099"),
        (b"\xed\xa0\x80", "\u00ed\u00a0\u0080"),  # a surrogate, which is not valid UTF-8
        (b"\xe9" * 300, "\u00e9" * 300),
        (b"", ""),
    ],
)
def test_python_2_strings_become_str(tmp_path: Path, protocol: int, written: bytes, read: str) -> None:
    key = python2_string(b"sent", protocol)
    header = b"\x80\x02" if protocol == 2 else b""
    path = tmp_path / "old.p"
    path.write_bytes(header + b"(l(d" + key + python2_string(written, protocol) + b"sa.")
    assert load_plain_pickle(path) == [{"sent": read}]


def test_one_latin_1_string_changes_no_other_value(tmp_path: Path) -> None:
    path = tmp_path / "old.p"
    others = [1, 2**70, 1.5, "caf\u00e9 \ud83d", ("x", None), {"a": [{3}]}, "U\x04abcd", "S'x'\n"]
    rest = pickle.dumps(others, 2)[2:-1]
    for protocol in (0, 2):
        odd, plain = python2_string(b"caf\xe9", protocol), python2_string("caf\u00e9".encode(), protocol)
        # The odd string is memoised at index 99 and used again at the end.
        path.write_bytes(b"\x80\x02(" + odd + b"q\x63" + rest + plain + b"h\x63l.")
        assert load_plain_pickle(path) == ["caf\u00e9", others, "caf\u00e9", "caf\u00e9"]


@pytest.mark.parametrize("damage", [b"S'\\xz'\n", b"Sunquoted\n", b"S'\n"])
def test_a_damaged_string_beside_a_latin_1_string_is_an_error(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "old.p"
    path.write_bytes(b"(U\x01\xe9" + damage + b"l.")
    with pytest.raises(DataError, match=r"old\.p: damaged, truncated, or not a pickle"):
        load_plain_pickle(path)


def test_python_2_set_and_long_are_read(tmp_path: Path) -> None:
    path = tmp_path / "old.p"
    path.write_bytes(b"(lc__builtin__\nset\n((lI1\naL2L\natRa.")
    assert load_plain_pickle(path) == [{1, 2}]


class Reduces:
    """An object whose pickle calls a function."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call


def hostile(witness: Path) -> dict[str, bytes]:
    """Return pickles that create the file `witness` when pickle.load loads them."""
    code = f"open({str(witness)!r}, 'w').close()"
    system = Reduces(os.system, f"touch '{witness}'")
    return {
        "posix.system": pickle.dumps(system, 2),
        "builtins.eval": pickle.dumps(Reduces(eval, code), 4),
        "__builtin__.eval": b"c__builtin__\neval\n(S" + repr(code).encode() + b"\ntR.",
        "builtins.exec": b"(S" + repr(code).encode() + b"\nibuiltins\nexec\n.",
        "posix.system, nested": pickle.dumps([{"ref_id": 1, "sentences": [{"sent": system}]}], 2),
        "builtins.getattr": pickle.dumps(Reduces(getattr, Reduces(eval, code), "x"), 4),
        "posix.system, dotted": b"\x80\x04\x8c\x02os\x8c\x06system\x93(\x8c"
        + bytes([len(f"touch {witness}")])
        + f"touch {witness}".encode()
        + b"tR.",
    }


@pytest.mark.parametrize("name", hostile(Path("x")))
def test_a_hostile_pickle_is_refused_and_nothing_runs(tmp_path: Path, name: str) -> None:
    witness = tmp_path / "witness"
    data = hostile(witness)[name]
    path = tmp_path / "refs(unc).p"
    path.write_bytes(data)
    module = "os" if "dotted" in name else name.split(".")[0]
    with pytest.raises(UnsafePickleError, match=rf"refs\(unc\).p.*{module}\.\w+.*not loaded"):
        load_plain_pickle(path)
    assert not witness.exists()


@pytest.mark.parametrize("name", [name for name in hostile(Path("x")) if "getattr" not in name])
def test_the_hostile_pickles_are_hostile(tmp_path: Path, name: str) -> None:
    """Otherwise, the test above could pass because its pickles do nothing."""
    witness = tmp_path / "witness"
    pickle.loads(hostile(witness)[name])
    assert witness.exists()


@pytest.mark.parametrize(
    "value", [OrderedDict(a=1), Fraction(1, 2), np.float64(1), np.zeros(2), Path("x"), int, 1 + 2j]
)
def test_objects_that_are_not_plain_are_refused(tmp_path: Path, value: object) -> None:
    path = tmp_path / "object.p"
    path.write_bytes(pickle.dumps([value], 2))
    with pytest.raises(UnsafePickleError, match="not plain data"):
        load_plain_pickle(path)


def test_a_persistent_id_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "persistent.p"
    path.write_bytes(b"Pelsewhere\n.")
    with pytest.raises(UnsafePickleError, match="outside itself"):
        load_plain_pickle(path)


def test_setting_state_on_an_allowed_class_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "build.p"
    path.write_bytes(b"c__builtin__\nset\n(dS'add'\nI1\nsb.")
    with pytest.raises(DataError):
        load_plain_pickle(path)
    assert set.add is not None and not isinstance(set.add, int)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_truncated_anywhere_is_an_error(tmp_path: Path, protocol: int) -> None:
    whole = pickle.dumps(PLAIN, protocol)
    for length in range(len(whole)):
        path = tmp_path / f"{length}-cut.p"
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"cut\.p.*fetch the file again|cut\.p.*not plain"):
            load_plain_pickle(path)


@pytest.mark.parametrize("data", [b"<html>404</html>", b"\x89PNG\r\n", b"[]", bytes(range(256)), b"\x80\x63."])
def test_a_file_that_is_not_a_pickle_is_an_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "no.p"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"no\.p"):
        load_plain_pickle(path)


def test_damage_to_any_byte_gives_data_or_a_data_error(tmp_path: Path) -> None:
    whole = pickletools.optimize(pickle.dumps([{"ref_id": 1, "sentences": [{"sent": "dog"}]}], 2))
    opcodes = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]
    for position in range(len(whole)):
        for damage in random.Random(position).sample([*opcodes, b"\x00", b"\xff", b"\n", b"z"], 16):
            # A new file each time: overwriting one waits for the disk on some file systems.
            path = tmp_path / f"{position}-{damage[0]}.p"
            path.write_bytes(whole[:position] + damage + whole[position + 1 :])
            with contextlib.suppress(DataError):
                load_plain_pickle(path)


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02]r" + struct.pack("<I", 2**31) + b".",
        b"]p9999999999\n.",
        b"(c__builtin__\nset\n0U\x01r]r" + struct.pack("<I", 2**28) + b".",
        pickle.dumps("r" * 300, 4)[:-1] + b"r" + struct.pack("<I", 2**28) + b".",
    ],
)
def test_a_memo_index_that_needs_gigabytes_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bomb.p"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"bomb\.p.*memo index"):
            load_plain_pickle(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_with_a_large_memo_is_read(tmp_path: Path, protocol: int) -> None:
    data = [[f"r{number}\n", [number]] for number in range(1000)]
    path = tmp_path / "memo.p"
    path.write_bytes(pickle.dumps(data, protocol))
    assert load_plain_pickle(path) == data


def test_a_pickle_over_the_limit_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.p"
    path.write_bytes(pickle.dumps(["x" * 1000]))
    monkeypatch.setattr("aligncat.files.pickles.MAX_PICKLE_BYTES", 999)
    with pytest.raises(DataError, match="has more than 999 bytes, the limit"):
        load_plain_pickle(path)


def test_a_missing_pickle_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.p: no such file"):
        load_plain_pickle(tmp_path / "none.p")


def test_a_length_far_beyond_the_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "long.p"
    path.write_bytes(b"\x80\x04\x8d" + struct.pack("<Q", 2**50) + b"abc.")
    with pytest.raises(DataError, match=r"long\.p"):
        load_plain_pickle(path)
