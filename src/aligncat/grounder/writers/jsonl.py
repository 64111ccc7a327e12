"""JSON lines: one line for each phrase of each photo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from aligncat.grounder.grounding import Grounding
from aligncat.grounder.writers.answer_set import AnswerSet, PhotoRecord, json_line, text_file

_DETAILS = ("candidates", "word_weights", "choice")
"""What only whoever studies the model needs, and what takes most of the room."""


def write_jsonl(answers: AnswerSet, out: Path) -> None:
    """Write answers as JSON lines.

    Args:
        answers: the answers.
        out: the file.
    """
    with text_file(out) as file:
        for record in answers.records():
            for found in record.groundings:
                file.write(f"{json_line(phrase_line(record, found, candidates=answers.candidates))}\n")


def phrase_line(record: PhotoRecord, found: Grounding, *, candidates: bool) -> dict[str, Any]:
    """Return the line of one answer: the photo's name and size, then the keys of `Grounding.to_dict`.

    Args:
        record: the photo.
        found: the answer.
        candidates: whether all candidates, their scores and the weights of words are in it.
    """
    width, height = record.size or (None, None)
    return {"image": record.name, "width": width, "height": height, **slim(found, candidates=candidates)}


def slim(found: Grounding, *, candidates: bool) -> dict[str, Any]:
    """Return the values of `Grounding.to_dict`, without the candidates and word weights unless they are asked for."""
    if candidates:
        return found.to_dict()
    plain = replace(found, candidates=(), word_weights=()).to_dict()
    plain["answers"] = [
        {name: value for name, value in each.items() if name not in _DETAILS} for each in plain["answers"]
    ]
    return {name: value for name, value in plain.items() if name not in _DETAILS}


def kept(found: Grounding, *, candidates: bool) -> dict[str, Any]:
    """Return the values that `Grounding.from_dict` reads again, with all candidates only if they are asked for.

    Without the candidates, the places of choices among them say nothing, but `Grounding` has them.

    Args:
        found: the answer.
        candidates: whether all candidates, their scores and the weights of words are in it.
    """
    plain = {**slim(found, candidates=candidates)}
    if not candidates:
        plain["choice"] = found.choice
        for each, answer in zip(plain["answers"], found.answers, strict=True):
            each["choice"] = answer.choice
    return plain
