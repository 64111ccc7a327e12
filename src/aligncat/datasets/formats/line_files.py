"""Read the raw rows of JSON lines, JSON lists and TSV, and find a dialect's files by split."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from aligncat.datasets.config import DataConfig
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.formats.bad_rows import BadRows, check_split_name
from aligncat.datasets.formats.dialects import ALIGNCAT, OFA_COLUMNS, Dialect
from aligncat.datasets.formats.layout import existing_file, folder_contents, hint
from aligncat.errors import DataError
from aligncat.files.documents import MAX_ANNOTATION_BYTES, MAX_BYTES, parse_json, read_json
from aligncat.files.fields import as_mapping, required_id, required_list

MAX_LINE_BYTES = MAX_BYTES
"""Limit for one line. A line of OFA's, which holds its photo, has about 0.2 MB."""
_HEAD = 1024  # bytes, in which a JSON file has begun
_USUAL_SPLITS = ("train", "val", "test", "testA", "testB")


def split_files(config: DataConfig, dialect: Dialect) -> dict[str, Path]:
    """Return the file of each split of a dataset, "train" first.

    Files of aligncat's own are named after their split. Others' names also end in it: `refcoco_val.jsonl`. Files of
    all suffixes of the dialect count, so one split may be JSON lines and another a JSON list. A JSON file that is no
    list, such as COCO's annotations of the same photos, is no split where there are others.

    Raises:
        DataError: there is no file, two files have the same split, or the name of a split is not valid.
    """
    files = sorted(path for suffix in dialect.suffixes for path in config.path.glob(f"*{suffix}"))
    if not dialect.sentences:
        files = [path for path in files if path.suffix != ".json" or _is_list(path)] or files
    found: dict[str, list[Path]] = defaultdict(list)
    for path in files:
        found[check_split_name(_split_of(path, dialect), str(path))].append(path)
    if not found:
        names = " or ".join(f"<split>{suffix}" for suffix in dialect.suffixes)
        raise DataError(f"{config.path}: no {names} file; set `path` to the folder that holds them{hint(config.path)}")
    for split, paths in found.items():
        if len(paths) > 1:
            raise DataError(
                f"{paths[0]} and {paths[1].name} are both the split {split}; remove one if they are the same data, and "
                "put each dataset into a folder of its own otherwise"
            )
    return {split: found[split][0] for split in sorted(found, key=lambda name: (name != "train", name))}


def split_file(config: DataConfig, split: str, dialect: Dialect) -> Path:
    """Return the file of a split.

    Raises:
        DataError: there is none.
    """
    check_split_name(split, f"{config.path}/<split>{dialect.suffixes[0]}")
    if dialect is ALIGNCAT:
        return existing_file(config.path / f"{split}.jsonl", "*.jsonl", "split")
    files = split_files(config, dialect)
    if split not in files:
        raise DataError(
            f"{config.path}: no file of the split {split!r}; {folder_contents(config.path, '*')}, which are the splits "
            f"{', '.join(files)}"
        )
    return files[split]


def raw_rows(
    path: Path, dialect: Dialect, bad_rows: BadRows, files: AnnotationFiles
) -> Iterator[tuple[str, int, Mapping[str, object]]]:
    """Yield (file and row for messages, its number, row) for each row of a file that can be parsed.

    Args:
        path: the file.
        dialect: its dialect.
        bad_rows: raises or skips the others.
        files: the cache of JSON documents.
    """
    if path.suffix == ".json":
        yield from _document_rows(path, dialect, bad_rows, files)
        return
    parse = _columns if path.suffix == ".tsv" else parse_line
    for number, line in lines_of(path, bad_rows):
        row = None
        where = f"{path}:{number}"
        with bad_rows:
            row = parse(line, where)
        if row is not None:
            yield where, number, row


def _split_of(path: Path, dialect: Dialect) -> str:
    last = re.split("[_-]", path.stem)[-1]
    return last if dialect is not ALIGNCAT and last in _USUAL_SPLITS else path.stem


def _is_list(path: Path) -> bool:
    """Return whether a JSON file may be a list by how it begins. Its reader says what else is wrong with it."""
    try:
        with path.open("rb") as file:
            return file.read(_HEAD).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] not in (b"{", b"")
    except OSError:
        return True


def lines_of(path: Path, bad_rows: BadRows) -> Iterator[tuple[int, bytes]]:
    """Yield (number from 1, line) for each line that is not blank."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
                while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                    pass
                with bad_rows:
                    raise DataError(
                        f"{path}:{number}: the line has more than {MAX_LINE_BYTES:,} bytes, the limit for one; check "
                        "that every row ends in a line break"
                    )
            elif not line.isspace():
                yield number, line


def _decoded(line: bytes, where: str) -> str:
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not UTF-8 text ({error})") from error


def parse_line(line: bytes, where: str) -> Mapping[str, object]:
    """Return the row in a line of JSON.

    Raises:
        DataError: it is not one.
    """
    return as_mapping(parse_json(_decoded(line, where), where, by_row=True), where)


def _columns(line: bytes, where: str) -> Mapping[str, object]:
    cells = _decoded(line, where).rstrip("\r\n").split("\t")
    # The photo may be left out, since it is read from its file.
    if len(cells) not in (len(OFA_COLUMNS) - 1, len(OFA_COLUMNS)):
        raise DataError(
            f"{where}: {len(cells)} columns; OFA's files have {len(OFA_COLUMNS)}: {', '.join(OFA_COLUMNS)}, separated "
            "by tabs and without a header"
        )
    return dict(zip(OFA_COLUMNS, cells, strict=False))


def _document_rows(
    path: Path, dialect: Dialect, bad_rows: BadRows, files: AnnotationFiles
) -> Iterator[tuple[str, int, Mapping[str, object]]]:
    listed, key = files.read(_sentences_of_mdetr if dialect.sentences else _listed_rows, path)
    for number, value in enumerate(listed):
        row = None
        where = f"{path}: {key}[{number}]"
        with bad_rows:
            row = as_mapping(value, where)
        if row is not None:
            yield where, number, row


def _listed_rows(path: Path) -> tuple[list[object], str]:
    document = read_json(path, limit=MAX_ANNOTATION_BYTES, by_row=True)
    if not isinstance(document, list):
        raise DataError(f"{path}: must be a list of rows, not a mapping{hint(path.parent)}")
    return document, "row "


def _sentences_of_mdetr(path: Path) -> tuple[list[object], str]:
    """Return MDETR's sentences, which it calls images, each with its annotations and their categories' names."""
    document = as_mapping(read_json(path, limit=MAX_ANNOTATION_BYTES, by_row=True), str(path))
    annotations: dict[str, list[object]] = defaultdict(list)
    for number, value in enumerate(required_list(document, "annotations", str(path))):
        where = f"{path}: annotations[{number}]"
        row = as_mapping(value, where)
        annotations[required_id(row, "image_id", where)].append(row)
    names = {}
    for number, value in enumerate(required_list(document, "categories", str(path))):
        where = f"{path}: categories[{number}]"
        row = as_mapping(value, where)
        names[required_id(row, "id", where)] = row.get("name")
    rows: list[object] = []
    for number, value in enumerate(required_list(document, "images", str(path))):
        where = f"{path}: images[{number}]"
        image = as_mapping(value, where)
        own = annotations.get(required_id(image, "id", where), [])
        rows.append({**image, "annotations": own, "categories": names})
    return rows, "images"
