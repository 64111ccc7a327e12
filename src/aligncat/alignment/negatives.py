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
def select_negatives(
    scores: Tensor, queries: Tensor, valid: Tensor, image_index: Tensor, count: int
) -> Negatives:
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
    first = torch.arange(batch, device=valid.device) * slots
    no_pick = batch * slots
    indices = torch.zeros(batch, batch, count, dtype=torch.int64, device=valid.device)
    mask = torch.zeros(batch, batch, count, dtype=torch.bool, device=valid.device)
    # The rows gathered for one text fit a CPU's cache; O texts at once take as much memory as the table.
    at_once = slots if valid.is_cuda else 1
    for start in range(0, batch, at_once):
        chunk = slice(start, start + at_once)
        other = image_index[chunk, None] != image_index
        available = valid & other[..., None]
        hard = difficulty(scores[chunk], available)
        closest = torch.full_like(hard, -1.0)
        for step in range(count):
            ranked = quality(hard, uniqueness(closest)).masked_fill_(~available, float("-inf"))
            best, picks = ranked.max(dim=-1)
            found = best > float("-inf")
            indices[chunk, :, step] = picks
            mask[chunk, :, step] = found
            if step + 1 < count:
                available.scatter_(-1, picks[..., None], False)
                rows = torch.where(found, first + picks, no_pick)
                closest = torch.maximum(closest, cosines[rows].amax(dim=1).view_as(closest))
    return Negatives(indices=indices, mask=mask)


def _cosines(queries: Tensor) -> Tensor:
    """The cosines of all queries with all, (B O + 1, B O): one Gram matrix, and a row of -1 for "no pick"."""
    flat = queries.flatten(0, 1)
    table = flat.new_full((len(flat) + 1, len(flat)), -1.0)
    gram = torch.mm(flat, flat.T, out=table[:-1])
    # Dividing the products by the lengths, in place, spares a normalised copy of the queries.
    lengths = gram.diagonal().sqrt().clamp(min=torch.finfo(gram.dtype).tiny)
    gram.div_(lengths[:, None]).div_(lengths).clamp_(-1.0, 1.0)
    return table
