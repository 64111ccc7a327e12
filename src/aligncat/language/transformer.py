"""A pretrained transformer as the text encoder, frozen or trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor, nn

from aligncat.errors import ConfigError
from aligncat.language.config import TextEncoderConfig
from aligncat.language.encoder import AttentivePooling, EncodedText
from aligncat.language.remembered import RememberedStates
from aligncat.language.vocabulary import PAD

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from aligncat.language.pretrained import PretrainedText

# The most that a transformer takes for itself: a symbol at each end, and RoBERTa starts to count at 2.
_SPECIAL_PLACES = 4


class TransformerTextEncoder(nn.Module):
    """Word pieces -> a transformer's last hidden states -> a linear layer (F_w) -> attentive pooling (f_t).

    The symbols that the transformer wants around a sentence ([CLS], [SEP]) are no words: they are in neither. Frozen,
    the transformer never drops out, has no gradient and is no part of `state_dict`: a name and a hash stand for it.

    Args:
        config: of it `dim` and `train_encoder` count here; the sizes are the transformer's own.
        pretrained: the transformer and its tokenizer.

    Raises:
        ConfigError: `max_length` is more than the transformer has places for.
    """

    special: Tensor

    def __init__(self, config: TextEncoderConfig, pretrained: PretrainedText) -> None:
        super().__init__()
        self.config = config
        places = getattr(pretrained.model.config, "max_position_embeddings", None)
        if places is not None and config.max_length + _SPECIAL_PLACES > places:
            raise ConfigError(
                f"text.max_length is {config.max_length}; {pretrained.name!r} takes at most {places - _SPECIAL_PLACES}"
            )
        if config.train_encoder:
            self.transformer: PreTrainedModel = pretrained.model.train()  # as every new module: Lightning leaves it so
        else:
            # Around nn.Module's register of submodules, so that averages, checkpoints and optimisers pass it by.
            self.__dict__["transformer"] = pretrained.model.requires_grad_(False)
        self._remembered: RememberedStates | None = None
        self.register_buffer("special", torch.tensor(sorted(pretrained.pieces.special)) + 1, persistent=False)
        self.project = nn.Linear(pretrained.model.config.hidden_size, config.dim)
        self.pooling = AttentivePooling(config.dim)

    def forward(self, tokens: Tensor) -> EncodedText:
        """Encode a batch.

        Args:
            tokens: (B, L) int64 from `WordPieces.encode`, PAD only at the end.
        """
        states = None if self._remembered is None else self._remembered.of(tokens)
        states = self._read(tokens) if states is None else states.to(self.project.weight)
        mask = (tokens != PAD) & ~torch.isin(tokens, self.special)
        # Words to the front, in their order.
        order = (~mask).long().argsort(dim=1, stable=True)[:, : int(mask.sum(dim=1).max())]
        mask = mask.gather(1, order)
        rows = torch.arange(len(order), device=order.device)[:, None]
        words = self.project(states[rows, order]) * mask.unsqueeze(-1)
        return EncodedText(sentences=self.pooling(words, mask), words=words, mask=mask)

    def remember(self, tokens: Tensor, *, progress: bool = False) -> None:
        """Read sentences now and keep what the transformer makes of them, where it is frozen; until `forget`.

        Args:
            tokens: (N, L) int64, as in `forward`.
            progress: show a progress bar.
        """
        if not self.config.train_encoder:
            self._remembered = RememberedStates(self._read, tokens, progress=progress)

    def forget(self) -> None:
        """Give the memory back."""
        self._remembered = None

    def _read(self, tokens: Tensor) -> Tensor:
        """(B, L) -> (B, L, d), the transformer's last hidden states."""
        there = tokens != PAD
        with torch.set_grad_enabled(self.config.train_encoder and torch.is_grad_enabled()):
            states = self.transformer(input_ids=(tokens - 1).clamp(min=0), attention_mask=there.long())
        hidden: Tensor = states.last_hidden_state
        return hidden

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Take a frozen transformer along to another device or type."""
        if not self.config.train_encoder:
            self.transformer._apply(fn)  # type: ignore[no-untyped-call]
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call, no-any-return]
