"""The paper: category and global matching, phrase attention, selection, negatives, losses, and the model."""

from aligncat.alignment.config import PRESETS, TABLES, AlignmentConfig
from aligncat.alignment.losses import (
    Objective,
    category_loss,
    contrastive_loss,
    info_nce,
    total_loss,
    uncertainty_loss,
)
from aligncat.alignment.model import AlignmentModel
from aligncat.alignment.negatives import Negatives, difficulty, quality, select_negatives, uniqueness
from aligncat.alignment.phrase_attention import PhraseAttention
from aligncat.alignment.scores import category_score, coarse_score, fine_score, global_score
from aligncat.alignment.selection import keep_best, select, with_category

__all__ = [
    "PRESETS",
    "TABLES",
    "AlignmentConfig",
    "AlignmentModel",
    "Negatives",
    "Objective",
    "PhraseAttention",
    "category_loss",
    "category_score",
    "coarse_score",
    "contrastive_loss",
    "difficulty",
    "fine_score",
    "global_score",
    "info_nce",
    "keep_best",
    "quality",
    "select",
    "select_negatives",
    "total_loss",
    "uncertainty_loss",
    "uniqueness",
    "with_category",
]
