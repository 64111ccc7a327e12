"""The scores of QueryMatch in plain torch, written from its paper and its release, with its key names.

Each weight is drawn at random when it is first requested. The resulting state therefore has exactly the weights that
the computation uses.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

from helpers.original_mask2former import Weights, attention

HEADS, HIDDEN, WORD_DIM, FEEDFORWARD, BLOCKS = 8, 16, 6, 24, 2


def vocabulary(document: dict[str, list[dict[str, list[str]]]]) -> dict[str, int]:
    """Number the words of all splits in order of first occurrence, after three special symbols."""
    ids = {"PAD": 0, "UNK": 1, "CLS": 2}
    for rows in document.values():
        for row in rows:
            for sentence in row["refs"]:
                for word in words_of(sentence):
                    ids.setdefault(word, len(ids))
    return ids


def words_of(sentence: str) -> list[str]:
    return re.sub(r"[-/]", " ", re.sub(r"""[.,'!?"()*#:;]""", "", sentence.lower())).split()


def scores(w: Weights, ids: dict[str, int], sentence: str, queries: Tensor, max_words: int) -> Tensor:
    """Return the score of each query (O, d_v) for a sentence. It is padded to `max_words`, as in QueryMatch."""
    row = [ids.get(word, 1) for word in words_of(sentence)][:max_words]
    tokens = torch.tensor(row + [0] * (max_words - len(row)))
    x = gru(w, w.get("lang_encoder.embedding.weight", len(ids), WORD_DIM, spread=1.0)[tokens])
    forbidden = torch.where(tokens == 0, -1e9, 0.0)
    for block in range(BLOCKS):
        name = f"lang_encoder.sa_list.{block}."
        query, key, value = (w.linear(f"{name}mhatt.linear_{part}", x, HIDDEN) for part in "qkv")
        seen = w.linear(name + "mhatt.linear_merge", attention(query, key, value, HEADS, forbidden[None]), HIDDEN)
        x = norm(w, name + "norm1", x + seen)
        inside = w.linear(name + "ffn.mlp.fc.linear", x, FEEDFORWARD).relu()
        x = norm(w, name + "norm2", x + w.linear(name + "ffn.mlp.linear", inside, HIDDEN))
    name = "lang_encoder.att_flat."
    share = w.linear(name + "mlp.linear", w.linear(name + "mlp.fc.linear", x, HIDDEN // 2).relu(), 1)[:, 0]
    pooled = (share + forbidden).softmax(0) @ x
    text = w.linear("linear_ts", w.linear(name + "linear_merge", pooled, HIDDEN), HIDDEN)
    return w.linear("linear_vs", queries, HIDDEN) @ text


def norm(w: Weights, name: str, x: Tensor) -> Tensor:
    """Normalise with the sample standard deviation (n - 1), unlike LayerNorm."""
    centred = x - x.mean(-1, keepdim=True)
    deviation = (centred.square().sum(-1, keepdim=True) / (x.shape[-1] - 1)).sqrt()
    size = x.shape[-1]
    return w.positive(name + ".weight", size) * centred / (deviation + 1e-6) + w.get(name + ".bias", size)


def gru(w: Weights, inputs: Tensor) -> Tensor:
    """Run a GRU (Cho et al., 2014) with the gates in torch's order: reset, update, new."""
    of_input = w.get("lang_encoder.GRU.weight_ih_l0", 3 * HIDDEN, WORD_DIM), w.get("lang_encoder.GRU.bias_ih_l0", 48)
    of_state = w.get("lang_encoder.GRU.weight_hh_l0", 3 * HIDDEN, HIDDEN), w.get("lang_encoder.GRU.bias_hh_l0", 48)
    state, states = torch.zeros(HIDDEN), []
    for step in inputs:
        reset_in, update_in, new_in = (of_input[0] @ step + of_input[1]).chunk(3)
        reset_by, update_by, new_by = (of_state[0] @ state + of_state[1]).chunk(3)
        update = (update_in + update_by).sigmoid()
        new = (new_in + (reset_in + reset_by).sigmoid() * new_by).tanh()
        state = (1 - update) * new + update * state
        states.append(state)
    return torch.stack(states)
