"""Eq. 10 to 12 against numpy."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aligncat.alignment.phrase_attention import PhraseAttention, phrase_feature, word_weights

LENGTHS = (5, 1, 3, 7)


def example(dim: int = 6) -> tuple[PhraseAttention, Tensor, Tensor]:
    torch.manual_seed(0)
    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    # The padding holds random values too, so that a test fails if they are used.
    return PhraseAttention(dim), torch.randn(len(LENGTHS), max(LENGTHS), dim), mask


def numpy_gru(parameters: list[nn.Parameter], inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """One direction of a GRU for one sentence (l, d), following the equations of the GRU's paper."""
    w_in, w_h, b_in, b_h = (parameter.detach().numpy() for parameter in parameters)
    state, states = np.zeros(w_h.shape[1], np.float32), []
    for word in inputs:
        (r_in, z_in, n_in), (r_h, z_h, n_h) = np.split(w_in @ word + b_in, 3), np.split(w_h @ state + b_h, 3)
        reset, update = 1 / (1 + np.exp(-(r_in + r_h))), 1 / (1 + np.exp(-(z_in + z_h)))
        state = (1 - update) * np.tanh(n_in + reset * n_h) + update * state
        states.append(state)
    return np.stack(states)


def test_against_numpy_sentence_by_sentence() -> None:
    attention, words, mask = example()
    phrases, weights = attention(words, mask)
    parameters = list(attention.gru.parameters())
    for row, length in enumerate(LENGTHS):
        sentence = words[row, :length].numpy()
        onward = numpy_gru(parameters[:4], sentence)
        back = numpy_gru(parameters[4:], sentence[::-1])[::-1]
        modulated = np.concatenate([onward, back], axis=1)
        scores = modulated @ attention.weigh.weight.detach().numpy()[0] + attention.weigh.bias.item()
        expected = np.exp(scores) / np.exp(scores).sum()
        np.testing.assert_allclose(weights[row, :length].detach().numpy(), expected, atol=1e-6)
        np.testing.assert_allclose(phrases[row].detach().numpy(), expected @ modulated, atol=1e-6)


def test_weights_by_hand() -> None:
    scores = torch.tensor([[0.0, math.log(3.0), 50.0], [7.0, -1.0, -1.0]])
    weights = word_weights(scores, torch.tensor([[True, True, False], [True, False, False]]))
    torch.testing.assert_close(weights, torch.tensor([[0.25, 0.75, 0.0], [1.0, 0.0, 0.0]]))
    modulated = torch.tensor([[[4.0, 0.0], [0.0, 8.0], [9.0, 9.0]]])
    torch.testing.assert_close(phrase_feature(modulated, weights[:1]), torch.tensor([[1.0, 6.0]]))


def test_padding_changes_nothing() -> None:
    attention, words, mask = example()
    phrases, weights = attention(words, mask)
    wider = torch.cat([words, torch.randn(4, 3, 6)], dim=1)
    wider_mask = torch.cat([mask, torch.zeros(4, 3, dtype=torch.bool)], dim=1)
    torch.testing.assert_close(attention(wider, wider_mask)[0], phrases)
    assert not weights[~mask].any()
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(4))
    for row, length in enumerate(LENGTHS):
        alone, _ = attention(words[row : row + 1, :length], mask[row : row + 1, :length])
        torch.testing.assert_close(alone[0], phrases[row], atol=1e-6, rtol=0)


def test_no_gradient_reaches_the_padding() -> None:
    attention, words, mask = example()
    words.requires_grad_()
    attention(words, mask)[0].sum().backward()
    assert words.grad is not None
    assert not words.grad[~mask].any()
    assert words.grad[mask].any(dim=1).all()
