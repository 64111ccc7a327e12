"""The answer of a grounder as a piece of HTML. The template escapes every value: none is ever markup."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from aligncat.grounder.doubts import LOW_MATCH, Thresholds
from aligncat.grounder.ground_many import PhotoAnswer
from aligncat.grounder.grounding import CandidateScore, Grounding
from aligncat.grounder.overlay import PALETTE
from aligncat.grounder.unlike import UNLIKE
from aligncat.serving.page.about import About
from aligncat.serving.page.downloads import DOWNLOADS
from aligncat.serving.page.examples import CREDIT, Example
from aligncat.serving.page.pictures import shown_mask
from aligncat.serving.page.plates import Plate, apart
from aligncat.serving.page.words import whole_words

_NUMBER = 6  # the side of an answer's number on the photo, hundredths of the photo's longer side
_DIGIT, _LINE = 2.6, 4.5  # the width of a digit and the height of a candidate's number, in the same unit
FOLDER = Path(__file__).parent
"""The folder of the page's own files."""


def answer_html(
    about: About, photo: str, answer: PhotoAnswer, thresholds: Thresholds, *, until: float = math.inf
) -> str:
    """Return an answer.

    Args:
        about: the grounder.
        photo: the photo, from `shown_photo`.
        answer: the answer, without an error.
        thresholds: by which phrases were left out.
        until: when to give up, on the clock of `time.monotonic`.

    Raises:
        TimeoutError: the masks were not drawn until then.
    """
    width, height = answer.size or (1, 1)
    phrases = []
    for number, each in enumerate(answer.groundings):
        if time.monotonic() > until:
            raise TimeoutError
        phrases.append(_phrase(number, each))
    unit = max(width, height) / 100
    groundings = [*answer.groundings, *answer.left_out]
    candidates = groundings[0].candidates
    places, numbers = _numbers(answer.groundings, unit, (width, height))
    return _template("answer.html").render(
        about=about,
        photo=photo,
        width=width,
        height=height,
        unit=unit,
        phrases=phrases,
        numbers=list(zip(places, numbers, strict=True)),
        left_out=[(each.expression, thresholds.reason(each)) for each in answer.left_out],
        unlike=UNLIKE if any(UNLIKE in each.warnings for each in groundings) else None,
        candidates=list(zip(candidates, _candidate_numbers(candidates, unit, (width, height), numbers), strict=True)),
        downloads=DOWNLOADS,
    )


def head_html(advice: str | None) -> str:
    """Return the page's heading.

    Args:
        advice: the command of a page for photographs, if this is none.
    """
    return _template("head.html").render(advice=advice)


def place_html() -> str:
    """Return what is in the place of answers before there is one."""
    return _template("place.html").render()


def status_html() -> str:
    """Return the place for what the page is doing, above the answers."""
    return _template("status.html").render()


def photo_html(examples: tuple[Example, ...], *, most_bytes: int) -> str:
    """Return the field for the photo, with the examples.

    Args:
        examples: the examples.
        most_bytes: the largest file that the server takes.
    """
    return _template("photo.html").render(examples=examples, credit=CREDIT, most_bytes=most_bytes)


def settings_html(about: tuple[About, ...]) -> str:
    """Return the fields for how phrases are answered.

    Args:
        about: the grounders, the first chosen.
    """
    with_match = [each.name for each in about if each.has_match]
    return _template("settings.html").render(first=about[0].name, count=len(about), with_match=with_match)


def about_html(about: tuple[About, ...]) -> str:
    """Return what the page says of its grounders.

    Args:
        about: the grounders.
    """
    return _template("about.html").render(about=about)


def _phrase(number: int, found: Grounding) -> dict[str, Any]:
    color = PALETTE[number % len(PALETTE)]
    return {
        "found": found,
        "warnings": [each for each in found.warnings if each != UNLIKE],
        "color": f"rgb{color}",
        "ink": _ink(color),
        "masks": [shown_mask(mask, color) for mask in found.masks],
        "nothing": found.match is not None and found.match < LOW_MATCH,
        "together": min(1.0, sum(each.probability for each in found.answers)),
        "chosen": [each.choice for each in found.answers] or [found.choice],
        "words": whole_words(found.expression, found.word_weights),
        "scores": list(found.candidates[0].scores) if found.candidates else [],
        "rows": [_row(each) for each in found.candidates],
    }


def _numbers(groundings: Sequence[Grounding], unit: float, size: tuple[int, int]) -> tuple[list[int], list[Plate]]:
    """Return, for each box of each answer, the place of the answer and where its number is."""
    boxes = [(place, box) for place, found in enumerate(groundings) for box in found.boxes]
    wanted = (Plate(box[0], box[1], _NUMBER * unit, _NUMBER * unit) for _, box in boxes)
    return [place for place, _ in boxes], apart(wanted, size)


def _candidate_numbers(
    candidates: Sequence[CandidateScore], unit: float, size: tuple[int, int], taken: Sequence[Plate]
) -> list[Plate]:
    """Return where the number of each candidate is: at the lower left corner of its box, if there is room."""
    wanted = (
        Plate(each.box[0], each.box[3] - _LINE * unit, (_DIGIT * len(str(number)) + 1) * unit, _LINE * unit)
        for number, each in enumerate(candidates, 1)
    )
    return apart(wanted, size, taken)


def _ink(color: tuple[int, int, int]) -> str:
    """Return black or white, whichever is easier to read on a colour (WCAG's relative luminance)."""
    shares = (each / 255 for each in color)
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in shares)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "black" if (luminance + 0.05) ** 2 > 0.05 * 1.05 else "white"


def _row(candidate: CandidateScore) -> dict[str, Any]:
    scores = ("none" if not math.isfinite(score) else f"{score:.2f}" for score in candidate.scores.values())
    return {"candidate": candidate, "scores": list(scores)}


@cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
