"""What reaches standard error: log lines and warnings, without third-party tips and progress bars."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from aligncat.wording import visible

# These warn of things that are intended here: a run resumes in its own folder, the data is already in memory, epochs
# are short, and validation is optional. The last two are about Lightning's own use of torch.
_EXPECTED = (
    r"Checkpoint directory .* exists and is not empty",
    r".* does not have many workers",
    r"The number of training batches .* is smaller than the logging interval",
    r"You defined a `validation_step` but have no `val_dataloader`",
    r"Total length of `list` across ranks is zero",
    r".*LeafSpec",
    r"torch\.distributed\.nn\.functional\.all_gather is deprecated",
)


class _VisibleFormatter(logging.Formatter):
    """Shows the control characters of names and texts from data. A log line of ours is one line; others may be more."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        lines = [text] if record.name.startswith("aligncat") else text.split("\n")
        return "\n".join(map(visible, lines))


def log_to_standard_error() -> None:
    """Print log lines and warnings to standard error, except Pillow's remarks: an ImageError says what matters."""
    handler = logging.StreamHandler()
    handler.setFormatter(_VisibleFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("aligncat").setLevel(logging.INFO)
    logging.captureWarnings(True)
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"PIL\.")


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence Lightning's tips and hardware messages, and its warnings about things that are intended here."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for message in _EXPECTED:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
