from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from aligncat.errors import ConfigError
from aligncat.language.config import TextEncoderConfig
from aligncat.language.encoder import AttentivePooling, SelfAttentionBlock, TextEncoder
from aligncat.language.vocabulary import PAD, UNK, Vocabulary

SMALL = TextEncoderConfig(word_dim=12, dim=16, blocks=2, heads=4, feedforward=32)
TEXTS = ["cat", "the red cat on the left side of a very big dog", "purple zebra quagga", "left cat"]
VOCABULARY = Vocabulary.from_expressions([TEXTS[0], TEXTS[1], TEXTS[3]])


def encoder(config: TextEncoderConfig = SMALL) -> TextEncoder:
    torch.manual_seed(0)
    return TextEncoder(config, len(VOCABULARY)).eval()


def test_shapes_and_mask() -> None:
    sentences, words, mask = encoder()(VOCABULARY.encode(TEXTS, 15))
    assert sentences.shape == (4, 16)
    assert words.shape == (4, 12, 16)
    assert mask.sum(dim=1).tolist() == [1, 12, 3, 2]
    assert not words[~mask].any()


def test_the_defaults_are_the_papers() -> None:
    model = TextEncoder(TextEncoderConfig(), len(VOCABULARY))
    sentences, words, _ = model.eval()(VOCABULARY.encode(["left cat"], 15))
    assert sentences.shape == (1, 512)
    assert words.shape == (1, 2, 512)
    assert len(model.blocks) == 3


@pytest.mark.parametrize("gradients", [True, False], ids=["training path", "inference path"])
@pytest.mark.parametrize("extra", [0, 5], ids=["batch's own length", "more padding"])
def test_padding_changes_nothing(gradients: bool, extra: int) -> None:
    model = encoder()
    tokens = torch.nn.functional.pad(VOCABULARY.encode(TEXTS, 15), (0, extra), value=PAD)
    with torch.set_grad_enabled(gradients):
        together = model(tokens)
        for row, text in enumerate(TEXTS):
            alone = model(VOCABULARY.encode([text], 15))
            length = alone.words.shape[1]
            torch.testing.assert_close(together.sentences[row], alone.sentences[0], atol=1e-6, rtol=0)
            torch.testing.assert_close(together.words[row, :length], alone.words[0], atol=1e-6, rtol=0)


def test_an_expression_of_unknown_words_is_finite_and_depends_on_their_number() -> None:
    sentences, _, _ = encoder()(VOCABULARY.encode(["purple zebra", "quagga okapi", "zebra"], 15))
    assert sentences.isfinite().all()
    torch.testing.assert_close(sentences[0], sentences[1])
    assert not torch.allclose(sentences[0], sentences[2])


def test_word_order_matters() -> None:
    sentences, _, _ = encoder()(VOCABULARY.encode(["red cat left", "left cat red"], 15))
    assert not torch.allclose(sentences[0], sentences[1], atol=1e-4)


@pytest.mark.parametrize("gradients", [True, False])
def test_a_block_is_torchs_post_norm_transformer_layer(gradients: bool) -> None:
    torch.manual_seed(2)
    ours = SelfAttentionBlock(16, 4, 32, dropout=0.3).eval()
    theirs = torch.nn.TransformerEncoderLayer(16, 4, 32, dropout=0.3, batch_first=True).eval()
    pairs = {
        "self_attn.in_proj_": "attend_in.",
        "self_attn.out_proj.": "attend_out.",
        "linear1.": "expand.",
        "linear2.": "contract.",
        "norm1.": "attended_norm.",
        "norm2.": "norm.",
    }
    theirs.load_state_dict(
        {key: torch.randn_like(value) * 0.3 if "norm" in key else value for key, value in theirs.state_dict().items()}
    )
    ours.load_state_dict(
        {new + kind: theirs.state_dict()[old + kind] for old, new in pairs.items() for kind in ("weight", "bias")}
    )
    words, mask = torch.randn(3, 5, 16), torch.arange(5) < torch.tensor([[5], [1], [3]])
    places = mask.flatten().nonzero().squeeze(1)
    with torch.set_grad_enabled(gradients):
        expected = theirs(words, src_key_padding_mask=~mask)[mask]
        torch.testing.assert_close(ours(words[mask], places, mask), expected, atol=1e-6, rtol=1e-5)


def test_attentive_pooling_against_numpy() -> None:
    torch.manual_seed(1)
    pooling = AttentivePooling(8)
    words, mask = torch.randn(3, 5, 8), torch.arange(5) < torch.tensor([[5], [1], [3]])
    first, last, project = pooling.score[0], pooling.score[2], pooling.project
    expected = []
    for sentence, length in zip(words.numpy(), (5, 1, 3), strict=True):
        words_only = sentence[:length]
        hidden = np.maximum(words_only @ first.weight.detach().numpy().T + first.bias.detach().numpy(), 0)
        score = hidden @ last.weight.detach().numpy()[0] + last.bias.item()
        weight = np.exp(score) / np.exp(score).sum()
        expected.append(project.weight.detach().numpy() @ (weight @ words_only) + project.bias.detach().numpy())
    np.testing.assert_allclose(pooling(words, mask).detach().numpy(), np.stack(expected), atol=1e-6)


def test_given_vectors_are_used_and_are_frozen_if_configured() -> None:
    vectors = torch.randn(len(VOCABULARY), 12)
    for freeze in (True, False):
        model = TextEncoder(replace(SMALL, freeze_vectors=freeze), len(VOCABULARY), vectors)
        assert torch.equal(model.embedding.weight, vectors)
        model(VOCABULARY.encode(TEXTS, 15)).sentences.sum().backward()
        assert (model.embedding.weight.grad is None) == freeze
        assert all(p.grad is not None for n, p in model.named_parameters() if n != "embedding.weight")


def test_vectors_of_another_size_are_an_error_that_names_the_setting() -> None:
    with pytest.raises(ConfigError, match=r"set text\.word_dim to 50"):
        TextEncoder(SMALL, len(VOCABULARY), torch.zeros(len(VOCABULARY), 50))


def test_training_replaces_some_words_with_unk_so_that_unk_is_trained() -> None:
    model = encoder(replace(SMALL, unknown_rate=0.5, dropout=0.0)).train()
    tokens = VOCABULARY.encode(["the red cat on the left side of a very big dog"] * 8, 15)
    model(tokens).sentences.square().sum().backward()
    assert model.embedding.weight.grad is not None
    assert model.embedding.weight.grad[UNK].any()
    assert not model.embedding.weight.grad[PAD].any()


def test_inference_replaces_no_word() -> None:
    noisy, exact = (encoder(replace(SMALL, unknown_rate=rate)) for rate in (0.9, 0.0))
    tokens = VOCABULARY.encode(TEXTS, 15)
    assert torch.equal(noisy(tokens).sentences, exact(tokens).sentences)


@pytest.mark.parametrize(
    "change",
    [
        {"dim": 0},
        {"heads": 5},
        {"dropout": 1.0},
        {"unknown_rate": -0.1},
        {"blocks": -1},
        {"blocks": 101},
        {"max_length": 0},
    ],
)
def test_an_invalid_config_is_an_error_that_names_the_key(change: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=rf"text\.{next(iter(change))}"):
        replace(SMALL, **change)
