"""The rows of a split in any dialect, as rows of aligncat's JSON lines, one for each referent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NoReturn

from aligncat.datasets.config import DataConfig, format_of
from aligncat.datasets.formats import UNSAID, DeclaredForm
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.formats.bad_rows import BadRows
from aligncat.datasets.formats.dialects import ALIGNCAT, KEYS, Dialect, dialect_of, field_map
from aligncat.datasets.formats.line_files import raw_rows, split_file
from aligncat.datasets.formats.row_layouts import ABSENT, listed, rows_of, value_at
from aligncat.errors import DataError

_OF_TRUTH = {"box", "boxes", "mask", "masks", "width", "height"}
_KNOWN = frozenset(KEYS)
_Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ReferentRow:
    """One referent.

    Attributes:
        where: file and row, for messages.
        number: its number in its split, "7", or "7.2" for the second referent of a row.
        values: its row in aligncat's keys.
        form: what the numbers of its boxes are; None if they are what is usual in its format.
        photo: its photo as base64, if the row holds it; otherwise empty.
    """

    where: str
    number: str
    values: Mapping[str, object]
    form: DeclaredForm | None
    photo: str = ""


def referent_rows(
    config: DataConfig, split: str, bad_rows: BadRows, files: AnnotationFiles, *, truth: bool
) -> Iterator[ReferentRow]:
    """Yield the referents of a split.

    Args:
        config: the dataset, in a format that has a dialect.
        split: the split.
        bad_rows: raises or skips rows that do not follow the dialect.
        files: the cache of parsed files.
        truth: whether boxes and masks will be read, so that the keys that `fields` names for them must occur.

    Raises:
        DataError: no row has a key that the dataset's `fields` name.
    """
    dialect = dialect_of_config(config)
    chosen = field_map(config.fields or ())
    fields = {**dialect.fields, **chosen}
    path = split_file(config, split, dialect)
    _check_fields({key: chosen[key] for key in chosen if truth or key not in _OF_TRUTH}, path, dialect, files)
    form = None if dialect.boxes == UNSAID else dialect.boxes
    plain = dialect is ALIGNCAT and not chosen
    for where, number, row in raw_rows(path, dialect, bad_rows, files):
        if plain:
            values = None
            with bad_rows:
                values = own_values(row, config, where)
            if values is not None:
                yield ReferentRow(where, str(number), values, form)
            continue
        found = []
        with bad_rows:
            found = rows_of(row, dialect, fields, config.dataset, where)
        for part, (values, own_form) in enumerate(found, start=1):
            name = str(number) if part == 1 else f"{number}.{part}"
            photo = row.get("photo") if "columns" in dialect.layouts else ""
            yield ReferentRow(
                where, name, _with_inner_photo(values, config), own_form, photo if isinstance(photo, str) else ""
            )


def own_values(row: Mapping[str, object], config: DataConfig, where: str) -> Mapping[str, object]:
    """Return a row of aligncat's own JSON lines, with a photo below the folder of the photos as a relative path.

    Raises:
        DataError: it has a key that is not known.
    """
    if not row.keys() <= _KNOWN:
        _refuse_keys(row, where)
    return _with_inner_photo(row, config)


def _check_fields(fields: Mapping[str, str], path: Path, dialect: Dialect, files: AnnotationFiles) -> None:
    """Check that each key that the user names occurs in a row. Usually the first row has all of them."""
    if not fields:
        return
    absent, keys = dict(fields), list[str]()
    for _, _, row in raw_rows(path, dialect, BadRows(path, skip=True), files):
        keys = [*row]
        absent = {ours: theirs for ours, theirs in absent.items() if value_at(row, theirs) is ABSENT}
        if not absent:
            return
    if keys:
        ours, theirs = next(iter(absent.items()))
        raise DataError(
            f"{path}: no row has the key {theirs!r}, which --data.fields names for {ours!r}; its rows have "
            f"{listed(keys)}"
        )


def dialect_of_config(config: DataConfig) -> Dialect:
    """Return the dialect of a dataset's format, which must have one."""
    dialect = format_of(config).dialect
    assert dialect is not None, config.file_format
    return dialect


def _refuse_keys(row: _Row, where: str) -> NoReturn:
    other = dialect_of(row)
    if other is not None and other is not ALIGNCAT:
        raise DataError(f"{where}: {other.described()}")
    unknown = next(key for key in row if key not in _KNOWN)
    raise DataError(
        f"{where}: key {unknown!r} is not known; the known ones are {', '.join(KEYS)}. If your files have other keys, "
        "name those that count with --data.fields"
    )


def _with_inner_photo(values: _Row, config: DataConfig) -> _Row:
    """Return a row whose photo is relative, if it has the absolute path of one below the folder of the photos."""
    name = values.get("image")
    if not isinstance(name, str) or not name.startswith("/"):
        return values
    folder = Path(config.images or config.path).absolute().as_posix()
    path = PurePosixPath(name)
    return {**values, "image": path.relative_to(folder).as_posix()} if path.is_relative_to(folder) else values
