"""Names that are accepted wherever a grounder's folder is."""

from __future__ import annotations

TRAINING_FREE = "training-free"
"""The grounder that needs no training (`aligncat.grounder.training_free`). A folder of this name is ./training-free."""
