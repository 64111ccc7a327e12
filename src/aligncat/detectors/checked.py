"""Check what a detector that is not aligncat's own gives, where it enters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aligncat.detectors.description import DetectorDescription
from aligncat.detectors.protocol import Detector
from aligncat.errors import DetectorError
from aligncat.run_lengths import cover_their_images
from aligncat.types import Candidates, FeatureColumn

_MOST_CANDIDATES = 2**16 - 1
_MOST_DIM = 2**16
_TOLERANCE = 1e-3  # pixels by which a box may leave its image, and confidences their order
_MEMBERS = ("labels", "feature_dim", "columns", "candidates", "batch_size", "device", "description", "detect")


class CheckedDetector:
    """A `Detector` whose candidates are checked, so that a mistake is one error that names the detector and the image.

    Numbers are converted to the types of `Candidates`. Boxes that leave the image by rounding are cut off.
    """

    def __init__(self, detector: Detector, *, name: str | None = None) -> None:
        """Check everything about a detector that needs no image.

        Args:
            detector: the detector.
            name: the name to record in the place of the one in its description.

        Raises:
            DetectorError: something is missing, or not what `Detector` says.
        """
        self._detector = detector
        self.name = name or type(detector).__name__
        if missing := [each for each in _MEMBERS if not hasattr(detector, each)]:
            raise self._error(f"lacks {', '.join(missing)}, which aligncat.Detector has")
        description = detector.description()
        if not isinstance(description, DetectorDescription):
            raise self._error(f"its description is a {type(description).__name__}, not a DetectorDescription")
        self._description = description if name is None else replace(description, name=name)
        self.name = name or description.name
        self._check_description(description)
        self.labels = self._labels(detector.labels)
        self.feature_dim = self._whole_number("feature_dim", detector.feature_dim, _MOST_DIM)
        self.candidates = self._whole_number("candidates", detector.candidates, _MOST_CANDIDATES)
        self.batch_size = self._whole_number("batch_size", detector.batch_size, _MOST_CANDIDATES)
        self.device = str(detector.device)
        self.columns = tuple(detector.columns)
        if not all(isinstance(each, FeatureColumn) for each in self.columns):
            raise self._error("its columns must be FeatureColumn records")
        if description.candidates != self.candidates:
            raise self._error(
                f"gives {self.candidates} candidates, but its description says {description.candidates}; make them "
                "equal"
            )

    def description(self) -> DetectorDescription:
        """Return all settings that determine the candidates of an image."""
        return self._description

    def detect(self, images: Sequence[Image.Image], ids: Sequence[str]) -> list[Candidates]:
        """Find the candidates of all images, and check them.

        Raises:
            DetectorError: they are not what `Candidates` says.
        """
        found = self._detector.detect(images, ids)
        if not isinstance(found, list | tuple) or len(found) != len(images):
            raise self._error(
                f"gave {_count(found)} for {len(images)} images; `detect` must return one record for each"
            )
        return [self._checked(*each) for each in zip(found, images, ids, strict=True)]

    def _checked(self, found: Candidates, image: Image.Image, image_id: str) -> Candidates:
        if not isinstance(found, Candidates):
            raise self._error(f"gave a {type(found).__name__}, not Candidates", image_id)
        if found.image_id != image_id or (found.width, found.height) != image.size:
            raise self._error(
                f"gave candidates of image {found.image_id!r} of {found.width} x {found.height} px, but it is "
                f"{image_id!r} of {image.width} x {image.height} px",
                image_id,
            )
        count = _length(found.confidences)
        if count > self.candidates:
            raise self._error(f"gave {count} candidates, more than its {self.candidates}", image_id)
        if set(found.columns) != {each.name for each in self.columns}:
            raise self._error(f"gave the columns {sorted(found.columns)}, not those that it announces", image_id)
        return Candidates(
            image_id=image_id,
            width=image.width,
            height=image.height,
            features=self._array(found.features, np.float16, (count, self.feature_dim), "features", image_id),
            queries=self._array(found.queries, np.int32, (count,), "queries", image_id),
            categories=self._categories(found, count),
            confidences=self._confidences(found, count),
            boxes=self._boxes(found, count),
            masks=self._masks(found, count),
            columns=self._columns(found.columns, count, image_id),
        )

    def _categories(self, found: Candidates, count: int) -> NDArray[np.int32]:
        values = self._array(found.categories, np.int32, (count,), "categories", found.image_id)
        if count and not 0 <= values.min() <= values.max() < len(self.labels):
            raise self._error(f"gave a category that is not from 0 to {len(self.labels) - 1}", found.image_id)
        return values

    def _confidences(self, found: Candidates, count: int) -> NDArray[np.float32]:
        values = self._array(found.confidences, np.float32, (count,), "confidences", found.image_id)
        if count and not (values.min() >= 0 and values.max() <= 1):
            raise self._error("gave a confidence that is not from 0 to 1", found.image_id)
        if (np.diff(values) > _TOLERANCE).any():
            raise self._error("gave candidates that are not sorted; put the most confident first", found.image_id)
        return values

    def _boxes(self, found: Candidates, count: int) -> NDArray[np.float32]:
        values = self._array(found.boxes, np.float32, (count, 4), "boxes", found.image_id)
        size = np.array([found.width, found.height] * 2, np.float32)
        outside = (values < -_TOLERANCE) | (values > size + _TOLERANCE)
        inside = np.asarray(np.clip(values, 0, size), np.float32)
        wrong = np.flatnonzero(outside.any(axis=1) | (inside[:, :2] >= inside[:, 2:]).any(axis=1))
        if wrong.size:
            box = ", ".join(f"{number:g}" for number in values[wrong[0]].tolist())
            raise self._error(
                f"gave the box ({box}), which must be (x1, y1, x2, y2) in pixels with x1 < x2 and y1 < y2, inside the "
                f"image of {found.width} x {found.height} px",
                found.image_id,
            )
        return inside

    def _masks(self, found: Candidates, count: int) -> Any:
        announced = self._description.has_masks
        if (found.masks is not None) != announced:
            gave = "no masks" if found.masks is None else "masks"
            raise self._error(
                f"gave {gave}, but the `masks` of its description is {self._description.masks!r}; it is 'none' for "
                "boxes alone",
                found.image_id,
            )
        if found.masks is None:
            return None
        size = [found.height, found.width]
        plain = len(found.masks) == count and all(_is_rle(each, size) for each in found.masks)
        pixels = [found.height * found.width] * len(found.masks)
        if not plain or not cover_their_images([each["counts"] for each in found.masks], pixels).all():
            raise self._error(
                f"gave masks that are not {count} RLEs (COCO's, compressed, `counts` as bytes) of size {size}",
                found.image_id,
            )
        return tuple(found.masks)

    def _columns(
        self, found: Mapping[str, NDArray[np.float16]], count: int, image_id: str
    ) -> dict[str, NDArray[np.float16]]:
        return {
            each.name: self._array(found[each.name], np.float16, (count, each.dim), each.name, image_id)
            for each in self.columns
        }

    def _array(self, values: Any, kind: type, shape: tuple[int, ...], name: str, image_id: str) -> NDArray[Any]:
        """Return values as an array of a type and a shape, all finite."""
        try:
            given = np.asarray(values)
            if not given.size and not np.prod(shape):
                given = given.reshape(shape)
            whole = np.issubdtype(kind, np.integer)
            numbers = not given.size or np.issubdtype(given.dtype, np.integer if whole else np.number)
            fits = given.shape == shape and numbers
            with np.errstate(over="ignore"):  # what is too large for float16 is not finite afterwards
                converted = given.astype(kind) if fits else given
        except (TypeError, ValueError) as error:
            raise self._error(f"gave {name} that are no array of numbers", image_id) from error
        if not fits:
            raise self._error(
                f"gave {name} of shape {given.shape} and type {given.dtype}, not {shape} and {np.dtype(kind)}", image_id
            )
        if whole and not np.array_equal(converted, given):
            raise self._error(f"gave {name} that are too large for {np.dtype(kind)}", image_id)
        if not np.isfinite(converted.astype(np.float64)).all():
            raise self._error(f"gave {name} that are not finite as {np.dtype(kind)}", image_id)
        return converted

    def _check_description(self, description: DetectorDescription) -> None:
        try:
            again = DetectorDescription.from_json(description.to_json())
        except (DetectorError, TypeError, ValueError) as error:
            raise self._error(f"its description is no JSON ({error})") from error
        if again.differences(description) or not description.name:
            raise self._error("its description changes when it is written as JSON and read; use plain values")

    def _labels(self, labels: Any) -> tuple[str, ...]:
        found = tuple(labels)
        if not found or not all(isinstance(each, str) and each for each in found):
            raise self._error("its labels must be the names of its categories")
        return found

    def _whole_number(self, name: str, value: Any, most: int) -> int:
        if type(value) is not int or not 1 <= value <= most:
            raise self._error(f"its {name} must be a whole number from 1 to {most}, not {value!r}")
        return value

    def _error(self, what: str, image_id: str | None = None) -> DetectorError:
        where = "" if image_id is None else f", image {image_id}"
        return DetectorError(f"detector {self.name}{where}: {what}")


def _count(found: Any) -> str:
    return f"{len(found)} records" if isinstance(found, list | tuple) else f"a {type(found).__name__}"


def _length(values: Any) -> int:
    return len(values) if hasattr(values, "__len__") else 0


def _is_rle(mask: Any, size: list[int]) -> bool:
    return isinstance(mask, Mapping) and list(mask.get("size", ())) == size and isinstance(mask.get("counts"), bytes)
