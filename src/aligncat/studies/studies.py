"""The ablation studies: Tables 3 to 5 of the paper and studies of our own. To add one, add an entry to `STUDIES`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from aligncat.alignment.config import TABLES, RelationPart
from aligncat.errors import ConfigError
from aligncat.studies.study import ALIGNCAT, Study, StudyRow

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


def _paper(table: str) -> Study:
    title, labels = _TITLES[table]
    rows = tuple(StudyRow(name, labels[name], stages=name) for name in TABLES[table])
    return Study(table.replace(" ", "").lower(), f"{table}: {title}", rows)


def _appearance(percent: int) -> Study:
    """Return Table 3 with appearance, on a share of the training referents. The order of the stages does not vary."""
    rows = []
    for name in ("querymatch", "global+fine", "global+class", "aligncat"):
        suffix = "" if percent == 100 else f"@{percent}"
        changes = {"features": "query+appearance"}
        rows.append(
            StudyRow(f"{name}+appearance{suffix}", _LABELS[name], stages=name, alignment=changes, pairs=percent / 100)
        )
    title = f"Table 3 with appearance, {percent}% of the training referents, with the same number of steps"
    return Study(f"fine-{percent}", f"{title} (the store needs appearance)", tuple(rows))


def _one_field(name: str, title: str, field_name: str, values: tuple[float, ...]) -> Study:
    """Return a study that varies one number of AlignmentConfig. Its reference row has the preset's value."""
    rows = tuple(StudyRow(f"{name}={value:g}", f"{value:g}", alignment={field_name: value}) for value in values)
    return Study(name, title, (ALIGNCAT, *rows), reference=ALIGNCAT.name)


def _weighting(name: str, label: str, **changes: Any) -> StudyRow:
    return StudyRow(f"weighting={name}", label, alignment=changes)


STUDIES: dict[str, Study] = {
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
            "share of the training referents that are used, with the same number of steps",
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
            "plus",
            "what appearance and relations add to the paper's rows (the store needs appearance)",
            tuple(
                StudyRow(name, label, stages=name)
                for name, label in (
                    ("querymatch", "QueryMatch"),
                    ("querymatch+appearance", "QueryMatch + appearance"),
                    ("aligncat", "AlignCAT"),
                    ("aligncat+relations", "AlignCAT + relations"),
                    ("global+class+appearance", "AlignCAT + appearance, without S_fine"),
                    ("aligncat+appearance", "AlignCAT + appearance"),
                    ("global+class+appearance+relations", "AlignCAT + appearance + relations, without S_fine"),
                    ("aligncat-plus", "AlignCAT + appearance + relations"),
                )
            ),
            reference="aligncat",
        ),
        *map(_appearance, (3, 10, 30, 100)),
        Study(
            "relations",
            "the part of the relations that is left out (the store needs appearance)",
            (
                StudyRow("aligncat-plus", "nothing", stages="aligncat-plus"),
                *(
                    StudyRow(f"relations-{part}", part, stages="aligncat-plus", alignment={"context_without": part})
                    for part in get_args(RelationPart)
                ),
            ),
            reference="aligncat-plus",
        ),
        Study(
            "ranks",
            "number of GPUs that share a batch without exchanging negatives",
            (ALIGNCAT, *(StudyRow(f"ranks={count}", str(count), ranks=count) for count in (2, 4))),
            reference=ALIGNCAT.name,
        ),
        Study(
            "positives",
            "positive in the loss of the global space",
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
"""The studies by name, in the order of the command line's help."""

if TYPE_CHECKING:
    StudyName: TypeAlias = str
else:
    # A Literal of all names, so that the command line lists them.
    StudyName = Literal[tuple(STUDIES)]


def study_of(name: str) -> Study:
    """Return a study by its name.

    Raises:
        ConfigError: the study is unknown.
    """
    if name not in STUDIES:
        raise ConfigError(f"unknown study {name!r}; known studies are {', '.join(STUDIES)}")
    return STUDIES[name]
