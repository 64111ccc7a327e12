"""Corrections of words that are in no list: the nearest known word, where only one meaning is near."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cached_property

SHORTEST = 5  # letters of a correction; shorter words have too many neighbours
LONG = 8  # letters of a word that may have two slips, before or after the slips


class Spelling:
    """Corrections to a set of words.

    A correction is one slip away (a letter too many, missing or wrong, or two letters exchanged), or two slips where
    one of the words has at least `LONG` letters. The first letter is the same, unless it is the only slip of a word of
    at least 7 letters.

    Args:
        meanings: word -> what it means.
        real: words that are no misspellings, though they are close to one of the words: "hose", "ranger".
    """

    def __init__(self, meanings: Mapping[str, str], real: Collection[str]) -> None:
        self._meanings = {word: meaning for word, meaning in meanings.items() if len(word) >= SHORTEST - 1}
        self._real = frozenset(real)
        self._found: dict[str, str] = {}

    def corrected(self, word: str) -> str:
        """Return the correction of a word that the lexicon does not know; the word itself if there is none.

        Args:
            word: a lower-case word.
        """
        if word not in self._found:
            if len(self._found) > 100_000:
                self._found.clear()
            self._found[word] = self._nearest(word)
        return self._found[word]

    def _nearest(self, word: str) -> str:
        if len(word) < SHORTEST - 1 or len(word) > 30 or word in self._real or not word.isalpha():
            return word
        shared = {
            known
            for shorter in _shorter(word, 2 if len(word) >= LONG - 1 else 1)
            for known in self._index.get(shorter, ())
        }
        near: dict[int, list[str]] = {}
        for known in sorted(shared):
            slips = distance(word, known)
            same = known[0] == word[0] or (slips == 1 and min(len(known), len(word)) >= 7)
            if same and slips <= (2 if max(len(known), len(word)) >= LONG and len(word) >= LONG - 1 else 1):
                near.setdefault(slips, []).append(known)
        for slips in sorted(near):
            best = max(near[slips], key=len)
            is_clear = len({self._meanings[known] for known in near[slips]}) == 1 and len(best) >= SHORTEST
            return best if is_clear else word
        return word

    @cached_property
    def _index(self) -> dict[str, list[str]]:
        """A word with letters left out -> the words that give it so."""
        index: dict[str, list[str]] = {}
        for known in sorted(self._meanings):
            for shorter in _shorter(known, 2 if len(known) >= LONG - 1 else 1):
                index.setdefault(shorter, []).append(known)
        return index


def distance(one: str, other: str) -> int:
    """Return the least number of slips between two words: a letter inserted, left out or replaced, or two exchanged."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(one, start=1):
        now = [row]
        for column, against in enumerate(other, start=1):
            best = min(last[column] + 1, now[-1] + 1, last[column - 1] + (letter != against))
            if row > 1 and column > 1 and letter == other[column - 2] and against == one[row - 2]:
                best = min(best, before[column - 2] + 1)
            now.append(best)
        before, last = last, now
    return last[-1]


def _shorter(word: str, slips: int) -> Iterator[str]:
    """Yield a word, and the words with up to `slips` letters left out."""
    words = {word}
    yield word
    for _ in range(slips):
        words = {each[:place] + each[place + 1 :] for each in words for place in range(len(each))}
        yield from words
