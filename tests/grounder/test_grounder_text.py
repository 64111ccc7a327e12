"""Grounders with a transformer, or with vectors of words that training never saw."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.old_files import without_hashes
from helpers.tiny_run import ALIGNMENT, TEXT, TRAINING, World, checkpoint
from helpers.tiny_text import save_tiny_text
from safetensors.torch import load_file

from aligncat.api.evaluate import evaluate
from aligncat.api.train import train
from aligncat.cli import main
from aligncat.datasets.load import load_split
from aligncat.errors import ConfigError
from aligncat.files.seals import sealed
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.grounding import Grounding

PHRASES = ["red person", "the dog on the left", "player"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_text(tmp_path_factory.mktemp("bert") / "tiny")


def learn(
    world: World, out: Path, *, vectors: Path | None = None, epochs: int = 2, init: Path | None = None, **text: Any
) -> Grounder:
    return train(
        data=world.data,
        store=world.store,
        out=out,
        alignment=ALIGNMENT,
        text=replace(TEXT, **text),
        training=replace(TRAINING, epochs=epochs),
        word_vectors=vectors,
        init=init,
        progress=False,
    )


@pytest.fixture(scope="module")
def frozen(world: World, bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("frozen") / "run"
    learn(world, out, encoder=str(bert))
    return out


def ground(grounder: Grounder, world: World) -> list[Grounding]:
    return grounder.ground_candidates(world.open().candidates("1000"), PHRASES)


@pytest.mark.parametrize("train_encoder", [False, True], ids=["frozen", "trained"])
def test_train_returns_the_grounder_of_its_folder(
    world: World, bert: Path, tmp_path: Path, train_encoder: bool
) -> None:
    here = Path(shutil.copytree(bert, tmp_path / "bert"))
    made = learn(world, tmp_path / "run", encoder=str(here), train_encoder=train_encoder)
    if train_encoder:
        shutil.rmtree(here)  # its weights are in the grounder's folder
    for folder in ("run", "moved"):
        found = Grounder.from_pretrained(tmp_path / folder)
        assert ground(found, world) == ground(made, world)
        found.save_pretrained(tmp_path / "moved")
    names = load_file(tmp_path / "run" / "model.safetensors")
    assert any(name.startswith("text.transformer.") for name in names) == train_encoder
    assert (tmp_path / "run" / "text").exists() == train_encoder


def said(grounder: Grounder, world: World, phrase: str) -> tuple[tuple[str, ...], list[str]]:
    """Return the unknown words of a phrase, and the warnings that name them."""
    [found] = grounder.ground_candidates(world.open().candidates("1000"), [phrase])
    return found.unknown_words, [each for each in found.warnings if each.startswith("Words ")]


def test_a_transformer_reports_the_words_that_no_training_phrase_has(frozen: Path, world: World) -> None:
    words = {word for each in load_split(world.data, "train").expressions for word in each.text.lower().split()}
    assert set(json.loads((frozen / "vocabulary.json").read_text())["words"]) == words
    known = Grounder.from_pretrained(frozen)
    assert said(known, world, "the Red unicorn\N{EM DASH}unicorn, left") == (
        ("unicorn",),
        ["Words that the grounder does not know: unicorn."],
    )
    assert said(known, world, "the red dog on the left") == ((), [])


def test_an_older_transformer_has_no_list_of_words_and_reports_none(
    frozen: Path, world: World, bert: Path, tmp_path: Path
) -> None:
    """The folder that earlier versions wrote gives the same answers but for the words."""
    old = Path(shutil.copytree(frozen, tmp_path / "old"))
    config = json.loads((old / "config.json").read_text())
    del config["words"], config["sha256"]["vocabulary.json"]
    (old / "config.json").write_text(json.dumps(sealed(config)))
    (old / "vocabulary.json").write_text("a file that the folder's hashes do not name is not read")
    found, now = Grounder.from_pretrained(old), Grounder.from_pretrained(frozen)
    assert said(found, world, "a unicorn") == ((), [])
    assert ground(found, world)[:2] == ground(now, world)[:2]  # no training phrase has the third's word
    [before], [after] = (
        each.ground_candidates(world.open().candidates("1000"), ["a unicorn"]) for each in (found, now)
    )
    assert (before.match, before.probability, before.choice) == (after.match, after.probability, after.choice)
    assert found.fingerprint() != now.fingerprint()
    # Training that starts from it cannot know all of its words, and one from the other has those of both.
    for init, words in ((old, None), (frozen, now.words)):
        made = learn(world, tmp_path / f"from-{init.name}", encoder=str(bert), epochs=1, init=init)
        assert made.words == words


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_a_damaged_list_of_words_is_an_error(frozen: Path, tmp_path: Path, damage: str) -> None:
    folder = Path(shutil.copytree(frozen, tmp_path / "run"))
    if damage == "missing":
        (folder / "vocabulary.json").unlink()
    else:
        (folder / "vocabulary.json").write_text('{"special": ["<pad>", "<unk>", "<cls>"], "words": ["unicorn"]}')
    with pytest.raises(ConfigError, match=r"vocabulary\.json"):
        Grounder.from_pretrained(folder)


def test_training_changes_a_transformer_only_if_it_is_not_frozen(world: World, bert: Path, tmp_path: Path) -> None:
    before = load_file(bert / "model.safetensors")["encoder.layer.0.output.dense.weight"]
    for train_encoder in (False, True):
        made = learn(world, tmp_path / str(train_encoder), encoder=str(bert), train_encoder=train_encoder, epochs=1)
        after = made.pretrained.model.encoder.layer[0].output.dense.weight  # type: ignore[union-attr]
        assert torch.equal(after.cpu(), before) != train_encoder


def test_checkpoints_leave_out_a_frozen_transformer_and_training_is_reproducible(
    world: World, bert: Path, frozen: Path, tmp_path: Path
) -> None:
    assert not any("transformer" in name for name in checkpoint(frozen, "last")["state_dict"])
    learn(world, tmp_path / "again", encoder=str(bert))
    weights = [(folder / "model.safetensors").read_bytes() for folder in (frozen, tmp_path / "again")]
    assert weights[0] == weights[1]


def test_word_weights_are_per_word_and_sum_to_one(frozen: Path, world: World) -> None:
    found = ground(Grounder.from_pretrained(frozen), world)
    assert [[word for word, _ in each.word_weights] for each in found] == [p.split() for p in PHRASES]
    assert [sum(weight for _, weight in each.word_weights) for each in found] == pytest.approx([1.0] * 3)


def test_choose_answers_every_expression_of_a_split(frozen: Path, world: World) -> None:
    split = load_split(world.data, "val")
    choices = Grounder.from_pretrained(frozen).choose(world.open(), split)
    assert len(choices.choice) == len(choices.predicted or ()) == len(split.expressions)


def test_a_transformer_with_other_weights_is_rejected(world: World, bert: Path, frozen: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(frozen, tmp_path / "run"))
    other = save_tiny_text(tmp_path / "other", seed=1)
    config = json.loads((folder / "config.json").read_text())
    assert config["text_encoder"]["name"] == str(bert)
    config["text_encoder"]["name"] = str(other)
    (folder / "config.json").write_text(json.dumps(sealed(config)))
    with pytest.raises(
        ConfigError, match=r"run: the weights of the text encoder .*other.* differ from those .* trained"
    ):
        Grounder.from_pretrained(folder)
    elsewhere = str(shutil.copytree(bert, tmp_path / "elsewhere"))
    found = Grounder.from_pretrained(folder, text_encoder=elsewhere)
    assert ground(found, world) == ground(Grounder.from_pretrained(frozen), world)
    photo = str(next(world.files.image_folder.iterdir()))
    assert main(["ground", photo, "red person", "--grounder", str(folder)]) == 1
    assert main(["ground", photo, "red person", "--grounder", str(folder), "--text-encoder", elsewhere]) == 0
    results = evaluate(grounder=folder, data=world.data, store=world.store, splits=("val",), text_encoder=elsewhere)
    assert [answers.result.split for answers in results] == ["val"]


def test_a_trained_transformer_without_its_folder_is_an_error(world: World, bert: Path, tmp_path: Path) -> None:
    learn(world, tmp_path / "run", encoder=str(bert), train_encoder=True, epochs=1)
    shutil.rmtree(tmp_path / "run" / "text")
    with pytest.raises(ConfigError, match=r"text/\S+ is missing"):
        Grounder.from_pretrained(tmp_path / "run")


def test_a_run_from_before_transformers_resumes(world: World, tmp_path: Path) -> None:
    learn(world, tmp_path / "run", epochs=1)
    path = tmp_path / "run" / "run" / "settings.json"
    settings = without_hashes(path)
    del settings["text_encoder"]
    for key in ("encoder", "train_encoder", "vector_words"):
        del settings["text"][key]
    path.write_text(json.dumps(settings))
    learn(world, tmp_path / "run", epochs=1)
    with pytest.raises(ConfigError, match=r"text\.unknown_rate was 0\.01 and is 0\.5"):
        learn(world, tmp_path / "run", epochs=1, unknown_rate=0.5)


def test_an_unseen_word_is_read_by_its_vector(world: World, tmp_path: Path) -> None:
    """Two words with the same vector get the same scores, although training saw only one of them."""
    seen = sorted({word for e in load_split(world.data, "train").expressions for word in e.text.split()})
    words = {word: [float(row == column) for column in range(16)] for row, word in enumerate(seen)}
    words |= {"hound": words["dog"], "human": words["person"]}
    path = tmp_path / "vectors.txt"
    path.write_text("".join(f"{word} {' '.join(map(str, vector))}\n" for word, vector in words.items()))

    known = learn(world, tmp_path / "known", vectors=path, freeze_vectors=True, vector_words=len(words))
    again = Grounder.from_pretrained(tmp_path / "known")
    candidates = world.open().candidates("1000")
    for grounder in (known, again):
        pairs = [("red dog", "red hound"), ("the person on the left", "the human on the left")]
        for usual, unseen in pairs:
            one, other = grounder.ground_candidates(candidates, [usual, unseen])
            # Equal rows of a batch may differ in their last bits.
            for candidate, its_twin in zip(one.candidates, other.candidates, strict=True):
                assert candidate.scores == pytest.approx(its_twin.scores, abs=1e-5)
    without = learn(world, tmp_path / "without", vectors=path, freeze_vectors=True)
    assert "hound" in known.vocabulary  # type: ignore[operator]
    assert "hound" not in without.vocabulary  # type: ignore[operator]


@pytest.mark.parametrize(
    ("text", "vectors", "message"),
    [
        ({"encoder": "bert"}, "vectors.txt", "--word_vectors is only for text.encoder 'recurrent'"),
        ({"freeze_vectors": True, "vector_words": 5}, None, "name a file with --word_vectors"),
        ({"encoder": "no/such/place/anywhere"}, None, "is not 'recurrent'"),
    ],
)
def test_contradictory_settings_leave_no_folder_behind(
    world: World, tmp_path: Path, text: dict[str, Any], vectors: str | None, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        learn(world, tmp_path / "run", vectors=None if vectors is None else Path(vectors), **text)
    assert not (tmp_path / "run").exists()
