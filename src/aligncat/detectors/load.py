"""The detector that a store or a grounder was made with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aligncat.detectors.mask2former import Mask2FormerDetector
from aligncat.detectors.preprocessing import DEFAULT_MODE
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
    # What was made before there were other modes does not say its mode.
    wanted = {**description, "preprocessing": {"mode": DEFAULT_MODE, **description.get("preprocessing", {})}}
    detector = Mask2FormerDetector.from_pretrained(
        name,
        candidates=wanted["candidates"],
        image_size=wanted["image_size"],
        preprocessing=wanted["preprocessing"]["mode"],
        device=device,
    )
    found = detector.description()
    differing = [key for key in found if key != "name" and found[key] != wanted.get(key)]
    if differing:
        raise DetectorError(
            f"the detector {name!r} is not the one that was used before (it differs in {', '.join(differing)}): "
            "restore the original, or extract and train again with this one"
        )
    return detector
