"""YOLO: a text file for each photo with a line for each box, and data.yaml with the names of the classes."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath

from aligncat.files.atomic import write_atomic
from aligncat.grounder.grounding import Grounding
from aligncat.grounder.writers.answer_set import AnswerSet, PhotoRecord
from aligncat.grounder.writers.polygons import mask_polygons

_UNPRINTABLE = re.compile(r"[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def write_yolo(answers: AnswerSet, out: Path) -> None:
    """Write boxes in YOLO's format: labels/NAME.txt for images/NAME.jpg, empty for a photo without answers.

    A line has the class's number from 0, then the box's centre, width and height in shares of the photo's. With
    polygons, as YOLO's segmentation has them, the corners of the largest part of the mask follow the number instead, or
    those of the box where there is no mask. The format has no place for probabilities and warnings.

    Args:
        answers: the answers.
        out: the folder.
    """
    names = answers.class_names
    classes = {name: number for number, name in enumerate(names)}
    for photo in answers.photos():
        path = out / "labels" / PurePosixPath(photo.name).with_suffix(".txt")
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, _lines(answers, photo, classes).encode())
    # JSON is YAML but for characters beyond 16 bits, which JSON escapes as two that YAML does not join.
    quoted = _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(names, ensure_ascii=False))
    content = f"path: .\ntrain: images\nval: images\nnc: {len(names)}\nnames: {quoted}\n"
    write_atomic(out / "data.yaml", content.encode())


def _lines(answers: AnswerSet, photo: PhotoRecord, classes: dict[str, int]) -> str:
    width, height = photo.size or (1, 1)
    lines = []
    for found in (each for grounding in photo.groundings for each in grounding.objects):
        shares = _polygon(found, width, height) if answers.polygons else _box(found, width, height)
        lines.append(" ".join([str(classes[answers.class_of(found)]), *(f"{share:.6f}" for share in shares)]) + "\n")
    return "".join(lines)


def _box(found: Grounding, width: int, height: int) -> list[float]:
    x1, y1, x2, y2 = _corners(found, width, height)
    return [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]


def _polygon(found: Grounding, width: int, height: int) -> list[float]:
    outlines = [] if found.mask is None else mask_polygons(found.mask_array())
    if outlines:
        shares: list[float] = (outlines[0] / (width, height)).ravel().tolist()
        return shares
    x1, y1, x2, y2 = _corners(found, width, height)
    return [x1, y1, x2, y1, x2, y2, x1, y2]


def _corners(found: Grounding, width: int, height: int) -> tuple[float, float, float, float]:
    """Return x1, y1, x2, y2 in shares of the photo, in which they are cut off."""
    x1, x2 = (min(max(x / width, 0.0), 1.0) for x in found.box[::2])
    y1, y2 = (min(max(y / height, 0.0), 1.0) for y in found.box[1::2])
    return x1, y1, x2, y2
