"""Score candidates with the model in torch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aligncat.alignment.config import Space
from aligncat.alignment.inputs import ImageTensors
from aligncat.alignment.relations import relation_scores
from aligncat.alignment.result import Alignment
from aligncat.alignment.scores import log_partition
from aligncat.grounder.images import Images
from aligncat.grounder.model import GroundingModel
from aligncat.grounder.scored import Scored
from aligncat.language.tokens import Tokens


class References(NamedTuple):
    """What the reference images are for the scores of any expression.

    Attributes:
        alignment: their alignment with some expression, for their projected queries and their relations.
        valid: (M, O) bool, False for padding.
    """

    alignment: Alignment
    valid: Tensor


class TorchScorer:
    """Scores candidates with the model in torch.

    Args:
        model: the trained model, in evaluation mode.
        vocabulary: its vocabulary.
        references: the reference images of its calibration; None without one.
    """

    def __init__(self, model: GroundingModel, vocabulary: Tokens, references: Images | None = None) -> None:
        self._model = model
        self._vocabulary = vocabulary
        self._references = references
        self._aligned: tuple[torch.device, References] | None = None

    @torch.inference_mode()
    def score(self, images: Images, tokens: NDArray[np.int64], *, relative: bool = False) -> Scored:
        """Score the candidates of B images for B expressions; see `Scorer`."""
        device = next(self._model.parameters()).device
        found = score_tensors(
            self._model,
            _on(images, device),
            torch.from_numpy(tokens).to(device),
            self.references(device) if relative else None,
        )
        return Scored.of({name: tensor.cpu().numpy() for name, tensor in found.items()})

    def references(self, device: torch.device) -> References | None:
        """Return the reference images, aligned on a device; None if there are none."""
        if self._references is None:
            return None
        found = self._aligned
        if found is None or found[0] != device:
            images = _on(self._references, device)
            tokens = torch.from_numpy(self._vocabulary.ids(["object"], 1)).expand(len(images.features), -1).to(device)
            found = self._aligned = device, References(self._model(images, tokens), images.valid)
        return found[1]


def score_tensors(
    model: GroundingModel, images: ImageTensors, tokens: Tensor, references: References | None = None
) -> dict[str, Tensor]:
    """Return what `Scored` holds, as tensors by the names of `Scored.of`.

    Args:
        model: the trained model, in evaluation mode.
        images: the images of B expressions.
        tokens: (B, L) int64, the token ids of the expressions.
        references: the reference images; without them there are no relative scores.
    """
    alignment: Alignment = model(images, tokens)
    # For an image without candidates, softmax returns NaN.
    probabilities = alignment.final_scores.masked_fill(~alignment.kept, float("-inf")).softmax(dim=1).nan_to_num(0.0)
    logits = alignment.category_logits
    found = {
        "class": alignment.class_scores,
        "global": alignment.global_scores,
        "coarse": alignment.coarse_scores,
        "fine": alignment.fine_scores,
        "probabilities": probabilities,
        "kept": alignment.kept,
        "choice": alignment.choice,
        "predicted": None if logits is None else logits.argmax(dim=1),
        "category": alignment.category,
        "category_matched": alignment.category_matched,
        "word_weights": alignment.word_weights,
        "relative": None if references is None else _relative_scores(model, alignment, references),
    }
    return {name: tensor for name, tensor in found.items() if tensor is not None}


def _relative_scores(model: GroundingModel, alignment: Alignment, references: References) -> Tensor:
    """Return the scores of the last space, (B, O), less their log partition over the reference candidates."""
    config, aligned = model.config.alignment, references.alignment
    space: Space = "fine" if config.fine else "global"
    scores, texts, queries = alignment.global_scores, alignment.global_texts, aligned.global_queries
    if alignment.fine_scores is not None and alignment.fine_texts is not None and aligned.fine_queries is not None:
        scores, texts, queries = alignment.fine_scores, alignment.fine_texts, aligned.fine_queries
    related = None
    if config.relates(space) and alignment.relations is not None and aligned.relations is not None:
        related = relation_scores(alignment.relations.with_images(aligned.relations))
    return scores - log_partition(texts, queries, references.valid, related)[:, None]


def _on(images: Images, device: torch.device) -> ImageTensors:
    return ImageTensors(*(torch.from_numpy(array).to(device) for array in images))
