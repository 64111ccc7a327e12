"""A phrase cut into chunks at its boundaries, and which of the chunks may have the head noun.

There is no parser: a chunk ends at a preposition, a verb, a participle or the next article, and its head is the last
noun that the lexicon knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aligncat.language.tokens import word_set

# What the words at a place are: how many words, and their category as a name or as a hint.
Match = Callable[[Sequence[str], int, bool], tuple[int, str | None, str | None]]

_TOKEN = re.compile(r"'s\b|[^\W_]+|[,;:.]")
_GENITIVE = re.compile(r"\s*'\s*s\b")
OWNER = "'s"
_ARTICLES = word_set("a an the")
_DETERMINERS = _ARTICLES | word_set("this that these those his her its their my your our another each every")
_PREPOSITIONS = word_set(
    "of in on with w at by to from near behind beside besides between under underneath above over below beneath "
    "against around along across through inside outside onto into atop without for as like than toward towards among "
    "amongst amid off up about after before beyond past down upon out via within next closest nearest farthest "
    "furthest closer nearer farther further infront"
)
_CLAUSES = word_set(
    "and or but while where when which who whom whose if because so though not there it he she him they "
    "is are was were be been being am has have had do does did can could will would may might must"
)
# Verbs without -ing or -ed. They end a noun phrase that already has a noun.
_VERBS = word_set(
    "sits stands wears holds looks walks lies lays rides plays hits swings uses watches eats drinks cuts carries faces "
    "leans shows appears seems stares runs jumps throws catches waits reads talks sleeps drives flies skis surfs "
    "sit stand wear hold look walk ride play eat hang face held made worn cut seen stuck shown hung kept sat stood "
    "built thrown grown taken broken torn bent lit laid"
)
_BOUNDARIES = _PREPOSITIONS | _CLAUSES | frozenset((*",;:.", OWNER))
# Not boundaries before a noun: "the closest chair", "an upside-down cup", "the blurred-out man".
_ADJECTIVES = word_set("closest nearest farthest furthest down up out off")
# Placeholders for a noun that the phrase does not have, except before "of" ("one of the zebras").
_STAND_INS = word_set("one ones thing things object objects item items")
# Boundaries after which the head noun may follow if there was none before: "a slice of pizza", "this is a dog".
_LEADING = word_set("of and or , ; : . is are was there it")

# Where something is, and words around such a word: "second from the far left guy", "close to cam umbrella".
_PLACES = word_set(
    "left right top bottom front back middle center centre rear far side corner edge end upper lower leftmost "
    "rightmost lefthand righthand hand most us me you cam camera viewer screen foreground background"
)
_ORDINALS = word_set(
    "first second third fourth fifth sixth seventh eighth ninth tenth last 1st 2nd 3rd 4th 5th 6th 7th 8th 9th 10th "
    "1 2 3 4 5 6 7 8 9 10"
)
PLACED = _PLACES | _ORDINALS | word_set("one two three four five six close way all just only very both half not")
_INTO_PLACES = word_set("from to on in at by closest nearest farthest furthest closer")
_RELATIONS = word_set("next behind beside near under underneath above below between against")
_LANDMARKS = word_set("in on at to by next behind beside near under above below of from between over against front")

# People whom a clause without "that" can begin with: "the chair man is sitting in".
_PEOPLE = word_set("man men woman women guy guys lady ladies girl girls boy boys kid kids person people child")
_IS = word_set("is was are were has had sits sat holds wears rides uses")
# After the name of an animal, these mean the animal: "the giraffe mom".
_KIN = word_set("mom mother mommy mama mum dad daddy father parent baby adult male female twin sibling")
# What may hold a thing, so that "in hand" says nothing of the thing: "the left one in her hand".
_HOLDERS = word_set("hand hands arm arms lap mouth face head hair fingers finger foot feet")

# Parts and belongings, of which the thing may follow after "on": "the tire on a motorcycle".
_PARTS = word_set("tire tires wheel wheels handle strap pad lid knob window door pillow pillows cushion blanket")

_COLOURS = word_set("white black red blue green yellow brown grey gray pink purple orange tan gold golden silver beige")
# "orange" is the fruit before these words and at the end of a noun phrase, and the colour elsewhere.
_AFTER_A_FRUIT = (
    _PLACES
    | _ORDINALS
    | word_set(
        "slice slices wedge wedges half halves piece pieces segment segments sitting lying laying cut peel peels"
    )
)


@dataclass
class Chunk:
    """The words between two boundaries.

    Attributes:
        link: the boundary before the chunk; "the" for any article, "" for a verb or the start of the phrase.
        words: the words without articles.
        name: the category of the last name among the words; "" if it names a thing of no category.
        hint: the category of the last hint among the words.
    """

    link: str
    words: list[str]
    name: str | None = None
    hint: str | None = None


def tokens(text: str) -> list[str]:
    """Return a text's words and punctuation. A genitive's apostrophe may be curly or have spaces around it."""
    straight = text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return _TOKEN.findall(_GENITIVE.sub(OWNER, straight) if "'" in straight else straight)


def chunks_of(words: Sequence[str], match: Match) -> list[Chunk]:
    """Return the chunks of a phrase.

    Args:
        words: the phrase's words.
        match: finds the longest entry of the lexicon at a place. Its third argument says whether a hint counts: it
            does not after a name.
    """
    chunk = Chunk("", [])
    chunks = [chunk]
    place = 0
    while place < len(words):
        length, name, hint = match(words, place, chunk.name is None)
        word = words[place]
        if name is not None and word == "orange" and length == 1 and _is_colour(words, place, chunk):
            name = None
        following = words[place + length] if place + length < len(words) else "."
        if name is not None and chunk.name and _begins_clause(word, following):
            chunks.append(chunk := Chunk("", []))  # "the chair man is sitting in"
        if name is not None or hint is not None:
            if not (chunk.name and word in _KIN and length == 1):
                chunk.name, chunk.hint = chunk.name if name is None else name, hint or chunk.hint
            chunk.words += words[place : place + length]
            # "wearing": the clothes are a new noun phrase; but "a clothed table".
            if name is None and (word.endswith("ing") or (word.endswith("ed") and not _is_plain(following))):
                chunks.append(chunk := Chunk("", []))
        elif word in _BOUNDARIES and not (word in _ADJECTIVES and chunk.name is None and _is_plain(following)):
            chunks.append(chunk := Chunk(word, []))
        elif _ends_chunk(chunk, word, following):
            chunks.append(chunk := Chunk("the" if word in _ARTICLES else "", []))
        elif word not in _DETERMINERS:
            chunk.words.append(word)
        place += length
    return chunks


def _ends_chunk(chunk: Chunk, word: str, following: str) -> bool:
    """Return whether a word that is no boundary starts a new chunk."""
    if chunk.name is None and chunk.hint is None:
        return word in _ARTICLES and not PLACED.issuperset(chunk.words)  # "the fabric the man has"
    return _ends_noun_phrase(word, following)


def category_of(chunks: Sequence[Chunk]) -> str | None:
    """Return the category of a phrase's head noun: "" if it has none, None if the phrase does not tell."""
    place, hint = _head(chunks)
    return hint if place is None else chunks[place].name


def second_category_of(chunks: Sequence[Chunk]) -> str | None:
    """Return the category of the last noun of a phrase that is not its head; None if there is none with a category."""
    place, _ = _head(chunks)
    others = [chunk.name for number, chunk in enumerate(chunks) if number != place and chunk.name]
    return others[-1] if others else None


def _head(chunks: Sequence[Chunk]) -> tuple[int | None, str | None]:
    """Return the place of the chunk with the head noun and None; or None and what a hint says instead."""
    if (place := _after_a_landmark(chunks)) is not None:
        return _owned(chunks, place), None
    if _has_only_a_landmark(chunks):
        return None, None
    hint = None
    for place, chunk in enumerate(chunks):
        if place and not _may_have_head(chunks[place - 1], chunk):
            return None, hint or _worn(chunks[place - 1], chunk)
        if chunk.name is not None:
            return _owned(chunks, place), None
        hint = hint or chunk.hint
    return None, hint


def _owned(chunks: Sequence[Chunk], place: int) -> int:
    """Return the place of a name or its possession: the tie in "the man's tie", the man in "the man's hand".

    The possession of an unknown name is the owner's part: "the giraffe's neck".
    """
    following = chunks[place + 1] if place + 1 < len(chunks) else None
    if following is not None and following.link == OWNER and following.name is not None:
        return _owned(chunks, place + 1)
    return place


def _after_a_landmark(chunks: Sequence[Chunk]) -> int | None:
    """Return the place of the noun after a landmark: the dog in "in front of the tv the dog"; None if there is none."""
    if chunks[0].words or len(chunks) < 3:
        return None
    for place, chunk in enumerate(chunks[1:], start=1):
        if chunk.link in ("the", ",") and place > 1 and chunk.name:
            return place
        if chunk.link not in _LANDMARKS:
            return None
    return None


def _has_only_a_landmark(chunks: Sequence[Chunk]) -> bool:
    """Return whether the only noun of a phrase is that of a landmark: "behind the man", "left of the man"."""
    leading = [chunk for chunk in chunks if chunk.link or chunk.words]
    if leading[:1] and leading[0].words in (["left"], ["right"]):
        return [chunk.link for chunk in leading[1:2]] == ["of"]
    placed = any(not _PLACES.isdisjoint(chunk.words) for chunk in leading)  # "next to the left zebra" is a zebra
    return bool(leading) and leading[0].link in _RELATIONS and not placed


def _may_have_head(previous: Chunk, chunk: Chunk) -> bool:
    """Return whether the head noun can be in this chunk if the previous one has none."""
    if not previous.words:
        return True
    if chunk.link == "on" and previous.words[-1] in _PARTS and (chunk.name or chunk.words == ["back"]):
        return True
    is_place = previous.hint is None and PLACED.issuperset(previous.words) and previous.words[-1] != "one"
    if is_place and chunk.link in _INTO_PLACES and chunk.words and chunk.words[0] in _PLACES | _ORDINALS:
        return True
    if not _STAND_INS.isdisjoint(previous.words):
        return chunk.link == "of" and previous.words[-1] not in _PLACES
    return chunk.link == "of" or (chunk.link in _LEADING and previous.hint is None)


def _worn(previous: Chunk, chunk: Chunk) -> str | None:
    """Return what clothes mean after a place or a placeholder: "the left one in the red shirt"."""
    bare = (PLACED | _STAND_INS).issuperset(previous.words)
    return (
        chunk.hint if bare and chunk.link == "in" and chunk.name is None and chunk.words[-1] not in _HOLDERS else None
    )


def _begins_clause(word: str, following: str) -> bool:
    """Return whether a person after a name begins a clause: "backpack guy is wearing"."""
    return word in _PEOPLE and following in _IS


def _is_colour(words: Sequence[str], place: int, chunk: Chunk) -> bool:
    """Return whether "orange" is a colour here: before a noun, after a noun, or next to another colour."""
    following = [*words[place + 1 : place + 4], ".", ".", "."]
    if chunk.name is not None or (_is_plain(following[0]) and following[0] not in _AFTER_A_FRUIT):
        return True
    if place > 1 and words[place - 1] in ("and", ",", "or") and words[place - 2] in _COLOURS:
        return True
    after = following[1] if following[1] not in ("and", "or") else following[2]
    return following[0] in ("and", ",", "or") and after in _COLOURS


def _is_plain(word: str) -> bool:
    """Return whether a word is neither a boundary nor an article."""
    return word not in _BOUNDARIES and word not in _DETERMINERS


def _ends_noun_phrase(word: str, following: str) -> bool:
    """Return whether a word after a noun starts something else than a part of the noun phrase.

    The participle ends the noun phrase in "a man dressed in black", but not in "an airplane shaped kite".
    """
    ends = word in _DETERMINERS or word in _VERBS or word.endswith("ing")
    return ends or (word.endswith("ed") and not _is_plain(following))


def is_function_word(word: str) -> bool:
    """Return whether a word belongs to the grammar of a phrase, not to what it shows."""
    return not _is_plain(word) or word in _VERBS or word in PLACED or word in _COLOURS or word in _STAND_INS
