"""The text encoder built on a pretrained transformer, which is frozen or trained."""

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

# Positions that words cannot use: one special symbol at each end, and RoBERTa's positions start at 2.
_SPECIAL_POSITIONS = 4


class TransformerTextEncoder(nn.Module):
    """Word pieces -> a transformer's last hidden states -> a linear layer (F_w) -> attentive pooling (f_t).

    The transformer's special symbols ([CLS], [SEP]) are not part of F_w and f_t. A frozen transformer has no dropout
    and no gradient, and is not in `state_dict`; a grounder stores its name and hash instead.

    Args:
        config: the settings of the encoder. Only `dim`, `max_length` and `train_encoder` are used.
        pretrained: the transformer and its tokenizer.

    Raises:
        ConfigError: `config.max_length` is larger than the transformer allows.
    """

    special: Tensor

    def __init__(self, config: TextEncoderConfig, pretrained: PretrainedText) -> None:
        super().__init__()
        self.config = config
        positions = getattr(pretrained.model.config, "max_position_embeddings", None)
        if positions is not None and config.max_length + _SPECIAL_POSITIONS > positions:
            raise ConfigError(
                f"text.max_length is {config.max_length}; {pretrained.name!r} allows at most "
                f"{positions - _SPECIAL_POSITIONS}"
            )
        if config.train_encoder:
            # Lightning keeps each module's mode, and a new module is in training mode.
            self.transformer: PreTrainedModel = pretrained.model.train()
        else:
            # Not registered as a submodule, so that weight averaging, checkpoints and the optimiser ignore it.
            self.__dict__["transformer"] = pretrained.model.requires_grad_(False)
        self._remembered: RememberedStates | None = None
        special = torch.tensor(sorted(pretrained.pieces.special), device="cpu") + 1  # real in a model on "meta" too
        self.register_buffer("special", special, persistent=False)
        self.project = nn.Linear(pretrained.model.config.hidden_size, config.dim)
        self.pooling = AttentivePooling(config.dim)

    def forward(self, tokens: Tensor) -> EncodedText:
        """Encode a batch.

        Args:
            tokens: (B, L) int64 from `WordPieces.encode`, PAD only at the end.
        """
        states = None if self._remembered is None else self._remembered.of(tokens)
        states = self._read(tokens) if states is None else states.to(self.project.weight)
        mask = (tokens != PAD) & (tokens[:, :, None] != self.special).all(dim=2)
        # Move the words to the front, in their order. No two keys are equal: in a graph, a sort need not be stable.
        length = mask.shape[1]
        order = ((~mask).long() * length + torch.arange(length, device=mask.device)).argsort(dim=1)
        if not torch.onnx.is_in_onnx_export():  # in a graph, no size may depend on values
            order = order[:, : int(mask.sum(dim=1).max())]
        mask = mask.gather(1, order)
        rows = torch.arange(order.shape[0], device=order.device)[:, None]
        words = self.project(states[rows, order]) * mask.unsqueeze(-1)
        return EncodedText(sentences=self.pooling(words, mask), words=words, mask=mask)

    def remember(self, tokens: Tensor, *, progress: bool = False) -> None:
        """Encode expressions now and cache their hidden states until `forget`. Only for a frozen transformer.

        A trained transformer ignores the call.

        Args:
            tokens: (N, L) int64, as in `forward`.
            progress: show a progress bar.
        """
        if not self.config.train_encoder:
            self._remembered = RememberedStates(self._read, tokens, progress=progress)

    def forget(self) -> None:
        """Delete the cached hidden states."""
        self._remembered = None

    def _read(self, tokens: Tensor) -> Tensor:
        """Return the transformer's last hidden states (B, L, d) for token ids (B, L)."""
        mask = tokens != PAD
        with torch.set_grad_enabled(self.config.train_encoder and torch.is_grad_enabled()):
            states = self.transformer(input_ids=(tokens - 1).clamp(min=0), attention_mask=mask.long())
        hidden: Tensor = states.last_hidden_state
        return hidden

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Also move a frozen transformer, which is not a submodule, to another device or type."""
        if not self.config.train_encoder:
            self.transformer._apply(fn)  # type: ignore[no-untyped-call]
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call, no-any-return]
