"""Convert the raw output of a detector into candidates, with numpy only.

The confidence rule follows QueryMatch (ACM MM 2024), on which AlignCAT builds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from aligncat.detectors.masks import MaskRule, interpolated_mask
from aligncat.errors import DetectorError
from aligncat.geometry import Letterbox, encode_mask
from aligncat.types import RLE, Candidates, FeatureColumn

CONFIDENCE_RULE = "class probability times mean mask probability inside the mask, over (query, class) pairs"
"""The rule of `pair_confidences`, as a detector's description records it."""


class RawOutput(NamedTuple):
    """The output of a model for a batch of square inputs, with masks, boxes or both.

    Attributes:
        class_logits: (B, N, C+1) float32, where the last class is "no object"; or (B, N, C) if the model has no such
            class. The detector's confidence rule knows which.
        mask_logits: (B, N, h, w) float32, on a grid over the square; None if the model gives boxes alone.
        features: (B, N, d_v) float32, the query features.
        levels: (B, N, dim) float32, the column LEVELS of `aligncat.detectors.levels`; None if it was not asked for.
        boxes: (B, N, 4) float32, xyxy in shares of the square; None if boxes are to be made from the masks.
    """

    class_logits: NDArray[np.float32]
    mask_logits: NDArray[np.float32] | None
    features: NDArray[np.float32]
    levels: NDArray[np.float32] | None = None
    boxes: NDArray[np.float32] | None = None


ConfidenceRule: TypeAlias = Callable[[NDArray[np.float32], NDArray[np.float32] | None], NDArray[np.float32]]
"""A function with the arguments and the result of `pair_confidences`; it gets no masks if there are boxes alone."""

FurtherFeatures: TypeAlias = Callable[[int, NDArray[np.bool_]], Mapping[str, NDArray[np.float32]]]
"""A function that returns the further features of a query by name, each (dim,), given its index and its mask.

Without masks it gets the pixels of the box.
"""


def no_further_features(query: int, mask: NDArray[np.bool_]) -> Mapping[str, NDArray[np.float32]]:
    """Return no further features."""
    return {}


def pair_confidences(class_logits: NDArray[np.float32], mask_logits: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Return QueryMatch's confidence for every (query, class) pair of one image.

    The confidence is the class probability times the mean mask probability over the cells where the mask probability
    is above 1/2. The softmax over the classes includes "no object". QueryMatch enlarges all masks first and
    includes the grey padding around the image. This function takes the mean on the model's own grid, over the cells
    that the image touches. That is a hundredth of the work and leaves out the padding.

    Args:
        class_logits: (N, C+1); the last class is "no object".
        mask_logits: (N, h, w), without the padding.

    Returns:
        (N, C) float32; 0 for a query whose mask probability is nowhere above 1/2.

    Raises:
        ValueError: there are no masks.
    """
    if mask_logits is None:
        raise ValueError("this confidence is made from masks; give a rule for boxes alone")
    with np.errstate(invalid="ignore"):  # the caller checks for output that is not finite
        classes = softmax(class_logits, axis=-1)[:, :-1]
    cells = mask_logits.reshape(len(mask_logits), -1)
    inside = cells > 0
    means = (expit(cells) * inside).sum(axis=1) / np.maximum(inside.sum(axis=1), 1)
    return np.asarray(classes * means[:, None], dtype=np.float32)


def image_candidates(
    output: RawOutput,
    row: int,
    *,
    image_id: str,
    place: Letterbox,
    candidates: int,
    every_query: bool,
    confidence_rule: ConfidenceRule = pair_confidences,
    mask_rule: MaskRule | None = interpolated_mask,
    columns: Sequence[FeatureColumn] = (),
    further_features: FurtherFeatures = no_further_features,
) -> Candidates:
    """Return the most confident candidates of one image of a batch.

    A candidate is a (query, class) pair. A pair that has confidence 0, or whose mask or box has no pixel in the image,
    is skipped, so there can be fewer than O candidates. Pairs with equal confidences are sorted by query, then class.
    To save time, a mask is resized to the image only when a pair of its query is reached, and only once.

    Args:
        output: the model's output for the batch.
        row: the image's row in the batch.
        image_id: the image's id.
        place: where the image lies in the square.
        candidates: O, the number of candidates to keep.
        every_query: keep each query once, under its most confident class.
        confidence_rule: the function that computes the confidences.
        mask_rule: the function that makes a mask and a box from the logits of a query. If the model gives boxes, they
            are used instead of the mask's.
        columns: the further features that the candidates have.
        further_features: the function that computes them.

    Raises:
        DetectorError: the output has values that are not finite.
    """
    features = output.features[row]
    confidences = confidence_rule(output.class_logits[row], _inner_logits(output, row, place))
    if not np.isfinite(confidences).all() or not _finite_shapes(output, row):
        raise DetectorError(
            f"image {image_id}: the detector's output is not finite, so its weights are damaged; restore them."
        )
    if every_query:
        most_confident = confidences.argmax(axis=1)[:, None] == np.arange(confidences.shape[1])
        confidences = np.where(most_confident, confidences, 0)
    kept: list[tuple[int, int]] = []
    shapes: dict[int, _Shape | None] = {}
    for pair in np.argsort(-confidences, axis=None, kind="stable"):
        query, category = (int(index) for index in np.unravel_index(pair, confidences.shape))
        if confidences[query, category] == 0 or len(kept) == candidates:
            break
        if query not in shapes:
            shapes[query] = _shape(output, row, query, place, mask_rule, further_features)
        if shapes[query] is not None:
            kept.append((query, category))
    queries, categories = np.array(kept, dtype=np.int32).reshape(-1, 2).T
    shown = [shape for query in queries.tolist() if (shape := shapes[query]) is not None]
    return Candidates(
        image_id=image_id,
        width=place.width,
        height=place.height,
        features=features[queries].astype(np.float16),
        queries=queries.copy(),
        categories=categories.copy(),
        confidences=confidences[queries, categories],
        boxes=np.array([shape.box for shape in shown], dtype=np.float32).reshape(-1, 4),
        masks=None if output.mask_logits is None else tuple(shape.mask for shape in shown if shape.mask is not None),
        columns={
            each.name: np.array([shape.further[each.name] for shape in shown], np.float16).reshape(-1, each.dim)
            for each in columns
        },
    )


class _Shape(NamedTuple):
    """What is known of a query once its mask or its box has been made.

    Attributes:
        mask: the mask at the image's size; None if there are boxes alone.
        box: (4,) xyxy pixels.
        further: its further features, by name.
    """

    mask: RLE | None
    box: NDArray[np.float32]
    further: Mapping[str, NDArray[np.float32]]


def _shape(
    output: RawOutput,
    row: int,
    query: int,
    place: Letterbox,
    mask_rule: MaskRule | None,
    further_features: FurtherFeatures,
) -> _Shape | None:
    """Return the shape of a query; None if its mask or its box has no pixel in the image."""
    box = None if output.boxes is None else box_in_image(output.boxes[row, query], place)
    if output.boxes is not None and box is None:
        return None
    if output.mask_logits is None or mask_rule is None:
        return None if box is None else _Shape(None, box, further_features(query, _pixels(box, place)))
    found = mask_rule(output.mask_logits[row, query], place)
    if found is None:
        return None
    mask, around = found
    return _Shape(encode_mask(mask), around if box is None else box, further_features(query, mask))


def box_in_image(box: NDArray[np.float32], place: Letterbox) -> NDArray[np.float32] | None:
    """Return a box of the square as a box of the image, cut off at the image's borders.

    Args:
        box: (4,) xyxy in shares of the square.
        place: where the image lies in the square.

    Returns:
        (4,) float32, xyxy pixels; None if no part of it is in the image.
    """
    offset = np.array([place.left, place.top] * 2, np.float64)
    inner = np.array([place.inner_width, place.inner_height] * 2, np.float64)
    size = np.array([place.width, place.height] * 2, np.float64)
    pixels = (box.astype(np.float64) * place.size - offset) / inner * size
    inside = np.asarray(np.clip(pixels, 0, size), np.float32)
    x1, y1, x2, y2 = inside.tolist()
    return inside if x1 < x2 and y1 < y2 else None


def _pixels(box: NDArray[np.float32], place: Letterbox) -> NDArray[np.bool_]:
    """Return a mask of the pixels that a box touches, (height, width)."""
    pixels = np.zeros((place.height, place.width), np.bool_)
    x1, y1 = np.floor(box[:2]).astype(int)
    x2, y2 = np.ceil(box[2:]).astype(int)
    pixels[y1:y2, x1:x2] = True
    return pixels


def _inner_logits(output: RawOutput, row: int, place: Letterbox) -> NDArray[np.float32] | None:
    """Return the mask logits of an image without the padding, (N, h, w); None if there are boxes alone."""
    if output.mask_logits is None:
        return None
    logits = output.mask_logits[row]
    inner: NDArray[np.float32] = logits[(slice(None), *place.inner_cells(*logits.shape[1:]))]
    return inner


def _finite_shapes(output: RawOutput, row: int) -> bool:
    """Return whether boxes are finite, and masks beside them are numbers. Confidences tell it of masks alone."""
    if output.boxes is None:
        return True
    masks = output.mask_logits
    return bool(np.isfinite(output.boxes[row]).all()) and (masks is None or not np.isnan(masks[row]).any())
