"""The store's manifest: what made it, and how it is laid out."""

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
    """What made a store and how it is laid out; written before the first shard and never changed.

    Attributes:
        format: version of the layout.
        detector: the detector's description.
        labels: the detector's category names, by contiguous index.
        feature_dim: d_v.
        candidates: O.
        images: how many images it is made of, the skipped ones included.
        image_ids_sha256: of their ids in order, joined by newlines.
        shard_size: images a shard.
        environment: versions, device and batch size, which may move the last bits of a result: a store is
            finished where it was begun, but read anywhere.
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
        """The manifest of a store of these images by this detector, here and now."""
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
        """The manifest of a store.

        Raises:
            StoreError: there is none, it is damaged, or of another format.
        """
        path = folder / MANIFEST
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise StoreError(f"{folder}: not a store ({MANIFEST} is missing); make one with extract.") from error
        except ValueError as error:
            raise StoreError(f"{path}: not JSON ({error}); delete the store and extract again.") from error
        found = content.get("format") if isinstance(content, dict) else None
        if found != FORMAT:
            raise StoreError(f"{path}: format {found!r}; this aligncat reads format {FORMAT}: extract again.")
        if missing := [field.name for field in fields(cls) if field.name not in content]:
            raise StoreError(f"{path}: lacks {', '.join(missing)}; delete the store and extract again.")
        try:
            detector = DetectorDescription.from_json(content["detector"])
        except DetectorError as error:
            raise StoreError(f"{path}: {error}") from error
        return cls(**{field.name: content[field.name] for field in fields(cls)} | {"detector": detector})

    def write(self, folder: Path) -> None:
        """Write it into the folder, the same manifest always as the same bytes.

        Raises:
            OSError: it could not be written.
        """
        text = json.dumps(self._to_json(), indent=2, ensure_ascii=False, sort_keys=True)
        write_atomic(folder / MANIFEST, text.encode() + b"\n")

    def narrowed(self, candidates: int) -> Self:
        """The manifest of the same store with the best O candidates alone.

        Raises:
            StoreError: the store holds fewer.
        """
        if candidates > self.candidates:
            raise StoreError(f"the store holds {self.candidates} candidates an image, not {candidates}: extract more")
        return replace(self, candidates=candidates, detector=replace(self.detector, candidates=candidates))

    def differences(self, other: Manifest) -> list[str]:
        """Return where another manifest differs, one readable line a key; the detector's name does not count."""
        first, second = ({**each._to_json(), "detector": None} for each in (self, other))
        lines = [_line(each) for each in differences(first, second)]
        return sorted(lines + detector_differences(self.detector, other.detector))

    def _to_json(self) -> dict[str, Any]:
        return {**asdict(self), "detector": self.detector.to_json()}

    @property
    def shards(self) -> int:
        """How many shards the images fill."""
        return -(-self.images // self.shard_size)

    def images_of(self, shard: int) -> range:
        """The places of a shard's images in the list of all."""
        return range(shard * self.shard_size, min((shard + 1) * self.shard_size, self.images))


def shard_name(shard: int) -> str:
    """The file name of a shard."""
    return f"shard-{shard:05d}.parquet"


def detector_differences(
    stored: DetectorDescription, given: DetectorDescription, *, ignoring: Collection[str] = ()
) -> list[str]:
    """Return where the detector of a store differs from another one, one readable line a key.

    Args:
        stored: the detector that made the store.
        given: the other detector.
        ignoring: keys that do not count, besides the name.
    """
    found = stored.differences(given, ignoring=ignoring)
    return [_line(each._replace(path=f"detector.{each.path}")) for each in found]


def _line(difference: Difference) -> str:
    return f"{difference.path}: the store has {_as_json(difference.first)}, not {_as_json(difference.second)}"


def _as_json(value: Any) -> str:
    return truncated(json.dumps(value, ensure_ascii=False), 72)
