"""The answer of a grounder: the object that an expression refers to, with all scores, and its conversions."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from aligncat.errors import DataError
from aligncat.geometry import decode_mask
from aligncat.types import RLE


@dataclass(frozen=True, slots=True)
class CandidateScore:
    """The scores of one candidate for one expression.

    Attributes:
        box: (x1, y1, x2, y2) pixels of the original image.
        category: the name of its category c^V.
        confidence: the detector's confidence.
        kept: whether it is in the refined set.
        probability: softmax of the last stage's scores over the refined set; 0 outside it.
        scores: each score that the config uses, by name: "class", "global", "coarse", "fine".
    """

    box: tuple[float, float, float, float]
    category: str
    confidence: float
    kept: bool
    probability: float
    scores: dict[str, float]


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the objects that an expression for several refers to, or one of the best candidates.

    Attributes:
        box: (x1, y1, x2, y2) pixels of the original image.
        mask: RLE at the original image's size; None if the detector gives boxes alone.
        match: the calibrated probability, in [0, 1], that the expression is true of this object, if the image has what
            it says at all (`Grounding.match`); None if the grounder is not calibrated.
        probability: the sum of `CandidateScore.probability` over the candidates of this object, as for a `Grounding`.
            Where an expression means several objects, they share it.
        category: the name of its category c^V.
        choice: the index of its candidate in `Grounding.candidates`.
    """

    box: tuple[float, float, float, float]
    mask: RLE | None
    match: float | None
    probability: float
    category: str
    choice: int


@dataclass(frozen=True, slots=True, repr=False)
class Grounding:
    """The answer for one expression and one image: the object that the expression refers to.

    With `Grounder.ground(..., several=True)`, `answers` has all objects that the expression refers to; with `top=N`,
    the N best candidates. The other attributes describe the best of them.

    Attributes:
        expression: the text of the expression.
        box: (x1, y1, x2, y2) pixels of the original image.
        mask: RLE at the original image's size; None if the detector gives boxes alone.
        probability: the model's own estimate, in [0, 1], that the chosen object is the referent. It is not calibrated.
            A detector may propose one object several times, so this is the sum of `CandidateScore.probability` over
            all candidates whose box has an IoU above 0.5 with the chosen box.
        category: the name of the chosen candidate's category c^V.
        predicted_category: the name of c^T, which the text classifier predicts; None without a text classifier.
        category_matched: False if no candidate has the category c^T; the choice then ignores the category.
        word_weights: (word, weight) pairs in order; empty without phrase attention.
        choice: the index of the chosen candidate in `candidates`.
        candidates: all candidates with their scores.
        unknown_words: the words of the expression that the grounder does not know, in order and without duplicates. A
            recurrent encoder reads them all alike. A transformer reads each, but no training phrase had them.
        match: the calibrated probability, in [0, 1], that the image has what the expression says; None if the grounder
            is not calibrated (`Grounder.calibration`).
        answers: with `several=True`, all objects that the expression refers to, and with `top=N` the N best candidates,
            best first; otherwise empty.
        warnings: why the answer should not be trusted, each a sentence; empty if nothing speaks against it.
    """

    expression: str
    box: tuple[float, float, float, float]
    mask: RLE | None
    probability: float
    category: str
    predicted_category: str | None
    category_matched: bool
    word_weights: tuple[tuple[str, float], ...]
    choice: int
    candidates: tuple[CandidateScore, ...]
    unknown_words: tuple[str, ...] = ()
    match: float | None = None
    answers: tuple[Answer, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def boxes(self) -> tuple[tuple[float, float, float, float], ...]:
        """The boxes of all answers, best first: `box` alone if `answers` is empty."""
        return tuple(answer.box for answer in self.answers) or (self.box,)

    @property
    def masks(self) -> tuple[RLE, ...]:
        """The masks of all answers, best first: `mask` alone if `answers` is empty. None if there are only boxes."""
        return tuple(each.mask for each in self.objects if each.mask is not None)

    @property
    def objects(self) -> tuple[Grounding, ...]:
        """A grounding for each of the answers, best first, with that one alone: for formats with a row for each object.

        `match` is that of the phrase in all of them; `object_match` is that of the object.
        """
        return tuple(self.with_answers((each,)) for each in self.answers) or (self,)

    @property
    def object_match(self) -> float | None:
        """The `Answer.match` of the best answer; None if `answers` is empty or the grounder is not calibrated."""
        return self.answers[0].match if self.answers else None

    def with_answers(self, answers: tuple[Answer, ...]) -> Grounding:
        """Return the grounding with other answers, at least one, whose other attributes describe the first of them."""
        first = answers[0]
        return replace(
            self,
            box=first.box,
            mask=first.mask,
            probability=first.probability,
            category=first.category,
            choice=first.choice,
            answers=answers,
        )

    @property
    def score(self) -> float:
        """The former name of `probability`. The next version removes this property."""
        warnings.warn("Grounding.score is now Grounding.probability", DeprecationWarning, stacklevel=2)
        return self.probability

    def __repr__(self) -> str:
        """Return the expression, the box in whole pixels, the probabilities and the category."""
        box = ", ".join(f"{number:.0f}" for number in self.box)
        match = "" if self.match is None else f"match={self.match:.2f}, "
        answers = f"{len(self.answers)} answers, " if self.answers else ""
        warned = f", {len(self.warnings)} warnings" if self.warnings else ""
        return (
            f"Grounding({self.expression!r}, box=({box}), probability={self.probability:.2f}, {match}"
            f"category={self.category!r}, {answers}{len(self.candidates)} candidates{warned})"
        )

    def mask_array(self) -> NDArray[np.bool_]:
        """Return the mask, (height, width) bool at the size of the original image.

        Raises:
            DataError: there is none, because the detector gives boxes alone.
        """
        if self.mask is None:
            raise DataError(f"{self.expression!r}: the answer has no mask, because the detector gives boxes alone")
        return np.ascontiguousarray(decode_mask(self.mask))

    def to_dict(self) -> dict[str, Any]:
        """Return the grounding as JSON values, as `aligncat ground --candidates true` prints it.

        The run lengths of the mask become text, as in COCO's result files. A score of -inf (of a candidate that the
        category filter dropped; see `Alignment`) becomes None, because JSON has no infinity.
        """
        plain = _values(self)
        plain["box"] = list(self.box)
        plain["word_weights"] = [list(pair) for pair in self.word_weights]
        plain["unknown_words"] = list(self.unknown_words)
        plain["candidates"] = [_candidate(each) for each in self.candidates]
        plain["mask"] = _mask(self.mask)
        plain["answers"] = [{**_values(each), "box": list(each.box), "mask": _mask(each.mask)} for each in self.answers]
        plain["warnings"] = list(self.warnings)
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Invert `to_dict`, also where `word_weights` or `candidates` were left out.

        Args:
            plain: the values, as JSON gives them.

        Raises:
            KeyError: a value is missing.
            TypeError: a value is of another type.
        """
        values = dict(plain)
        candidates = tuple(_candidate_of(each) for each in values.pop("candidates", ()))
        answers = tuple(
            Answer(**{**each, "box": tuple(each["box"]), "mask": _mask_of(each["mask"])})
            for each in values.pop("answers")
        )
        return cls(
            **{
                **values,
                "box": tuple(values["box"]),
                "mask": _mask_of(values["mask"]),
                "word_weights": tuple((word, weight) for word, weight in values.pop("word_weights", ())),
                "unknown_words": tuple(values["unknown_words"]),
                "warnings": tuple(values["warnings"]),
                "candidates": candidates,
                "answers": answers,
            }
        )


def _values(of: Grounding | Answer | CandidateScore) -> dict[str, Any]:
    """Return the attributes by name. `asdict` would also copy what is in them."""
    return {each.name: getattr(of, each.name) for each in fields(of)}


def _mask(mask: RLE | None) -> dict[str, Any] | None:
    return None if mask is None else {"size": list(mask["size"]), "counts": mask["counts"].decode("ascii")}


def _mask_of(plain: Mapping[str, Any] | None) -> RLE | None:
    return None if plain is None else RLE(size=list(plain["size"]), counts=plain["counts"].encode("ascii"))


def _candidate_of(plain: Mapping[str, Any]) -> CandidateScore:
    scores = {name: -math.inf if score is None else score for name, score in plain["scores"].items()}
    return CandidateScore(**{**plain, "box": tuple(plain["box"]), "scores": scores})


def _candidate(candidate: CandidateScore) -> dict[str, Any]:
    scores = {name: score if math.isfinite(score) else None for name, score in candidate.scores.items()}
    return {**_values(candidate), "box": list(candidate.box), "scores": scores}
