"""What the libraries below us say that is not for our users: tips, bars and hints; their warnings stay."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# Each says something that is so on purpose here: epochs are short, data is in memory already, a run resumes in its
# own folder, validation may be left out, and the last is Lightning's own debt to torch.
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
    """Without Lightning's tips and remarks on the hardware, and without the warnings of what is meant so."""
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


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Without transformers' progress bar for reading weights, which are read in a moment; downloads keep theirs.

    And without its remark that it has not tried Mask2Former on a ResNet: the mini detector shows that it works.
    """
    from transformers.utils import logging as transformers_logging

    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    remarks = logging.getLogger("transformers.models.mask2former.configuration_mask2former")
    remarks.addFilter(_not_about_resnet)
    try:
        yield
    finally:
        remarks.removeFilter(_not_about_resnet)
        if shown:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _not_about_resnet(record: logging.LogRecord) -> bool:
    return "Backbone resnet is not a supported model" not in record.getMessage()
