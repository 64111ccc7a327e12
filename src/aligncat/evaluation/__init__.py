"""What choices of candidates are worth: REC, RES, the oracle, errors by cause, slices, results over seeds."""

from aligncat.evaluation.answers import Answers, answers_table
from aligncat.evaluation.causes import CAUSES, MEANING
from aligncat.evaluation.error_tables import error_tables
from aligncat.evaluation.metrics import PRECISION_THRESHOLDS, Errors, Outcomes, Scores, score
from aligncat.evaluation.objects import load_objects
from aligncat.evaluation.overlaps import REC_THRESHOLD, AnnotatedObjects, Overlaps
from aligncat.evaluation.probe import Probe, linear_probe
from aligncat.evaluation.questions import Questions
from aligncat.evaluation.results import (
    Figure,
    Result,
    Seen,
    Spread,
    Summary,
    installed_versions,
    summaries,
    summarise,
)
from aligncat.evaluation.tables import causes_table, masks_table, results_table, slices_table

__all__ = [
    "CAUSES",
    "MEANING",
    "PRECISION_THRESHOLDS",
    "REC_THRESHOLD",
    "AnnotatedObjects",
    "Answers",
    "Errors",
    "Figure",
    "Outcomes",
    "Overlaps",
    "Probe",
    "Questions",
    "Result",
    "Scores",
    "Seen",
    "Spread",
    "Summary",
    "answers_table",
    "causes_table",
    "error_tables",
    "installed_versions",
    "linear_probe",
    "load_objects",
    "masks_table",
    "results_table",
    "score",
    "slices_table",
    "summaries",
    "summarise",
]
