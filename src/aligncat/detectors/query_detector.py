"""The base class of all query-based detectors: preprocessing, forward pass, candidates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aligncat.detectors.candidates import RawOutput, image_candidates, pair_confidences
from aligncat.detectors.colour import COLOUR, colour_statistics
from aligncat.detectors.description import DetectorDescription
from aligncat.detectors.levels import LEVELS
from aligncat.detectors.masks import mask_rule
from aligncat.detectors.preprocessing import Preprocessing, normalize
from aligncat.types import Candidates, FeatureColumn

# Measured on 2 cores: at 128 px, one pass over eight images takes half the time of eight passes. At 416 px, one image
# per pass is fastest.
_SMALL_IMAGE = 256
_SMALL_IMAGE_BATCH = 8


def usual_batch_size(image_size: int, device: str) -> int:
    """Return the number of images with which a forward pass is fastest.

    Args:
        image_size: side of the square input, pixels.
        device: the device of the model.
    """
    return _SMALL_IMAGE_BATCH if image_size <= _SMALL_IMAGE or device != "cpu" else 1


class QueryDetector(ABC):
    """A `Detector` whose subclasses need to implement only `forward`."""

    def __init__(
        self,
        description: DetectorDescription,
        preprocessing: Preprocessing,
        *,
        labels: Sequence[str],
        feature_dim: int,
        device: str,
        batch_size: int,
        columns: tuple[FeatureColumn, ...] = (),
    ) -> None:
        """Store all that `detect` needs, except the model.

        Args:
            description: all settings that determine the candidates.
            preprocessing: how an image is converted into the model's square input.
            labels: the category names, by class index.
            feature_dim: d_v, the length of a query feature.
            device: the device that the model runs on, such as "cpu" or "cuda".
            batch_size: the number of images to pass to `detect` at once.
            columns: the further features that `detect` gives: COLOUR, which every detector can give, and LEVELS if
                `forward` gives it; or none.

        Raises:
            ConfigError: the masks of the description do not fit the preprocessing, or OpenCV is missing.
        """
        self._description = description
        self._mask_rule = mask_rule(description.masks, preprocessing) if description.has_masks else None
        self.preprocessing = preprocessing
        self.labels = tuple(labels)
        self.feature_dim = feature_dim
        self.device = device
        self.batch_size = batch_size
        self.columns = columns

    @property
    def candidates(self) -> int:
        """O, the most candidates for an image."""
        return self._description.candidates

    def description(self) -> DetectorDescription:
        """Return all settings that determine the candidates of an image."""
        return self._description

    @abstractmethod
    def forward(self, pixels: NDArray[np.float32]) -> RawOutput:
        """Run the model on a batch of squares.

        Args:
            pixels: (B, 3, size, size), from `normalize`.
        """

    def confidences(
        self, class_logits: NDArray[np.float32], mask_logits: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        """Return the confidence of every (query, class) pair of one image; see `pair_confidences`."""
        return pair_confidences(class_logits, mask_logits)

    def detect(self, images: Sequence[Image.Image], ids: Sequence[str]) -> list[Candidates]:
        """Find the candidates of all images in one forward pass; see `Detector.detect`."""
        if not images:
            return []
        squares, places = zip(*map(self.preprocessing.square, images), strict=True)
        output = self.forward(normalize(squares, self.preprocessing.mean, self.preprocessing.std))
        # One copy of each photo, and none where no colours are asked for.
        photos = map(np.asarray, images) if COLOUR in self.columns else [None] * len(images)
        return [
            image_candidates(
                output,
                row,
                image_id=image_id,
                place=place,
                candidates=self.candidates,
                every_query=self._description.every_query,
                confidence_rule=self.confidences,
                mask_rule=self._mask_rule,
                columns=self.columns,
                further_features=partial(self._further_features, photo, output, row),
            )
            for row, (photo, image_id, place) in enumerate(zip(photos, ids, places, strict=True))
        ]

    def _further_features(
        self, photo: NDArray[np.uint8] | None, output: RawOutput, row: int, query: int, mask: NDArray[np.bool_]
    ) -> Mapping[str, NDArray[np.float32]]:
        """Return the further features of a query of one image."""
        found = {} if photo is None else {COLOUR.name: colour_statistics(photo, mask)}
        return found if output.levels is None else {**found, LEVELS.name: output.levels[row, query]}
