"""Places in an order, such as "second from the left". They are counted among the candidates of one category.

This goes beyond the paper. The contrastive loss cannot teach a model to count: the other images of a batch have a
second one from the left, too. What it would have to learn is known, as are the categories of candidates.
"""

from __future__ import annotations

import torch
from torch import Tensor

from aligncat.alignment.config import LEAST_CONFIDENCE

DIRECTIONS = ("left", "right", "top", "bottom")
"""The sides of a photo from which candidates are counted."""

RANKS = 5
"""How far candidates are counted: from the first to the fifth."""

ORDERS = len(DIRECTIONS) * RANKS
"""The number of places in an order."""

_ROUNDS = 3  # on 600 drawings and 100 photos, the same as going through the candidates one by one


def order_index(direction: str, rank: int) -> int:
    """Return the index of a place in an order, -1 if candidates are not counted that far.

    Args:
        direction: where counting starts, one of `DIRECTIONS`.
        rank: the place from there; the first is 0.
    """
    return DIRECTIONS.index(direction) * RANKS + rank if rank < RANKS else -1


def places_in_orders(
    categories: Tensor, boxes: Tensor, confidences: Tensor, neighbours: Tensor, valid: Tensor
) -> Tensor:
    """Return which places each candidate has among the candidates of its category.

    A candidate's place is the number of the objects whose centres are nearer to the side. Candidates that are no
    neighbours are one object, for which the most confident one counts. Of centres that are equally near, none counts
    for the other.

    Args:
        categories: (B, O) int64, c^V.
        boxes: (B, O, 4), in shares of the photo.
        confidences: (B, O), highest first.
        neighbours: (B, O, O) bool, whether two candidates are different objects.
        valid: (B, O) bool, False at padding.

    Returns:
        (B, O, ORDERS), 1 for the places of a candidate, otherwise 0; 0 at padding.
    """
    alike = (categories[:, :, None] == categories[:, None]) & valid[:, :, None] & valid[:, None]
    highest = torch.where(alike, confidences[:, None], 0.0).amax(dim=-1)
    same, repeats = (alike & ~neighbours).tril(-1), torch.zeros_like(valid)
    for _ in range(_ROUNDS):  # a repeat of a repeat may be another object
        repeats = (same & ~repeats[:, None]).any(dim=-1)
    counts = ~repeats & (confidences >= LEAST_CONFIDENCE * highest)
    others = alike & neighbours & counts[:, None]
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2
    offset = centres[:, None] - centres[:, :, None]  # [b, i, j]: below 0 if j is farther to the left of, or above, i
    ranks = [(others & each).sum(dim=-1) for axis in (0, 1) for each in (offset[..., axis] < 0, offset[..., axis] > 0)]
    at = torch.stack(ranks, dim=-1)[..., None] == torch.arange(RANKS, device=boxes.device)
    return (at.flatten(-2) & valid[..., None]).to(boxes.dtype)
