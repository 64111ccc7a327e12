"""The expressions and images of a split as columns of Arrow, for splits of millions.

Each expression is made when it is asked for. As Python objects, two million would take more than a gigabyte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from aligncat.files.text_index import TextIndex
from aligncat.types import Expression, ImageRecord

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK = 8192  # expressions that are made at once


@dataclass(frozen=True, eq=False)
class ExpressionTable(Sequence[Expression]):
    """E expressions.

    Attributes:
        ids: E ids, as Arrow strings.
        referent_ids: E ids of their referents.
        image_ids: the ids of I images, each once, in order of first mention.
        images: (E,) int32, the number of each expression's image.
        texts: E texts.
        names: names of categories.
        categories: (E,) int32, the number of each expression's category, -1 for none.
        derived: (E,) bool, see `Expression`.
        no_target: (E,) bool, see `Expression`.
    """

    ids: pa.LargeStringArray
    referent_ids: pa.LargeStringArray
    image_ids: pa.LargeStringArray
    images: NDArray[np.int32]
    texts: pa.LargeStringArray
    names: tuple[str, ...]
    categories: NDArray[np.int32]
    derived: NDArray[np.bool_]
    no_target: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, place: int) -> Expression: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Expression, ...]: ...

    def __getitem__(self, place: int | slice) -> Expression | tuple[Expression, ...]:
        if isinstance(place, slice):
            numbers = range(*place.indices(len(self)))
            if numbers.step == 1:
                return tuple(self._block(numbers.start, max(numbers.start, numbers.stop)))
            return tuple(self[number] for number in numbers)
        number = range(len(self))[place]  # an IndexError, and numbers from the end
        return next(self._block(number, number + 1))

    def __iter__(self) -> Iterator[Expression]:
        for start in range(0, len(self), _BLOCK):
            yield from self._block(start, min(start + _BLOCK, len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(self) != len(other):
            return False
        return all(one == another for one, another in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as of a list

    def values(self, name: str) -> Iterator[Any]:
        """Yield one attribute of every expression."""
        for start in range(0, len(self), _BLOCK):
            yield from self._column(name, start, min(start + _BLOCK, len(self)))

    def where(self, kept: NDArray[np.bool_]) -> ExpressionTable:
        """Return some of the expressions, with the images that they mention.

        Args:
            kept: (E,) bool.
        """
        import pyarrow as pa

        mask = pa.array(kept)
        shown, first, images = np.unique(self.images[kept], return_index=True, return_inverse=True)
        order = np.argsort(first)  # of first mention
        return replace(
            self,
            ids=self.ids.filter(mask),
            referent_ids=self.referent_ids.filter(mask),
            image_ids=self.image_ids.take(pa.array(shown[order])),
            images=np.argsort(order)[images].astype(np.int32),
            texts=self.texts.filter(mask),
            categories=self.categories[kept],
            derived=self.derived[kept],
            no_target=self.no_target[kept],
        )

    def given_names(self) -> list[str]:
        """Return the names of the categories that occur: by first occurrence, and then again by last occurrence.

        A dict that is filled with them has the keys in the same order, and with the same last values, as one that is
        filled with the category of every expression.
        """
        used = self.categories[self.categories >= 0]
        orders = []
        for codes, sign in ((used, 1), (used[::-1], -1)):
            found, place = np.unique(codes, return_index=True)
            orders += found[np.argsort(sign * place)].tolist()
        return [self.names[code] for code in orders]

    def with_derived(self, category_of: Callable[[list[str]], str | None]) -> ExpressionTable:
        """Return the expressions with a category for each referent that has none, and is there.

        Args:
            category_of: returns the category that the texts of a referent name, or None.
        """
        codes = {name: number for number, name in enumerate(self.names)}
        categories, derived = self.categories.copy(), self.derived.copy()
        rows = np.flatnonzero((categories < 0) & ~self.no_target)
        for referent in _runs(rows, self.referent_ids):
            texts = [self.texts[row].as_py() for row in referent]
            if (name := category_of(texts)) is not None:
                categories[referent] = codes.setdefault(name, len(codes))
                derived[referent] = True
        return replace(self, names=tuple(codes), categories=categories, derived=derived)

    def _column(self, name: str, start: int, stop: int) -> list[Any]:
        """Return an attribute of the expressions from `start` to `stop`."""
        rows = slice(start, stop)
        if name == "image_id":
            import pyarrow as pa

            return list(self.image_ids.take(pa.array(self.images[rows])).to_pylist())
        if name == "category":
            return [None if code < 0 else self.names[code] for code in self.categories[rows].tolist()]
        if name in ("derived", "no_target"):
            return list(getattr(self, name)[rows].tolist())
        return list({"id": self.ids, "referent_id": self.referent_ids, "text": self.texts}[name][rows].to_pylist())

    def _block(self, start: int, stop: int) -> Iterator[Expression]:
        names = ("id", "referent_id", "image_id", "text", "category", "derived", "no_target")
        for values in zip(*(self._column(name, start, stop) for name in names), strict=True):
            one, referent, image, text, category, derived, no_target = values
            yield Expression(one, referent, image, text, category, derived=derived, no_target=no_target)


@dataclass(frozen=True, eq=False)
class ImageTable(Mapping[str, ImageRecord]):
    """Images whose ids are their paths below a folder.

    Attributes:
        ids: the ids, each once.
        folder: the folder.
    """

    ids: pa.LargeStringArray
    folder: Path

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, image_id: str) -> ImageRecord:
        if image_id not in self:
            raise KeyError(image_id)
        return ImageRecord(image_id, self.folder / image_id)

    def __contains__(self, image_id: object) -> bool:
        return isinstance(image_id, str) and self._index.find(image_id) >= 0

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _BLOCK):
            yield from self.ids[start : start + _BLOCK].to_pylist()

    @cached_property
    def _index(self) -> TextIndex:
        return TextIndex(self.ids)


def values_of(expressions: Sequence[Expression], name: str) -> Iterable[Any]:
    """Return one attribute of every expression, without making the expressions of a table."""
    if isinstance(expressions, ExpressionTable):
        return expressions.values(name)
    return (getattr(each, name) for each in expressions)


def numbered(expressions: Sequence[Expression], name: str) -> tuple[list[str], NDArray[np.int64]]:
    """Return the distinct values of "image_id" or "referent_id", in order, and the number of each expression's value.

    Returns:
        The n distinct values, and (E,) int64 from 0 to n - 1.
    """
    if isinstance(expressions, ExpressionTable):
        if name == "image_id":
            return list(expressions.image_ids.to_pylist()), expressions.images.astype(np.int64)
        encoded = expressions.referent_ids.dictionary_encode()
        return list(encoded.dictionary.to_pylist()), encoded.indices.to_numpy().astype(np.int64)
    places: dict[str, int] = {}
    numbers = [places.setdefault(getattr(each, name), len(places)) for each in expressions]
    return list(places), np.array(numbers, np.int64)


def _runs(rows: NDArray[np.intp], referent_ids: pa.LargeStringArray) -> Iterator[list[int]]:
    """Yield the rows of each referent. Its expressions follow each other."""
    referent: list[int] = []
    last = None
    for row in rows.tolist():
        found = referent_ids[row].as_py()
        if referent and found != last:
            yield referent
            referent = []
        referent.append(row)
        last = found
    if referent:
        yield referent
