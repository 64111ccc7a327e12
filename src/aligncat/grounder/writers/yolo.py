"""YOLO: a text file for each photo with a line for each box, and data.yaml with the names of the classes."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath

from aligncat.files.atomic import write_atomic
from aligncat.grounder.writers.answer_set import AnswerSet, PhotoRecord

_UNPRINTABLE = re.compile(r"[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def write_yolo(answers: AnswerSet, out: Path) -> None:
    """Write boxes in YOLO's format: labels/NAME.txt for images/NAME.jpg, empty for a photo without answers.

    A line has the class's number from 0, then the box's centre, width and height in shares of the photo's. The format
    has no place for probabilities, masks and warnings.

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
        x1, x2 = (min(max(x / width, 0.0), 1.0) for x in found.box[::2])
        y1, y2 = (min(max(y / height, 0.0), 1.0) for y in found.box[1::2])
        number = classes[answers.class_of(found)]
        lines.append(f"{number} {(x1 + x2) / 2:.6f} {(y1 + y2) / 2:.6f} {x2 - x1:.6f} {y2 - y1:.6f}\n")
    return "".join(lines)
