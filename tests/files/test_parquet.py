"""Parquet files of any origin: equal rows, or an error before a file fills the memory."""

from __future__ import annotations

import contextlib
import hashlib
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from aligncat.errors import DataError
from aligncat.files.parquet import BLANK_SEAL, SEAL, check_seal, read_batches, read_schema, seal
from aligncat.files.parquet_pages import chunk_sizes

TABLE = pa.table(
    {
        "text": ["x" * 10, "\u00e9"] * 5000,
        "texts": [["a", "b"], []] * 5000,
        "rows": [{"sent": "z", "parts": [{"k": "v"}]}] * 10_000,
        "bytes": [b"1", None] * 5000,
        "number": [1, None] * 5000,
        "floats": [[0.5, None], None] * 5000,
    }
)


def write(path: Path, table: pa.Table, **options: Any) -> Path:
    parquet.write_table(table, path, **options)
    return path


@pytest.mark.parametrize(
    "options",
    [{}, {"compression": "zstd"}, {"use_dictionary": False}, {"row_group_size": 3000}, {"store_schema": False}],
)
def test_all_rows_and_types_are_read(tmp_path: Path, options: dict[str, Any]) -> None:
    path = write(tmp_path / "a.parquet", TABLE, **options)
    assert pa.Table.from_batches(read_batches(path)).equals(TABLE)
    assert pa.Table.from_batches(read_batches(path, ["rows", "number"])).equals(TABLE.select(["rows", "number"]))
    assert pa.Table.from_batches(read_batches(path, file=io.BytesIO(path.read_bytes()))).equals(TABLE)
    assert read_schema(path).names == TABLE.schema.names


def repeated(text: str, count: int) -> pa.Table:
    return pa.table({"a": pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), pa.array([text]))})


BOMBS = {
    "one text 4,400 times": lambda: repeated("x" * 10**6, 4400),
    "texts in lists": lambda: pa.table({"a": pa.array([["x" * 10**6] * 400])}),
    "numbers": lambda: pa.table({"a": pa.array([0], pa.int64()).take(pa.array([0] * 2 * 10**7, pa.int32()))}),
    "one long list": lambda: pa.table({"a": pa.ListArray.from_arrays([0, 2 * 10**7], pa.nulls(2 * 10**7, pa.int8()))}),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_that_unpacks_to_gigabytes_is_refused_without_the_memory(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "bomb.parquet", BOMBS[name](), compression="zstd", store_schema=False)
    assert path.stat().st_size < 500_000
    code = f"""
import resource
from pathlib import Path
from aligncat.errors import DataError
from aligncat.files.parquet import read_batches
import pyarrow.parquet
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    list(read_batches(Path({str(path)!r})))
except DataError as error:
    assert "unpack to more than" in str(error), error
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000
else:
    raise AssertionError("it was read")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_flipped_bit_in_a_page_with_a_checksum_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", TABLE, write_page_checksum=True, use_dictionary=False, compression="none")
    content = bytearray(path.read_bytes())
    content[content.index(b"xxxxxxxxxx", 2000)] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.parquet: cannot be read as Parquet"):
        list(read_batches(path))


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"PAR1 no PAR1", b"PK\x03\x04", bytes(100) + b"\xff\xff\xff\x7fPAR1"]
)
def test_other_files_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    for read in (read_schema, lambda path: list(read_batches(path))):
        with pytest.raises(DataError, match=r"a\.parquet: cannot be read as Parquet"):
            read(tmp_path / "a.parquet")


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "brotli", "zstd", "lz4"])
def test_the_sizes_are_those_that_arrow_wrote(tmp_path: Path, compression: str, version: str) -> None:
    options: dict[str, Any] = {"row_group_size": 3000, "data_page_size": 500, "data_page_version": version}
    path = write(tmp_path / "a.parquet", TABLE, compression=compression, **options)
    metadata = parquet.read_metadata(path)
    chunks = [
        chunk
        for group in map(metadata.row_group, range(metadata.num_row_groups))
        for chunk in map(group.column, range(group.num_columns))
    ]
    with path.open("rb") as file:
        sizes = list(chunk_sizes(file, 10**6))
    assert [(".".join(size.path), size.values) for size in sizes] == [(c.path_in_schema, c.num_values) for c in chunks]
    for size, chunk in zip(sizes, chunks, strict=True):
        assert 0 <= chunk.total_uncompressed_size - size.bytes < 100 * 500  # which includes the headers of the pages
    longest = {".".join(size.path): size.longest for size in sizes}
    expected = {"text": 10, "texts.list.element": 1, "rows.sent": 1, "rows.parts.list.element.k": 1, "bytes": 1}
    assert longest == {**dict.fromkeys(longest, 0), **expected}


def test_dictionaries_that_overflow_into_plain_pages_are_read(tmp_path: Path) -> None:
    """As in a large group of rows of RefCOCO's Parquet files, whose sentences are nearly all different."""
    texts = [f"{number:06}" * 10 for number in range(40_000)]
    table = pa.table({"raw": texts, "sentences": [[{"sent": text}] for text in texts]})
    path = write(tmp_path / "a.parquet", table)
    assert path.stat().st_size > 2 * 2**20 // 10
    assert pa.Table.from_batches(read_batches(path)).equals(table)


def ending(footer: bytes) -> io.BytesIO:
    return io.BytesIO(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")


@given(st.binary(max_size=200))
def test_any_footer_is_sizes_or_a_value_error(footer: bytes) -> None:
    with contextlib.suppress(ValueError):
        list(chunk_sizes(ending(footer), 100))


def test_the_seal_is_the_hash_of_all_other_bytes(tmp_path: Path) -> None:
    out = io.BytesIO()
    parquet.write_table(pa.table({"a": [1, 2]}).replace_schema_metadata({SEAL: BLANK_SEAL}), out)
    blank = out.getvalue()
    seal(out)
    content = out.getvalue()
    digest = hashlib.sha256(blank).hexdigest().encode()
    assert content.count(digest) == 1 and content.replace(digest, BLANK_SEAL) == blank
    check_seal(io.BytesIO(content), tmp_path)
    for place in range(len(content)):
        damaged = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        try:
            check_seal(io.BytesIO(damaged), tmp_path)
        except DataError:
            continue
        # Only a flip inside the key itself hides the seal. Nothing else is different then.
        key = content.rindex(SEAL)
        assert key <= place < key + len(SEAL) + 2
