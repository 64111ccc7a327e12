"""The manifest of a store."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from aligncat.detectors.description import DetectorDescription
from aligncat.detectors.protocol import Detector
from aligncat.errors import StoreError
from aligncat.files.atomic import create_atomic
from aligncat.files.differences import Difference, differences
from aligncat.locations import Location
from aligncat.store.ids import ids_sha256
from aligncat.types import JSON, FeatureColumn
from aligncat.versions import installed_versions
from aligncat.wording import truncated

FORMAT = 2
BOXES_FORMAT = 3
"""The format of stores whose candidates are boxes alone: format 2 without the column of masks."""
FIRST_FORMAT = 1
"""The format of aligncat 0.1. Its stores are read, but not written."""
MANIFEST = "manifest.json"
_PACKAGES = ("aligncat", "pillow", "pyarrow", "torch", "transformers")


@dataclass(frozen=True)
class Manifest:
    """The origin and the layout of a store. It is written before the first shard and never changes.

    Attributes:
        format: the version of the layout. It says whether the store holds masks.
        detector: the description of the detector that made the store.
        labels: the detector's category names, by class index.
        feature_dim: d_v, the length of a query feature.
        candidates: O, the most candidates for an image.
        images: the number of images, including the skipped ones.
        image_ids_sha256: hash of the image ids in order, joined by newlines.
        shard_size: the number of images in a shard.
        environment: package versions, device and batch size. They can change the last bits of a result, so an
            unfinished store resumes only in the same environment. A finished store can be read in any.
        columns: the further features of every query, in the order of their names.
    """

    format: int
    detector: DetectorDescription
    labels: Sequence[str]
    feature_dim: int
    candidates: int
    images: int
    image_ids_sha256: str
    shard_size: int
    environment: Mapping[str, JSON]
    columns: tuple[FeatureColumn, ...] = ()

    @classmethod
    def of(cls, detector: Detector, image_ids: Sequence[str], shard_size: int) -> Self:
        """Return the manifest of a new store, with the environment of this process.

        Args:
            detector: the detector that makes the store.
            image_ids: the ids of all images, in order.
            shard_size: the number of images in a shard.
        """
        description = detector.description()
        return cls(
            format=FORMAT if description.has_masks else BOXES_FORMAT,
            detector=description,
            labels=list(detector.labels),
            feature_dim=detector.feature_dim,
            candidates=detector.candidates,
            images=len(image_ids),
            image_ids_sha256=ids_sha256(image_ids),
            shard_size=shard_size,
            environment={
                **installed_versions(_PACKAGES),
                "device": detector.device,
                "batch_size": detector.batch_size,
            },
            columns=tuple(sorted(detector.columns, key=lambda each: each.name)),
        )

    def with_images(self, image_ids: Sequence[str]) -> Self:
        """Return the manifest of a store of the same detector with other images.

        Args:
            image_ids: the ids of all images, in order.
        """
        return replace(self, images=len(image_ids), image_ids_sha256=ids_sha256(image_ids))

    def write(self, folder: Location) -> None:
        """Write the manifest into a folder that has none. Equal manifests give equal bytes.

        Of several processes that start a store at the same moment, the first one writes it.

        Raises:
            OSError: the file cannot be written.
        """
        text = json.dumps(self._to_json(), indent=2, ensure_ascii=False, sort_keys=True)
        create_atomic(folder / MANIFEST, text.encode() + b"\n")

    def narrowed(self, candidates: int) -> Self:
        """Return the manifest of the same store with only the O most confident candidates of each image.

        Raises:
            StoreError: the store holds fewer.
        """
        if candidates > self.candidates:
            raise StoreError(
                f"the store holds {self.candidates} candidates per image, but {candidates} are needed; extract again "
                f"with --candidates {candidates}"
            )
        return replace(self, candidates=candidates, detector=replace(self.detector, candidates=candidates))

    def expected(self, detector: DetectorDescription | None, folder: Location) -> Self:
        """Return the manifest, narrowed to the candidates of the detector that must have made the store.

        Args:
            detector: the detector's description; None accepts any detector.
            folder: the store's folder, for the message.

        Raises:
            StoreError: another detector made the store.
        """
        if detector is None:
            return self
        described = self.narrowed(detector.candidates) if detector.candidates < self.candidates else self
        # Masks and boxes may be made differently: no grounder reads them, and evaluation takes those of the store.
        if differing := detector_differences(described.detector, detector, ignoring=("masks",)):
            raise StoreError(
                f"{folder}: made by another detector; extract into another folder. Differences: " + "; ".join(differing)
            )
        return described

    def check_column(self, column: FeatureColumn, folder: Location) -> None:
        """Check that the store has a further column.

        Args:
            column: the column, with the version and the length that are needed.
            folder: the store's folder, for the message.

        Raises:
            StoreError: the store does not have it, or has another version of it.
        """
        stored = {each.name: each for each in self.columns}
        if column.name not in stored:
            names = ", ".join(stored) or "none"
            raise StoreError(
                f"{folder}: the store has no column {column.name!r} (it has: {names}); extract into another folder "
                "with --appearance true, and with a detector that gives it"
            )
        if stored[column.name] != column:
            raise StoreError(
                f"{folder}: the store's column {column.name!r} has version {stored[column.name].version} and length "
                f"{stored[column.name].dim}, but version {column.version} and length {column.dim} are needed; extract "
                "again"
            )

    def differences(self, other: Manifest) -> list[str]:
        """Return how another manifest differs, one line per key. The detector's name is not compared."""
        first, second = ({**each._to_json(), "detector": None} for each in (self, other))
        lines = [_line(each) for each in differences(first, second)]
        return sorted(lines + detector_differences(self.detector, other.detector))

    def _to_json(self) -> dict[str, Any]:
        columns = {each.name: {"version": each.version, "dim": each.dim} for each in self.columns}
        return {**asdict(self), "detector": self.detector.to_json(), "columns": columns}

    @property
    def has_masks(self) -> bool:
        """Whether the store holds masks, and not boxes alone."""
        return self.format != BOXES_FORMAT

    @property
    def shards(self) -> int:
        """The number of shards."""
        return -(-self.images // self.shard_size)

    def images_of(self, shard: int) -> range:
        """Return the indices of a shard's images in the list of all images."""
        return range(shard * self.shard_size, min((shard + 1) * self.shard_size, self.images))


def shard_name(shard: int) -> str:
    """Return the file name of a shard."""
    return f"shard-{shard:05d}.parquet"


def detector_differences(
    stored: DetectorDescription, given: DetectorDescription, *, ignoring: Collection[str] = ()
) -> list[str]:
    """Return how the detector of a store differs from another detector, one line per key.

    Args:
        stored: the detector that made the store.
        given: the other detector.
        ignoring: keys that are not compared. The name is never compared.
    """
    found = stored.differences(given, ignoring=ignoring)
    return [_line(each._replace(path=f"detector.{each.path}")) for each in found]


def _line(difference: Difference) -> str:
    return f"{difference.path}: the store has {_as_json(difference.first)}, not {_as_json(difference.second)}"


def _as_json(value: Any) -> str:
    return truncated(json.dumps(value, ensure_ascii=False), 72)
