"""The bodies of responses: how an answer is written, and the models that the OpenAPI document shows."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from aligncat.grounder.ground_many import PhotoAnswer
from aligncat.grounder.photo_grounder import PhotoGrounder
from aligncat.grounder.writers.jsonl import kept
from aligncat.serving.service import Asked

_Box = tuple[float, float, float, float]
_BOX = Field(description="x1, y1, x2, y2 in pixels of the photo as it is shown.")


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Mask(_Closed):
    """A mask in COCO's compressed run-length encoding."""

    size: tuple[int, int] = Field(description="Height and width of the photo as it is shown.")
    counts: str


class Candidate(_Closed):
    """A candidate of the detector with its scores for the phrase."""

    box: _Box = _BOX
    category: str
    confidence: float
    kept: bool
    probability: float
    scores: dict[str, float | None]


class Answer(_Closed):
    """One of several objects, or of the best candidates."""

    box: _Box = _BOX
    mask: Mask | None
    match: float | None
    probability: float
    category: str
    choice: int


class Grounding(_Closed):
    """The answer for one phrase; docs/answers.md explains it."""

    expression: str
    box: _Box = _BOX
    mask: Mask | None
    probability: float = Field(description="How sure the model is of this object among those that the detector found.")
    category: str
    predicted_category: str | None
    category_matched: bool
    choice: int
    unknown_words: list[str]
    match: float | None = Field(description="The probability that the photo has what the phrase says; null if unknown.")
    answers: list[Answer]
    warnings: list[str] = Field(description="Why the answer should not be trusted.")
    word_weights: list[tuple[str, float]] | None = Field(None, description="Only with `candidates`.")
    candidates: list[Candidate] | None = Field(None, description="Only with `candidates`.")


class LeftOut(_Closed):
    """A phrase whose answer is below `min_match` or `min_probability`."""

    expression: str
    reason: str


class GroundResponse(_Closed):
    """The answers for one photo, in the order of the phrases."""

    grounder: str
    width: int
    height: int
    groundings: list[Grounding]
    left_out: list[LeftOut]


class Fault(_Closed):
    """Why there is no answer."""

    code: str = Field(description="The kind, for programs.")
    message: str = Field(description="What is wrong, and what to do.")


class ErrorResponse(_Closed):
    """A refusal."""

    error: Fault


class BatchResponse(_Closed):
    """An answer or an error for each photo, in order."""

    results: list[GroundResponse | ErrorResponse]


class GrounderInfo(_Closed):
    """A grounder of the server."""

    name: str
    categories: list[str] = Field(description="What its detector finds.")
    calibrated: bool = Field(description="Whether answers have `match`, and `several` and `min_match` work.")
    detector: str
    device: str


class GroundersResponse(_Closed):
    """The grounders of the server; the first is asked if a request names none."""

    grounders: list[GrounderInfo]


class Health(_Closed):
    """That the server runs. The keys are those of Label Studio's protocol."""

    status: str
    model_class: str
    version: str


class Readiness(_Closed):
    """Whether the server takes requests."""

    ready: bool


def answer_body(name: str, asked: Asked, answer: PhotoAnswer) -> dict[str, Any]:
    """Return the body of a `GroundResponse`.

    Args:
        name: the name of the grounder.
        asked: the question.
        answer: its answer, without an error.
    """
    width, height = answer.size or (0, 0)
    return {
        "grounder": name,
        "width": width,
        "height": height,
        "groundings": [kept(each, candidates=asked.candidates) for each in answer.groundings],
        "left_out": [
            {"expression": each.expression, "reason": asked.thresholds.reason(each)} for each in answer.left_out
        ],
    }


def grounder_body(name: str, grounder: PhotoGrounder) -> dict[str, Any]:
    """Return the body of a `GrounderInfo`."""
    detector = grounder.detector
    return {
        "name": name,
        "categories": list(detector.labels),
        "calibrated": grounder.matcher is not None,
        "detector": grounder.detector_description.architecture,
        "device": detector.device,
    }
