"""Convert groundings to JSON values."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from aligncat.types import Grounding


def to_json(grounding: Grounding) -> dict[str, Any]:
    """Return a grounding as JSON values.

    The run lengths of the mask become text, as in COCO's result files. A score of -inf (of a candidate that the
    category filter dropped; see `Alignment`) becomes None, because JSON has no infinity.
    """
    plain = asdict(grounding)
    for candidate in plain["candidates"]:
        candidate["scores"] = {
            name: score if math.isfinite(score) else None for name, score in candidate["scores"].items()
        }
    plain["mask"] = {"size": list(grounding.mask["size"]), "counts": grounding.mask["counts"].decode("ascii")}
    return plain
