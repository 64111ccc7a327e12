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
    """Return the same as `read_words` in a graph for ONNX; packing cannot be exported.

    ONNX's GRU takes the lengths, but OpenVINO reads padding as words in the second direction. So no GRU of the graph
    sees a length: padding is at the end, and the second direction reads the words in reverse order.
    """
    found = [_one_direction(gru, "", words)]
    if gru.bidirectional:
        last = mask.sum(dim=1, keepdim=True) - 1
        reverse = (last - torch.arange(mask.shape[1], device=mask.device)).clamp(min=0)  # its own inverse
        found.append(_in_order(_one_direction(gru, "_reverse", _in_order(words, reverse)), reverse))
    return torch.cat(found, dim=-1) * mask[..., None]


def _one_direction(gru: nn.GRU, direction: str, words: Tensor) -> Tensor:
    """Return the outputs (B, L, d) of one direction of a GRU, as ONNX's operation."""

    def gates(name: str) -> Tensor:
        """Return a weight with the gates in the order of ONNX: update, reset, new."""
        reset, update, new = getattr(gru, f"{name}_l0{direction}").chunk(3)
        return torch.cat([update, reset, new])[None]

    outputs: Tensor = torch.onnx.ops.symbolic(
        "GRU",
        (
            words.transpose(0, 1),
            gates("weight_ih"),
            gates("weight_hh"),
            torch.cat([gates("bias_ih"), gates("bias_hh")], dim=1),
        ),
        attrs={"hidden_size": gru.hidden_size, "direction": "forward", "linear_before_reset": 1},
        dtype=words.dtype,
        shape=(words.shape[1], 1, words.shape[0], gru.hidden_size),
    )
    return outputs.squeeze(1).transpose(0, 1)


def _in_order(words: Tensor, places: Tensor) -> Tensor:
    """Return (B, L, d) words rearranged along L: at each place, the word whose place is given there, (B, L)."""
    return words.gather(1, places[..., None].expand(-1, -1, words.shape[2]))
