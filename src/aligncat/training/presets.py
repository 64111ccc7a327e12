"""Read the YAML presets in `aligncat/configs/`. `aligncat train --config NAME` reads the same files."""

from __future__ import annotations

from argparse import ArgumentError
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from jsonargparse import ArgumentParser

from aligncat.alignment.config import AlignmentConfig
from aligncat.datasets.config import DataConfig
from aligncat.datasets.known import known_dataset
from aligncat.errors import ConfigError
from aligncat.files.settings_file import read_yaml, setting_mistakes
from aligncat.grounder.old_sizes import accept_old_sizes, drop_old_names, drop_old_sizes
from aligncat.language.config import TextEncoderConfig
from aligncat.training.config import TrainingConfig
from aligncat.wording import did_you_mean

Adapt: TypeAlias = Literal["none", "size", "all"]
"""What `aligncat train` fits to the data (`aligncat.training.adapt`)."""
FOLDER = Path(__file__).resolve().parents[1] / "configs"


@dataclass(frozen=True)
class Preset:
    """The settings of a preset.

    Attributes:
        alignment: settings of the alignment model and its losses.
        text: settings of the text encoder.
        training: settings of the optimiser, schedule and batches.
    """

    alignment: AlignmentConfig
    text: TextEncoderConfig
    training: TrainingConfig


def load_preset(name: str, *, seed: int = 0, epochs: int | None = None) -> Preset:
    """Read a preset. Its value of `adapt` is for `aligncat train` only: the rows of a study share their settings.

    Args:
        name: the name of a shipped preset, or the path of a YAML file in the same format.
        seed: replaces the preset's seed.
        epochs: replaces the preset's number of epochs, if given.

    Raises:
        ConfigError: the preset does not exist, or has an unknown key.
    """
    path = Path(name) if name.endswith(".yaml") else FOLDER / f"{name}.yaml"
    if not path.is_file():
        known = preset_names()
        raise ConfigError(f"unknown preset {name!r}; known presets are {', '.join(known)}{did_you_mean(name, known)}")
    kinds: dict[str, Any] = {
        "adapt": Adapt,
        "data": dict,
        "alignment": AlignmentConfig,
        "text": TextEncoderConfig,
        "training": TrainingConfig,
    }
    for mistake in setting_mistakes(drop_old_names(read_yaml(path)), kinds):
        raise ConfigError(f"{path}: {mistake}")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--data", type=dict)
    parser.add_argument("--adapt", type=Adapt, default="none")
    parser.add_class_arguments(AlignmentConfig, "alignment")
    accept_old_sizes(parser)
    parser.add_class_arguments(TextEncoderConfig, "text")
    parser.add_class_arguments(TrainingConfig, "training")
    try:
        parsed = parser.parse_path(path)
        drop_old_sizes(parsed)
        values = parser.instantiate(parsed)
    except ArgumentError as error:
        raise ConfigError(f"{path}: not a preset; compare it with {FOLDER / 'mojiref.yaml'}") from error
    training = replace(values.training, seed=seed)
    return Preset(
        alignment=values.alignment,
        text=values.text,
        training=training if epochs is None else replace(training, epochs=epochs),
    )


def preset_names() -> list[str]:
    """Return the names of the shipped presets."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def preset_of(data: DataConfig) -> str:
    """Return the name of a dataset's preset: `data.division`, or "mojiref" for all variants of MojiRef.

    Raises:
        ConfigError: the dataset has no preset.
    """
    name = "mojiref" if known_dataset(data.dataset).photos == "mojiref" else data.division
    if name not in preset_names():
        raise ConfigError(f"no preset for {name}; choose one with --preset: {', '.join(preset_names())}")
    return name
