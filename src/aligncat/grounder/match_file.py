"""The calibration in a grounder's folder: the numbers in config.json, the reference images in match.safetensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from aligncat.errors import ConfigError
from aligncat.grounder.images import Images
from aligncat.grounder.matching import EVIDENCE, Calibration, Logistic

REFERENCES = "match.safetensors"
KEY = "match"
"""The key of config.json with the numbers of the calibration. Grounders without it are not calibrated."""

_TYPES = {
    "features": np.float16,
    "categories": np.int64,
    "valid": np.bool_,
    "confidences": np.float32,
    "boxes": np.float32,
}


def match_config(calibration: Calibration) -> dict[str, Any]:
    """Return what config.json says of a calibration."""
    return {
        "present": _numbers(calibration.present),
        "answer": _numbers(calibration.answer),
        "fitted": dict(calibration.fitted),
    }


def match_bytes(calibration: Calibration) -> bytes:
    """Return the content of match.safetensors."""
    return save({name: np.ascontiguousarray(array) for name, array in calibration.references._asdict().items()})


def read_match(config: Mapping[str, Any], content: bytes, path: Path, *, feature_dim: int, remedy: str) -> Calibration:
    """Return the calibration of a grounder's folder.

    Args:
        config: the value of KEY in config.json.
        content: the content of match.safetensors.
        path: that file, for error messages.
        feature_dim: the length of a candidate's feature.
        remedy: what to do if the file cannot be used.

    Raises:
        ConfigError: the file is damaged or does not fit, or a number is not finite.
        KeyError: a number is missing.
        TypeError: a number is of another type.
    """
    present, answer = read_logistics(config, path.parent, remedy)
    try:
        arrays = load(content)
    except (SafetensorError, ValueError, OverflowError) as error:
        raise ConfigError(f"{path}: damaged ({error}); {remedy}") from error
    if problem := _problem(arrays, feature_dim):
        raise ConfigError(f"{path}: {problem}; {remedy}")
    return Calibration(present, answer, Images(**arrays), dict(config["fitted"]))


def read_logistics(config: Mapping[str, Any], folder: Path, remedy: str) -> tuple[Logistic, Logistic]:
    """Return the logistic functions of a calibration, `Calibration.present` and `Calibration.answer`.

    Args:
        config: the value of KEY in config.json.
        folder: the grounder's folder, for error messages.
        remedy: what to do if the numbers cannot be used.

    Raises:
        ConfigError: a number is not finite.
        KeyError: a number is missing.
        TypeError: a number is of another type.
    """
    present, answer = (
        Logistic(tuple(float(config[name]["weights"][each]) for each in EVIDENCE), float(config[name]["bias"]))
        for name in ("present", "answer")
    )
    if not all(map(math.isfinite, (*present.weights, present.bias, *answer.weights, answer.bias))):
        raise ConfigError(f"{folder}: a number of {KEY!r} in config.json is not finite; {remedy}")
    return present, answer


def _numbers(logistic: Logistic) -> dict[str, Any]:
    return {"weights": dict(zip(EVIDENCE, logistic.weights, strict=True)), "bias": logistic.bias}


def _problem(arrays: Mapping[str, NDArray[Any]], feature_dim: int) -> str | None:
    """Return what is wrong with the arrays of reference images, or None."""
    if {name: array.dtype.type for name, array in arrays.items()} != _TYPES:
        return f"does not have the tensors {', '.join(_TYPES)} in their types"
    count, slots = arrays["valid"].shape if arrays["valid"].ndim == 2 else (0, 0)
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(_TYPES, (count, slots))
    shapes |= {"features": (count, slots, feature_dim), "boxes": (count, slots, 4)}
    if not count or any(arrays[name].shape != shape for name, shape in shapes.items()):
        return f"its tensors are not of reference images with features of length {feature_dim}"
    finite = all(np.isfinite(arrays[name]).all() for name in ("features", "confidences", "boxes"))
    if not arrays["valid"].any() or not finite:
        return "has no reference candidate, or numbers that are not finite"
    return None
