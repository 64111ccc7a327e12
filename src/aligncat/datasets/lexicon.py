"""The category of a phrase, from its head noun and a lexicon of words for each category.

It is used for data without categories. There is no parser: a noun phrase ends at a preposition, a verb or the next
article, and its head is its last noun in the lexicon.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from aligncat.datasets.categories import ALIASES, COCO_NAMES
from aligncat.errors import DataError
from aligncat.files.documents import MAX_TOML_BYTES, parse_toml, read_text

Words = tuple[str, ...]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TOKEN = re.compile(r"'s\b|[^\W_]+|[,;:.]")
_OWNER = "'s"
_DETERMINERS = _words("a an the this that these those his her its their my your our another each every")
_PREPOSITIONS = _words(
    "of in on with w at by to from near behind beside besides between under underneath above over below beneath "
    "against around along across through inside outside onto into atop without for as like than toward towards among "
    "amongst amid off up about after before beyond past down upon out via within next closest nearest farthest "
    "furthest closer nearer farther further"
)
_CLAUSES = _words(
    "and or but while where when which who whom whose if because so though not there it he she him they "
    "is are was were be been being am has have had do does did can could will would may might must"
)
# Verbs without -ing or -ed. They end a noun phrase that already has a noun.
_VERBS = _words(
    "sits stands wears holds looks walks lies lays rides plays hits swings uses watches eats drinks cuts carries faces "
    "leans shows appears seems stares runs jumps throws catches waits reads talks sleeps drives flies skis surfs "
    "sit stand wear hold look walk ride play eat hang face held made worn cut seen stuck shown hung kept sat stood "
    "built thrown grown taken broken torn bent lit laid"
)
_BOUNDARIES = _PREPOSITIONS | _CLAUSES | frozenset((*",;:.", _OWNER))
# Not boundaries before a noun: "the closest chair", "an upside-down cup", "the blurred-out man".
_ADJECTIVES = _words("closest nearest farthest furthest down up out off")
# Placeholders for a noun that the phrase does not have, except before "of" ("one of the zebras").
_STAND_INS = _words("one ones thing things object objects item items")
# Boundaries after which the head noun may follow if there was none before: "a slice of pizza", "this is a dog".
_LEADING = _words("of and or , ; : . is are was there it")
_COLOURS = _words("white black red blue green yellow brown grey gray pink purple orange tan gold golden silver beige")
# "orange" is the fruit before these words and at the end of a noun phrase, and the colour elsewhere.
_AFTER_A_FRUIT = _words(
    "slice slices wedge wedges half halves piece pieces segment segments left right sitting lying laying cut"
)


@dataclass
class _Chunk:
    """The words between two boundaries.

    Attributes:
        link: the boundary before the chunk; "" for an article, a verb, or the start of the phrase.
        words: the words without articles.
        name: the category of the last name among the words.
        hint: the category of the last hint among the words.
    """

    link: str
    words: list[str]
    name: str | None = None
    hint: str | None = None


class Lexicon:
    """Words for each category.

    Args:
        names: words that name an object of a category -> the category.
        hints: words that imply a category if the phrase has no name, such as "hand" for person -> the category.
    """

    def __init__(self, names: Mapping[Words, str], hints: Mapping[Words, str]) -> None:
        self._names = dict(names)
        self._hints = dict(hints)
        self._longest = max(map(len, (*self._names, *self._hints)), default=1)

    @classmethod
    def load(cls, path: Path | None = None) -> Lexicon:
        """Read the shipped lexicon of COCO's 80 categories and, optionally, a file of further words.

        Args:
            path: a TOML file with the tables [names] and [hints], each with a list of words per category, as in
                `lexicon.toml` of this package. Its entries override the shipped ones.

        Raises:
            DataError: the file is missing or does not have this form.
        """
        shipped = files("aligncat.datasets").joinpath("lexicon.toml").read_text(encoding="utf-8")
        known = [*((name, [name]) for name in COCO_NAMES), *((name, [alias]) for alias, name in ALIASES.items())]
        names, hints = _parse(shipped, "lexicon.toml", known)
        if path is not None:
            own_names, own_hints = _parse(read_text(path, limit=MAX_TOML_BYTES), str(path))
            names = {words: category for words, category in names.items() if words not in own_hints} | own_names
            hints |= own_hints
        return cls(names, hints)

    def category(self, text: str) -> str | None:
        """Return the category of the object that a phrase refers to, or None if the phrase does not tell.

        Args:
            text: the phrase, unprocessed.
        """
        chunks = self._chunks(_tokens(text))
        hint = None
        for place, chunk in enumerate(chunks):
            if place and not _may_have_head(chunks[place - 1], chunk):
                break
            if chunk.name is not None:
                return _owned(chunk.name, chunks[place + 1 :])
            hint = hint or chunk.hint
        return hint

    def category_of_all(self, texts: Iterable[str]) -> str | None:
        """Return the most frequent category of several phrases for one object; the first one in a tie.

        Args:
            texts: phrases for the same object. Phrases without a category do not count.
        """
        found = Counter(category for text in texts if (category := self.category(text)) is not None)
        return max(found, key=found.__getitem__, default=None)

    def _chunks(self, words: list[str]) -> list[_Chunk]:
        """Cut a phrase at its boundaries."""
        chunk = _Chunk("", [])
        chunks = [chunk]
        place = 0
        while place < len(words):
            length, name, hint = self._match(words, place, chunk)
            found = words[place : place + length]
            place += length
            word, following = found[0], words[place] if place < len(words) else "."
            if name is not None or hint is not None:
                chunk.name, chunk.hint = name or chunk.name, hint or chunk.hint
                chunk.words += found
                if word.endswith(("ing", "ed")) and name is None:  # "wearing": the clothes are a new noun phrase
                    chunks.append(chunk := _Chunk("", []))
            elif word in _BOUNDARIES and not (word in _ADJECTIVES and chunk.name is None and _is_plain(following)):
                chunks.append(chunk := _Chunk(word, []))
            elif (chunk.name or chunk.hint) and _ends_noun_phrase(word, following):
                chunks.append(chunk := _Chunk("", []))
            elif word not in _DETERMINERS:
                chunk.words.append(word)
        return chunks

    def _match(self, words: list[str], place: int, chunk: _Chunk) -> tuple[int, str | None, str | None]:
        """Return the longest entry at a place: its number of words, and its category as a name or as a hint."""
        for length in range(min(self._longest, len(words) - place), 0, -1):
            entry = tuple(words[place : place + length])
            if entry in self._names and not (entry == ("orange",) and _is_colour(words, place, chunk)):
                return length, self._names[entry], None
            if entry in self._hints and chunk.name is None:
                return length, None, self._hints[entry]
        return 1, None, None


def _owned(owner: str, rest: list[_Chunk]) -> str | None:
    """Return the category of a name or its possession: the tie in "the man's tie", the man in "the man's hand"."""
    if not rest or rest[0].link != _OWNER:
        return owner
    chunk = rest[0]
    if chunk.name is not None:
        return _owned(chunk.name, rest[1:])
    # 's before a verb or a boundary means "is".
    is_verb = not chunk.words or _ends_noun_phrase(chunk.words[0], ".")
    return owner if chunk.hint is not None or is_verb else None


def _is_colour(words: list[str], place: int, chunk: _Chunk) -> bool:
    """Return whether "orange" is a colour here: before a noun, after a noun, or next to another colour."""
    following = [*words[place + 1 : place + 3], ".", "."]
    if chunk.name is not None or (_is_plain(following[0]) and following[0] not in _AFTER_A_FRUIT):
        return True
    return following[0] in ("and", ",") and following[1] in _COLOURS


def _is_plain(word: str) -> bool:
    """Return whether a word is neither a boundary nor an article."""
    return word not in _BOUNDARIES and word not in _DETERMINERS


def _ends_noun_phrase(word: str, following: str) -> bool:
    """Return whether a word after a noun starts something else than a part of the noun phrase.

    The participle ends the noun phrase in "a man dressed in black", but not in "an airplane shaped kite".
    """
    ends = word in _DETERMINERS or word in _VERBS or word.endswith("ing")
    return ends or (word.endswith("ed") and not _is_plain(following))


def _may_have_head(previous: _Chunk, chunk: _Chunk) -> bool:
    """Return whether the head noun can be in this chunk if the previous one has none."""
    if not previous.words:
        return True
    if not _STAND_INS.isdisjoint(previous.words):
        return chunk.link == "of" and previous.words[-1] in _STAND_INS
    return chunk.link == "of" or (chunk.link in _LEADING and previous.hint is None)


def _tokens(text: str) -> list[str]:
    """Split a text into words and punctuation. A genitive's apostrophe may be curly or have spaces around it."""
    straight = text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return _TOKEN.findall(re.sub(r"\s*'\s*s\b", "'s", straight))


def _add(table: dict[Words, str], category: str, words: Iterable[str]) -> None:
    """Add words to a table, and their plurals unless the table has them."""
    entries = [tuple(_tokens(word)) for word in words]
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
    found: dict[str, dict[Words, str]] = {"names": {}, "hints": {}}
    for category, words in names:
        _add(found["names"], category, words)
    for key, table in tables.items():
        if key not in found:
            raise DataError(f"{where}: unknown key {key!r}; a lexicon has the tables [names] and [hints]")
        if not isinstance(table, dict):
            raise DataError(f"{where}: {key!r} must be a table of categories, each with a list of words")
        for category, words in table.items():
            if not isinstance(words, list) or not all(isinstance(w, str) and _tokens(w) for w in [category, *words]):
                raise DataError(f"{where}: {key}.{category} must be a list of words, each a string with letters in it")
            _add(found[key], category, [category, *words] if key == "names" else words)
    return found["names"], found["hints"]
