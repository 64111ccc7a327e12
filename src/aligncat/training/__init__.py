"""Learning to ground: the Lightning module, its data, and what accompanies them."""

from aligncat.training.callbacks import AveragedWeights, EpochCheckpoint, ProgressBar, ValidationScores
from aligncat.training.checkpoint_files import WholeFiles
from aligncat.training.config import TrainingConfig
from aligncat.training.data import GroundingData, OneSentencePerReferent
from aligncat.training.module import GroundingModule, learning_rate

__all__ = [
    "AveragedWeights",
    "EpochCheckpoint",
    "GroundingData",
    "GroundingModule",
    "OneSentencePerReferent",
    "ProgressBar",
    "TrainingConfig",
    "ValidationScores",
    "WholeFiles",
    "learning_rate",
]
