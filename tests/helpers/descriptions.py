"""A detector description made by hand."""

from __future__ import annotations

from typing import Any

from aligncat.detectors.description import DetectorDescription


def detector_description(**changes: Any) -> DetectorDescription:
    """Return a complete description with some fields changed."""
    fields: dict[str, Any] = {
        "name": "by hand",
        "weights_sha256": "aa",
        "config_sha256": "cc",
        "architecture": "mask2former",
        "image_size": 416,
        "preprocessing": {"mode": "letterbox-416"},
        "feature": "decoder output",
        "confidence": "class probability",
        "candidates": 20,
    }
    return DetectorDescription(**{**fields, **changes})
