"""The settings of the mini detector's training, and the function that starts it. Importing it does not load torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aligncat.files.locks import path_lock
from aligncat.files.writable import check_writable


@dataclass(frozen=True)
class MiniDetectorConfig:
    """Training settings of the mini detector.

    Attributes:
        pretraining_images: number of images for the backbone's pretraining, in which it learns to classify objects
            given their masks. It takes the place of a COCO detector's pretraining on ImageNet.
        images: number of images for the detector's training. Every scene is used twice, the second time mirrored.
        batch_size: images per step.
        pretraining_rate: peak learning rate of AdamW in pretraining, after a linear warm-up and before a cosine decay
            to zero.
        learning_rate: peak learning rate of the detector's training, with the same schedule.
        warmup: warm-up steps.
        weight_decay: weight decay of AdamW.
        clip: maximum gradient norm.
        class_weight: weight of the class loss; the mask losses keep Mask2Former's weights.
        ema: decay of the weight average, which is the model that is saved.
        seed: random seed of the scenes and the initial weights.
    """

    pretraining_images: int = 24_000
    images: int = 80_000
    batch_size: int = 16
    pretraining_rate: float = 1e-3
    learning_rate: float = 4e-4
    warmup: int = 200
    weight_decay: float = 0.05
    clip: float = 5.0
    class_weight: float = 4.0
    ema: float = 0.999
    seed: int = 0


def train_mini_detector(*, out: Path, recipe: MiniDetectorConfig = MiniDetectorConfig(), save_every: int = 250) -> Path:
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

    with path_lock(out):
        train_detector(out, recipe, save_every)
    return out
