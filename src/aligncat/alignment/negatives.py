"""Negative queries by difficulty and uniqueness (Eq. 1 to 3), from the candidates of the other images.

For one text and M rounds: each other image gives its candidate of highest quality; then every candidate's
uniqueness falls to what the picks of all images so far leave of it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Negatives(NamedTuple):
    """The negatives of B texts among the candidates of B samples.

    Attributes:
        indices: (B, B, M) int64; [b, j] are the candidates of sample j that text b takes, as picked.
        mask: (B, B, M) bool; False where j shows b's own image, or has no candidate left.
    """

    indices: Tensor
    mask: Tensor


def difficulty(scores: Tensor, available: Tensor) -> Tensor:
    """S_d (Eq. 1): the dot products with a text, min-max normalised over an image's candidates.

    Args:
        scores: (..., O), sim(f_q, f_t).
        available: (..., O) bool, candidates that exist.

    Returns:
        (..., O) in [0, 1]. Where all are equal the norm is undefined: they are all 1, and uniqueness decides.
    """
    lowest = scores.masked_fill(~available, float("inf")).amin(dim=-1, keepdim=True)
    highest = scores.masked_fill(~available, float("-inf")).amax(dim=-1, keepdim=True)
    span = highest - lowest
    return torch.where(span > 0, (scores - lowest) / span, 1.0).masked_fill(~available, 0.0)


def uniqueness(closest: Tensor) -> Tensor:
    """S_u (Eq. 2): the negated largest cosine to the picks so far, normalised from [-1, 1] to [0, 1]."""
    return (1 - closest) / 2


def quality(difficulties: Tensor, uniquenesses: Tensor) -> Tensor:
    """S_q = S_d S_u (Eq. 3)."""
    return difficulties * uniquenesses


@torch.no_grad()
def select_negatives(scores: Tensor, queries: Tensor, valid: Tensor, image_index: Tensor, count: int) -> Negatives:
    """Pick `count` negatives for each text from each sample of another image.

    Time goes with count x B^2 x (B O), and memory stays under 4 (B O)^2 numbers: all texts share one table of
    cosines. At equal quality the candidate of lowest index is picked.

    Args:
        scores: (B, B, O), sim of text b with candidate o of sample j, in the projected space.
        queries: (B, O, d), the projected queries.
        valid: (B, O) bool, candidates that exist.
        image_index: (B,) int64, equal for samples of one image; they are never each other's negatives.
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
    """For each text the largest cosine of every query to its picks, (B, B, O).

    Args:
        cosines: the table of `_cosines`.
        rows: (B, B), a text's pick in each sample, as a row of the table.
        at_once: texts whose rows are gathered together. Those of one fit a CPU's cache; those of O take as
            much memory as the table.
    """
    # index_select copies whole rows, where indexing would look up one number after the other.
    parts = [
        cosines.index_select(0, chunk.flatten()).view(*chunk.shape, -1).amax(dim=1)
        for chunk in torch.split(rows, at_once)
    ]
    return torch.cat(parts).view(*rows.shape, -1)


def _cosines(queries: Tensor) -> Tensor:
    """The cosines of all queries with all, (B O + 1, B O): one Gram matrix, and a row of -1 for "no pick"."""
    flat = queries.flatten(0, 1)
    table = flat.new_full((len(flat) + 1, len(flat)), -1.0)
    gram = torch.mm(flat, flat.T, out=table[:-1])
    # Dividing the products by the lengths, in place, spares a normalised copy of the queries.
    lengths = gram.diagonal().sqrt().clamp(min=torch.finfo(gram.dtype).tiny)
    gram.div_(lengths[:, None]).div_(lengths).clamp_(-1.0, 1.0)
    return table
