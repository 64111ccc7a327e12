"""Convert groundings for supervision and pandas, which the extra [interop] installs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from aligncat.errors import ConfigError, DataError
from aligncat.grounder.grounding import Grounding

if TYPE_CHECKING:
    import pandas as pd
    import supervision as sv

_COLUMNS = (
    *("expression", "x1", "y1", "x2", "y2", "probability", "category", "predicted_category", "category_matched"),
    *("height", "width", "mask", "match", "object_match", "warnings"),
)


def to_supervision(groundings: Sequence[Grounding] | Grounding) -> sv.Detections:
    """Return the groundings in one image as supervision's Detections, for its annotators and trackers.

    Args:
        groundings: n groundings in the same image, or in images of one size; or one grounding.

    Returns:
        n detections with xyxy (n, 4) in pixels, mask (n, height, width), or None where the detector gives boxes alone,
        the probability as confidence, and as class_id the index of the expression among the different expressions, in
        order. `data` has "class_name" (the expression) and "category". A grounding with answers gives a detection for
        each of them, with its match as confidence if the grounder is calibrated.

    Raises:
        ConfigError: supervision is not installed.
        DataError: the masks are of different sizes, so the groundings are of several images.
    """
    supervision = _optional("supervision")
    groundings = _several(groundings)
    objects = [found for grounding in groundings for found in grounding.objects]
    if not objects:
        empty: sv.Detections = supervision.Detections.empty()
        return empty
    masked = all(found.mask is not None for found in objects)
    if len(sizes := {tuple(found.mask["size"]) for found in objects if found.mask is not None}) > 1:
        raise DataError(f"the groundings are in images of {len(sizes)} sizes; convert those of each image on their own")
    expressions = [found.expression for found in objects]
    class_ids = {expression: index for index, expression in enumerate(dict.fromkeys(expressions))}
    detections: sv.Detections = supervision.Detections(
        xyxy=np.array([found.box for found in objects], np.float32),
        mask=np.stack([found.mask_array() for found in objects]) if masked else None,
        confidence=np.array([each for found in groundings for each in _confidences(found)], np.float32),
        class_id=np.array([class_ids[expression] for expression in expressions]),
        data={"class_name": np.array(expressions), "category": np.array([found.category for found in objects])},
    )
    return detections


def to_pandas(groundings: Sequence[Grounding] | Grounding) -> pd.DataFrame:
    """Return groundings as a pandas data frame with a row for each object, for tables and files.

    Args:
        groundings: the groundings, in any number of images; or one grounding.

    Returns:
        The columns expression, x1, y1, x2, y2 (pixels), probability, category, predicted_category, category_matched,
        height, width (pixels, of the image), mask (the counts of COCO's RLE as text), match, object_match and warnings
        (sentences). A grounding with answers gives a row for each of them, with that object's probability and
        object_match (`Answer.match`); match is about the phrase. Height, width and mask are None where the detector
        gives boxes alone.

    Raises:
        ConfigError: pandas is not installed.
    """
    rows = [
        (
            found.expression,
            *found.box,
            found.probability,
            found.category,
            found.predicted_category,
            found.category_matched,
            *(
                (None, None, None)
                if found.mask is None
                else (*found.mask["size"], found.mask["counts"].decode("ascii"))
            ),
            found.match,
            found.object_match,
            " ".join(found.warnings),
        )
        for grounding in _several(groundings)
        for found in grounding.objects
    ]
    frame: pd.DataFrame = _optional("pandas").DataFrame(rows, columns=list(_COLUMNS))
    return frame


def _several(groundings: Sequence[Grounding] | Grounding) -> Sequence[Grounding]:
    return [groundings] if isinstance(groundings, Grounding) else groundings


def _confidences(grounding: Grounding) -> list[float]:
    """Return the confidence of each answer."""
    if not grounding.answers:
        return [grounding.probability]
    return [each.probability if each.match is None else each.match for each in grounding.answers]


def _optional(library: str) -> Any:
    try:
        return import_module(library)
    except ImportError as error:
        raise ConfigError(f"{library} is not installed; run pip install 'aligncat[interop]'") from error
