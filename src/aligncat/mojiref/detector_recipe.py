"""The settings of the mini detectors' training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


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
        ema: the largest decay of the weight average, which is the model that is saved; it is less in the first steps
            (`aligncat.detectors.training.recipe.Optimisation`).
        seed: random seed of the scenes and the initial weights.
        version: version of MojiRef whose scenes it learns from. It also decides the size of the input, the number of
            queries, and the weights that the training starts from (`ARCHITECTURES`).
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
    version: Literal[1, 2] = 1


@dataclass(frozen=True)
class Architecture:
    """What differs between the mini detectors of MojiRef's versions.

    Attributes:
        image_size: side of the letterboxed square, pixels.
        queries: number of object queries.
        starts_from_mini: whether the training starts from the shipped detector of version 1. Its weights are copied as
            they are; the queries that it lacks are new.
    """

    image_size: int
    queries: int
    starts_from_mini: bool


ARCHITECTURES: dict[int, Architecture] = {
    1: Architecture(image_size=160, queries=24, starts_from_mini=False),
    2: Architecture(image_size=192, queries=32, starts_from_mini=True),
}
