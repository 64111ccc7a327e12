"""An independent parser and checker of MojiRef's phrases.

It implements the language and the truth conditions of docs/mojiref.md, reads the written annotations only, and imports
nothing from the generator.
"""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
FLAVOURS = ("mojiref", "mojiref+", "mojirefg")
SPLITS = ("train", "val", "testA", "testB")
COLORS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "gray", "white")
SIZES = {"big": "big", "large": "big", "small": "small", "little": "small"}
ZONES = ("left", "right", "top", "bottom", "middle")
LINKS = {
    "to the left of": "left of",
    "left of": "left of",
    "to the right of": "right of",
    "right of": "right of",
    "above": "above",
    "over": "above",
    "below": "below",
    "under": "below",
    "next to": "next to",
    "beside": "next to",
    "near": "next to",
}
ROUNDING = 1e-9
STRICT = ROUNDING  # by how much a reading widens every threshold; ties count as true
LENIENT = 0.07


@dataclass(frozen=True)
class AnnotatedObject:
    """An annotated object of instances.json; centre and extent are fractions of the image."""

    ann_id: int
    category: str
    nouns: tuple[str, ...]
    color: str | None
    center: tuple[float, float]
    extent: float


@dataclass(frozen=True)
class Meaning:
    """The meaning of a sentence: a noun and at most one attribute of each kind."""

    noun: str | None
    color: str | None = None
    size: str | None = None
    place: str | None = None
    relation: str | None = None
    anchor: str | None = None

    @property
    def kinds(self) -> set[str]:
        return {kind for kind in ("color", "size", "place", "relation") if getattr(self, kind) is not None}

    def only(self, kinds: Iterable[str]) -> Meaning:
        """Return a copy without the noun and without attributes of other kinds."""
        dropped: dict[str, None] = dict.fromkeys(self.kinds - set(kinds))
        return replace(self, noun=None, **dropped)


class Parser:
    """A parser of sentences with the given nouns."""

    def __init__(self, nouns: Iterable[str]) -> None:
        noun = "|".join(sorted(nouns, key=len, reverse=True))
        color, size, zone, link = map("|".join, (COLORS, SIZES, ZONES, LINKS))
        self._pattern = re.compile(
            rf"(?:(?:the|an?) )?(?:(?P<zone_first>{zone}) )?(?:(?P<size>{size}) )?(?:(?P<color>{color}) )?"
            rf"(?P<noun>{noun})(?: (?:in|wearing) (?P<worn>{color})(?: shirt)?)?"
            rf"(?: (?:on|at|in) (?:the )?(?P<zone_last>{zone})(?: side)?(?: of the picture)?)?"
            rf"(?: (?:that is )?(?P<link>{link}) the (?P<anchor>{noun}))?"
        )

    def parse(self, sentence: str) -> Meaning:
        """Parse a sentence; ValueError if it is not in the language."""
        match = self._pattern.fullmatch(sentence)
        if match is None:
            raise ValueError(f"cannot be read: {sentence!r}")
        found = match.groupdict()
        for one, other in (("zone_first", "zone_last"), ("color", "worn")):
            if found[one] and found[other]:
                raise ValueError(f"has an attribute twice: {sentence!r}")
        return Meaning(
            noun=found["noun"],
            color=found["color"] or found["worn"],
            size=found["size"] and SIZES[found["size"]],
            place=found["zone_first"] or found["zone_last"],
            relation=found["link"] and LINKS[found["link"]],
            anchor=found["anchor"],
        )


def fits(meaning: Meaning, thing: AnnotatedObject, scene: list[AnnotatedObject], *, wider: float = STRICT) -> bool:
    """Return whether a phrase is true of an object; `wider` is STRICT, or LENIENT plus or minus ROUNDING."""
    x, y = thing.center
    if meaning.noun is not None and meaning.noun not in thing.nouns:
        return False
    if meaning.color is not None and thing.color != meaning.color and (wider == STRICT or thing.color is not None):
        return False
    if meaning.size == "big" and thing.extent < 0.40 - wider:
        return False
    if meaning.size == "small" and thing.extent > 0.26 + wider:
        return False
    if meaning.place is not None and not _is_in(meaning.place, x, y, wider):
        return False
    if meaning.relation is None:
        return True
    anchor = the_only([other for other in scene if meaning.anchor in other.nouns])
    return thing is not anchor and _stands(meaning.relation, x - anchor.center[0], y - anchor.center[1], wider)


def the_only(objects: list[T]) -> T:
    """Return the only object of a list."""
    if len(objects) != 1:
        raise ValueError(f"{len(objects)} objects where there should be one")
    return objects[0]


def _is_in(zone: str, x: float, y: float, wider: float) -> bool:
    """Return whether a centre is in a zone; y grows downwards."""
    if zone == "middle":
        return 0.4 - wider <= x <= 0.6 + wider and 0.3 - wider <= y <= 0.7 + wider
    value, limit = {"left": (x, 0.38), "right": (1 - x, 0.38), "top": (y, 0.36), "bottom": (1 - y, 0.36)}[zone]
    return value <= limit + wider


def _stands(relation: str, dx: float, dy: float, wider: float) -> bool:
    """Return whether a relation holds for an object at the offset (dx, dy) from another."""
    if relation == "next to":
        return bool(dx**2 + dy**2 <= (0.34 + wider) ** 2)
    towards = {"left of": (-dx, dy), "right of": (dx, dy), "above": (-dy, dx), "below": (dy, dx)}
    forward, sideways = towards[relation]
    return forward >= 0.12 - wider and abs(sideways) <= 0.7 * forward + wider


def possible_kinds(thing: AnnotatedObject, scene: list[AnnotatedObject]) -> set[str]:
    """Return the kinds with at least one attribute that is strictly true of an object."""
    meanings = [Meaning(None, size=size) for size in ("big", "small")] + [Meaning(None, place=zone) for zone in ZONES]
    categories = [other.category for other in scene]
    for other in scene:
        if other is not thing and categories.count(other.category) == 1:
            meanings += [Meaning(None, relation=word, anchor=other.nouns[0]) for word in set(LINKS.values())]
    kinds = {kind for meaning in meanings if fits(meaning, thing, scene) for kind in meaning.kinds}
    return kinds | ({"color"} if thing.color is not None else set())


@dataclass(frozen=True)
class MojiRefFiles:
    """The files of one flavour, read with json and pickle only."""

    root: Path
    flavour: str

    @cached_property
    def instances(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.root / self.flavour / "instances.json").read_text())
        return document

    @cached_property
    def refs(self) -> list[dict[str, Any]]:
        refs: list[dict[str, Any]] = pickle.loads((self.root / self.flavour / "refs(unc).p").read_bytes())
        return refs

    @cached_property
    def parser(self) -> Parser:
        return Parser({noun for row in self.instances["annotations"] for noun in row["attributes"]["nouns"]})

    @cached_property
    def scenes(self) -> dict[int, list[AnnotatedObject]]:
        """Image id -> its objects, back to front."""
        names = {row["id"]: row["name"] for row in self.instances["categories"]}
        scenes: dict[int, list[AnnotatedObject]] = {row["id"]: [] for row in self.instances["images"]}
        sizes = {row["id"]: (row["width"], row["height"]) for row in self.instances["images"]}
        for row in self.instances["annotations"]:
            width, height = sizes[row["image_id"]]
            x, y, w, h = row["bbox"]
            attributes = row["attributes"]
            thing = AnnotatedObject(
                row["id"],
                names[row["category_id"]],
                tuple(attributes["nouns"]),
                attributes["color"],
                ((x + w / 2) / width, (y + h / 2) / height),
                max(w, h) / min(width, height),
            )
            scenes[row["image_id"]].append(thing)
        return scenes

    def sentences(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Yield every (ref, sentence)."""
        for ref in self.refs:
            for sentence in ref["sentences"]:
                yield ref, sentence


def errors_of(files: MojiRefFiles, ref: dict[str, Any], sentence: dict[str, Any]) -> list[str]:
    """Return the errors of a sentence."""
    scene = files.scenes[ref["image_id"]]
    referent = the_only([thing for thing in scene if thing.ann_id == ref["ann_id"]])
    needed, redundant = sentence["needed"], sentence["redundant"]
    try:
        meaning = files.parser.parse(sentence["sent"])
        fitting = [thing.ann_id for thing in scene if fits(meaning, thing, scene)]
    except ValueError as error:
        return [f"{sentence['sent']!r}: {error}"]
    wrong = []
    if fitting != [referent.ann_id]:
        wrong.append(f"fits {fitting}, not only {referent.ann_id}")
    if sorted([*needed, *redundant]) != sorted(meaning.kinds):
        wrong.append(f"mentions {meaning.kinds}, but {needed} and {redundant} are recorded")
    if sentence["kind"] != ("+".join(needed) or "category"):
        wrong.append(f"the recorded kind is {sentence['kind']}, but needed are {needed}")
    peers = [thing for thing in scene if thing.category == referent.category and thing is not referent]
    if any(fits(meaning.only(needed), peer, scene, wider=LENIENT - ROUNDING) for peer in peers):
        wrong.append(f"needs more than {needed} to be distinguished from its peers")
    for kind in needed:
        less = meaning.only(set(needed) - {kind})
        if not any(fits(less, peer, scene, wider=LENIENT + ROUNDING) for peer in peers):
            wrong.append(f"does not need {kind}")
    return [f"{sentence['sent']!r} for {referent}: {error}" for error in wrong]
