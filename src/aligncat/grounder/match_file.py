"""The calibration in a grounder's folder: the numbers in config.json, the reference images in match.safetensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from aligncat.errors import ConfigError
from aligncat.grounder.matching import EVIDENCE, Calibration, Images, Logistic

REFERENCES = "match.safetensors"
KEY = "match"
"""The key of config.json with the numbers of the calibration. Grounders without it are not calibrated."""

_TYPES = {
    "features": torch.float16,
    "categories": torch.int64,
    "valid": torch.bool,
    "confidences": torch.float32,
    "boxes": torch.float32,
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
    return save({name: tensor.contiguous() for name, tensor in calibration.references._asdict().items()})


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
    present, answer = (
        Logistic(tuple(float(config[name]["weights"][each]) for each in EVIDENCE), float(config[name]["bias"]))
        for name in ("present", "answer")
    )
    if not all(map(math.isfinite, (*present.weights, present.bias, *answer.weights, answer.bias))):
        raise ConfigError(f"{path.parent}: a number of {KEY!r} in config.json is not finite; {remedy}")
    try:
        tensors = load(content)
    except (SafetensorError, ValueError, OverflowError) as error:
        raise ConfigError(f"{path}: damaged ({error}); {remedy}") from error
    if problem := _problem(tensors, feature_dim):
        raise ConfigError(f"{path}: {problem}; {remedy}")
    return Calibration(present, answer, Images(**tensors), dict(config["fitted"]))


def _numbers(logistic: Logistic) -> dict[str, Any]:
    return {"weights": dict(zip(EVIDENCE, logistic.weights, strict=True)), "bias": logistic.bias}


def _problem(tensors: Mapping[str, Tensor], feature_dim: int) -> str | None:
    """Return what is wrong with the tensors of reference images, or None."""
    if {name: tensor.dtype for name, tensor in tensors.items()} != _TYPES:
        return f"does not have the tensors {', '.join(_TYPES)} in their types"
    count, slots = tensors["valid"].shape if tensors["valid"].dim() == 2 else (0, 0)
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(_TYPES, (count, slots))
    shapes |= {"features": (count, slots, feature_dim), "boxes": (count, slots, 4)}
    if not count or any(tuple(tensors[name].shape) != shape for name, shape in shapes.items()):
        return f"its tensors are not of reference images with features of length {feature_dim}"
    finite = all(torch.isfinite(tensors[name]).all() for name in ("features", "confidences", "boxes"))
    if not tensors["valid"].any() or not finite:
        return "has no reference candidate, or numbers that are not finite"
    return None
