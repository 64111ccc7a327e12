"""The word weights of many expressions, in little memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import TypeAlias, overload

Pairs: TypeAlias = "tuple[tuple[str, float], ...]"


class WordWeights(Sequence[Pairs]):
    """The (word, weight) pairs of E expressions, which are made when they are asked for.

    Each distinct word is kept once, and each weight as a number. As tuples, the pairs take about eight times as much
    memory.
    """

    def __init__(self, expressions: Iterable[Iterable[tuple[str, float]]]) -> None:
        """Copy the pairs.

        Args:
            expressions: for each expression its (word, weight) pairs.
        """
        places: dict[str, int] = {}
        self._words, self._weights, self._ends = array("i"), array("d"), array("q", [0])
        for pairs in expressions:
            for word, weight in pairs:
                self._words.append(places.setdefault(word, len(places)))
                self._weights.append(weight)
            self._ends.append(len(self._words))
        self._vocabulary = tuple(places)

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, place: int) -> Pairs: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Pairs, ...]: ...

    def __getitem__(self, place: int | slice) -> Pairs | tuple[Pairs, ...]:
        if isinstance(place, slice):
            return tuple(self[number] for number in range(*place.indices(len(self))))
        row = range(len(self))[place]  # an IndexError, and numbers from the end
        of_row = slice(self._ends[row], self._ends[row + 1])
        words = (self._vocabulary[word] for word in self._words[of_row])
        return tuple(zip(words, self._weights[of_row], strict=True))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(self) != len(other):
            return False
        return all(one == another for one, another in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as of a list
