"""An independent checker of gmojiref's phrases, which mean one object, several or none.

Like the module `checker`, it implements docs/mojiref.md, reads the written files only, and imports nothing from the
generator.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from helpers.checker import LENIENT, ROUNDING, AnnotatedObject, Meaning, MojiRefFiles, Parser, errors_of, fits

NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "both": 2}
ENDINGS = {"children": "child", "people": "person", "knives": "knife", "mice": "mouse", "sheep": "sheep"}
ENDINGS |= {"babies": "baby", "ladies": "lady", "kitties": "kitty", "puppies": "puppy", "teddies": "teddy"}
ENDINGS |= {"buses": "bus", "wine glasses": "wine glass", "couches": "couch", "toothbrushes": "toothbrush"}
ENDINGS |= {"slices of pizza": "slice of pizza", "sandwiches": "sandwich", "computer mice": "computer mouse"}
# docs/mojiref.md: an absent phrase is not even true of the categories that a viewer might call by the same noun.
ALIKE = [
    "backpack,handbag,suitcase",
    "bear,teddy bear",
    "bicycle,motorcycle",
    "car,truck,bus,train",
    "cup,wine glass,bowl,vase,potted plant,bottle",
    "tv,laptop,keyboard,mouse,cell phone",
    "chair,couch,bed,toilet",
    "sandwich,hot dog",
    "cake,donut",
    "spoon,bowl,knife",
    "sports ball,baseball bat",
    "tie,person",
]


def singular(plural: str) -> str:
    """Return the singular of a plural noun."""
    for ending, one in ENDINGS.items():
        if plural == ending or plural.endswith(f" {ending}"):
            return plural.removesuffix(ending) + one
    if re.search(r"men$", plural):
        return f"{plural[:-2]}an"
    return plural.removesuffix("s")


@dataclass(frozen=True)
class Plural:
    """The meaning of a phrase for several objects, and the number that it says, if any."""

    each: Meaning
    count: int | None


class PluralParser:
    """A parser of phrases for several objects."""

    def __init__(self, nouns: set[str]) -> None:
        self._one = Parser(nouns)
        self._nouns = nouns
        regular = {f"{noun}s" for noun in nouns} | {re.sub("man$", "men", noun) for noun in nouns}
        words = sorted({*ENDINGS, *regular}, key=len, reverse=True)
        self._noun = re.compile(rf"\b(?:{'|'.join(words)})\b")

    def parse(self, sentence: str) -> Plural:
        """Parse a phrase; ValueError if it is not in the language."""
        said = re.match(r"(?:the )?(two|three|four|five|six|seven) |(both|all|the) ", sentence)
        count = NUMBERS.get(said[1] or said[2]) if said else None
        rest = sentence[said.end() :] if said else sentence
        found = self._noun.search(rest)
        if found is None or singular(found[0]) not in self._nouns:
            raise ValueError(f"has no plural noun: {sentence!r}")
        if found[0] == "sheep" and (said is None or said[0] == "the "):
            raise ValueError(f"does not show its number: {sentence!r}")
        one = rest[: found.start()] + singular(found[0]) + re.sub(r"\bshirts\b", "shirt", rest[found.end() :])
        return Plural(self._one.parse(one), count)


@dataclass(frozen=True)
class AnyNumberFiles(MojiRefFiles):
    """The files of gmojiref, read with json only."""

    flavour: str = "gmojiref"

    @cached_property
    def refs(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads((self.root / self.flavour / "grefs(unc).json").read_text())
        return rows

    @cached_property
    def plural_parser(self) -> PluralParser:
        return PluralParser(set(self.category_of))

    @cached_property
    def category_ids(self) -> dict[int, int]:
        """Annotation id -> category id."""
        return {row["id"]: row["category_id"] for row in self.instances["annotations"]}

    @cached_property
    def category_of(self) -> dict[str, str]:
        """Noun -> the category whose drawings have it; each noun belongs to one."""
        names = {row["id"]: row["name"] for row in self.instances["categories"]}
        pairs = {(n, names[row["category_id"]]) for row in self.instances["annotations"] for n in nouns_of(row)}
        assert len(pairs) == len(dict(pairs))
        return dict(pairs)


def nouns_of(row: dict[str, Any]) -> list[str]:
    nouns: list[str] = row["attributes"]["nouns"]
    return nouns


def alike(category: str) -> set[str]:
    """Return the categories that a viewer might call by the nouns of a category, with itself."""
    return {category}.union(*(set(names.split(",")) for names in ALIKE if category in names.split(",")))


def errors_of_any_number(files: AnyNumberFiles, ref: dict[str, Any], sentence: dict[str, Any]) -> list[str]:
    """Return the errors of a sentence of gmojiref."""
    scene = files.scenes[ref["image_id"]]
    numbers = ref["ann_id"]
    categories = [files.category_ids.get(number, -1) for number in numbers]
    if ref["no_target"] != (numbers == [-1]) or ref["category_id"] != categories:
        return [f"row {ref['ref_id']} contradicts itself"]
    if ref["no_target"]:
        wrong = _errors_of_none(files, scene, sentence)
    elif len(numbers) == 1:
        one = {**ref, "ann_id": numbers[0]}
        return errors_of(files, one, sentence)
    else:
        wrong = _errors_of_several(files, scene, numbers, sentence)
    return [f"{sentence['sent']!r} for {numbers}: {error}" for error in wrong]


def _errors_of_several(
    files: AnyNumberFiles, scene: list[AnnotatedObject], numbers: list[int], sentence: dict[str, Any]
) -> list[str]:
    needed, redundant = sentence["needed"], sentence["redundant"]
    try:
        plural = files.plural_parser.parse(sentence["sent"])
        fitting = [thing for thing in scene if fits(plural.each, thing, scene)]
    except ValueError as error:
        return [str(error)]
    wrong = []
    if sorted(thing.ann_id for thing in fitting) != sorted(numbers) or len(fitting) < 2:
        wrong.append(f"fits {[thing.ann_id for thing in fitting]}")
    if plural.count not in (None, len(numbers)):
        wrong.append(f"says that there are {plural.count}")
    if sorted([*needed, *redundant]) != sorted(plural.each.kinds):
        wrong.append(f"mentions {plural.each.kinds}, but {needed} and {redundant} are recorded")
    if sentence["kind"] != "+".join(["several", *needed]):
        wrong.append(f"the recorded kind is {sentence['kind']}, but needed are {needed}")
    category = files.category_of[str(plural.each.noun)]
    peers = [thing for thing in scene if thing.category == category and thing.ann_id not in numbers]
    if any(fits(plural.each.only(needed), peer, scene, wider=LENIENT - ROUNDING) for peer in peers):
        wrong.append(f"needs more than {needed} to be distinguished from its peers")
    for kind in needed:
        less = plural.each.only(set(needed) - {kind})
        if not any(fits(less, peer, scene, wider=LENIENT + ROUNDING) for peer in peers):
            wrong.append(f"does not need {kind}")
    return wrong


def _errors_of_none(files: AnyNumberFiles, scene: list[AnnotatedObject], sentence: dict[str, Any]) -> list[str]:
    needed, redundant = sentence["needed"], sentence["redundant"]
    try:
        meaning = _read(files, sentence["sent"])
    except ValueError as error:
        return [str(error)]
    category = files.category_of[str(meaning.noun)]
    nameable = [thing for thing in scene if thing.category in alike(category)]
    wrong = []
    if sorted([*needed, *redundant]) != sorted(meaning.kinds):
        wrong.append(f"mentions {meaning.kinds}, but {needed} and {redundant} are recorded")
    if sentence["kind"] != "+".join(["none", *needed]):
        wrong.append(f"the recorded kind is {sentence['kind']}, but needed are {needed}")
    if not needed:  # a phrase of another image
        if nameable:
            wrong.append(f"may mean {nameable}")
        return wrong
    if len(needed) != 1 or needed[0] not in ("color", "size", "place"):
        wrong.append(f"is false by {needed}")
    # The false attribute is not even leniently true of anything, and without it the phrase is true of an object.
    if any(fits(meaning.only(needed), thing, scene, wider=LENIENT - ROUNDING) for thing in nameable):
        wrong.append("is not clearly false")
    true = [thing for thing in scene if meaning.noun in thing.nouns]
    if not any(fits(meaning.only(redundant), thing, scene) for thing in true):
        wrong.append("is no near miss")
    return wrong


def _read(files: AnyNumberFiles, sentence: str) -> Meaning:
    """Parse a phrase for one object or for several."""
    try:
        return files.parser.parse(sentence)
    except ValueError:
        return files.plural_parser.parse(sentence).each
