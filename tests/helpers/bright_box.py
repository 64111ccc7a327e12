"""A detector family in one file, with numpy only. Its two queries are the bright and the dark part of an image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aligncat.detectors.candidates import CONFIDENCE_RULE, RawOutput
from aligncat.detectors.colour import COLOUR
from aligncat.detectors.description import DetectorDescription
from aligncat.detectors.folder import DetectorFolder
from aligncat.detectors.masks import MaskMode
from aligncat.detectors.preprocessing import Preprocessing
from aligncat.detectors.query_detector import QueryDetector
from aligncat.files.hashes import file_sha256

CELL = 4  # pixels of the square


class BrightBoxDetector(QueryDetector):
    """A detector without weights. Query 0 is the bright part of an image, query 1 the dark part."""

    def __init__(
        self,
        folder: DetectorFolder,
        *,
        preprocessing: Preprocessing,
        candidates: int,
        every_query: bool,
        masks: MaskMode,
        device: str,
        appearance: bool,
    ) -> None:
        """Create the detector; see `DetectorFactory`."""
        description = DetectorDescription(
            name=folder.name,
            weights_sha256="none",
            config_sha256=file_sha256(folder.config_file),
            architecture="bright-box",
            image_size=preprocessing.size,
            preprocessing=preprocessing.description(),
            feature="mean colour inside the mask",
            confidence=CONFIDENCE_RULE,
            candidates=candidates,
            every_query=every_query,
            masks=masks,
        )
        super().__init__(
            description,
            preprocessing,
            labels=("bright", "dark"),
            feature_dim=3,
            device=device,
            batch_size=2,
            columns=(COLOUR,) if appearance else (),
        )

    def forward(self, pixels: NDArray[np.float32]) -> RawOutput:
        """Return masks with probability 3/4 inside, and 8/10 as the probability of each query's own class."""
        batch, channels, size, _ = pixels.shape
        cells = pixels.reshape(batch, channels, size // CELL, CELL, size // CELL, CELL).mean(axis=(3, 5))
        bright = cells.mean(axis=1) > 0
        inside = np.stack([bright, ~bright], axis=1)
        class_logits = np.log(np.array([[8, 1, 1], [1, 8, 1]], np.float32)) + np.zeros((batch, 1, 1), np.float32)
        mask_logits = np.where(inside, np.log(np.float32(3)), -np.log(np.float32(3)))
        weights = inside[:, :, None] / np.maximum(inside.sum(axis=(2, 3)), 1)[:, :, None, None, None]
        features = (cells[:, None] * weights).sum(axis=(3, 4)).astype(np.float32)
        return RawOutput(class_logits, mask_logits, features)
