"""Where boxes lie, in a photo and as seen from one another, as features of the relations."""

from __future__ import annotations

import torch
from torch import Tensor

NEIGHBOUR_IOU = 0.5
"""The largest IoU of the boxes of two neighbours; a larger one means the same object (`geometry.SAME_OBJECT_IOU`)."""

_SMALLEST_SIDE = 1e-3  # in shares of the photo, so that the logarithm of an empty box's area is finite

PAIR_DIMS = {"direction": 8, "distance": 2, "overlap": 1, "size": 1}
"""The number of values of each term of `pair_geometry`."""

PLACE_DIM = 9
"""The number of values of `box_places`."""


def box_iou_of_pairs(boxes: Tensor) -> Tensor:
    """Return the IoU of each pair of candidates of an image, (B, O, O), from boxes (B, O, 4)."""
    low = torch.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    high = torch.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    shared = (high - low).clamp(min=0).prod(dim=-1)
    areas = (boxes[..., 2:] - boxes[..., :2]).prod(dim=-1)
    union = areas[:, :, None] + areas[:, None] - shared
    return torch.where(union > 0, shared / torch.where(union > 0, union, 1.0), 0.0)


def find_neighbours(boxes: Tensor, valid: Tensor) -> Tensor:
    """Return which candidates are neighbours: not padding, and not the same object by the IoU of their boxes.

    Args:
        boxes: (B, O, 4), in shares of the photo.
        valid: (B, O) bool, False at padding.

    Returns:
        (B, O, O) bool.
    """
    itself = torch.eye(valid.shape[1], dtype=torch.bool, device=valid.device)
    return (box_iou_of_pairs(boxes) <= NEIGHBOUR_IOU) & ~itself & valid[:, :, None] & valid[:, None]


def pair_geometry(boxes: Tensor) -> dict[str, Tensor]:
    """Return g_ij, the geometry of candidate i as seen from candidate j.

    Args:
        boxes: (B, O, 4), in shares of the photo.

    Returns:
        The terms, by the name of their part in `GEOMETRY`:
        "direction": (B, O, O, 8), the offset from the centre of j to that of i, its direction, its signs, and its
        absolute direction.
        "distance": (B, O, O, 2), the length of the offset, and the length over three times the sum of the square roots
        of both areas.
        "overlap": (B, O, O, 1), the IoU.
        "size": (B, O, O, 1), a third of the logarithm of the area of i over that of j.
    """
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2
    areas = (boxes[..., 2:] - boxes[..., :2]).clamp(min=_SMALLEST_SIDE).prod(dim=-1)
    offset = centres[:, :, None] - centres[:, None]
    length = offset.norm(dim=-1)
    direction = offset / length.clamp(min=_SMALLEST_SIDE)[..., None]
    sides = areas.sqrt()
    return {
        "direction": torch.cat([offset, direction, offset.sign(), direction.abs()], dim=-1),
        "distance": torch.stack([length, length / (3 * (sides[:, :, None] + sides[:, None]))], dim=-1),
        "overlap": box_iou_of_pairs(boxes)[..., None],
        "size": (areas[:, :, None] / areas[:, None]).log()[..., None] / 3,
    }


def box_places(boxes: Tensor) -> Tensor:
    """Return where each candidate lies in the photo.

    Args:
        boxes: (B, O, 4), in shares of the photo.

    Returns:
        (B, O, PLACE_DIM), both corners, the centre, the width and height, and the square root of the area, each from -1
        for 0 to 1 for the whole photo.
    """
    low, high = boxes[..., :2], boxes[..., 2:]
    sides = high - low
    parts = (low, high, (low + high) / 2, sides, sides.clamp(min=0).prod(dim=-1, keepdim=True).sqrt())
    return 2 * torch.cat(parts, dim=-1) - 1
