"""What the rest of aligncat asks of a detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

from PIL import Image

from aligncat.types import Candidates

JSON: TypeAlias = "str | int | float | bool | Sequence[JSON] | Mapping[str, JSON] | None"


class Detector(Protocol):
    """A frozen detector: the same image gives the same candidates, whenever it is asked."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The category names, by contiguous index."""

    @property
    def feature_dim(self) -> int:
        """d_v, the numbers in a query's feature."""

    @property
    def candidates(self) -> int:
        """O, the most candidates that it gives for an image."""

    @property
    def batch_size(self) -> int:
        """Images per forward pass that suits it; the batch may move the last bits of a result."""

    @property
    def device(self) -> str:
        """Where it computes, such as "cpu" or "cuda"."""

    def description(self) -> dict[str, JSON]:
        """Everything that decides what it says of an image: name, weights' hash, preprocessing, O, rules.

        Two detectors with equal descriptions, their "name" apart, are one.
        """

    def detect(self, images: Sequence[Image.Image], ids: Sequence[str]) -> list[Candidates]:
        """The candidates of each image, in one forward pass.

        Args:
            images: RGB, of any size.
            ids: their image ids, one each.

        Returns:
            One Candidates an image, best candidate first; fewer than O where there are no more.
        """
