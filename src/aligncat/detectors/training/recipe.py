"""The settings of a detector's training. Importing this module does not load torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aligncat.errors import ConfigError

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class Optimisation:
    """How weights are optimised: AdamW, a linear warm-up, and a cosine decay to zero.

    Attributes:
        learning_rate: the peak learning rate.
        warmup: warm-up steps.
        weight_decay: weight decay of the matrices; biases and norms have none.
        clip: maximum gradient norm.
        ema: the upper limit of the decay of the weight average. The average starts as the weights after step 0; after a
            later step s, the decay is min(ema, (s + 1) / (s + 10)).
        seed: random seed of the loss, which samples points of the masks.
        bfloat16: whether the forward pass runs in bfloat16 where autocast allows it.
    """

    learning_rate: float
    warmup: int
    weight_decay: float
    clip: float
    ema: float
    seed: int
    bfloat16: bool


@dataclass(frozen=True)
class DetectorRecipe:
    """The settings of `aligncat detector train`.

    Attributes:
        epochs: how often the training sees every photo.
        batch_size: photos per step.
        learning_rate: the peak learning rate of AdamW, after a linear warm-up and before a cosine decay to zero. By
            default 4e-4 from a mini detector and 1e-4 from any other, as Mask2Former's authors use, also from one that
            was trained from a mini detector.
        warmup: warm-up steps; at most a tenth of all steps.
        weight_decay: weight decay of AdamW.
        clip: maximum gradient norm.
        ema: the largest decay of the weight average, which is the model that is saved.
        held_out: the share of the photos that are held out to choose the best weights, if there is no `val`. The seed
            decides which. 0 keeps the last weights.
        validations: how often the weights are measured on the held-out photos.
        image_size: the side of the square that photos are fitted into, pixels; by default that of the detector that
            training starts from.
        mirror: mirror half of the examples. Set it to false if your categories differ in left and right.
        crop: the share of the examples that are cropped or shrunk, so that objects appear in other sizes.
        colour: the share of the examples whose brightness, contrast and saturation are changed.
        precision: auto, float32 or bfloat16. auto takes bfloat16 where the processor computes in it.
        seed: random seed of everything.
    """

    epochs: int = 30
    batch_size: int = 16
    learning_rate: float | None = None
    warmup: int = 100
    weight_decay: float = 0.05
    clip: float = 5.0
    ema: float = 0.999
    held_out: float = 0.1
    validations: int = 8
    image_size: int | None = None
    mirror: bool = True
    crop: float = 0.5
    colour: float = 0.5
    precision: Precision = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "validations"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, but must be at least 1")
        for name in ("held_out", "crop", "colour"):
            if not 0 <= getattr(self, name) <= 1 or (name == "held_out" and self.held_out == 1):
                raise ConfigError(f"{name} is {getattr(self, name)}, but is a share: give a number from 0 to below 1")
        for name in ("learning_rate", "clip"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"{name} is {value}, but must be above 0")
        if not 0 <= self.ema < 1:
            raise ConfigError(f"ema is {self.ema}, but must be from 0 to below 1")
        if self.warmup < 0 or self.weight_decay < 0:
            raise ConfigError("warmup and weight_decay must not be negative")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"seed is {self.seed}; it must be in [0, 2^32)")
