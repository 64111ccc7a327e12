"""The settings of the mini detector's training."""

from __future__ import annotations

from dataclasses import dataclass


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
