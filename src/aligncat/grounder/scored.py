"""What a forward pass says of expressions and the candidates of their images, whatever library runs the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from aligncat.grounder.images import Images

SCORES = ("class", "global", "coarse", "fine")
"""The names of the scores, in order; a config may use only some of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """The scores and choices for B expressions, each with the O candidates of its image. `Alignment` has more of them.

    Attributes:
        scores: (B, O) float32 for each score that the config uses, by its name in SCORES.
        probabilities: (B, O) float32, softmax of the last stage's scores over the refined set; 0 outside it.
        kept: (B, O) bool, the refined set.
        choice: (B,) int64, the index of q*.
        predicted: (B,) int64, the category that the text classifier predicts; None without one.
        category: (B,) int64, the category of the expression in S_class; -1 if there is none.
        category_matched: (B,) bool, False if no candidate has the category of the expression.
        word_weights: (B, L) float32, zero at padding; None without phrase attention.
        relative: (B, O) float32, the scores of the last space less the log of the mean of exp(score) of the expression
            over the reference candidates; None if they were not asked for.
    """

    scores: Mapping[str, NDArray[np.float32]]
    probabilities: NDArray[np.float32]
    kept: NDArray[np.bool_]
    choice: NDArray[np.int64]
    predicted: NDArray[np.int64] | None
    category: NDArray[np.int64]
    category_matched: NDArray[np.bool_]
    word_weights: NDArray[np.float32] | None
    relative: NDArray[np.float32] | None

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return what arrays say, whose names are those of the attributes; each of the scores has its own name."""
        return cls(
            scores={name: arrays[name] for name in SCORES if name in arrays},
            probabilities=arrays["probabilities"],
            kept=arrays["kept"],
            choice=arrays["choice"],
            predicted=arrays.get("predicted"),
            category=arrays["category"],
            category_matched=arrays["category_matched"],
            word_weights=arrays.get("word_weights"),
            relative=arrays.get("relative"),
        )


class Scorer(Protocol):
    """A trained model that scores candidates. Threads can share it."""

    def score(self, images: Images, tokens: NDArray[np.int64], *, relative: bool = False) -> Scored:
        """Score the candidates of B images for B expressions.

        Args:
            images: the images.
            tokens: (B, L), the token ids of the expressions, padded with PAD.
            relative: whether to compare the scores with those of the reference images, which a calibrated grounder has.
        """
