"""The category of a phrase, from its head noun and a lexicon of words for each category.

It is used for data without categories. `noun_phrases` finds the head noun, `spelling` corrects words that nobody knows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

from aligncat.datasets.categories import ALIASES, COCO_NAMES, canonical_category
from aligncat.datasets.noun_phrases import (
    OWNER,
    PLACED,
    Chunk,
    category_of,
    chunks_of,
    is_function_word,
    second_category_of,
    tokens,
)
from aligncat.datasets.spelling import Spelling
from aligncat.errors import DataError
from aligncat.files.documents import MAX_TOML_BYTES, parse_toml, read_text

Words = tuple[str, ...]
OTHER = ""  # the category of what has none
_AMONG = "?"  # stands for the category of a word that a caller asks about
_LONG_ENOUGH = 7  # letters of words that are not shipped, for a misspelling to be corrected to them


class Lexicon:
    """Words for each category.

    Args:
        names: words that name an object of a category -> the category; "" for an object of no category.
        hints: words that imply a category if the phrase has no name, such as "hand" for person -> the category.
    """

    def __init__(self, names: Mapping[Words, str], hints: Mapping[Words, str]) -> None:
        self._names = dict(names)
        self._hints = dict(hints)
        self._lengths: dict[str, int] = {}  # first word -> the words of the longest entry
        for first, *rest in (*self._names, *self._hints):
            self._lengths[first] = max(self._lengths.get(first, 0), 1 + len(rest))
        self._known = {word for entry in (*self._names, *self._hints) for word in entry}
        # Real words are known for shipped words only; a short one of somebody's own may be near any: "valve", "value".
        single = {
            entry[0]: category
            for entry, category in self._names.items()
            if len(entry) == 1 and (entry in _shipped()[0] or len(entry[0]) >= _LONG_ENOUGH)
        }
        self._spelling = Spelling({word: word for word in PLACED} | single, _real_words())

    @classmethod
    def load(cls, path: Path | None = None, categories: Iterable[str] = ()) -> Lexicon:
        """Read the shipped lexicon of COCO's 80 categories and, optionally, further words.

        Args:
            path: a TOML file with the tables [names] and [hints], each with a list of words per category, as in
                `lexicon.toml` of this package. Its entries override all others.
            categories: the categories that phrases may mean, such as a detector's labels. The names of those that are
                not COCO's, and their plurals, override the shipped words.

        Raises:
            DataError: the file is missing or does not have this form.
        """
        names, hints = _shipped()
        names, hints = dict(names), dict(hints)
        own = [name for name in categories if canonical_category(name) not in _COCO and tokens(name)]
        named: dict[Words, str] = {}
        for name in own:
            _add(named, name, [name])
        _override(names, hints, named, {})
        if path is not None:
            _override(names, hints, *_parse(read_text(path, limit=MAX_TOML_BYTES), str(path)))
        return cls(names, hints)

    def category(self, text: str) -> str | None:
        """Return the category of the object that a phrase refers to, or None if the phrase does not tell.

        Args:
            text: the phrase, unprocessed.
        """
        return category_of(self._chunks(text)) or None

    def second_category(self, text: str) -> str | None:
        """Return the category of another object that a phrase names: the plate's in "the cup left of the plate".

        Args:
            text: the phrase, unprocessed.

        Returns:
            The category; of several objects, that of the last one. None if the phrase names none that has a category.
        """
        return second_category_of(self._chunks(text))

    def head_is_among(self, text: str, words: Collection[str]) -> bool:
        """Return whether the noun of the object that a phrase refers to is one of some words.

        Args:
            text: the phrase, unprocessed.
            words: the words, in lower case. One that no rule knows otherwise is taken for a noun, unless it ends in
                -ing or -ed.
        """

        def match(phrase: Sequence[str], place: int, hints: bool) -> tuple[int, str | None, str | None]:
            length, name, hint = self._match(phrase, place, hints)
            last = phrase[place + length - 1]
            if last not in words or (name is None and (is_function_word(last) or last.endswith(("ing", "ed")))):
                return length, name, hint
            return length, _AMONG, None

        chunks = chunks_of(tokens(text), match)
        while chunks[0].name is None and [each.link for each in chunks[1:2]] == [OWNER]:
            chunks = chunks[1:]  # an owner that the lexicon does not know is not the noun
        return category_of(chunks) == _AMONG

    def category_of_all(self, texts: Iterable[str]) -> str | None:
        """Return the most frequent category of several phrases for one object; the first one in a tie.

        Args:
            texts: phrases for the same object. Phrases without a category do not count.
        """
        found = Counter(category for text in texts if (category := self.category(text)) is not None)
        return max(found, key=found.__getitem__, default=None)

    def _chunks(self, text: str) -> list[Chunk]:
        words = [
            word if word in self._known or is_function_word(word) else self._spelling.corrected(word)
            for word in tokens(text)
        ]
        return chunks_of(words, self._match)

    def _match(self, words: Sequence[str], place: int, hints: bool) -> tuple[int, str | None, str | None]:
        """Return the longest entry at a place: its number of words, and its category as a name or as a hint."""
        for length in range(min(self._lengths.get(words[place], 0), len(words) - place), 0, -1):
            entry = tuple(words[place : place + length])
            if (name := self._names.get(entry)) is not None:
                return length, name, None
            if hints and (hint := self._hints.get(entry)) is not None:
                return length, None, hint
        return 1, None, None


_COCO = frozenset(map(canonical_category, COCO_NAMES))


@cache
def _shipped() -> tuple[dict[Words, str], dict[Words, str]]:
    known = [*((name, [name]) for name in COCO_NAMES), *((name, [alias]) for alias, name in ALIASES.items())]
    return _parse(_resource("lexicon.toml"), "lexicon.toml", known)


@cache
def _real_words() -> frozenset[str]:
    """Return English words that are close to a word of the shipped lexicon and mean something else."""
    return frozenset(_resource("real_words.txt").split())


def _resource(name: str) -> str:
    return files("aligncat.datasets").joinpath(name).read_text(encoding="utf-8")


def _override(
    names: dict[Words, str], hints: dict[Words, str], own_names: dict[Words, str], own_hints: dict[Words, str]
) -> None:
    """Add entries to a lexicon's tables; a word of theirs loses its former meaning."""
    for words in own_hints:
        names.pop(words, None)
    names |= own_names
    hints |= own_hints


def _add(table: dict[Words, str], category: str, words: Iterable[str]) -> None:
    """Add words to a table, and their plurals unless the table has them."""
    entries = [tuple(tokens(word)) for word in words]
    table.update(dict.fromkeys(entries, category))
    for *first, last in entries:
        table.setdefault((*first, regular_plural(last)), category)


def regular_plural(noun: str) -> str:
    """Return the plural of a noun of one word, as the rules of spelling form it."""
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def _parse(
    text: str, where: str, names: Iterable[tuple[str, list[str]]] = ()
) -> tuple[dict[Words, str], dict[Words, str]]:
    """Parse a lexicon into its names, added to the given ones, and its hints."""
    tables = parse_toml(text, where)
    found: dict[str, dict[Words, str]] = {"names": {}, "hints": {}, "others": {}}
    for category, words in names:
        _add(found["names"], category, words)
    for key, table in tables.items():
        if key not in found:
            raise DataError(
                f"{where}: unknown key {key!r}; a lexicon has the tables [names] and [hints], and [others] for "
                "words of no category"
            )
        if not isinstance(table, dict):
            raise DataError(f"{where}: {key!r} must be a table of categories, each with a list of words")
        for category, words in table.items():
            if not isinstance(words, list) or not all(isinstance(w, str) and tokens(w) for w in [category, *words]):
                raise DataError(f"{where}: {key}.{category} must be a list of words, each a string with letters in it")
            _add(found[key], OTHER if key == "others" else category, [category, *words] if key == "names" else words)
    return found["others"] | found["names"], found["hints"]
