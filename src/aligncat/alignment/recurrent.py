"""Read the words of expressions with a GRU, each expression as long as it is."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def read_words(gru: nn.GRU, words: Tensor, mask: Tensor) -> Tensor:
    """Return the outputs of a GRU, of both directions concatenated if it has two.

    Args:
        gru: the GRU, with one layer and the batch first.
        words: (B, L, d), the words of B expressions.
        mask: (B, L) bool, False at padding, which comes after the words.

    Returns:
        (B, L, h), or (B, L, 2 h) for two directions; zero at padding.
    """
    if torch.onnx.is_in_onnx_export():
        return _read_in_onnx(gru, words, mask)
    # Packed, so that the backward direction starts at the last word of each expression, not in the padding.
    lengths = mask.sum(dim=1).cpu()
    packed = pack_padded_sequence(words, lengths, batch_first=True, enforce_sorted=False)
    outputs, _ = pad_packed_sequence(gru(packed)[0], batch_first=True, total_length=mask.shape[1])
    return outputs


def _read_in_onnx(gru: nn.GRU, words: Tensor, mask: Tensor) -> Tensor:
    """Return the same as `read_words` in a graph for ONNX, whose GRU takes the lengths; packing cannot be exported."""
    directions = ("", "_reverse") if gru.bidirectional else ("",)

    def gates(name: str) -> list[Tensor]:
        """Return a weight of each direction, with the gates in the order of ONNX: update, reset, new."""
        parts = [getattr(gru, f"{name}_l0{direction}").chunk(3) for direction in directions]
        return [torch.cat([update, reset, new]) for reset, update, new in parts]

    biases = [torch.cat(pair) for pair in zip(gates("bias_ih"), gates("bias_hh"), strict=True)]
    outputs: Tensor = torch.onnx.ops.symbolic(
        "GRU",
        (
            words.transpose(0, 1),
            torch.stack(gates("weight_ih")),
            torch.stack(gates("weight_hh")),
            torch.stack(biases),
            mask.sum(dim=1).to(torch.int32),
        ),
        attrs={
            "hidden_size": gru.hidden_size,
            "direction": "bidirectional" if gru.bidirectional else "forward",
            "linear_before_reset": 1,
        },
        dtype=words.dtype,
        shape=(words.shape[1], len(directions), words.shape[0], gru.hidden_size),
    )
    return outputs.permute(2, 0, 1, 3).flatten(2)
