"""Ablation studies as data: each row is a change of the one config, of the candidates, or of the training split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from aligncat.alignment.config import PRESETS, TABLES
from aligncat.datasets.split import Split
from aligncat.errors import ConfigError
from aligncat.studies.subsets import over_specified, share_of_referents
from aligncat.training.presets import Preset

StudyName: TypeAlias = Literal[
    "table3",
    "table4",
    "table5",
    "over-specification",
    "pairs",
    "candidates",
    "keep",
    "alpha",
    "negatives",
    "weighting",
    "temperature",
    "ranks",
    "positives",
    "text",
]
"""The paper's Tables 3 to 5, and studies of our own."""


@dataclass(frozen=True)
class StudyRow:
    """One config of a study.

    Attributes:
        name: of its folders; rows of one name are one config, whatever the study.
        label: in the table.
        stages: the preset whose stages and categories it has.
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
        """A preset's sizes, optimiser and schedule with this row's changes.

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
        """What of a training split it learns from.

        Raises:
            DataError: the data does not record what is redundant in a sentence, and the row asks for it.
        """
        if self.over_specified is not None:
            split = over_specified(split, self.over_specified, seed)
        return split if self.pairs == 1 else share_of_referents(split, self.pairs, seed)


@dataclass(frozen=True)
class Study:
    """Rows to compare.

    Attributes:
        name: on the command line.
        title: what varies.
        rows: in the table's order.
        reference: name of the row that a study of our own holds the others against; None for the paper's tables,
            of which all pairs are compared.
    """

    name: StudyName
    title: str
    rows: tuple[StudyRow, ...]
    reference: str | None = None


_LABELS = {
    "querymatch": "S_global",
    "global+class": "S_global + S_class",
    "global+fine": "S_global + S_fine",
    "fine+global+class": "S_fine + S_global + S_class",
    "aligncat": "S_global + S_class + S_fine",
}
_CATEGORY_LABELS = {
    "global+fine": "no category",
    "label-in-training": "c* in training",
    "classifier-at-inference": "c^T at inference",
    "classifier-in-both": "c^T in training and at inference",
    "aligncat": "c* in training, c^T at inference",
}
_STAGE_LABELS = {
    "classifier-at-inference": "neither",
    "category-at-confidence": "confidence-based selection",
    "aligncat": "coarse-grained alignment",
}
_TITLES = {
    "Table 3": ("which scores choose, in which order", _LABELS),
    "Table 4": ("which category is injected, when", _CATEGORY_LABELS),
    "Table 5": ("where the category is injected", _STAGE_LABELS),
}
ALIGNCAT = StudyRow("aligncat", "as it is")


def _paper(table: str) -> Study:
    title, labels = _TITLES[table]
    rows = tuple(StudyRow(name, labels[name], stages=name) for name in TABLES[table])
    return Study(table.replace(" ", "").lower(), f"{table}: {title}", rows)  # type: ignore[arg-type]


def _one_field(name: StudyName, title: str, field_name: str, values: tuple[float, ...]) -> Study:
    """A study of one number of AlignmentConfig; the preset's own value is the row "aligncat"."""
    rows = tuple(StudyRow(f"{name}={value:g}", f"{value:g}", alignment={field_name: value}) for value in values)
    return Study(name, title, (ALIGNCAT, *rows), reference=ALIGNCAT.name)


def _weighting(name: str, label: str, **changes: Any) -> StudyRow:
    return StudyRow(f"weighting={name}", label, alignment=changes)


STUDIES: dict[StudyName, Study] = {
    study.name: study
    for study in (
        *map(_paper, TABLES),
        Study(
            "over-specification",
            "share of the training referents described with more words than needed",
            tuple(StudyRow(f"over={rate:g}", f"{rate:.0%}", over_specified=rate) for rate in (0.0, 0.25, 0.5, 1.0)),
            reference="over=0",
        ),
        Study(
            "pairs",
            "share of the training referents, at equal steps",
            (
                *(StudyRow(f"pairs={share:g}", f"{share:.1%}", pairs=share) for share in (0.0625, 0.125, 0.25, 0.5)),
                ALIGNCAT,
            ),
            reference=ALIGNCAT.name,
        ),
        Study(
            "candidates",
            "O, the candidates that the confidence filter keeps",
            (*(StudyRow(f"candidates={count}", str(count), candidates=count) for count in (5, 10, 15)), ALIGNCAT),
            reference=ALIGNCAT.name,
        ),
        _one_field("keep", "K, the refined set", "keep", (1, 2, 5, 20)),
        _one_field("alpha", "alpha, the weight of S_class in S_coarse", "alpha", (0.1, 1, 10, 1000)),
        _one_field("negatives", "negatives that a text takes from each other image", "negatives_per_image", (1, 4, 8)),
        Study(
            "weighting",
            "weights of the losses in Eq. 19",
            (
                ALIGNCAT,
                _weighting("0.1", "constant, 1 and 0.1", lambda_2=0.1),
                _weighting("10", "constant, 1 and 10", lambda_2=10.0),
                _weighting("uncertainty", "learned (uncertainty)", weighting="uncertainty"),
                _weighting("detached", "constant, 1 and 1; no gradient to the text encoder", detach_classifier=True),
            ),
            reference=ALIGNCAT.name,
        ),
        _one_field("temperature", "tau of InfoNCE", "temperature", (0.1, 0.5, 2)),
        Study(
            "ranks",
            "GPUs that a batch is shared out to without exchanging negatives",
            (ALIGNCAT, *(StudyRow(f"ranks={count}", str(count), ranks=count) for count in (2, 4))),
            reference=ALIGNCAT.name,
        ),
        Study(
            "positives",
            "positive of the coarse space's loss",
            (
                ALIGNCAT,
                StudyRow("positives=coarse", "the coarse stage's own best", alignment={"coarse_positive": "coarse"}),
            ),
            reference=ALIGNCAT.name,
        ),
        Study(
            "text",
            "how expressions are read",
            (
                ALIGNCAT,
                StudyRow(
                    "text=glove", "recurrent, from GloVe 50-d", text={"word_dim": 50}, word_vectors=Path("glove-50d")
                ),
                StudyRow("text=minilm", "all-MiniLM-L6-v2, frozen", text={"encoder": "minilm"}),
            ),
            reference=ALIGNCAT.name,
        ),
    )
}


def study_of(name: str) -> Study:
    """A study by its name.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in STUDIES:
        raise ConfigError(f"there is no study {name!r}; there are {', '.join(STUDIES)}")
    return STUDIES[name]


def rows_for(study: Study, preset: Preset) -> list[tuple[StudyRow, Preset]]:
    """A study's rows with their settings, without those that a preset has for its own ("alpha = 100").

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
