"""What a checkpoint's preprocessor_config.json says of its square input."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aligncat.detectors.families import TransformersFamily, transformers_family
from aligncat.detectors.folder import DetectorFolder
from aligncat.detectors.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Colour, Preprocessing
from aligncat.errors import DetectorError
from aligncat.files.documents import read_json
from aligncat.files.fields import shorten

PREPROCESSOR = "preprocessor_config.json"
_PLAIN_MEAN: Colour = (0.0, 0.0, 0.0)
_PLAIN_STD: Colour = (1.0, 1.0, 1.0)
_SCALE = 1 / 255

logger = logging.getLogger(__name__)


def own_size(folder: DetectorFolder) -> int | None:
    """Return the side of the square that a detector was trained with, pixels; None for that of the preprocessing.

    It is "aligncat_image_size" of config.json; else, for a row of `aligncat.detectors.families` of a fixed size, its
    "image_size"; else the size in preprocessor_config.json, where a shortest edge counts before a longest one; else the
    family's usual size. Detectors without a row, such as Mask2Former, have only the first.

    Raises:
        DetectorError: preprocessor_config.json is damaged, or has another kind of size.
    """
    if folder.image_size is not None:
        return folder.image_size
    family = transformers_family(folder.config.get("model_type")) if folder.backend == "torch" else None
    if family is None:
        return None
    if family.fixed_size:
        size = folder.config.get("image_size", family.size)
        return int(size) if type(size) is int else family.size
    found = _content(folder).get("size")
    if found is None:
        return family.size
    sides = found if isinstance(found, Mapping) else {"shortest_edge": found}
    for keys in (("height", "width"), ("shortest_edge",), ("longest_edge",), ("max_height", "max_width")):
        values: list[int] = [sides[key] for key in keys if type(sides.get(key)) is int]
        if values:
            return max(values)
    raise DetectorError(f"{folder.path / PREPROCESSOR}: 'size' is {shorten(found)}, which is no size of an image")


def normalised(fit: Preprocessing, folder: DetectorFolder, family: TransformersFamily) -> Preprocessing:
    """Return the preprocessing with the mean and the standard deviation that the checkpoint was trained with.

    Without a preprocessor_config.json they are the usual ones of the family, with a warning.

    Raises:
        DetectorError: preprocessor_config.json is damaged, or scales pixels to another range than [0, 1].
    """
    file = folder.path / PREPROCESSOR
    content = _content(folder)
    if not content:
        usual = "normalised as ImageNet's" if family.normalised else "scaled to [0, 1] and not normalised"
        logger.warning(
            "%s: no %s, so pixels are %s, which is usual for %s", folder.path, PREPROCESSOR, usual, family.name
        )
    scale = content.get("rescale_factor", _SCALE)
    if not content.get("do_rescale", True) or not isinstance(scale, float) or not math.isclose(scale, _SCALE):
        raise DetectorError(
            f"{file}: pixels must be scaled by 1/255 (do_rescale, rescale_factor); convert the model to this range"
        )
    if not content.get("do_normalize", family.normalised):
        return replace(fit, mean=_PLAIN_MEAN, std=_PLAIN_STD)
    mean = _colour(content, "image_mean", IMAGENET_MEAN, folder)
    std = _colour(content, "image_std", IMAGENET_STD, folder)
    if min(std) <= 0:
        raise DetectorError(f"{file}: 'image_std' must be above 0, not {list(std)}")
    return replace(fit, mean=mean, std=std)


def _content(folder: DetectorFolder) -> Mapping[str, Any]:
    file = folder.path / PREPROCESSOR
    if not file.is_file():
        return {}
    content = read_json(file, DetectorError)
    if not isinstance(content, dict):
        raise DetectorError(f"{file}: must be a mapping of settings, not {type(content).__name__}")
    return content


def _colour(content: Mapping[str, Any], key: str, default: Colour, folder: DetectorFolder) -> Colour:
    value = content.get(key)
    if value is None:
        return default
    numbers = value if isinstance(value, list) else [value] * 3
    plain = all(isinstance(each, int | float) and math.isfinite(each) for each in numbers)
    if not plain or len(numbers) != 3:
        raise DetectorError(f"{folder.path / PREPROCESSOR}: {key!r} must be three numbers, not {shorten(value)}")
    red, green, blue = map(float, numbers)
    return red, green, blue
