"""Convert groundings to plain data, for JSON."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from aligncat.types import Grounding


def to_json(grounding: Grounding) -> dict[str, Any]:
    """Return a grounding as values that JSON can hold.

    The runs of the mask are text, as in COCO's result files. JSON has no infinities, so a score of -inf (a candidate
    that was left out at the confidence stage) is None.
    """
    plain = asdict(grounding)
    for candidate in plain["candidates"]:
        candidate["scores"] = {
            name: score if math.isfinite(score) else None for name, score in candidate["scores"].items()
        }
    plain["mask"] = {"size": list(grounding.mask["size"]), "counts": grounding.mask["counts"].decode("ascii")}
    return plain
