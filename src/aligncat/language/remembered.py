"""What a frozen transformer makes of sentences, kept: it says the same of a sentence in every epoch."""

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
    """The last hidden states of sentences, each read once.

    Sentences of one length are read together, in the order of their ids, so that the bits do not depend on which
    batches ask for them, nor on whether training was interrupted.

    Args:
        read: (B, L) token ids without padding -> (B, L, d) states.
        tokens: (N, L) int64, padded at the end; a row may come several times.
        progress: show a progress bar.
    """

    def __init__(self, read: Callable[[Tensor], Tensor], tokens: Tensor, *, progress: bool = False) -> None:
        rows = sorted(set(_sentences(tokens)), key=lambda row: (len(row), row))
        groups = (list(group) for _, group in groupby(rows, key=len))
        parts = [group[start : start + _BATCH] for group in groups for start in range(0, len(group), _BATCH)]
        self._states: dict[tuple[int, ...], Tensor] = {}
        for part in track(parts, "reading expressions", transient=True, shown=progress):
            self._states.update(zip(part, read(torch.tensor(part, device=tokens.device)), strict=True))

    def __len__(self) -> int:
        return len(self._states)

    def of(self, tokens: Tensor) -> Tensor | None:
        """The states of a batch.

        Args:
            tokens: (B, L) int64, padded at the end.

        Returns:
            (B, L', d), L' the longest's length; None where a sentence is not among those that were read.
        """
        found = [self._states.get(row) for row in _sentences(tokens)]
        there = [states for states in found if states is not None]
        return pad_sequence(there, batch_first=True) if there and len(there) == len(found) else None

    def __deepcopy__(self, memo: object) -> Self:
        """Itself: nobody changes it, and it may take a gigabyte, which the copy that averages weights needs not."""
        return self


def _sentences(tokens: Tensor) -> list[tuple[int, ...]]:
    """The ids of each row, without padding."""
    return [tuple(token for token in row if token != PAD) for row in tokens.tolist()]
