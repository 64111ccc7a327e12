"""aligncat data convert: log how to read the converted dataset."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aligncat.datasets.config import DataConfig

logger = logging.getLogger(__name__)


def show(written: DataConfig) -> None:
    """Log where the dataset was written and the options that read it."""
    has_default_division = written == replace(written, split_by=None)
    logger.info(
        "%s written to %s; the photos stay where they are. Read it with --data.path %s --data.dataset %s "
        "--data.format %s --data.images %s%s",
        written.dataset,
        written.path,
        written.path,
        written.dataset,
        written.format,
        written.images,
        "" if has_default_division else f" --data.split_by {written.split_by}",
    )
