"""The interfaces of a detector and of the function that loads one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from PIL import Image

from aligncat.detectors.description import DetectorDescription
from aligncat.detectors.folder import DetectorFolder
from aligncat.detectors.masks import MaskMode
from aligncat.detectors.preprocessing import Preprocessing
from aligncat.types import Candidates, FeatureColumn


class Detector(Protocol):
    """A frozen detector. The same image gives the same candidates; only their last bits can depend on the batch.

    Threads can share a detector: they may call `detect` at the same time.
    """

    @property
    def labels(self) -> tuple[str, ...]:
        """The category names, by class index."""

    @property
    def feature_dim(self) -> int:
        """d_v, the length of a query feature."""

    @property
    def columns(self) -> tuple[FeatureColumn, ...]:
        """The further features that `detect` gives in `Candidates.columns`."""

    @property
    def candidates(self) -> int:
        """O, the most candidates for an image."""

    @property
    def batch_size(self) -> int:
        """The number of images to pass to `detect` at once. It can change the last bits of the results."""

    @property
    def device(self) -> str:
        """The device that the model runs on, such as "cpu" or "cuda"."""

    def description(self) -> DetectorDescription:
        """Return all settings that determine the candidates of an image."""

    def detect(self, images: Sequence[Image.Image], ids: Sequence[str]) -> list[Candidates]:
        """Find the candidates of all images in one forward pass.

        Args:
            images: B RGB images of any size.
            ids: their B image ids.

        Returns:
            B records, each with the most confident candidate first, boxes in xyxy pixels and masks at the size of the
            image. A record can hold fewer than O candidates.

        Raises:
            DetectorError: the model's output is not finite.
        """


class DetectorFactory(Protocol):
    """The class or function that loads the detectors of a family. The family's registry row names it."""

    def __call__(
        self,
        folder: DetectorFolder,
        *,
        preprocessing: Preprocessing,
        candidates: int,
        every_query: bool,
        masks: MaskMode,
        device: str,
        appearance: bool,
    ) -> Detector:
        """Load the detector from a folder.

        Args:
            folder: the detector's files.
            preprocessing: how an image is converted into the model's square input.
            candidates: O, the most candidates for an image.
            every_query: keep each of the N queries once, under its most confident class, whatever `candidates` is.
            masks: how masks and boxes are made from the mask logits.
            device: "cpu", "cuda", "cuda:1" and so on.
            appearance: give the column COLOUR, and LEVELS if the family has feature maps.

        Raises:
            DetectorError: the files are missing, damaged or incomplete.
        """
