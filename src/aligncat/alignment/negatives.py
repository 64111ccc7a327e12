"""Selection of negative queries by difficulty and uniqueness (Eq. 1 to 3).

The negatives of a text are candidates of the other images in the batch. They are picked in M rounds. In each round,
every sample of another image contributes its candidate of highest quality. After each round, the uniqueness of the
remaining candidates is computed again from all picks so far, over all samples.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_ROWS_AT_ONCE = 1280  # of the cosines; parts that are much smaller or larger take longer


class Negatives(NamedTuple):
    """The negatives of T texts among the candidates of B samples.

    Attributes:
        indices: (T, B, M) int64; [t, j] holds the candidates of sample j that are negatives of text t, in order of
            selection.
        mask: (T, B, M) bool; False if sample j has the same image as text t, or has no candidate left.
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
def select_negatives(
    scores: Tensor, queries: Tensor, valid: Tensor, image_index: Tensor, count: int, *, first: int = 0
) -> Negatives:
    """Select up to M negatives for each text from each sample of another image.

    Ties pick the candidate with the lowest index. All texts share one table of cosine similarities. Time grows with
    M T B (B O). Beside the inputs, memory stays below (B O)^2 + 12 T B O numbers on a CPU, and below
    (B O)^2 + 2 O T B O numbers elsewhere.

    Args:
        scores: (T, B, O), sim of text t with candidate o of sample j, in the projected space. T is B, or less if the
            texts of the other samples are on other devices.
        queries: (B, O, d), the projected queries.
        valid: (B, O) bool, False at padding.
        image_index: (B,) int64, equal for samples of the same image, which are never each other's negatives.
        count: M.
        first: the sample of the first text. The next texts are those of the next samples.
    """
    batch, slots = valid.shape
    cosines = _cosines(queries)
    starts, no_pick = torch.arange(batch, device=valid.device) * slots, batch * slots
    available = valid & (image_index[first : first + len(scores), None] != image_index)[..., None]
    difficulties = difficulty(scores, available)
    closest = torch.full_like(difficulties, -1.0)
    indices: list[Tensor] = []
    mask: list[Tensor] = []
    for step in range(count):
        if step > 0:
            rows = torch.where(mask[-1], starts + indices[-1], no_pick)
            _raise_to_largest(closest, cosines, rows, at_once=1 if valid.device.type == "cpu" else slots)
            available.scatter_(-1, indices[-1][..., None], False)
        qualities = quality(difficulties, uniqueness(closest)).masked_fill_(~available, float("-inf"))
        best, picks = qualities.max(dim=-1)
        indices.append(picks)
        mask.append(best > float("-inf"))
    return Negatives(indices=torch.stack(indices, dim=-1), mask=torch.stack(mask, dim=-1))


def _raise_to_largest(closest: Tensor, cosines: Tensor, rows: Tensor, at_once: int) -> None:
    """Raise `closest` to the largest cosine similarity of each query to the latest picks of each text.

    Args:
        closest: (T, B, O), changed in place.
        cosines: (B O + 1, B O), the table of `_cosines`.
        rows: (T, B) int64, the pick of each text in each sample, as a row of the table.
        at_once: the number of samples whose picks are gathered at once. All picks in one sample are among O rows of the
            table, which fit into a CPU's cache. An accelerator is faster with fewer and larger steps.
    """
    so_far = closest.flatten(1)
    # All rows are gathered into the same memory. New memory for each sample would cost page faults.
    gathered = cosines.new_empty(len(rows) * min(at_once, rows.shape[1]), cosines.shape[1])
    for part in torch.split(rows, at_once, dim=1):
        into = gathered[: part.numel()]
        # index_select copies whole rows, whereas indexing would copy single numbers.
        torch.index_select(cosines, 0, part.flatten(), out=into)
        torch.maximum(so_far, into if at_once == 1 else into.view(*part.shape, -1).amax(dim=1), out=so_far)


def _cosines(queries: Tensor) -> Tensor:
    """Return the cosine similarity of each pair of queries, (B O + 1, B O), with a last row of -1 for "no pick"."""
    flat = queries.flatten(0, 1)
    table = flat.new_empty(len(flat) + 1, len(flat))
    table[-1] = -1.0
    gram = table[:-1]
    for start in range(0, len(flat), _ROWS_AT_ONCE):
        end = min(start + _ROWS_AT_ONCE, len(flat))
        torch.mm(flat[start:end], flat[start:].T, out=gram[start:end, start:])
        gram[end:, start:end] = gram[start:end, end:].T  # the table is symmetric
    # Dividing the dot products in place avoids a normalised copy of the queries.
    lengths = gram.diagonal().sqrt().clamp(min=torch.finfo(gram.dtype).tiny)
    gram.div_(lengths[:, None]).div_(lengths).clamp_(-1.0, 1.0)
    return table
