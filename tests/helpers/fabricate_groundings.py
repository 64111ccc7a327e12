"""Groundings and records with known boxes and masks, to write in every format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from aligncat.geometry import encode_mask
from aligncat.grounder.grounding import Answer, CandidateScore, Grounding
from aligncat.grounder.requests.request import Request
from aligncat.grounder.writers.answer_set import AnswerSet, Classes, PhotoRecord

WIDTH, HEIGHT = 40, 20
LABELS = ("person", "dog", "cup")
LEFT, RIGHT = (4.0, 2.0, 14.0, 12.0), (20.0, 5.0, 30.0, 20.0)


def blob(box: tuple[float, float, float, float]) -> np.ndarray:
    """Return a mask that fills a box, but for its upper left quarter and a hole of one pixel."""
    x1, y1, x2, y2 = map(int, box)
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[y1:y2, x1:x2] = True
    mask[y1 : (y1 + y2) // 2, x1 : (x1 + x2) // 2] = False
    mask[y2 - 2, x2 - 2] = False
    return mask


def grounding(
    expression: str,
    box: tuple[float, float, float, float] = LEFT,
    *,
    masked: bool = True,
    warnings: tuple[str, ...] = (),
    both: bool = False,
) -> Grounding:
    """Return a grounding of one box, or of both."""
    masks = {each: encode_mask(blob(each)) if masked else None for each in (LEFT, RIGHT)}
    scores = {"global": 1.5, "fine": float("-inf")}
    candidates = tuple(CandidateScore(each, "dog", 0.75, True, 0.5, scores) for each in (LEFT, RIGHT))
    answers = tuple(
        Answer(each, masks[each], None, probability, "dog", number)
        for number, (each, probability) in enumerate(((LEFT, 0.5), (RIGHT, 0.25)))
    )
    return Grounding(
        expression=expression,
        box=box,
        mask=masks[box],
        probability=0.5,
        category="dog",
        predicted_category="cup" if warnings else "dog",
        category_matched=not warnings,
        word_weights=((expression, 1.0),),
        choice=0 if box == LEFT else 1,
        candidates=candidates,
        match=None if both else 0.75,
        answers=answers if both else (),
        warnings=warnings,
    )


def answer_set(
    records: Sequence[PhotoRecord],
    phrases: tuple[str, ...],
    *,
    classes: Classes = "phrase",
    candidates: bool = False,
    polygons: bool = False,
    folder: Path = Path("photos"),
) -> AnswerSet:
    """Return the answers of some photos that were all asked for the same phrases."""
    requests = tuple(Request(each.name, folder / each.name, phrases) for each in records)

    def again() -> Iterator[PhotoRecord]:
        return iter(records)

    return AnswerSet(requests, LABELS, classes, "/data/local-files/?d=", candidates, polygons, again)


def two_photos(*, masked: bool = True) -> list[PhotoRecord]:
    """Return the records of a photo with three objects, one that cannot be read, and one without answers."""
    warned = grounding("cup", RIGHT, masked=masked, warnings=("Be careful.", "Look twice."))
    found = (grounding("both dogs", masked=masked, both=True), warned)
    size = (WIDTH, HEIGHT)
    return [
        PhotoRecord("a/1.jpg", size, found, None),
        PhotoRecord("bad.jpg", None, (), "bad.jpg: broken"),
        PhotoRecord("b.jpg", size, (), None),
    ]
