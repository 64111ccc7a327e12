"""What a frozen transformer makes of sentences, kept: it says the same of a sentence in every epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

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
        rows = tokens.unique(dim=0)
        lengths = (rows != PAD).sum(dim=1)
        parts = [
            part for length in lengths.unique().tolist() for part in rows[lengths == length][:, :length].split(_BATCH)
        ]
        self._states: dict[tuple[int, ...], Tensor] = {}
        console = Console(stderr=True)
        for part in track(parts, "reading expressions", console=console, transient=True, disable=not progress):
            for ids, states in zip(part.tolist(), read(part), strict=True):
                self._states[tuple(ids)] = states

    def __len__(self) -> int:
        return len(self._states)

    def of(self, tokens: Tensor) -> Tensor | None:
        """The states of a batch.

        Args:
            tokens: (B, L) int64, padded at the end.

        Returns:
            (B, L', d), L' the longest's length; None where a sentence is not among those that were read.
        """
        found = [self._states.get(tuple(token for token in row if token != PAD)) for row in tokens.tolist()]
        there = [states for states in found if states is not None]
        return pad_sequence(there, batch_first=True) if there and len(there) == len(found) else None

    def __deepcopy__(self, memo: object) -> Self:
        """Itself: nobody changes it, and it may take a gigabyte, which the copy that averages weights needs not."""
        return self
