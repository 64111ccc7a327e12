"""Misspellings as people make them: usual ones, and slips of the keyboard."""

from __future__ import annotations

from functools import cache

import numpy as np

from aligncat.mojiref.raster import TINTS
from aligncat.mojiref.version2 import words
from aligncat.mojiref.version2.drawings import CATEGORIES

MISSPELLING_RATE = 0.05  # share of phrases with one misspelt word
_USUAL_RATE = 0.6  # share of the misspellings that are usual ones, where the word has any
_SHORTEST = 4  # letters of the words that are misspelt by a slip

USUAL: dict[str, tuple[str, ...]] = {
    "airplane": ("airplan", "airplaine"),
    "astronaut": ("astronat", "astranaut"),
    "banana": ("bannana", "bananna"),
    "bicycle": ("bycicle", "bicyle"),
    "bottle": ("bottel", "botle"),
    "bottom": ("botom", "bottem"),
    "bouquet": ("boquet", "bouqet"),
    "broccoli": ("brocoli", "broccolli", "brocolli"),
    "burger": ("buger",),
    "center": ("cener", "senter"),
    "chair": ("chiar",),
    "checkered": ("chekered",),
    "child": ("chid",),
    "computer": ("computor", "compter"),
    "croissant": ("croisant", "crossaint"),
    "donkey": ("donky",),
    "elephant": ("elefant", "elephent"),
    "firefighter": ("firefigher", "firefigter"),
    "flamingo": ("flamngo", "flamigo"),
    "fourth": ("forth",),
    "giraffe": ("giraff", "girafe", "girrafe"),
    "glasses": ("glassess", "glassses"),
    "handbag": ("handbeg", "hanbag"),
    "helmet": ("helment", "helmit"),
    "keyboard": ("keybord", "keyborad"),
    "kitten": ("kittin",),
    "knife": ("knive", "nife"),
    "laptop": ("labtop", "laptp"),
    "left": ("lef", "lft"),
    "luggage": ("lugage", "luggege"),
    "magician": ("magican",),
    "microphone": ("microfone", "micraphone"),
    "middle": ("midle", "middel"),
    "motorcycle": ("motorcyle", "motercycle"),
    "orange": ("ornage", "oragne"),
    "parrot": ("parot", "parrott"),
    "penguin": ("pengiun", "penquin"),
    "person": ("persn", "perosn"),
    "picture": ("pictue", "pitcure"),
    "pizza": ("piza", "pizzza"),
    "purple": ("purpel", "purpul"),
    "right": ("rigth", "rihgt"),
    "sandwich": ("sandwhich", "sandwitch"),
    "scissors": ("scisors", "sissors", "scissers"),
    "second": ("secnd", "secod"),
    "skateboard": ("skatebord", "skatboard"),
    "soldier": ("soldeir",),
    "spotted": ("spoted",),
    "striped": ("stripped",),
    "suitcase": ("suticase", "suitcas"),
    "teacher": ("techer",),
    "toothbrush": ("toothbrsh", "tothbrush"),
    "umbrella": ("umberella", "umbrela", "unbrella"),
    "vehicle": ("vehical", "vehicel"),
    "wearing": ("waering", "wering", "wearin"),
    "white": ("whit",),
    "woman": ("womon", "woamn"),
    "yellow": ("yellwo", "yello"),
    "zebra": ("zeebra", "zebera"),
}
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_LETTERS = "".join(sorted("".join(_ROWS)))


def misspell(rng: np.random.Generator, text: str) -> str:
    """Return a phrase with one word misspelt, or the same phrase if no word can be.

    Every misspelling can be undone: it is no word of the grammar, and a slip is one step from no other word.
    """
    words_of_text = text.split()
    places = [place for place, word in enumerate(words_of_text) if misspellings(word) != ((), ())]
    if not places:
        return text
    place = places[rng.integers(len(places))]
    usual, slips = misspellings(words_of_text[place])
    options = usual if usual and (not slips or rng.random() < _USUAL_RATE) else slips
    words_of_text[place] = options[rng.integers(len(options))]
    return " ".join(words_of_text)


@cache
def misspellings(word: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return a word's usual misspellings and its slips; none for short words and for words with digits."""
    usual = tuple(spelling for spelling in USUAL.get(word, ()) if spelling not in vocabulary())
    if len(word) < _SHORTEST or not word.isalpha():
        return usual, ()
    slips = sorted(_slips(word) - vocabulary())
    return usual, tuple(slip for slip in slips if _one_step(slip) & vocabulary() == {word})


def _slips(word: str) -> set[str]:
    """Return a word with a letter left out, doubled or replaced by a neighbour, or with two letters swapped."""
    found = set()
    for place in range(1, len(word)):  # the first letter is seldom wrong
        before, letter, after = word[:place], word[place], word[place + 1 :]
        found |= {before + after, before + letter + letter + after}
        found |= {before + other + after for other in _neighbours(letter)}
        if after:
            found.add(before + after[0] + letter + after[1:])
    return found - {word}


def _neighbours(letter: str) -> str:
    """Return the letters beside a letter on the keyboard's row."""
    row = next(row for row in _ROWS if letter in row)
    place = row.index(letter)
    return row[max(0, place - 1) : place] + row[place + 1 : place + 2]


def _one_step(word: str) -> set[str]:
    """Return all strings that one letter more, less or other, or one swap, makes of a word."""
    cuts = [(word[:place], word[place:]) for place in range(len(word) + 1)]
    shorter = {a + b[1:] for a, b in cuts if b}
    swapped = {a + b[1] + b[0] + b[2:] for a, b in cuts if len(b) > 1}
    other = {a + letter + b[1:] for a, b in cuts if b for letter in _LETTERS}
    longer = {a + letter + b for a, b in cuts for letter in _LETTERS}
    return shorter | swapped | other | longer


@cache
def vocabulary() -> frozenset[str]:
    """Return every word of the grammar."""
    texts: list[str] = [noun for category in CATEGORIES for drawing in category.drawings for noun in drawing.nouns]
    texts += [*TINTS, "black", "gray", "white", "the", "a", "an", "that", "is", "who", "leftmost", "rightmost", "far"]
    tables = (words.SIZES, words.TEXTURES, words.TEXTURES_AFTER, words.ACTIONS, words.RELATIONS)
    texts += [word for table in tables for options in table.values() for word in options]
    texts += [word for options in words.ORDINALS.values() for word in options]
    forms = [form for table in (words.PLACES, words.LONG_PLACES) for options in table.values() for form in options]
    texts += [form.replace("{n}", "").replace("{p}", "") for form in forms]
    texts += [word for options, _ in words.CLOTHES.values() for word in options]
    texts += [*words.PICTURES, "in on at wearing holding with shirt top from of"]
    return frozenset(word for text in texts for word in text.split())
