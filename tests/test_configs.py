"""The shipped presets have the paper's values."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from aligncat.alignment.config import ALL_PRESETS, PRESETS, TABLES, AlignmentConfig
from aligncat.cli import main, settings
from aligncat.errors import ConfigError
from aligncat.language.config import TextEncoderConfig
from aligncat.training.config import TrainingConfig
from aligncat.training.presets import FOLDER, load_preset

REQUIRED = ["--data.path", "data", "--store", "store", "--out", "out"]

# From section 5.2 of the paper: K, alpha, the dimensions, the learning rate, the epochs, the batch of 14 on each of 2
# GPUs, and the lengths of expressions. From QueryMatch, which the paper follows: GPUs that share no negatives, 4
# negatives per image, temperature 1, the encoder (frozen 300-d vectors, 3 blocks, 8 heads, 2048 hidden units, dropout
# 0.1), Adam's betas and eps, clipping at 0.15, warm-up from 1e-7 over 3 epochs, cosine to 1e-6, and averaged weights
# with decay 0.9997. Our own defaults: the unknown rate, the weights of Eq. 19, and the positive of the coarse loss.
ALIGNMENT = {
    "alpha": 100.0,
    "keep": 10,
    "dim": 512,
    "temperature": 1.0,
    "negatives_per_image": 4,
    "coarse_positive": "chosen",
    "weighting": "constant",
    "lambda_1": 1.0,
    "lambda_2": 1.0,
    "detach_classifier": False,
}
TEXT = {
    "word_dim": 300,
    "dim": 512,
    "blocks": 3,
    "heads": 8,
    "feedforward": 2048,
    "dropout": 0.1,
    "freeze_vectors": True,
    "unknown_rate": 0.01,
}
TRAINING = {
    "epochs": 25,
    "batch_size": 28,
    "ranks": 2,
    "learning_rate": 1e-4,
    "warmup_epochs": 3.0,
    "warmup_rate": 1e-7,
    "final_rate": 1e-6,
    "betas": (0.9, 0.98),
    "eps": 1e-9,
    "clip_norm": 0.15,
    "ema_decay": 0.9997,
}
STAGES = {
    "order",
    "category_train",
    "category_infer",
    "category_stage",
    "features",
    "context",
    "context_without",
}
DATASETS = {
    "refcoco": ("refcoco", "unc", 15),
    "refcoco+": ("refcoco+", "unc", 15),
    "refcocog-umd": ("refcocog", "umd", 20),
    "refcocog-google": ("refcocog", "google", 20),
}


@pytest.mark.parametrize("name", DATASETS)
def test_refcoco_presets_have_the_papers_values(name: str) -> None:
    dataset, split_by, length = DATASETS[name]
    found = settings("train", ["--config", name, *REQUIRED])
    assert (found["data"].dataset, found["data"].split_by) == (dataset, split_by)
    assert found["alignment"] == AlignmentConfig(**ALIGNMENT)  # type: ignore[arg-type]
    assert found["text"] == TextEncoderConfig(**TEXT, max_length=length)  # type: ignore[arg-type]
    assert found["training"] == TrainingConfig(**TRAINING)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", DATASETS)
def test_refcoco_presets_contain_every_setting(name: str) -> None:
    """A changed default in the code must not change the paper's presets."""
    content = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    # --alignment sets the stages.
    others = STAGES
    assert set(content["alignment"]) == {field.name for field in fields(AlignmentConfig)} - others
    # These are for --text.encoder, for word vector files, and for QueryMatch checkpoints.
    others = {"encoder", "train_encoder", "vector_words", "norm"}
    assert set(content["text"]) == {field.name for field in fields(TextEncoderConfig)} - others
    # The machine decides the devices and nodes.
    others = {"seed", "devices", "nodes"}
    assert set(content["training"]) == {field.name for field in fields(TrainingConfig)} - others


@pytest.mark.parametrize("name", ALL_PRESETS)
def test_alignment_accepts_the_name_of_every_preset(name: str) -> None:
    found = settings("train", ["--alignment", name, *REQUIRED, "--data.dataset", "refcoco"])["alignment"]
    assert found == ALL_PRESETS[name]


def test_every_row_has_a_preset_and_every_preset_is_a_row() -> None:
    assert {name for names in TABLES.values() for name in names} == set(PRESETS)


@pytest.mark.parametrize("name", ALL_PRESETS)
def test_an_alignment_preset_keeps_the_other_settings_of_the_datasets_preset(name: str) -> None:
    """An alignment preset sets only the stages."""
    plain = settings("train", ["--config", "mojiref", *REQUIRED])
    found = settings("train", ["--config", "mojiref", "--alignment", name, *REQUIRED])
    rows = ALL_PRESETS[name]
    stages = {key: getattr(rows, key) for key in STAGES}
    assert found["alignment"] == type(rows)(**{**vars(plain["alignment"]), **stages})
    assert (found["text"], found["training"]) == (plain["text"], plain["training"])


def test_options_override_the_file_before_them() -> None:
    words = ["--config", "mojiref", "--alignment", "querymatch", "--training.epochs", "7", "--alignment.keep", "5"]
    found = settings("train", [*words, *REQUIRED])
    assert (found["training"].epochs, found["training"].seed) == (7, 0)
    assert (found["alignment"].keep, found["alignment"].order) == (5, "coarse")


def test_presets_can_be_named_after_an_equals_sign() -> None:
    found = settings("train", ["--config=mojiref", "--alignment=querymatch", *REQUIRED])
    assert found == settings("train", ["--config", "mojiref", "--alignment", "querymatch", *REQUIRED])


@pytest.mark.parametrize("name", [path.stem for path in sorted(FOLDER.glob("*.yaml"))])
def test_a_preset_is_the_same_on_the_command_line_and_in_python(name: str) -> None:
    found = settings("train", ["--config", name, "--training.seed", "3", *REQUIRED])
    preset = load_preset(name, seed=3)
    assert (preset.alignment, preset.text, preset.training) == tuple(
        found[key] for key in ("alignment", "text", "training")
    )
    assert load_preset(name, epochs=30).training.epochs == 30


def test_the_preset_own_adapts_to_json_lines() -> None:
    found = settings("train", ["--config", "own", *REQUIRED])
    assert (found["adapt"], found["data"].dataset, found["data"].format) == ("all", "mine", "jsonl")
    assert settings("train", ["--config", "mojiref", *REQUIRED])["adapt"] == "none"
    words = ["--config", "own", "--adapt", "size", "--data.format", "refer", "--training.epochs", "3", *REQUIRED]
    found = settings("train", words)
    assert (found["adapt"], found["data"].format, found["training"].epochs) == ("size", "refer", 3)


def test_an_alignment_can_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("order: coarse\nkeep: 3\n")
    found = settings("train", ["--config", "mojiref", "--alignment", str(path), *REQUIRED])["alignment"]
    assert (found.order, found.keep, found.dim) == ("coarse", 3, 256)


def test_an_unknown_alignment_preset_is_an_error_that_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        settings("train", ["--alignment", "querymach", *REQUIRED])
    said = capsys.readouterr().err
    assert "no such file or preset; known presets are " + ", ".join(sorted(ALL_PRESETS)) in said


OLD = """
alignment:
  keep: 5
  visual_dim: 99
  text_dim: 256
  classes: 7
text:
  dim: 128
"""
WARNING = (
    "ignored alignment.visual_dim, alignment.text_dim, alignment.classes: the store and text.dim decide these sizes"
)


def test_yaml_with_old_sizes_is_read_with_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "old.yaml"
    path.write_text(OLD)
    found = settings("train", ["--config", str(path), "--data.dataset", "refcoco", *REQUIRED])
    assert (found["alignment"], found["text"].dim) == (AlignmentConfig(keep=5), 128)
    assert caplog.messages == [WARNING]
    caplog.clear()
    preset = load_preset(str(path))
    assert (preset.alignment, preset.text.dim) == (AlignmentConfig(keep=5), 128)
    assert caplog.messages == [WARNING]


def test_an_alignment_file_with_old_sizes_is_read_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "old.yaml"
    path.write_text("keep: 5\ntext_dim: 256\n")
    found = settings("train", ["--alignment", str(path), "--data.dataset", "refcoco", *REQUIRED])
    assert found["alignment"] == AlignmentConfig(keep=5)
    assert caplog.messages == ["ignored alignment.text_dim: the store and text.dim decide these sizes"]


def test_help_does_not_show_old_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    said = capsys.readouterr().out
    assert "--alignment.keep" in said and not any(name in said for name in ("visual_dim", "text_dim", "classes"))


def test_other_unknown_keys_are_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "old.yaml"
    path.write_text("alignment:\n  textdim: 256\n")
    with pytest.raises(SystemExit):
        settings("train", ["--config", str(path), "--data.dataset", "refcoco", *REQUIRED])
    assert "textdim" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="textdim"):
        load_preset(str(path))


def test_an_unknown_preset_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"unknown preset 'refcocoo'; known presets are mojiref, own, refcoco"):
        load_preset("refcocoo")
