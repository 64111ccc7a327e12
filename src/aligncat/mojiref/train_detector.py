"""Train the mini detector. Importing this module does not load torch."""

from __future__ import annotations

from pathlib import Path

from aligncat.files.locks import path_lock
from aligncat.files.writable import check_writable
from aligncat.mojiref.detector_recipe import MiniDetectorConfig


def train_mini_detector(
    *, out: str | Path, recipe: MiniDetectorConfig = MiniDetectorConfig(), save_every: int = 250
) -> Path:
    """Train the mini detector and save it as a Hugging Face folder with float16 weights.

    After an interruption, the same call resumes from the last saved state, which is a file next to the folder.

    Args:
        out: the folder to write.
        recipe: the training settings.
        save_every: steps between saved states.

    Returns:
        The folder.

    Raises:
        ConfigError: the folder cannot be written.
        DetectorError: a gradient is not finite, or the saved state belongs to another recipe.
        DataError: another process is training it.
        WriteError: a file cannot be written, for example because the disk is full.
    """
    check_writable(out)
    from aligncat.mojiref.detector import train_detector

    folder = Path(out)
    with path_lock(folder):
        train_detector(folder, recipe, save_every)
    return folder
