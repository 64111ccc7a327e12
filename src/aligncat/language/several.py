"""Whether a phrase means several objects, and the phrase for one of them.

The rules are for English. A phrase means several objects if its head noun is a plural ("the zebras on the left"), if
"both", "all" or a number comes before a noun that may be a plural ("both sheep"), or if it counts a group ("a pair of
dogs"). The head noun is the last word before the first preposition, relative pronoun or participle, without places or a
number at its end ("zebras left", "zebras 2"). A part of one thing is no several ("elephants ears").
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from aligncat.language.attributes import ASPECTS
from aligncat.language.colours import COLOUR_OF
from aligncat.language.swaps import swapped
from aligncat.language.tokens import RULE, tokenize, word_set

NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
NUMBERS |= {str(number): number for number in range(2, 11)} | {"both": 2, "pair": 2, "couple": 2, "trio": 3}
_GROUPS = {"pair", "couple", "trio", "group", "bunch", "row", "line", "herd", "flock", "crowd", "stack", "set"}
_ALL = {"all", "both", "several", "many", "these", "those", "few", "various", "multiple", "every", "each"}
_EACH = {"every", "each"}  # a singular noun follows
_DROPPED = {*_ALL, "of", "the", "a", *NUMBERS}  # before the head noun

# The words that end the part of a phrase that has the head noun.
_ENDS = word_set(
    "of in on at by with without under over above below behind beside besides near next to from for between among "
    "inside outside against across along around beneath underneath toward towards facing "
    "that which who whose where while is are was were has have and or not"
)
_PLACES = word_set(
    "left right top bottom middle center centre front back leftmost rightmost closest nearest farthest furthest up "
    "down far side corner only together"
)

_SINGULAR = {
    **{"people": "person", "men": "man", "women": "woman", "children": "child", "teeth": "tooth", "feet": "foot"},
    **{"geese": "goose", "mice": "mouse", "oxen": "ox", "calves": "calf", "halves": "half", "knives": "knife"},
    **{"leaves": "leaf", "loaves": "loaf", "shelves": "shelf", "wolves": "wolf", "lives": "life", "wives": "wife"},
    **{"elves": "elf", "scarves": "scarf", "buses": "bus", "gases": "gas", "canvases": "canvas", "lenses": "lens"},
    **{"cookies": "cookie", "movies": "movie", "pies": "pie", "ties": "tie", "zombies": "zombie"},
    **{"shoes": "shoe", "toes": "toe", "canoes": "canoe", "axes": "axe"},
    **{"policemen": "policeman", "firemen": "fireman", "snowmen": "snowman", "businessmen": "businessman"},
    **{"selfies": "selfie", "hoodies": "hoodie", "smoothies": "smoothie"},
    **{"tvs": "tv", "cds": "cd", "pcs": "pc"},
}
# The singular of nouns that are plurals after a number or "all" only.
_COUNTED = {each: each for each in word_set("sheep deer fish aircraft salmon moose bison skis scissors luggage")}
_COUNTED |= {"glasses": "glass"}
_BUNCHES = word_set("bananas grapes flowers roses tulips keys")  # "a bunch of" them is one thing
# "Glasses" after these are drinking glasses.
_DRINKS = word_set("wine water beer champagne drinking shot juice milk cocktail martini soda whiskey wineglass")
# Words in -s that name one thing, or a pair that counts as one.
_NO_PLURALS = word_set(
    "bus glass grass dress class gas lens canvas cactus octopus walrus tennis chess mess press boss bass moss pass "
    "toss kiss compass cross brass mattress waitress actress business princess fitness wilderness harness iris virus "
    "campus circus plus bonus focus status jesus christmas texas us this is his its hers yes less across always "
    "pants jeans shorts trousers tights leggings glasses sunglasses goggles scissors skis pliers binoculars headphones "
    "pajamas pyjamas clothes overalls khakis suspenders tongs tweezers news series species asparagus hummus couscous "
    "citrus lotus discus molasses swiss perhaps besides upstairs downstairs stairs steps blinds drapes bleachers "
    "slacks sweatpants sweats capris khaki briefs boxers panties undies coveralls waders scrubs spectacles specs "
    "earbuds clippers shears handcuffs"
)
# Parts of a person or an animal, and clothes: after a possessor without its apostrophe, they are of one.
_PARTS = word_set(
    "ears eyes legs feet hands arms horns tusks hooves paws wings spots stripes teeth fingers toes knees shoulders "
    "lips elbows butts heads necks tails manes shoes boots socks gloves mittens sneakers sandals"
)


@dataclass(frozen=True, slots=True)
class Several:
    """What a phrase for several objects says.

    Attributes:
        one: the phrase for one of the objects, in lower case: "zebra on the left" for "the zebras on the left".
        count: how many objects it means, at least 2; None if it does not say.
        alone: whether it says nothing of the objects but their noun, so that it means all of them: "all the zebras".
            A word before the noun counts as a part of it ("teddy bears", "striped cats"), unless it is a place,
            a size or a colour, or has an opposite (`swapped`).
    """

    one: str
    count: int | None
    alone: bool


def several_of(phrase: str) -> Several | None:
    """Return what a phrase says if it means several objects; None if it means one.

    A noun of which singular and plural are alike ("sheep", "skis") means several only after a number or "all". A pair
    that counts as one never does: "jeans", "a pair of scissors". "Glasses" are drinking glasses after a drink, a number
    or "all". "A bunch of bananas" is one thing. "And" joins no phrases: "the cat and the dog" means one object here.

    Args:
        phrase: an expression.
    """
    words = tokenize(phrase, RULE)
    if len(words) > 1 and words[0] in {"one", "1", "none", "neither", "either"}:
        return None
    start, count, grouped = _group(words)
    end = next((place for place in range(start, len(words)) if words[place] in _ENDS), len(words))
    end = _participle(words, start, end)
    head = end - 1
    while head > start and words[head] in _PLACES:
        head -= 1
    number = None
    if head > start and words[head] in NUMBERS and singular_of(words[head - 1]):  # "zebras 2"
        number, head = NUMBERS[words[head]], head - 1
    if head < start:
        return None
    before = words[start:head]
    said = grouped or any(word in _ALL or word in NUMBERS for word in before)
    noun = words[head]
    if grouped and noun in {"pair": _NO_PLURALS, "bunch": _BUNCHES}.get(words[start - 2], ()):
        return None
    if noun in _PARTS and before and not said and singular_of(before[-1]) is not None:  # "elephants ears"
        return None
    each = noun if any(word in _EACH for word in before) else None
    is_counted = said or (noun == "glasses" and bool(before) and before[-1] in _DRINKS)
    singular = singular_of(noun) or (_COUNTED.get(noun) if is_counted else None) or each
    if singular is None:
        return None
    for word in before:
        count = count or NUMBERS.get(word)
    kept = [word for word in before if word not in _DROPPED]
    rest = words[head + 1 + (number is not None) :]
    alone = not rest and not _describes(kept, noun)
    return Several(" ".join([*kept, singular, *rest]), count or number, alone)


def phrase_for_one(phrase: str) -> str:
    """Return the phrase for one of the objects if a phrase means several, and the phrase itself if it means one.

    Args:
        phrase: an expression.
    """
    said = several_of(phrase)
    return phrase if said is None else said.one


def singular_of(noun: str) -> str | None:
    """Return the singular of an English noun if it is a plural, otherwise None.

    Args:
        noun: a lower-case word.
    """
    if noun in _SINGULAR:
        return _SINGULAR[noun]
    if noun in _NO_PLURALS or len(noun) < 4 or not re.fullmatch(r"[a-z]+s", noun) or noun.endswith(("ss", "us", "is")):
        return None
    if noun.endswith("ies"):
        return f"{noun[:-3]}y"
    if noun.endswith(("ches", "shes", "sses", "xes", "zzes", "oes")):
        return noun[:-2]
    return noun[:-1]


def _describes(before: list[str], noun: str) -> bool:
    """Return whether a word before a noun tells its objects apart: "nearest cows", "dark cars", "old men"."""
    if not (ASPECTS.keys() | COLOUR_OF.keys() | _PLACES).isdisjoint(before):
        return True
    return any(text.split()[:-1] != before for text in swapped(" ".join([*before, noun])))


def _group(words: list[str]) -> tuple[int, int | None, bool]:
    """Return where the noun part begins, the count and whether the phrase counts a group ("a pair of dogs", "all of").

    Without a group, these are 0, None and False.
    """
    for place, word in enumerate(words[:-1]):
        if words[place + 1] != "of" or place + 2 >= len(words):
            continue
        if word in _GROUPS or word in _ALL or word in NUMBERS:
            return place + 2, NUMBERS.get(word), True
        break
    return 0, None, False


def _participle(words: list[str], start: int, end: int) -> int:
    """Return the place of the first participle after a plural noun ("dogs running"), or `end`."""
    for place in range(start + 1, end):
        if words[place].endswith("ing") and len(words[place]) > 5 and singular_of(words[place - 1]) is not None:
            return place
    return end
