"""Read aligncat's JSON lines quickly and into little memory, as long as no row gives ids or kinds.

A row that is as simple as most are takes a few checks. Any other row is read by the usual reader, which also raises the
errors.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

import numpy as np

from aligncat.datasets.tables import ExpressionTable, ImageTable
from aligncat.files.documents import MAX_DEPTH

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK = 65_536  # rows that are kept as Python objects
_KEYS = frozenset(("image", "expression", "category", "box", "boxes", "mask", "masks", "no_target", "width", "height"))
"""The keys of rows whose ids are numbered, so that no two rows can contradict each other."""
# Such a path stays as it is when it is normalized, is relative, and needs no check of its characters.
_SIMPLE_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,200}(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,200})*")
_LETTER = re.compile("[A-Za-z0-9]")
_scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


class PlainRow(NamedTuple):
    """What training reads of a row without ids.

    Attributes:
        image: the photo's path, which is its image's id.
        texts: its phrases.
        category: the category, or None.
        no_target: whether the row says that the image shows nothing that the phrases mean.
    """

    image: str
    texts: list[str]
    category: str | None
    no_target: bool


def simple_row(line: bytes) -> PlainRow | None:
    """Return a row that surely follows the format, or None if that takes more than a few checks.

    Args:
        line: one line of the file.
    """
    if line.count(b"[") + line.count(b"{") > MAX_DEPTH:
        return None
    try:
        text = line.decode()
        row, end = _scan(text, 0)
    except (ValueError, StopIteration, RecursionError):
        return None
    if text[end:] not in ("\n", "", "\r\n") or type(row) is not dict or not row.keys() <= _KEYS:
        return None
    image, phrases, category = row.get("image"), row.get("expression"), row.get("category")
    texts = [phrases] if type(phrases) is str else phrases
    if type(image) is not str or not _SIMPLE_PATH.fullmatch(image) or not _are_simple(texts):
        return None
    return PlainRow(image, texts, category, False) if _is_simple(category) and _is_certain(row) else None


def has_own_ids(row: Mapping[str, object]) -> bool:
    """Return whether a row gives ids or kinds, which the quick reader does not keep."""
    return not row.keys().isdisjoint(("id", "image_id", "expression_ids", "kinds"))


def is_photo(folder: Path, name: str) -> bool:
    """Return whether a photo is there."""
    return os.path.isfile(os.path.join(folder, name))  # noqa: PTH113, PTH118  # ten times as fast as pathlib


def _are_simple(texts: object) -> TypeGuard[list[str]]:
    if type(texts) is not list or not texts:
        return False
    return all(type(each) is str and each.isascii() and _LETTER.search(each) for each in texts)


def _is_simple(category: object) -> bool:
    return category is None or (type(category) is str and category != "" and category.isascii())


def _is_certain(row: Mapping[str, object]) -> bool:
    """Return whether a row surely has a target: it has a box, or says nothing of boxes."""
    if row.get("no_target") is not None or row.get("boxes") is not None:
        return False
    return bool(row["box"]) if "box" in row else "boxes" not in row


_COLUMNS = ("id", "referent_id", "text", "image", "counts", "category", "no_target")


@dataclass
class PlainRows:
    """The rows of a split, collected as columns.

    Attributes:
        split: the split's name, with which ids begin.
    """

    split: str
    _numbers: list[str] = field(default_factory=list)
    _rows: list[PlainRow] = field(default_factory=list)
    _codes: dict[str | None, int] = field(default_factory=lambda: {None: -1})
    _chunks: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in _COLUMNS})

    def add(self, number: str, row: PlainRow) -> None:
        """Add a row.

        Args:
            number: the number of its line.
            row: the row.
        """
        self._numbers.append(number)
        self._rows.append(row)
        if len(self._rows) >= _BLOCK:
            self._flush()

    def tables(self, folder: Path) -> tuple[ImageTable, ExpressionTable]:
        """Return the images and expressions.

        Args:
            folder: the folder of the photos.
        """
        self._flush()
        chunks = self._chunks
        found = _joined(chunks, "image").dictionary_encode()
        image_ids, images = found.dictionary, found.indices.to_numpy(zero_copy_only=False)
        counts = np.concatenate(chunks["counts"])
        categories, no_target = np.concatenate(chunks["category"]), np.concatenate(chunks["no_target"])
        table = ExpressionTable(
            ids=_joined(chunks, "id"),
            referent_ids=_joined(chunks, "referent_id"),
            image_ids=image_ids,
            images=np.repeat(images, counts).astype(np.int32),
            texts=_joined(chunks, "text"),
            names=tuple(name for name in self._codes if name is not None),
            categories=np.repeat(categories, counts),
            derived=np.zeros(int(counts.sum()), np.bool_),
            no_target=np.repeat(no_target, counts),
        )
        return ImageTable(image_ids, folder), table

    def _flush(self) -> None:
        import pyarrow as pa

        rows, chunks, codes = self._rows, self._chunks, self._codes
        referents = [f"{self.split}:{number}" for number in self._numbers]
        if all(len(row.texts) == 1 for row in rows):
            ids, owners = [f"{each}:0" for each in referents], referents
        else:
            pairs = [
                (each, place) for each, row in zip(referents, rows, strict=True) for place in range(len(row.texts))
            ]
            ids, owners = [f"{each}:{place}" for each, place in pairs], [each for each, _ in pairs]
        chunks["id"].append(pa.array(ids, pa.large_string()))
        chunks["referent_id"].append(pa.array(owners, pa.large_string()))
        chunks["text"].append(pa.array([text for row in rows for text in row.texts], pa.large_string()))
        chunks["image"].append(pa.array([row.image for row in rows], pa.large_string()))
        chunks["counts"].append(np.array([len(row.texts) for row in rows], np.int64))
        numbers = [codes.setdefault(row.category, len(codes) - 1) for row in rows]
        chunks["category"].append(np.array(numbers, np.int32))
        chunks["no_target"].append(np.array([row.no_target for row in rows], np.bool_))
        self._numbers, self._rows = [], []


def _joined(chunks: dict[str, list[Any]], name: str) -> pa.LargeStringArray:
    """Return the chunks of a column as one array, and forget them."""
    import pyarrow as pa

    return pa.concat_arrays(chunks.pop(name))
