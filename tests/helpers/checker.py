"""An independent reading of MojiRef's phrases, from the written annotations alone.

It knows the language and the truth conditions from docs/mojiref.md, and imports nothing of the generator.
"""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

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
STRICT = ROUNDING  # how much a reading widens every threshold: ties are true
LENIENT = 0.07


@dataclass(frozen=True)
class Shown:
    """An object as instances.json has it; centre and extent as fractions of the image."""

    ann_id: int
    category: str
    nouns: tuple[str, ...]
    color: str | None
    center: tuple[float, float]
    extent: float


@dataclass(frozen=True)
class Said:
    """What a sentence says: a noun and at most one attribute of each kind."""

    noun: str | None
    color: str | None = None
    size: str | None = None
    place: str | None = None
    relation: str | None = None
    anchor: str | None = None

    @property
    def kinds(self) -> set[str]:
        return {kind for kind in ("color", "size", "place", "relation") if getattr(self, kind) is not None}

    def only(self, kinds: Iterable[str]) -> Said:
        """The same without its noun and without the attributes of other kinds."""
        dropped: dict[str, None] = dict.fromkeys(self.kinds - set(kinds))
        return replace(self, noun=None, **dropped)


class Parser:
    """Reads sentences whose nouns are among those of the annotations."""

    def __init__(self, nouns: Iterable[str]) -> None:
        noun = "|".join(sorted(nouns, key=len, reverse=True))
        color, size, zone, link = map("|".join, (COLORS, SIZES, ZONES, LINKS))
        self._pattern = re.compile(
            rf"(?:(?:the|an?) )?(?:(?P<zone_first>{zone}) )?(?:(?P<size>{size}) )?(?:(?P<color>{color}) )?"
            rf"(?P<noun>{noun})(?: (?:in|wearing) (?P<worn>{color})(?: shirt)?)?"
            rf"(?: (?:on|at|in) (?:the )?(?P<zone_last>{zone})(?: side)?(?: of the picture)?)?"
            rf"(?: (?:that is )?(?P<link>{link}) the (?P<anchor>{noun}))?"
        )

    def parse(self, sentence: str) -> Said:
        """Read a sentence; ValueError where it is not of the language."""
        match = self._pattern.fullmatch(sentence)
        if match is None:
            raise ValueError(f"cannot be read: {sentence!r}")
        found = match.groupdict()
        for one, other in (("zone_first", "zone_last"), ("color", "worn")):
            if found[one] and found[other]:
                raise ValueError(f"says a thing twice: {sentence!r}")
        return Said(
            noun=found["noun"],
            color=found["color"] or found["worn"],
            size=found["size"] and SIZES[found["size"]],
            place=found["zone_first"] or found["zone_last"],
            relation=found["link"] and LINKS[found["link"]],
            anchor=found["anchor"],
        )


def fits(said: Said, shown: Shown, scene: list[Shown], *, wider: float = STRICT) -> bool:
    """Whether what is said is true of an object; `wider` is STRICT, or LENIENT give or take ROUNDING."""
    x, y = shown.center
    if said.noun is not None and said.noun not in shown.nouns:
        return False
    if said.color is not None and shown.color != said.color and (wider == STRICT or shown.color is not None):
        return False
    if said.size == "big" and shown.extent < 0.40 - wider:
        return False
    if said.size == "small" and shown.extent > 0.26 + wider:
        return False
    if said.place is not None and not _is_in(said.place, x, y, wider):
        return False
    if said.relation is None:
        return True
    anchor = the_only([other for other in scene if said.anchor in other.nouns])
    return shown is not anchor and _stands(said.relation, x - anchor.center[0], y - anchor.center[1], wider)


def the_only(objects: list[Shown]) -> Shown:
    """The object of a list of one."""
    if len(objects) != 1:
        raise ValueError(f"{len(objects)} objects where there should be one")
    return objects[0]


def _is_in(zone: str, x: float, y: float, wider: float) -> bool:
    """Whether a centre lies in a zone; y grows downwards."""
    if zone == "middle":
        return 0.4 - wider <= x <= 0.6 + wider and 0.3 - wider <= y <= 0.7 + wider
    value, limit = {"left": (x, 0.38), "right": (1 - x, 0.38), "top": (y, 0.36), "bottom": (1 - y, 0.36)}[zone]
    return value <= limit + wider


def _stands(relation: str, dx: float, dy: float, wider: float) -> bool:
    """Whether an object that is (dx, dy) away from another stands in a relation to it."""
    if relation == "next to":
        return bool(dx**2 + dy**2 <= (0.34 + wider) ** 2)
    towards = {"left of": (-dx, dy), "right of": (dx, dy), "above": (-dy, dx), "below": (dy, dx)}
    forward, sideways = towards[relation]
    return forward >= 0.12 - wider and abs(sideways) <= 0.7 * forward + wider


def possible_kinds(shown: Shown, scene: list[Shown]) -> set[str]:
    """The kinds of which at least one attribute is strictly true of an object."""
    said = [Said(None, size=size) for size in ("big", "small")] + [Said(None, place=zone) for zone in ZONES]
    categories = [other.category for other in scene]
    for other in scene:
        if other is not shown and categories.count(other.category) == 1:
            said += [Said(None, relation=word, anchor=other.nouns[0]) for word in set(LINKS.values())]
    kinds = {kind for what in said if fits(what, shown, scene) for kind in what.kinds}
    return kinds | ({"color"} if shown.color is not None else set())


@dataclass(frozen=True)
class MojiRefFiles:
    """The written files of one flavour, read with json and pickle only."""

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
    def scenes(self) -> dict[int, list[Shown]]:
        """Image id -> its objects, back to front."""
        names = {row["id"]: row["name"] for row in self.instances["categories"]}
        scenes: dict[int, list[Shown]] = {row["id"]: [] for row in self.instances["images"]}
        sizes = {row["id"]: (row["width"], row["height"]) for row in self.instances["images"]}
        for row in self.instances["annotations"]:
            width, height = sizes[row["image_id"]]
            x, y, w, h = row["bbox"]
            said = row["attributes"]
            shown = Shown(
                row["id"],
                names[row["category_id"]],
                tuple(said["nouns"]),
                said["color"],
                ((x + w / 2) / width, (y + h / 2) / height),
                max(w, h) / min(width, height),
            )
            scenes[row["image_id"]].append(shown)
        return scenes

    def sentences(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Every (ref, sentence)."""
        for ref in self.refs:
            for sentence in ref["sentences"]:
                yield ref, sentence


def errors_of(files: MojiRefFiles, ref: dict[str, Any], sentence: dict[str, Any]) -> list[str]:
    """What is wrong with a sentence; empty where nothing is."""
    scene = files.scenes[ref["image_id"]]
    referent = the_only([shown for shown in scene if shown.ann_id == ref["ann_id"]])
    needed, redundant = sentence["needed"], sentence["redundant"]
    try:
        said = files.parser.parse(sentence["sent"])
        fitting = [shown.ann_id for shown in scene if fits(said, shown, scene)]
    except ValueError as error:
        return [f"{sentence['sent']!r}: {error}"]
    wrong = []
    if fitting != [referent.ann_id]:
        wrong.append(f"fits {fitting}, not {referent.ann_id} alone")
    if sorted([*needed, *redundant]) != sorted(said.kinds):
        wrong.append(f"says {said.kinds}, but is recorded to say {needed} and {redundant}")
    if sentence["kind"] != ("+".join(needed) or "category"):
        wrong.append(f"is recorded as {sentence['kind']}, but needs {needed}")
    peers = [shown for shown in scene if shown.category == referent.category and shown is not referent]
    if any(fits(said.only(needed), peer, scene, wider=LENIENT - ROUNDING) for peer in peers):
        wrong.append(f"needs more than {needed} to tell it from its peers")
    for kind in needed:
        less = said.only(set(needed) - {kind})
        if not any(fits(less, peer, scene, wider=LENIENT + ROUNDING) for peer in peers):
            wrong.append(f"does not need {kind}")
    return [f"{sentence['sent']!r} of {referent}: {what}" for what in wrong]
