"""A detector that needs neither torch nor weights, and that can be told to fail, for tests of workers.

Its two candidates are the upper and the lower half of an image, with their mean colours as features.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from aligncat.detectors.description import DetectorDescription
from aligncat.detectors.masks import NO_MASKS
from aligncat.detectors.protocol import Detector
from aligncat.types import Candidates, FeatureColumn
from helpers.descriptions import detector_description

Trouble = Literal["killed", "hangs", "full disk"]


@dataclass(frozen=True)
class LightDetector:
    """A detector with numpy alone.

    Attributes:
        at: the id of the image at which there is trouble.
        trouble: what happens there.
        once: a file; the trouble happens only if it does not exist, and makes it. None: it happens every time.
        seconds: how long an image takes.
        name: the name of the detector's architecture.
    """

    at: str | None = None
    trouble: Trouble | None = None
    once: Path | None = None
    seconds: float = 0.0
    name: str = "halves"
    labels: tuple[str, ...] = ("upper", "lower")
    feature_dim: int = 3
    candidates: int = 2
    batch_size: int = 2
    device: str = "cpu"
    columns: tuple[FeatureColumn, ...] = ()

    def description(self) -> DetectorDescription:
        return detector_description(name=self.name, architecture=self.name, masks=NO_MASKS, candidates=2)

    def detect(self, images: Sequence[Image.Image], ids: Sequence[str]) -> list[Candidates]:
        time.sleep(self.seconds * len(ids))
        if self.at in ids and (self.once is None or not self.once.exists()):
            if self.once is not None:
                self.once.touch()
            self._fail()
        return [self._halves(image, image_id) for image, image_id in zip(images, ids, strict=True)]

    def _fail(self) -> None:
        if self.trouble == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.trouble == "hangs":
            time.sleep(600)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))  # a write of more fails, as on a full disk

    def _halves(self, image: Image.Image, image_id: str) -> Candidates:
        pixels = np.asarray(image, np.float32) / 255
        middle = image.height // 2
        halves = (pixels[:middle], pixels[middle:])
        return Candidates(
            image_id=image_id,
            width=image.width,
            height=image.height,
            features=np.stack([half.mean(axis=(0, 1)) for half in halves]).astype(np.float16),
            queries=np.arange(2, dtype=np.int32),
            categories=np.arange(2, dtype=np.int32),
            confidences=np.array([0.75, 0.5], np.float32),
            boxes=np.array([[0, 0, image.width, middle], [0, middle, image.width, image.height]], np.float32),
            masks=None,
        )


class Opening:
    """Opens a detector in a worker, which then needs no torch."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector

    def __call__(self) -> Detector:
        return self.detector
