"""The manifest of a store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from aligncat.detectors.description import DetectorDescription
from aligncat.detectors.protocol import Detector
from aligncat.errors import DetectorError, StoreError
from aligncat.files.atomic import write_atomic
from aligncat.files.differences import Difference, differences
from aligncat.types import JSON
from aligncat.versions import installed_versions
from aligncat.wording import truncated

FORMAT = 1
MANIFEST = "manifest.json"
_PACKAGES = ("aligncat", "pillow", "pyarrow", "torch", "transformers")


@dataclass(frozen=True)
class Manifest:
    """The origin and the layout of a store. It is written before the first shard and never changes.

    Attributes:
        format: the version of the layout.
        detector: the description of the detector that made the store.
        labels: the detector's category names, by class index.
        feature_dim: d_v, the length of a query feature.
        candidates: O, the most candidates for an image.
        images: the number of images, including the skipped ones.
        image_ids_sha256: hash of the image ids in order, joined by newlines.
        shard_size: the number of images in a shard.
        environment: package versions, device and batch size. They can change the last bits of a result, so an
            unfinished store resumes only in the same environment. A finished store can be read in any.
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

    @classmethod
    def of(cls, detector: Detector, image_ids: Sequence[str], shard_size: int) -> Self:
        """Return the manifest of a new store, with the environment of this process.

        Args:
            detector: the detector that makes the store.
            image_ids: the ids of all images, in order.
            shard_size: the number of images in a shard.
        """
        return cls(
            format=FORMAT,
            detector=detector.description(),
            labels=list(detector.labels),
            feature_dim=detector.feature_dim,
            candidates=detector.candidates,
            images=len(image_ids),
            image_ids_sha256=hashlib.sha256("\n".join(image_ids).encode()).hexdigest(),
            shard_size=shard_size,
            environment={
                **installed_versions(_PACKAGES),
                "device": detector.device,
                "batch_size": detector.batch_size,
            },
        )

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the manifest of a store.

        Raises:
            StoreError: the manifest is missing, damaged, or has another format.
        """
        path = folder / MANIFEST
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise StoreError(f"{folder}: not a store (no {MANIFEST}); create one with `aligncat extract`.") from error
        except ValueError as error:
            raise StoreError(f"{path}: not valid JSON ({error}); delete the store and extract it again.") from error
        found = content.get("format") if isinstance(content, dict) else None
        if found != FORMAT:
            raise StoreError(
                f"{path}: the store has format {found!r}, but this version of aligncat reads format {FORMAT}; extract "
                "it again."
            )
        if missing := [field.name for field in fields(cls) if field.name not in content]:
            raise StoreError(f"{path}: missing keys: {', '.join(missing)}; delete the store and extract it again.")
        try:
            detector = DetectorDescription.from_json(content["detector"])
        except DetectorError as error:
            raise StoreError(f"{path}: {error}") from error
        return cls(**{field.name: content[field.name] for field in fields(cls)} | {"detector": detector})

    def write(self, folder: Path) -> None:
        """Write the manifest into a folder. Equal manifests give equal bytes.

        Raises:
            OSError: the file cannot be written.
        """
        text = json.dumps(self._to_json(), indent=2, ensure_ascii=False, sort_keys=True)
        write_atomic(folder / MANIFEST, text.encode() + b"\n")

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

    def differences(self, other: Manifest) -> list[str]:
        """Return how another manifest differs, one line per key. The detector's name is not compared."""
        first, second = ({**each._to_json(), "detector": None} for each in (self, other))
        lines = [_line(each) for each in differences(first, second)]
        return sorted(lines + detector_differences(self.detector, other.detector))

    def _to_json(self) -> dict[str, Any]:
        return {**asdict(self), "detector": self.detector.to_json()}

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
