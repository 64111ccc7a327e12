"""The settings that the preset `own` fits to the data."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.fabricate import write_image
from helpers.tiny_run import ALIGNMENT, TEXT, TRAINING

from aligncat.api.extract import extract
from aligncat.api.train import train
from aligncat.datasets.config import DataConfig
from aligncat.datasets.split import Split
from aligncat.errors import DataError
from aligncat.grounder.grounder import Grounder
from aligncat.language.config import TextEncoderConfig
from aligncat.training import adapt
from aligncat.training.adapt import adapted
from aligncat.training.config import TrainingConfig
from aligncat.training.presets import Preset, load_preset
from aligncat.types import Expression, ImageRecord


def split_of(referents: int, *, sentences: int = 1, images: int | None = None, category: str | None = "cat") -> Split:
    count = images or referents
    expressions = tuple(
        Expression(f"{number}-{each}", f"r{number}", f"i{number % count}", "a cat", category=category)
        for number in range(referents)
        for each in range(sentences)
    )
    records = {f"i{number}": ImageRecord(f"i{number}", Path(f"{number}.jpg")) for number in range(count)}
    return Split("mine", "train", None, records, expressions)


@pytest.mark.parametrize(
    ("referents", "batch", "epochs", "warmup"),
    [
        (10, 4, 100, 10),  # 2 steps an epoch: 150 epochs would be needed
        (14, 4, 100, 10),  # 3 steps
        (40, 10, 75, 7.5),  # 4 steps: 300 in all
        (100, 25, 75, 7.5),
        (256, 64, 75, 7.5),
        (1000, 64, 20, 2),  # 15 steps: 300 in 20 epochs
        (100_000, 64, 20, 2),
    ],
)
def test_batch_epochs_and_warmup_follow_the_number_of_referents(
    referents: int, batch: int, epochs: int, warmup: float
) -> None:
    found = adapted(load_preset("own"), split_of(referents), columns=[], adapt="size").training
    assert (found.batch_size, found.epochs, found.warmup_epochs) == (batch, epochs, pytest.approx(warmup))
    assert replace(found, batch_size=64, epochs=20, warmup_epochs=2) == load_preset("own").training


def test_few_referents_with_many_phrases_make_small_batches() -> None:
    found = adapted(load_preset("own"), split_of(3, sentences=5), columns=[], adapt="size").training
    assert (found.batch_size, found.epochs) == (3, 100)


def test_a_split_batch_keeps_equal_parts() -> None:
    settings = Preset(ALIGNMENT, TEXT, TrainingConfig(batch_size=28, ranks=2))
    assert adapted(settings, split_of(50), columns=[], adapt="size").training.batch_size == 12


def test_none_changes_nothing() -> None:
    settings = Preset(ALIGNMENT, TEXT, TRAINING)
    assert adapted(settings, split_of(1), columns=["colour"], adapt="none") is settings


@pytest.mark.parametrize(
    ("split", "problem"),
    [
        (split_of(9), "9 phrases are too few to learn from; write at least 10"),
        (split_of(20, images=1), "all phrases are about one image"),
    ],
)
def test_too_little_data_is_an_error_that_says_what_to_do(split: Split, problem: str) -> None:
    with pytest.raises(DataError, match=f"mine, split train: {problem}.*training-free"):
        adapted(load_preset("own"), split, columns=[], adapt="all")


def test_without_categories_there_is_no_stage_for_them(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aligncat")
    found = adapted(load_preset("own"), split_of(20, category=None), columns=[], adapt="size").alignment
    assert (found.category_train, found.category_infer, found.dim) == ("none", "none", 256)
    assert "no phrase has a category" in caplog.text


@pytest.mark.parametrize(
    ("installed", "encoder", "vectors", "wanted"),
    [
        (True, "recurrent", False, "minilm"),
        (False, "recurrent", False, "recurrent"),
        (True, "recurrent", True, "recurrent"),
        (True, "me/mine", False, "me/mine"),
    ],
)
def test_minilm_reads_the_phrases_where_it_is_installed(
    monkeypatch: pytest.MonkeyPatch, installed: bool, encoder: str, vectors: bool, wanted: str
) -> None:
    monkeypatch.setattr(adapt, "MINILM", "json" if installed else "no_such_package")
    settings = replace(load_preset("own"), text=TextEncoderConfig(encoder=encoder))
    found = adapted(settings, split_of(20), columns=[], adapt="all", word_vectors=vectors)
    assert found.text.encoder == wanted
    assert adapted(settings, split_of(20), columns=[], adapt="size").text == settings.text


def test_the_appearance_of_the_store_is_read_if_it_is_there() -> None:
    own = load_preset("own")
    features = [
        adapted(own, split_of(20), columns=columns, adapt=how).alignment.features  # type: ignore[arg-type]
        for how, columns in (("all", ["colour", "levels"]), ("all", []), ("size", ["colour"]))
    ]
    assert features == ["query+appearance", "query", "query"]


def test_fourteen_phrases_without_val_train_a_grounder(
    tiny_detector: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapt, "MOST_EPOCHS", 3)  # for the test's time
    caplog.set_level(logging.INFO, "aligncat")
    rows = [{"image": f"{number}.png", "expression": f"the cat on the left {number}"} for number in range(14)]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for number in range(14):
        write_image(tmp_path / "data" / f"{number}.png", number)
    data = DataConfig(tmp_path / "data", "mine", format="jsonl")
    extract(out=tmp_path / "store", data=data, detector=tiny_detector)
    settings = Preset(ALIGNMENT, TEXT, replace(TRAINING, epochs=2, warmup_epochs=0.2, batch_size=64))
    grounder = train(
        data=data,
        store=tmp_path / "store",
        out=tmp_path / "run",
        alignment=settings.alignment,
        text=settings.text,
        training=settings.training,
        adapt="size",
        progress=False,
    )
    assert "No split val, so the last epoch is kept" in caplog.text
    assert (
        "14 referents, so training.batch_size 4, training.epochs 3 (9 steps), training.warmup_epochs 0.30"
        in caplog.text
    )
    stored = Grounder.from_pretrained(tmp_path / "run").provenance
    assert (stored["training"]["batch_size"], stored["training"]["epochs"], stored["val_split"]) == (4, 3, None)
    assert grounder.matcher is None
    with pytest.raises(DataError, match="no split 'val'"):
        train(data=data, store=tmp_path / "store", out=tmp_path / "other")
