"""Selection of negative queries by difficulty and uniqueness (Eq. 1 to 3).

The negatives of a text are candidates of the other images in the batch. They are picked in M rounds. In each round,
every sample of another image contributes its candidate of highest quality. After each round, the uniqueness of the
remaining candidates is computed again from all picks so far, over all samples.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Negatives(NamedTuple):
    """The negatives of B texts among the candidates of B samples.

    Attributes:
        indices: (B, B, M) int64; [b, j] holds the candidates of sample j that are negatives of text b, in order of
            selection.
        mask: (B, B, M) bool; False if sample j has the same image as text b, or has no candidate left.
    """

    indices: Tensor
    mask: Tensor


def difficulty(scores: Tensor, available: Tensor) -> Tensor:
    """Return S_d (Eq. 1), the similarity to a text, min-max normalised over the candidates of an image.

    Args:
        scores: (..., O), sim(f_q, f_t).
        available: (..., O) bool, False at padding.

    Returns:
        (..., O) in [0, 1]. If all similarities are equal, Eq. 1 is undefined. The difficulties are then all 1, and
        only uniqueness matters.
    """
    lowest = scores.masked_fill(~available, float("inf")).amin(dim=-1, keepdim=True)
    highest = scores.masked_fill(~available, float("-inf")).amax(dim=-1, keepdim=True)
    span = highest - lowest
    return torch.where(span > 0, (scores - lowest) / span, 1.0).masked_fill(~available, 0.0)


def uniqueness(closest: Tensor) -> Tensor:
    """Return S_u (Eq. 2), the negated largest cosine similarity, normalised from [-1, 1] to [0, 1].

    Args:
        closest: (...), the largest cosine similarity of a candidate to the picks so far; -1 before the first pick.

    Returns:
        (...) in [0, 1].
    """
    return (1 - closest) / 2


def quality(difficulties: Tensor, uniquenesses: Tensor) -> Tensor:
    """Return S_q = S_d S_u (Eq. 3)."""
    return difficulties * uniquenesses


@torch.no_grad()
def select_negatives(scores: Tensor, queries: Tensor, valid: Tensor, image_index: Tensor, count: int) -> Negatives:
    """Select up to M negatives for each text from each sample of another image.

    Ties pick the candidate with the lowest index. All texts share one table of cosine similarities. Time grows with
    M B^2 (B O); memory stays below 4 (B O)^2 numbers.

    Args:
        scores: (B, B, O), sim of text b with candidate o of sample j, in the projected space.
        queries: (B, O, d), the projected queries.
        valid: (B, O) bool, False at padding.
        image_index: (B,) int64, equal for samples of the same image, which are never each other's negatives.
        count: M.
    """
    batch, slots = valid.shape
    cosines = _cosines(queries)
    first, no_pick = torch.arange(batch, device=valid.device) * slots, batch * slots
    available = valid & (image_index[:, None] != image_index)[..., None]
    difficulties = difficulty(scores, available)
    closest = torch.full_like(difficulties, -1.0)
    indices: list[Tensor] = []
    mask: list[Tensor] = []
    for step in range(count):
        if step > 0:
            rows = torch.where(mask[-1], first + indices[-1], no_pick)
            closest = torch.maximum(closest, _largest(cosines, rows, at_once=slots if valid.is_cuda else 1))
            available.scatter_(-1, indices[-1][..., None], False)
        qualities = quality(difficulties, uniqueness(closest)).masked_fill_(~available, float("-inf"))
        best, picks = qualities.max(dim=-1)
        indices.append(picks)
        mask.append(best > float("-inf"))
    return Negatives(indices=torch.stack(indices, dim=-1), mask=torch.stack(mask, dim=-1))


def _largest(cosines: Tensor, rows: Tensor, at_once: int) -> Tensor:
    """Return the largest cosine similarity of each query to the latest picks of each text.

    Args:
        cosines: (B O + 1, B O), the table of `_cosines`.
        rows: (B, B) int64, the pick of each text in each sample, as a row of the table.
        at_once: the number of texts for which table rows are gathered at once. The rows for one text fit into a CPU's
            cache; the rows for O texts take as much memory as the table.

    Returns:
        (B, B, O).
    """
    # index_select copies whole rows, whereas indexing would copy single numbers.
    parts = [
        cosines.index_select(0, chunk.flatten()).view(*chunk.shape, -1).amax(dim=1)
        for chunk in torch.split(rows, at_once)
    ]
    return torch.cat(parts).view(*rows.shape, -1)


def _cosines(queries: Tensor) -> Tensor:
    """Return the cosine similarity of each pair of queries, (B O + 1, B O), with a last row of -1 for "no pick"."""
    flat = queries.flatten(0, 1)
    table = flat.new_full((len(flat) + 1, len(flat)), -1.0)
    gram = torch.mm(flat, flat.T, out=table[:-1])
    # Dividing the dot products in place avoids a normalised copy of the queries.
    lengths = gram.diagonal().sqrt().clamp(min=torch.finfo(gram.dtype).tiny)
    gram.div_(lengths[:, None]).div_(lengths).clamp_(-1.0, 1.0)
    return table
