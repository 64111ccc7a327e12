"""Cache of a frozen encoder's hidden states, which are the same in every epoch."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Self

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from aligncat.console import track
from aligncat.language.vocabulary import PAD

_BATCH = 256


class RememberedStates:
    """A cache of a transformer's last hidden states, which encodes each expression once.

    Expressions of the same length are encoded together, in the order of their token ids. The cached bits then depend
    neither on the batches of training nor on whether training was interrupted.

    Args:
        read: a function from token ids (B, L), without padding, to hidden states (B, L, d).
        tokens: (N, L) int64, padded at the end; rows may repeat.
        progress: show a progress bar.
    """

    def __init__(self, read: Callable[[Tensor], Tensor], tokens: Tensor, *, progress: bool = False) -> None:
        rows = sorted(set(_sentences(tokens)), key=lambda row: (len(row), row))
        groups = (list(group) for _, group in groupby(rows, key=len))
        parts = [group[start : start + _BATCH] for group in groups for start in range(0, len(group), _BATCH)]
        self._states: dict[tuple[int, ...], Tensor] = {}
        for part in track(parts, "encoding expressions", transient=True, shown=progress):
            self._states.update(zip(part, read(torch.tensor(part, device=tokens.device)), strict=True))

    def __len__(self) -> int:
        return len(self._states)

    def of(self, tokens: Tensor) -> Tensor | None:
        """Return the hidden states of a batch.

        Args:
            tokens: (B, L) int64, padded at the end.

        Returns:
            (B, L', d), where L' is the length of the longest expression; None if an expression is not in the cache.
        """
        found = [self._states.get(row) for row in _sentences(tokens)]
        cached = [states for states in found if states is not None]
        return pad_sequence(cached, batch_first=True) if cached and len(cached) == len(found) else None

    def __getstate__(self) -> tuple[list[tuple[int, ...]], Tensor]:
        """Return the state that another process receives: one tensor in shared memory, and not one per expression."""
        return list(self._states), torch.cat(list(self._states.values()))

    def __setstate__(self, state: tuple[list[tuple[int, ...]], Tensor]) -> None:
        rows, states = state
        self._states = dict(zip(rows, torch.split(states, [len(row) for row in rows]), strict=True))

    def __deepcopy__(self, memo: object) -> Self:
        """Return the same object. It is never modified, and weight averaging would copy up to a gigabyte."""
        return self


def _sentences(tokens: Tensor) -> list[tuple[int, ...]]:
    """Return the token ids of each row without padding."""
    return [tuple(token for token in row if token != PAD) for row in tokens.tolist()]
