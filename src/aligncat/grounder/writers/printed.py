"""What `aligncat ground` prints without --out: JSON to standard output, and a line for people to standard error."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from aligncat.grounder.writers.answer_set import PhotoRecord, json_line, write_list
from aligncat.grounder.writers.jsonl import phrase_line
from aligncat.grounder.writers.output import Written
from aligncat.wording import visible_json

if TYPE_CHECKING:
    from aligncat.grounder.doubts import Thresholds
    from aligncat.grounder.ground_many import PhotoAnswer
    from aligncat.grounder.grounding import Grounding
    from aligncat.grounder.requests.request import Request

logger = logging.getLogger(__name__)


def print_answer(request: Request, answer: PhotoAnswer, thresholds: Thresholds, *, candidates: bool) -> list[Grounding]:
    """Print the answers for one photo as a JSON list with a line for each phrase, then say them; return them.

    Args:
        request: the photo.
        answer: its answers.
        thresholds: what left some of them out.
        candidates: whether all candidates, their scores and the weights of words are printed.
    """
    record = PhotoRecord(request.name, answer.size, answer.groundings, None)
    text = io.StringIO()
    write_list(text, (phrase_line(record, found, candidates=candidates) for found in answer.groundings))
    print(visible_json(text.getvalue()), flush=True)
    _say(answer.groundings)
    for expression, reason in {found.expression: thresholds.reason(found) for found in answer.left_out}.items():
        logger.warning("%s: %s", expression, reason)
    if answer.error is not None:
        logger.warning("left out: %s", answer.error)
    return list(answer.groundings)


def print_answers(requests: Sequence[Request], answers: Iterator[PhotoAnswer], *, candidates: bool) -> Written:
    """Print the answers for several photos as JSON lines while they come, and return how many there were.

    If standard output is a terminal, the answers are said too: otherwise they go to a program or a file, which may have
    millions of them.

    Args:
        requests: the photos.
        answers: the answers for each.
        candidates: as for `print_answer`.
    """
    written = Written(None)
    for request, answer in zip(requests, answers, strict=True):
        record = PhotoRecord(request.name, answer.size, answer.groundings, None)
        for found in answer.groundings:
            print(visible_json(json_line(phrase_line(record, found, candidates=candidates))))
        sys.stdout.flush()
        if sys.stdout.isatty():
            _say(answer.groundings, f"{request.name}: ")
        written.photos += answer.error is None
        written.answers += len(answer.groundings)
        written.doubtful += sum(bool(found.warnings) for found in answer.groundings)
        written.left_out += len(answer.left_out)
        written.bad += [] if answer.error is None else [str(answer.error)]
    return written


def _say(groundings: Sequence[Grounding], before: str = "") -> None:
    """Log a line for each object of each answer, and one for each warning."""
    for found in groundings:
        for each in found.objects:
            logger.info("%s%s", before, answer_line(each))
        for sentence in found.warnings:
            logger.warning("  warning: %s", sentence)


def answer_line(found: Grounding) -> str:
    """Return the answer in a line: the phrase, the category, the box in whole pixels, the probability, and match."""
    box = ", ".join(f"{number:.0f}" for number in found.box)
    match = "" if found.match is None else f", match {found.match:.2f}"
    return f"{found.expression}: {found.category} at ({box}), probability {found.probability:.2f}{match}"
