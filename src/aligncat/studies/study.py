"""A study and its rows: each row changes the one config, the candidates, or the training split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aligncat.alignment.config import PRESETS
from aligncat.datasets.split import Split
from aligncat.errors import ConfigError
from aligncat.studies.subsets import over_specified, share_of_referents
from aligncat.training.presets import Preset


@dataclass(frozen=True)
class StudyRow:
    """One config of a study.

    Attributes:
        name: of its folders; rows of the same name are the same config in every study.
        label: what a table calls it.
        stages: the preset whose stages and categories it takes.
        alignment: fields of AlignmentConfig that it changes.
        text: fields of TextEncoderConfig that it changes.
        ranks: of TrainingConfig; None for the preset's.
        candidates: O, the best of the store's candidates that it sees; None for all.
        over_specified: rate at which the training phrases say more than is needed; None for the data as it is.
        pairs: share of the training referents; it takes as many steps as with all of them.
        word_vectors: a file or name of word vectors to start from.
    """

    name: str
    label: str
    stages: str = "aligncat"
    alignment: Mapping[str, Any] = field(default_factory=dict)
    text: Mapping[str, Any] = field(default_factory=dict)
    ranks: int | None = None
    candidates: int | None = None
    over_specified: float | None = None
    pairs: float = 1.0
    word_vectors: Path | None = None

    def settings(self, preset: Preset) -> Preset:
        """Return a preset's sizes, optimiser and schedule with this row's changes.

        Raises:
            ConfigError: a change does not fit the preset.
        """
        training = preset.training
        return Preset(
            alignment=replace(preset.alignment.with_stages(self.stages), **self.alignment),
            text=replace(preset.text, **self.text),
            training=replace(
                training,
                ranks=training.ranks if self.ranks is None else self.ranks,
                epochs=round(training.epochs / self.pairs),
                warmup_epochs=training.warmup_epochs / self.pairs,
            ),
        )

    def training_split(self, split: Split, seed: int) -> Split:
        """Return the part of a training split that this row learns from.

        Raises:
            DataError: the data does not record what is redundant in a sentence, and the row asks for it.
        """
        if self.over_specified is not None:
            split = over_specified(split, self.over_specified, seed)
        return split if self.pairs == 1 else share_of_referents(split, self.pairs, seed)


@dataclass(frozen=True)
class Study:
    """An ablation study: rows to compare.

    Attributes:
        name: on the command line.
        title: what varies.
        rows: in the table's order.
        reference: name of the row that the others are compared with; None to compare all pairs, as for the paper's
            tables.
    """

    name: str
    title: str
    rows: tuple[StudyRow, ...]
    reference: str | None = None


ALIGNCAT = StudyRow("aligncat", "as it is")
"""The preset itself, which studies of our own hold their other rows against."""


def rows_for(study: Study, preset: Preset) -> list[tuple[StudyRow, Preset]]:
    """Return a study's rows with their settings, without rows that repeat the preset's own value ("alpha = 100").

    Raises:
        ConfigError: a row does not fit the preset.
    """
    rows: list[tuple[StudyRow, Preset]] = []
    for row in study.rows:
        try:
            settings = row.settings(preset)
        except ConfigError as error:
            raise ConfigError(f"{study.name}, row {row.label!r}: {error}") from error
        same_data = row.candidates is None and row.over_specified is None
        if row.name in PRESETS or not same_data or settings != ALIGNCAT.settings(preset):
            rows.append((row, settings))
    return rows
