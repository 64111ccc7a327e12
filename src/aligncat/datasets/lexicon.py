"""The category that a phrase names, from its head noun and a lexicon of what people call each category.

For data whose rows have no category. There is no parser: a noun phrase ends where a preposition, a verb or the next
article begins, and the last noun of it that the lexicon knows is its head.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from aligncat.datasets.categories import ALIASES, COCO_NAMES
from aligncat.errors import DataError

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
# Verbs without -ing and -ed, which end a noun phrase that has its noun.
_VERBS = _words(
    "sits stands wears holds looks walks lies lays rides plays hits swings uses watches eats drinks cuts carries faces "
    "leans shows appears seems stares runs jumps throws catches waits reads talks sleeps drives flies skis surfs "
    "sit stand wear hold look walk ride play eat hang face held made worn cut seen stuck shown hung kept sat stood "
    "built thrown grown taken broken torn bent lit laid"
)
_BOUNDARIES = _PREPOSITIONS | _CLAUSES | frozenset((*",;:.", _OWNER))
# Before a noun these are no boundaries: "the closest chair", "an upside-down cup", "the blurred-out man".
_ADJECTIVES = _words("closest nearest farthest furthest down up out off")
# They stand for a noun that the phrase does not have, unless "of" says what it is one of.
_STAND_INS = _words("one ones thing things object objects item items")
# Over these a phrase without a known noun so far may still come to it: "a slice of pizza", "this is a dog".
_LEADING = _words("of and or , ; : . is are was there it")
_COLOURS = _words("white black red blue green yellow brown grey gray pink purple orange tan gold golden silver beige")
# An orange is a fruit at the end of its noun phrase and before these, otherwise a colour.
_AFTER_A_FRUIT = _words(
    "slice slices wedge wedges half halves piece pieces segment segments left right sitting lying laying cut"
)


@dataclass
class _Chunk:
    """Words up to a boundary.

    Attributes:
        link: the boundary before it; "" for an article, a verb, or the beginning.
        words: all of them, without articles.
        name: the category of its last name.
        hint: the category of its last hint.
    """

    link: str
    words: list[str]
    name: str | None = None
    hint: str | None = None


class Lexicon:
    """What people call each category.

    Args:
        names: words that name an object of a category -> the category.
        hints: words that stand for a category where a phrase has no name, such as "hand" -> the category.
    """

    def __init__(self, names: Mapping[Words, str], hints: Mapping[Words, str]) -> None:
        self._names = dict(names)
        self._hints = dict(hints)
        self._longest = max(map(len, (*self._names, *self._hints)), default=1)

    @classmethod
    def load(cls, path: Path | None = None) -> Lexicon:
        """Read the lexicon of COCO's 80 categories, and a file of one's own that adds to it.

        Args:
            path: a TOML file with the tables [names] and [hints], each from a category to a list of words, as in
                `lexicon.toml` of this package. A word of this file means what this file says.

        Raises:
            DataError: the file is missing, or is not of this form.
        """
        shipped = files("aligncat.datasets").joinpath("lexicon.toml").read_text(encoding="utf-8")
        known = [*((name, [name]) for name in COCO_NAMES), *((name, [alias]) for alias, name in ALIASES.items())]
        names, hints = _parse(shipped, "lexicon.toml", known)
        if path is not None:
            own_names, own_hints = _parse(_read(path), str(path))
            names = {words: category for words, category in names.items() if words not in own_hints} | own_names
            hints |= own_hints
        return cls(names, hints)

    def category(self, text: str) -> str | None:
        """The category of the object that a phrase means, or None where the phrase does not say.

        Args:
            text: a phrase, as its author wrote it.
        """
        chunks = self._chunks(_tokens(text))
        hint = None
        for place, chunk in enumerate(chunks):
            if place and not _goes_on(chunks[place - 1], chunk):
                break
            if chunk.name is not None:
                return _owned(chunk.name, chunks[place + 1 :])
            hint = hint or chunk.hint
        return hint

    def category_of_all(self, texts: Iterable[str]) -> str | None:
        """The category that most phrases for one object name; the first of those that equally many name.

        Args:
            texts: phrases for the same object; those that name no category do not count.
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
                if word.endswith(("ing", "ed")) and name is None:  # "wearing": what is worn is another noun phrase
                    chunks.append(chunk := _Chunk("", []))
            elif word in _BOUNDARIES and not (word in _ADJECTIVES and chunk.name is None and _is_plain(following)):
                chunks.append(chunk := _Chunk(word, []))
            elif (chunk.name or chunk.hint) and _begins_something_else(word, following):
                chunks.append(chunk := _Chunk("", []))
            elif word not in _DETERMINERS:
                chunk.words.append(word)
        return chunks

    def _match(self, words: list[str], place: int, chunk: _Chunk) -> tuple[int, str | None, str | None]:
        """The longest entry at a place: the number of its words, and its category as a name or as a hint."""
        for length in range(min(self._longest, len(words) - place), 0, -1):
            entry = tuple(words[place : place + length])
            if entry in self._names and not (entry == ("orange",) and _is_colour(words, place, chunk)):
                return length, self._names[entry], None
            if entry in self._hints and chunk.name is None:
                return length, None, self._hints[entry]
        return 1, None, None


def _owned(owner: str, rest: list[_Chunk]) -> str | None:
    """What a name means before what follows it: "the man's tie" is a tie, "the man's hand" the man."""
    if not rest or rest[0].link != _OWNER:
        return owner
    chunk = rest[0]
    if chunk.name is not None:
        return _owned(chunk.name, rest[1:])
    # Without a word, or with a verb, the 's is an "is".
    is_verb = not chunk.words or _begins_something_else(chunk.words[0], ".")
    return owner if chunk.hint is not None or is_verb else None


def _is_colour(words: list[str], place: int, chunk: _Chunk) -> bool:
    """Whether "orange" is a colour where it stands: before a noun, behind one, or beside another colour."""
    following = [*words[place + 1 : place + 3], ".", "."]
    if chunk.name is not None or (_is_plain(following[0]) and following[0] not in _AFTER_A_FRUIT):
        return True
    return following[0] in ("and", ",") and following[1] in _COLOURS


def _is_plain(word: str) -> bool:
    """Whether a word is neither a boundary nor an article."""
    return word not in _BOUNDARIES and word not in _DETERMINERS


def _begins_something_else(word: str, following: str) -> bool:
    """Whether a word that follows a noun is no part of its noun phrase.

    "a man dressed in black" ends at the participle, "an airplane shaped kite" does not.
    """
    ends = word in _DETERMINERS or word in _VERBS or word.endswith("ing")
    return ends or (word.endswith("ed") and not _is_plain(following))


def _goes_on(previous: _Chunk, chunk: _Chunk) -> bool:
    """Whether the head noun may still come, after a chunk that has none."""
    if not previous.words:
        return True
    if not _STAND_INS.isdisjoint(previous.words):
        return chunk.link == "of" and previous.words[-1] in _STAND_INS
    return chunk.link == "of" or (chunk.link in _LEADING and previous.hint is None)


def _tokens(text: str) -> list[str]:
    """Words and the marks that matter; the apostrophe of a genitive may be a curly one, or have spaces around it."""
    straight = text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return _TOKEN.findall(re.sub(r"\s*'\s*s\b", "'s", straight))


def _add(table: dict[Words, str], category: str, words: Iterable[str]) -> None:
    """Enter words, and their plurals where these have no meaning of their own."""
    entries = [tuple(_tokens(word)) for word in words]
    table.update(dict.fromkeys(entries, category))
    for *first, last in entries:
        table.setdefault((*first, _plural(last)), category)


def _plural(noun: str) -> str:
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: the lexicon cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: the lexicon is not UTF-8 text ({error}); save it as UTF-8") from error


def _parse(
    text: str, where: str, names: Iterable[tuple[str, list[str]]] = ()
) -> tuple[dict[Words, str], dict[Words, str]]:
    """The names and the hints of a lexicon; `names` are known before."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{where}: not a lexicon, as it is not TOML ({error})") from error
    found: dict[str, dict[Words, str]] = {"names": {}, "hints": {}}
    for category, words in names:
        _add(found["names"], category, words)
    for key, table in tables.items():
        if key not in found:
            raise DataError(f"{where}: {key!r} is not known; a lexicon has the tables [names] and [hints]")
        if not isinstance(table, dict):
            raise DataError(f"{where}: {key!r} must be a table of categories, each with a list of words")
        for category, words in table.items():
            if not isinstance(words, list) or not all(isinstance(w, str) and _tokens(w) for w in [category, *words]):
                raise DataError(f"{where}: {key}.{category} must be a list of words, each a string with letters in it")
            _add(found[key], category, [category, *words] if key == "names" else words)
    return found["names"], found["hints"]
