"""Silence Lightning's tips. Other warnings are still shown."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# These warn of things that are intended here: a run resumes in its own folder, the data is already in memory, epochs
# are short, and validation is optional. The last one is about Lightning's own use of torch.
_EXPECTED = (
    r"Checkpoint directory .* exists and is not empty",
    r".* does not have many workers",
    r"The number of training batches .* is smaller than the logging interval",
    r"You defined a `validation_step` but have no `val_dataloader`",
    r"Total length of `list` across ranks is zero",
    r".*LeafSpec",
)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence Lightning's tips and hardware messages, and its warnings about things that are intended here."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for message in _EXPECTED:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        logger.setLevel(level)
