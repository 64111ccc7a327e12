"""Tables of photos and phrases: CSV with a header, JSON lines, Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from aligncat.datasets.formats.bad_rows import expression_text
from aligncat.errors import ConfigError, DataError
from aligncat.files.documents import MAX_ANNOTATION_BYTES, parse_json, read_text
from aligncat.files.fields import as_mapping, required_str
from aligncat.files.parquet import read_batches, read_schema
from aligncat.grounder.requests.request import Request
from aligncat.locations import Location, location

_PHRASE = ("phrase", "expression")
_NEEDED = "a table needs the columns 'image' and 'phrase' (or 'expression')"


def read_table(path: Path) -> list[Request]:
    """Return the photos of a table with their phrases, each photo once, in the order in which they first occur.

    Each row has the photo's path in the column "image", relative to the table's folder or absolute, or its address on a
    remote file system, such as s3://bucket/photo.jpg; file:///photos/photo.jpg is a path too. It has one phrase in the
    column "phrase" or "expression", or a list of them, as JSON lines to train on have. Other columns are not read.

    Args:
        path: a .csv, .jsonl or .parquet file.

    Raises:
        DataError: the file cannot be read, lacks a column, has no rows, or has a row without a photo or a phrase.
        ConfigError: a photo has an address of an unknown kind, or the package that reads this kind is not installed.
    """
    photos: dict[str, Location] = {}
    phrases: dict[str, list[str]] = {}
    for where, row in _READERS[path.suffix.lower()](path):
        name = required_str(row, "image", where)
        if "\0" in name:
            raise DataError(f"{where}: 'image' contains a null character; correct the path")
        said = row[_phrase_column(row, where)]
        several = said if isinstance(said, list) and said else [said]
        if name not in photos:
            photos[name] = _photo(name, path.parent, where)
        phrases.setdefault(name, []).extend(expression_text(each, where) for each in several)
    if not phrases:
        raise DataError(f"{path}: has no rows; {_NEEDED}, and a row for each phrase")
    return [Request(name, photos[name], tuple(each)) for name, each in phrases.items()]


def _photo(name: str, folder: Path, where: str) -> Location:
    """Return the file that a row of a table names: a URL, or a path relative to the table's folder."""
    try:
        found = location(name)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    return folder / found if isinstance(found, Path) else found


def _phrase_column(columns: Iterable[str], where: str) -> str:
    found = [name for name in _PHRASE if name in columns]
    if len(found) != 1:
        problem = (
            "has neither a 'phrase' nor an 'expression'" if not found else "has both a 'phrase' and an 'expression'"
        )
        raise DataError(f"{where}: {problem}; {_NEEDED}")
    return found[0]


def _csv_rows(path: Path) -> Iterator[tuple[str, Mapping[str, object]]]:
    text = read_text(path, limit=MAX_ANNOTATION_BYTES)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_columns(header, f"{path}:1")
        for cells in reader:
            where = f"{path}:{reader.line_num}"
            if cells and len(cells) != len(header):
                raise DataError(
                    f"{where}: {len(cells)} cells for {len(header)} columns; a phrase with a comma needs quotes"
                )
            if cells:
                yield where, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: not CSV ({error})") from error


def _json_rows(path: Path) -> Iterator[tuple[str, Mapping[str, object]]]:
    for number, line in enumerate(read_text(path, limit=MAX_ANNOTATION_BYTES).split("\n"), start=1):
        if line.strip():
            where = f"{path}:{number}"
            row = as_mapping(parse_json(line, where, by_row=True), where)
            _check_columns(row, where)
            yield where, row


def _parquet_rows(path: Path) -> Iterator[tuple[str, Mapping[str, object]]]:
    names = read_schema(path).names
    _check_columns(names, str(path))
    number = 0
    for batch in read_batches(path, ["image", _phrase_column(names, str(path))]):
        for row in batch.to_pylist():
            number += 1
            yield f"{path}, row {number}", row


def _check_columns(names: Iterable[str], where: str) -> None:
    names = list(names)
    if "image" not in names:
        raise DataError(f"{where}: has no 'image' but {', '.join(map(repr, names)) or 'nothing'}; {_NEEDED}")
    _phrase_column(names, where)


_READERS: dict[str, Callable[[Path], Iterator[tuple[str, Mapping[str, object]]]]] = {
    ".csv": _csv_rows,
    ".jsonl": _json_rows,
    ".parquet": _parquet_rows,
}
