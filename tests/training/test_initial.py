"""`train --init`: training starts from another grounder's weights and words, or says why it cannot."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.fabricate import CATEGORIES, write_refer_dataset
from helpers.tiny_detector import save_tiny_detector
from helpers.tiny_run import ALIGNMENT, CANDIDATES, STEPS, TEXT, TRAINING, World, interrupted_at, weights
from safetensors.torch import load_file

from aligncat.api.extract import extract
from aligncat.api.train import train
from aligncat.datasets.config import DataConfig
from aligncat.errors import ConfigError
from aligncat.files.hashes import file_sha256
from aligncat.grounder.features import APPEARANCE
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.model import GroundingModel
from aligncat.grounder.model_card import write_model_card
from aligncat.language.vocabulary import SPECIAL, Vocabulary
from aligncat.store.reader import Store
from aligncat.training.initial import Initial

WORDS = "text.embedding.weight"
STILL: dict[str, Any] = {
    "epochs": 1,
    "warmup_epochs": 0.5,
    "learning_rate": 1e-12,
    "warmup_rate": 0.0,
    "final_rate": 0.0,
}


@pytest.fixture(scope="module")
def other(world: World, tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    """The same photos with phrases in which every noun is another word."""
    files = write_refer_dataset(
        tmp_path_factory.mktemp("other"), splits={"train": 12, "val": 4, "testA": 2, "testB": 2}
    )
    for ref in files.refs:
        for sentence in ref["sentences"]:
            sentence["sent"] = sentence["raw"] = f"{sentence['sent']} yonder"
    files.save()
    return files.config


def start(world: World, out: Path, init: Path | None, data: DataConfig | None = None, **changes: Any) -> Grounder:
    settings = {"alignment": ALIGNMENT, "text": TEXT}
    parts = {name: changes.pop(name, value) for name, value in settings.items()}
    return train(
        data=data or world.data,
        store=changes.pop("store", world.store),
        out=out,
        training=replace(TRAINING, **changes),
        val_split=None,
        init=init,
        progress=False,
        **parts,
    )


class TestWeights:
    def test_training_starts_from_the_weights_of_the_grounder(
        self, world: World, trained: Path, tmp_path: Path
    ) -> None:
        """With a learning rate of nearly nothing, the weights stay what they were."""
        start(world, tmp_path / "run", trained, **STILL)
        before, after = load_file(trained / "model.safetensors"), load_file(tmp_path / "run" / "model.safetensors")
        assert before.keys() == after.keys()
        assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)

    def test_new_words_come_after_those_of_the_grounder(
        self, world: World, trained: Path, other: DataConfig, tmp_path: Path
    ) -> None:
        grounder = start(world, tmp_path / "run", trained, other, **STILL)
        known, vocabulary = Grounder.from_pretrained(trained).vocabulary, grounder.vocabulary
        assert isinstance(known, Vocabulary) and isinstance(vocabulary, Vocabulary)
        assert vocabulary.words[: len(known.words)] == known.words
        assert vocabulary.words[len(known.words) :] == ("yonder",)
        before, after = load_file(trained / "model.safetensors")[WORDS], grounder.model.state_dict()[WORDS]
        assert len(after) == len(before) + 1 == len(SPECIAL) + len(vocabulary.words)
        assert torch.allclose(after[: len(before)], before, atol=1e-6)
        assert after[-1].abs().sum() > 0

    def test_the_seed_determines_the_result(
        self, world: World, trained: Path, other: DataConfig, tmp_path: Path
    ) -> None:
        for name in ("one", "two"):
            start(world, tmp_path / name, trained, other, epochs=2)
        assert weights(tmp_path / "one") == weights(tmp_path / "two")
        start(world, tmp_path / "without", None, other, epochs=2)
        assert weights(tmp_path / "one") != weights(tmp_path / "without")

    def test_a_grounder_of_the_first_layout_can_be_read(self) -> None:
        folder = Path(__file__).parents[1] / "fixtures" / "first-layout" / "grounder"
        initial = Initial.read(folder)
        assert initial.rule == 1 and initial.name == "grounder" and len(initial.sha256) == 64


class TestRecords:
    def test_settings_and_card_name_the_grounder(self, world: World, trained: Path, tmp_path: Path) -> None:
        grounder = start(world, tmp_path / "run", trained, epochs=1)
        found = json.loads((tmp_path / "run/run/settings.json").read_text())["init"]
        assert found == grounder.provenance["init"]
        assert (found["name"], found["init"]) == (trained.name, None)
        assert found["data"] == Grounder.from_pretrained(trained).provenance["data"]
        card = write_model_card(tmp_path / "run").read_text()
        assert f"Training started from {trained.name} (SHA-256 {found['sha256']}), which was trained on" in card

    def test_the_hash_is_that_of_the_files(self, trained: Path, tmp_path: Path) -> None:
        copy = Path(shutil.copytree(trained, tmp_path / "copy"))
        assert Initial.read(copy).sha256 == Initial.read(trained).sha256
        assert file_sha256(copy / "model.safetensors") == file_sha256(trained / "model.safetensors")
        other = start_config(copy)
        assert Initial.read(other).sha256 != Initial.read(trained).sha256

    def test_what_its_detector_started_from_is_passed_on(self, world: World, trained: Path, tmp_path: Path) -> None:
        copy = Path(shutil.copytree(trained, tmp_path / "copy"))
        grounder = Grounder.from_pretrained(copy)
        grounder.provenance["detector_started_from"] = ["mini"]
        grounder.save_pretrained(copy)
        passed_on = start(world, tmp_path / "run", copy, epochs=1)
        assert passed_on.provenance["detector_started_from"] == ["mini"]
        assert "detector_started_from" not in start(world, tmp_path / "none", trained, epochs=1).provenance

    def test_a_run_without_it_records_none(self, trained: Path) -> None:
        assert Grounder.from_pretrained(trained).provenance["init"] is None


def start_config(folder: Path) -> Path:
    """Save the grounder in a folder again with another provenance, so that its config.json differs."""
    grounder = Grounder.from_pretrained(folder)
    grounder.provenance["note"] = "another"
    grounder.save_pretrained(folder)
    return folder


class TestResume:
    def test_an_interrupted_run_ends_with_the_same_weights(
        self, world: World, trained: Path, other: DataConfig, tmp_path: Path
    ) -> None:
        start(world, tmp_path / "whole", trained, other)
        with pytest.raises(KeyboardInterrupt), interrupted_at(2 * STEPS + 1):
            start(world, tmp_path / "run", trained, other)
        start(world, tmp_path / "run", trained, other)
        assert weights(tmp_path / "run") == weights(tmp_path / "whole")

    def test_a_run_does_not_resume_from_another_start(self, world: World, trained: Path, tmp_path: Path) -> None:
        start(world, tmp_path / "run", trained, epochs=1)
        with pytest.raises(ConfigError, match=r"contains a run with other settings: init was .* and is None"):
            start(world, tmp_path / "run", None, epochs=1)


class TestRefused:
    def test_other_settings_are_listed_in_one_error(self, world: World, trained: Path, tmp_path: Path) -> None:
        with pytest.raises(ConfigError) as raised:
            start(
                world,
                tmp_path / "run",
                trained,
                alignment=replace(ALIGNMENT, dim=32),
                text=replace(TEXT, word_dim=8),
            )
        assert str(raised.value) == (
            f"{trained.name}: training cannot start from this grounder, because it differs: alignment.dim: it has 16, "
            "not 32; text.word_dim: it has 16, not 8. Use its settings and the store of its detector, or leave --init "
            "out"
        )
        assert not (tmp_path / "run" / "run").exists()

    def test_another_detector(self, world: World, trained: Path, tmp_path: Path) -> None:
        detector = save_tiny_detector(tmp_path / "detector", labels=(*CATEGORIES.values(), "fridge"), seed=9)
        extract(out=tmp_path / "store", data=world.data, detector=str(detector), candidates=CANDIDATES)
        with pytest.raises(ConfigError, match=r"detector\.weights_sha256.*the detector's categories"):
            start(world, tmp_path / "run", trained, store=tmp_path / "store")

    def test_other_columns_of_the_store(self, world: World, trained: Path) -> None:
        initial = Initial.read(trained)
        manifest, config = Store.open(world.store).manifest, initial.contents.model.config
        initial.check(config, manifest, ())
        with pytest.raises(ConfigError, match=r"differs: it reads .*, not .*colour"):
            initial.check(config, manifest, APPEARANCE)

    @pytest.mark.parametrize("kind", ["missing", "no grounder", "damaged"])
    def test_a_folder_that_is_no_grounder(self, kind: str, world: World, trained: Path, tmp_path: Path) -> None:
        init = tmp_path / "init"
        if kind == "no grounder":
            init.mkdir()
        elif kind == "damaged":
            shutil.copytree(trained, init)
            (init / "model.safetensors").write_bytes(b"damaged")
        with pytest.raises(
            ConfigError, match=r"init: no such folder|so this is not a trained grounder|damaged or replaced"
        ):
            start(world, tmp_path / "run", init)


def test_the_loaded_model_is_the_grounders(trained: Path, world: World) -> None:
    initial = Initial.read(trained)
    own = initial.contents.model
    model = GroundingModel(
        own.config,
        len(initial.contents.vocabulary) + 2,
        feature_dim=own.alignment.sizes.visual_dim,
        classes=len(initial.contents.labels),
    )
    new = model.state_dict()[WORDS][-2:].clone()
    initial.load_into(model)
    loaded, expected = model.state_dict(), own.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in expected.items() if name != WORDS)
    assert torch.equal(loaded[WORDS][:-2], expected[WORDS]) and torch.equal(loaded[WORDS][-2:], new)
