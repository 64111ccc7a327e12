"""CSV: one row for each object."""

from __future__ import annotations

import csv
from pathlib import Path

from aligncat.grounder.writers.answer_set import AnswerSet, text_file

COLUMNS = (
    *("image", "width", "height", "expression", "x1", "y1", "x2", "y2", "probability", "match", "object_match"),
    *("category", "predicted_category", "category_matched", "unknown_words", "warnings", "mask"),
)
"""The header. Sizes and boxes are in pixels; `mask` has the counts of COCO's RLE at (height, width). `match` is
about the phrase, and the same in all its rows; `object_match` is about the row's object (`Answer.match`)."""


def write_csv(answers: AnswerSet, out: Path) -> None:
    """Write answers as CSV with the header COLUMNS; a phrase with several answers has a row for each.

    Args:
        answers: the answers.
        out: the file.
    """
    with text_file(out) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for record in answers.records():
            for found in (each for grounding in record.groundings for each in grounding.objects):
                writer.writerow(
                    (
                        *(record.name, *(record.size or (None, None)), found.expression, *found.box),
                        *(found.probability, found.match, found.object_match, found.category, found.predicted_category),
                        *(str(found.category_matched).lower(), " ".join(found.unknown_words)),
                        *(
                            " ".join(found.warnings),
                            None if found.mask is None else found.mask["counts"].decode("ascii"),
                        ),
                    )
                )
