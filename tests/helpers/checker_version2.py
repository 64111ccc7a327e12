"""An independent parser and checker of the phrases of MojiRef's version 2.

It implements the language and the truth conditions of docs/mojiref.md, reads the written files only, and imports
nothing from the generator.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from helpers.checker import COLORS, FLAVOURS, ROUNDING, MojiRefFiles, the_only
from helpers.checker import LENIENT as SLACK

KINDS = ("color", "texture", "size", "place", "order", "relation", "clothes", "action")
SIZES = {"big": "big", "large": "big", "huge": "big", "small": "small", "little": "small", "tiny": "small"}
TEXTURES = {
    **dict.fromkeys(("striped", "stripy", "stripey", "with stripes", "with lines"), "striped"),
    **dict.fromkeys(("spotted", "dotted", "polka dot", "spotty", "with dots", "with spots"), "spotted"),
    **dict.fromkeys(("checkered", "plaid", "checked", "with checks", "with squares"), "checkered"),
}
LINKS = {
    **dict.fromkeys(("left of", "to the left of", "on the left of"), "left of"),
    **dict.fromkeys(("right of", "to the right of", "on the right of"), "right of"),
    **dict.fromkeys(("above", "over"), "above"),
    **dict.fromkeys(("below", "under", "beneath", "underneath"), "below"),
    **dict.fromkeys(("next to", "beside", "near", "by", "close to"), "next to"),
}
CLOTHES = {
    **{word: word for word in ("hat", "cap", "helmet", "beret", "graduation cap", "crown", "turban", "headscarf")},
    **{word: word for word in ("veil", "glasses", "mask", "beard", "scarf", "cape", "suit", "pitchfork", "staff")},
    **{word: word for word in ("brush", "sword", "wrench", "microphone", "gavel", "hose", "magnifying glass", "flask")},
    **{"hard hat": "helmet", "mortarboard": "graduation cap", "hijab": "headscarf", "specs": "glasses"},
    **{"stick": "staff", "paintbrush": "brush", "spanner": "wrench", "mic": "microphone", "hammer": "gavel"},
    "beaker": "flask",
}
ALIKE = (
    {"hat", "cap", "helmet", "beret", "graduation cap", "crown", "turban", "headscarf", "veil"},
    {"glasses", "mask"},
    {"pitchfork", "staff", "brush", "sword", "wrench", "microphone", "gavel", "hose", "magnifying glass"},
    {"scarf", "cape"},
)
ACTIONS = {
    **dict.fromkeys(("running", "jogging"), "running"),
    **dict.fromkeys(("walking", "strolling"), "walking"),
    **dict.fromkeys(("standing", "standing up"), "standing"),
    **dict.fromkeys(("kneeling", "kneeling down"), "kneeling"),
    "dancing": "dancing",
    **dict.fromkeys(("surfing", "riding a wave"), "surfing"),
    "swimming": "swimming",
    **dict.fromkeys(("doing a cartwheel", "doing a handstand", "upside down"), "doing a cartwheel"),
    **dict.fromkeys(("meditating", "doing yoga", "sitting cross legged"), "meditating"),
    **dict.fromkeys(("waving", "raising hand", "raising a hand"), "waving"),
    "shrugging": "shrugging",
    **dict.fromkeys(("covering face", "covering the face", "facepalming"), "covering the face"),
    **dict.fromkeys(("holding up both arms", "with arms up", "arms up"), "holding up both arms"),
}
# Said -> what people do of whom it might be said too; None is a person who only faces the viewer.
MISTAKEN: dict[str, set[str | None]] = {
    "standing": {None, "walking", "waving", "shrugging", "covering the face", "holding up both arms", "surfing"},
    "walking": {"standing", "running"},
    "running": {"walking", "dancing"},
    "dancing": {"running", "holding up both arms"},
    "kneeling": {"meditating"},
    "waving": {"holding up both arms"},
    "holding up both arms": {"waving"},
    "surfing": {"swimming"},
}
ZONES = ("left", "right", "top", "bottom", "middle", "top left", "top right", "bottom left", "bottom right")
ORDINALS = {"first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4}
GAP, SPREAD = 0.05, 0.25


@dataclass(frozen=True)
class Thing:
    """An annotated object of instances.json; centre and extent are fractions of the image."""

    ann_id: int
    category: str
    nouns: tuple[str, ...]
    color: str | None
    texture: str | None
    wears: frozenset[str]
    may_wear: frozenset[str]
    does: str | None
    center: tuple[float, float]
    extent: float

    def is_called(self, noun: str) -> bool:
        """Return whether a noun names the object, as one of its nouns or as the last word of one."""
        return any(noun in (own, own.split()[-1]) for own in self.nouns)


@dataclass(frozen=True)
class Meaning:
    """The meaning of a sentence: a noun, and kind -> what is said of that kind."""

    noun: str
    said: dict[str, str]
    anchor: str | None = None


def _any(words: Iterable[str]) -> str:
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


class Parser:
    """A parser of sentences with the given nouns."""

    def __init__(self, nouns: Iterable[str]) -> None:
        noun = _any(nouns)
        color, _texture, place = _any(COLORS), _any(TEXTURES), _any(ZONES)
        before, after = (
            _any(word for word in TEXTURES if word.startswith("with ") == with_it) for with_it in (False, True)
        )
        ordinal = _any(ORDINALS)
        self._pattern = re.compile(
            r"(?:(?:the|an?) )?"
            r"(?:(?:far (?P<far>left|right)|(?P<most>left|right)most) )?"
            rf"(?:(?P<rank>{ordinal}) (?=.* from (?:the )?(?:left|right)$))?"
            rf"(?:(?P<place_first>{place}) )?"
            rf"(?:(?P<size>{_any(SIZES)}) )?"
            rf"(?:(?P<texture_1>{before}) )?(?:(?P<color_1>{color}) )?(?:(?P<texture_2>{before}) )?"
            rf"(?:(?P<action_first>{_any(ACTIONS)}) )?"
            rf"(?P<noun>{noun})"
            rf"(?: (?P<texture_3>{after}))?"
            rf"(?: (?:in|wearing|with)(?: an?)? (?:(?P<texture_4>{before}) ?)?(?:(?P<color_2>{color}) ?)?"
            rf"(?:(?P<texture_5>{before}) ?)?(?:\b(?:shirt|top))?\b(?<! ))?"
            rf"(?: (?:with|wearing|holding)(?: a)? (?P<clothes>{_any(CLOTHES)}))?"
            rf"(?: (?:who is )?(?P<action_last>{_any(ACTIONS)}))?"
            r"(?: (?:in|on|at)(?: the)? (?P<place_last>(?:(?:top|upper|bottom|lower) )?(?:left|right)|top|bottom|middle"
            r"|center)(?: side| corner)?(?: of the (?:picture|image|photo))?)?"
            rf"(?:(?: that is)? (?P<rank_last>{ordinal}))?"
            r"(?: from (?:the )?(?P<side>left|right))?"
            rf"(?:(?: that is)? (?P<link>{_any(LINKS)})(?: the)? (?P<anchor>{noun}))?"
        )

    def parse(self, sentence: str) -> Meaning:
        """Parse a sentence; ValueError if it is not in the language."""
        match = self._pattern.fullmatch(sentence)
        if match is None:
            raise ValueError(f"cannot be read: {sentence!r}")
        found = {name: value for name, value in match.groupdict().items() if value is not None}
        pairs = [pair for name, value in found.items() for pair in _said(name.split("_")[0], value)]
        ranks = [ORDINALS[found[name]] for name in ("rank", "rank_last") if name in found]
        if len(ranks) != ("side" in found):
            raise ValueError(f"has a rank without a side, or a side without a rank: {sentence!r}")
        pairs += [("order", f"{rank} {found['side']}") for rank in ranks]
        if len(dict(pairs)) != len(pairs):
            raise ValueError(f"has an attribute twice: {sentence!r}")
        return Meaning(found["noun"], dict(pairs), found.get("anchor"))


def _said(name: str, value: str) -> list[tuple[str, str]]:
    """Return the kind and the value of a group of the pattern in a list; empty for groups that are no attribute."""
    tables = {"texture": TEXTURES, "size": SIZES, "clothes": CLOTHES, "action": ACTIONS}
    if name in tables:
        return [(name, tables[name][value])]
    if name == "color":
        return [(name, value)]
    if name == "place":
        return [(name, value.replace("upper", "top").replace("lower", "bottom").replace("center", "middle"))]
    if name in ("far", "most"):
        return [("order", f"1 {value}")]
    return [("relation", LINKS[value])] if name == "link" else []


def holds(kind: str, value: str, thing: Thing, anchor: Thing | None, *, lenient: bool) -> bool:
    """Return whether an attribute other than an order is true of an object."""
    wider = SLACK if lenient else ROUNDING
    x, y = thing.center
    if kind in ("color", "texture"):
        own = getattr(thing, kind)
        return own == value or (lenient and own is None)
    if kind == "size":
        wider = 0.06 if lenient else ROUNDING
        return thing.extent >= 0.33 - wider if value == "big" else thing.extent <= 0.21 + wider
    if kind == "clothes":
        group = next((group for group in ALIKE if value in group), {value})
        return value in thing.wears or (lenient and bool(group & (thing.wears | thing.may_wear)))
    if kind == "action":
        return thing.does == value or (lenient and thing.does in MISTAKEN.get(value, set()))
    if kind == "place":
        return all(_is_in(zone, x, y, wider) for zone in value.split())
    assert anchor is not None
    dx, dy = x - anchor.center[0], y - anchor.center[1]
    if value == "next to":
        return bool(dx**2 + dy**2 <= (0.25 + wider) ** 2)
    forward, sideways = {"left of": (-dx, dy), "right of": (dx, dy), "above": (-dy, dx), "below": (dy, dx)}[value]
    return forward >= 0.12 - wider and abs(sideways) <= 0.7 * forward + wider


def _is_in(zone: str, x: float, y: float, wider: float) -> bool:
    if zone == "middle":
        return 0.4 - wider <= x <= 0.6 + wider and 0.3 - wider <= y <= 0.7 + wider
    value, limit = {"left": (x, 0.38), "right": (1 - x, 0.38), "top": (y, 0.36), "bottom": (1 - y, 0.36)}[zone]
    return value <= limit + wider


def fitting(meaning: Meaning, scene: list[Thing]) -> list[int]:
    """Return the ids of the objects that a sentence fits; of an order, in either reading of what it counts.

    "Second red car from the left" may count the cars or the red cars.
    """
    called = [thing for thing in scene if thing.is_called(meaning.noun)]
    anchor = None
    if meaning.anchor is not None:
        anchor = the_only([thing for thing in scene if thing.is_called(str(meaning.anchor))])
    rest = {kind: value for kind, value in meaning.said.items() if kind != "order"}
    true = [
        thing
        for thing in called
        if thing is not anchor and all(holds(kind, value, thing, anchor, lenient=False) for kind, value in rest.items())
    ]
    if "order" not in meaning.said:
        return [thing.ann_id for thing in true]
    rank, side = meaning.said["order"].split()
    found = set()
    for counted in (called, true):
        ordered = sorted(counted, key=lambda thing: thing.center[0], reverse=side == "right")
        reached = ordered[int(rank) - 1 : int(rank)]
        found |= {thing.ann_id for thing in reached if thing in true} or {-1}
    return sorted(found)


def possible_kinds(thing: Thing, scene: list[Thing]) -> set[str]:
    """Return the kinds, beside order and relation, with an attribute that is strictly true of an object."""
    kinds = {kind for kind in ("color", "does") if getattr(thing, kind) is not None}
    kinds = {"action" if kind == "does" else kind for kind in kinds}
    kinds |= {"texture"} if thing.texture in set(TEXTURES.values()) else set()
    kinds |= {"clothes"} if thing.wears else set()
    for kind, values in (("size", ("big", "small")), ("place", ZONES)):
        kinds |= {kind} if any(holds(kind, value, thing, None, lenient=False) for value in values) else set()
    return kinds


class Version2Files(MojiRefFiles):
    """The files of one flavour, read with json and pickle only."""

    @cached_property
    def nouns(self) -> set[str]:
        """All nouns of the annotations."""
        return {noun for row in self.instances["annotations"] for noun in row["attributes"]["nouns"]}

    @cached_property
    def parser_2(self) -> Parser:
        """The parser for the files' nouns."""
        return Parser(self.nouns)

    @cached_property
    def things(self) -> dict[int, list[Thing]]:
        """Image id -> its objects, back to front."""
        names = {row["id"]: row["name"] for row in self.instances["categories"]}
        sizes = {row["id"]: (row["width"], row["height"]) for row in self.instances["images"]}
        things: dict[int, list[Thing]] = {image_id: [] for image_id in sizes}
        for row in self.instances["annotations"]:
            width, height = sizes[row["image_id"]]
            x, y, w, h = row["bbox"]
            own = row["attributes"]
            thing = Thing(
                row["id"],
                names[row["category_id"]],
                tuple(own["nouns"]),
                own["color"],
                own["texture"],
                frozenset(own["wears"]),
                frozenset(own["may_wear"]),
                own["does"],
                ((x + w / 2) / width, (y + h / 2) / height),
                max(w, h) / min(width, height),
            )
            things[row["image_id"]].append(thing)
        return things


def read_flavours(root: Path) -> dict[str, Version2Files]:
    """Return flavour -> its files."""
    names = ("mojiref2", "mojiref2+", "mojiref2g")
    return {flavour: Version2Files(root, name) for flavour, name in zip(FLAVOURS, names, strict=True)}


def distance(one: str, other: str) -> int:
    """Return the least number of letters left out, added, replaced or swapped with the next between two words."""
    rows = [list(range(len(other) + 1))]
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            least = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                least = min(least, rows[-2][j - 2] + 1)
            row.append(least)
        rows.append(row)
    return rows[-1][-1]


def spelling_errors(sentence: dict[str, Any], vocabulary: Collection[str]) -> list[str]:
    """Return what is wrong with a sentence's misspelling, if it has one."""
    if "correct" not in sentence:
        return []
    pairs = list(zip(sentence["sent"].split(), sentence["correct"].split(), strict=True))
    wrong = [(written, meant) for written, meant in pairs if written != meant]
    if len(wrong) != 1:
        return [f"{len(wrong)} words differ from the correct sentence"]
    [(written, meant)] = wrong
    steps = distance(written, meant)
    others = [word for word in vocabulary if word != meant and abs(len(word) - len(written)) <= steps]
    nearer = [word for word in others if distance(written, word) <= steps]
    found = [f"{written!r} could be {nearer}"] if nearer else []
    return [*found, *([f"{written!r} is {steps} steps from {meant!r}"] if steps > 2 else [])]


def errors_of(files: Version2Files, ref: dict[str, Any], sentence: dict[str, Any]) -> list[str]:
    """Return the errors of a sentence."""
    scene = files.things[ref["image_id"]]
    referent = the_only([thing for thing in scene if thing.ann_id == ref["ann_id"]])
    needed, redundant = sentence["needed"], sentence["redundant"]
    text = sentence.get("correct", sentence["sent"])
    try:
        meaning = files.parser_2.parse(text)
        found = fitting(meaning, scene)
    except ValueError as error:
        return [f"{text!r}: {error}"]
    peers = [thing for thing in scene if thing.category == referent.category and thing is not referent]
    if sorted([*needed, *redundant]) != sorted(meaning.said):
        wrong = [f"mentions {set(meaning.said)}, but {needed} and {redundant} are recorded"]
    else:
        wrong = _errors_of_needs(meaning, needed, peers, scene)
    if found != [referent.ann_id]:
        wrong.append(f"fits {found}, not only {referent.ann_id}")
    if sentence["kind"] != ("+".join(needed) or "category"):
        wrong.append(f"the recorded kind is {sentence['kind']}, but needed are {needed}")
    if "order" in meaning.said:
        if any(abs(peer.center[0] - referent.center[0]) < GAP - ROUNDING for peer in peers):
            wrong.append("an object of the category is as far to the side")
        if any(abs(peer.center[1] - referent.center[1]) > SPREAD + ROUNDING for peer in peers):
            wrong.append("the objects of the category are not side by side")
        if not all(peer.is_called(meaning.noun) for peer in peers):
            wrong.append("some readers would not count all objects of the category")
    return [f"{text!r} for {referent}: {error}" for error in wrong]


def _errors_of_needs(meaning: Meaning, needed: list[str], peers: list[Thing], scene: list[Thing]) -> list[str]:
    """Return what is wrong with the kinds that are recorded as needed."""
    anchor = next((thing for thing in scene if meaning.anchor is not None and thing.is_called(meaning.anchor)), None)

    def might_fit(kinds: Iterable[str], peer: Thing) -> bool:
        said = [(kind, meaning.said[kind]) for kind in kinds]
        return all(kind != "order" and holds(kind, value, peer, anchor, lenient=True) for kind, value in said)

    wrong = []
    if any(might_fit(needed, peer) for peer in peers):
        wrong.append(f"needs more than {needed} to be distinguished from its peers")
    for kind in needed:
        if not any(might_fit(set(needed) - {kind}, peer) for peer in peers):
            wrong.append(f"does not need {kind}")
    return wrong
