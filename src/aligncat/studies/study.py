"""Studies and their rows. A row changes the config, the number of candidates, or the training split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aligncat.alignment.config import ALL_PRESETS
from aligncat.datasets.split import Split
from aligncat.errors import ConfigError
from aligncat.studies.subsets import over_specified, share_of_referents
from aligncat.training.presets import Preset


@dataclass(frozen=True)
class StudyRow:
    """One config of a study.

    Attributes:
        name: the name, also of folders; rows with the same name are the same config in every study.
        label: the label in tables.
        stages: the name of the alignment preset that supplies the stages and categories.
        alignment: the fields of AlignmentConfig that it changes.
        text: the fields of TextEncoderConfig that it changes.
        ranks: `TrainingConfig.ranks`; None for the preset's value.
        candidates: O, the number of candidates used, best first; None for all candidates in the store.
        over_specified: the share of training referents described with redundant words; None for unchanged data.
        pairs: the share of training referents used. The number of steps stays the same.
        word_vectors: the initial word vectors, by file or name.
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
        """Return a preset with the changes of this row.

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
        """Return the part of a training split that this row is trained on, without expressions that have no target.

        Raises:
            DataError: the row varies redundant words, and the data does not record them.
        """
        split = split.with_targets()
        if self.over_specified is not None:
            split = over_specified(split, self.over_specified, seed)
        return split if self.pairs == 1 else share_of_referents(split, self.pairs, seed)


@dataclass(frozen=True)
class Study:
    """An ablation study: rows to compare.

    Attributes:
        name: the name on the command line.
        title: a description of what varies.
        rows: the rows, in the order of the table.
        reference: the name of the row that the others are compared with; None to compare all pairs, as for the tables
            of the paper.
    """

    name: str
    title: str
    rows: tuple[StudyRow, ...]
    reference: str | None = None

    def only(self, names: Sequence[str]) -> Study:
        """Return the study with some of its rows, in its order. Without its reference row, all pairs are compared.

        Raises:
            ConfigError: no row has one of the names, or there are no names.
        """
        known = [row.name for row in self.rows]
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            what = f"no row {unknown[0]!r}" if unknown else "no rows were named"
            raise ConfigError(f"study {self.name!r}: {what}; its rows are {', '.join(known)}")
        rows = tuple(row for row in self.rows if row.name in names)
        return replace(self, rows=rows, reference=self.reference if self.reference in names else None)


ALIGNCAT = StudyRow("aligncat", "as it is")
"""The unchanged preset, the reference row of most studies of our own."""


def rows_for(study: Study, preset: Preset) -> list[tuple[StudyRow, Preset]]:
    """Return the rows of a study with their settings, without rows that repeat the preset's value (such as alpha 100).

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
        if row.name in ALL_PRESETS or not same_data or settings != ALIGNCAT.settings(preset):
            rows.append((row, settings))
    return rows
