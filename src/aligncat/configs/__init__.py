"""The YAML presets that aligncat ships: `aligncat train --config mojiref`."""

from __future__ import annotations

from argparse import ArgumentError
from dataclasses import dataclass, replace
from pathlib import Path

from jsonargparse import ArgumentParser

from aligncat.alignment.config import AlignmentConfig
from aligncat.alignment.old_sizes import accept_old_sizes, drop_old_sizes
from aligncat.errors import ConfigError
from aligncat.language.encoder import TextEncoderConfig
from aligncat.training.config import TrainingConfig

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Preset:
    """What a preset says of training.

    Attributes:
        alignment: which scores choose.
        text: how expressions are read.
        training: optimiser, schedule, batch and seed.
    """

    alignment: AlignmentConfig
    text: TextEncoderConfig
    training: TrainingConfig


def load_preset(name: str, *, seed: int = 0, epochs: int | None = None) -> Preset:
    """Read a preset.

    Args:
        name: of one that is shipped, without ".yaml"; or the path of a YAML file like these.
        seed: in place of the preset's.
        epochs: in place of the preset's.

    Raises:
        ConfigError: there is no such preset, or it has a key that is not known.
    """
    path = Path(name) if name.endswith(".yaml") else FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise ConfigError(f"there is no preset {name!r}; there are {', '.join(p.stem for p in FOLDER.glob('*.yaml'))}")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--data", type=dict)
    parser.add_class_arguments(AlignmentConfig, "alignment")
    accept_old_sizes(parser)
    parser.add_class_arguments(TextEncoderConfig, "text")
    parser.add_class_arguments(TrainingConfig, "training")
    try:
        parsed = parser.parse_path(path)
        drop_old_sizes(parsed)
        values = parser.instantiate(parsed)
    except ArgumentError as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from error
    training = replace(values.training, seed=seed)
    return Preset(
        alignment=values.alignment,
        text=values.text,
        training=training if epochs is None else replace(training, epochs=epochs),
    )
