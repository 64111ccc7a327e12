"""The detector that a store or a grounder was made with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aligncat.detectors.mask2former import Mask2FormerDetector
from aligncat.detectors.protocol import Detector
from aligncat.errors import DetectorError


def load_detector(description: Mapping[str, Any], *, device: str = "cpu") -> Detector:
    """Load the detector that a description names, and make sure that it is the same one.

    Args:
        description: what `Detector.description` gave when it was used.
        device: where to run it.

    Raises:
        DetectorError: it cannot be loaded, or differs from the description in anything but its name.
    """
    if missing := [key for key in ("name", "candidates", "image_size") if key not in description]:
        raise DetectorError(f"the description of the detector lacks {', '.join(missing)}: extract or train again")
    name = description["name"]
    detector = Mask2FormerDetector.from_pretrained(
        name, candidates=description["candidates"], image_size=description["image_size"], device=device
    )
    found = detector.description()
    differing = [key for key in found if key != "name" and found[key] != description.get(key)]
    if differing:
        raise DetectorError(
            f"the detector {name!r} is not the one that was used before (it differs in {', '.join(differing)}): "
            "restore the original, or extract and train again with this one"
        )
    return detector
