"""Phrases and boxes in the text of a conversation, as vision-language models are taught to write them.

Phrases are marked as `<ref>…</ref>`, `<|object_ref_start|>…<|object_ref_end|>` or `<p>…</p>`, or are the "label" of a
JSON object. Boxes are `[x1, y1, x2, y2]`, or `(x1,y1),(x2,y2)`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

# Every part is bounded or cannot match in two ways, so that no text takes more than linear time.
_NUMBER = r"([-+]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][-+]?\d{1,3})?)"
_BETWEEN = r"\s{0,8},\s{0,8}"
_BRACKETS = rf"\[\s{{0,8}}{_BETWEEN.join([_NUMBER] * 4)}\s{{0,8}}\]"
_CORNER = rf"\(\s{{0,8}}{_NUMBER}{_BETWEEN}{_NUMBER}\s{{0,8}}\)"
_CORNERS = rf"{_CORNER}\s{{0,8}},?\s{{0,8}}{_CORNER}"
_BOX = re.compile(f"{_BRACKETS}|{_CORNERS}")
_REF = re.compile(r"<ref>([^<]*)</ref>|<\|object_ref_start\|>([^<]*)<\|object_ref_end\|>|<p>([^<]*)</p>")
_TAG = re.compile(r"<img>[^<]*</img>|<\|?/?[a-z_]{1,30}\|?>|Picture \d{1,3}:")
_FENCE = re.compile(r"\A\s*```(?:json)?|```\s*\Z")
_BOX_KEYS = ("bbox_2d", "bbox", "box")
_QUOTES = "\"'`“”"


@dataclass
class Marked:
    """The boxes of a text.

    Attributes:
        named: phrase -> its boxes, in the text's order; four numbers each.
        unnamed: the boxes before any phrase.
        corners: whether the boxes are written as (x1,y1),(x2,y2).
    """

    named: dict[str, list[list[float]]] = field(default_factory=dict)
    unnamed: list[list[float]] = field(default_factory=list)
    corners: bool = False

    def __bool__(self) -> bool:
        return bool(self.unnamed) or any(self.named.values())


def marked(text: str) -> Marked:
    """Return the boxes of a text. A box belongs to the last phrase before it."""
    return _of_json(text) or _of_markup(text)


def phrase_of(question: str) -> str:
    """Return the phrase of a question: the marked one, or what follows its last colon, or else the whole question."""
    if refs := list(_REF.finditer(question)):
        return _clean(_text(refs[-1]))
    plain = _TAG.sub(" ", question)
    _, _, after = plain.rpartition(": ")
    return _clean(after if after.strip() else plain)


def answered_phrase(answer: str) -> str:
    """Return the phrase of an answer to a question that has a box."""
    return _clean(_TAG.sub(" ", answer))


def _of_markup(text: str) -> Marked:
    found = Marked()
    phrases = [(match.start(), _clean(_text(match))) for match in _REF.finditer(text)]
    found.named = {phrase: [] for _, phrase in phrases}
    waiting = iter([*phrases, (len(text) + 1, "")])
    following, current = next(waiting), None
    for match in _BOX.finditer(text):
        while following[0] < match.start():
            current, following = following[1], next(waiting)
        numbers = [float(part) for part in match.groups() if part is not None]
        found.corners = found.corners or text[match.start()] == "("
        (found.unnamed if current is None else found.named[current]).append(numbers)
    return found


def _of_json(text: str) -> Marked | None:
    """Return the boxes of a text that is a JSON object, or a list of them, each with a box and perhaps a label."""
    try:
        document = json.loads(_FENCE.sub("", text))
    except (ValueError, RecursionError):
        return None
    found = Marked()
    for item in document if isinstance(document, list) else [document]:
        box = next((item[key] for key in _BOX_KEYS if key in item), None) if isinstance(item, dict) else None
        if box is None:
            return None
        label = item.get("label")
        phrase = label.strip() if isinstance(label, str) else ""
        (found.named.setdefault(phrase, []) if phrase else found.unnamed).append(box)
    return found


def _text(match: re.Match[str]) -> str:
    return next(part for part in match.groups() if part is not None)


def _clean(text: str) -> str:
    return " ".join(text.split()).strip(f"{_QUOTES} .?!").strip()
