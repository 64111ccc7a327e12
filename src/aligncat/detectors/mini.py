"""Trains the mini detector: a real, small Mask2Former that has seen MojiRef's objects, with class and mask labels only.

The scenes come from a split of their own ("detector") and are composed while training, so no scene of train, val or
test is ever among them. `docs/mini-detector.md` has the recipe and what it reached.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

from aligncat.datasets.mojiref.glyphs import CATEGORIES
from aligncat.datasets.mojiref.scenes import compose
from aligncat.detectors.mask2former import normalize
from aligncat.geometry import letterbox_image

logger = logging.getLogger(__name__)

IMAGE_SIZE = 160  # px, the side of the letterboxed square


@dataclass(frozen=True)
class MiniDetectorConfig:
    """The recipe of the mini detector.

    Attributes:
        images: scenes to learn from; each is used twice, once mirrored.
        small_share: the share of them shown at 112 px first, which is faster; the rest at IMAGE_SIZE.
        batch_size: images a step.
        learning_rate: the peak of AdamW's, after a linear warm-up and before a cosine to zero.
        warmup: steps.
        weight_decay: AdamW's.
        clip: largest gradient norm.
        class_weight: of the class loss; the mask losses keep Mask2Former's weights.
        ema: decay of the averaged weights, which are the ones that are saved.
        seed: decides the scenes and the initial weights.
    """

    images: int = 80_000
    small_share: float = 0.5
    batch_size: int = 16
    learning_rate: float = 5e-4
    warmup: int = 500
    weight_decay: float = 0.05
    clip: float = 5.0
    class_weight: float = 4.0
    ema: float = 0.999
    seed: int = 0


def build_mini_detector(*, class_weight: float = 4.0) -> Mask2FormerForUniversalSegmentation:
    """An untrained Mask2Former of 6.6 M parameters with MojiRef's categories (COCO's names) as labels."""
    backbone = SwinConfig(
        image_size=IMAGE_SIZE,
        embed_dim=48,
        depths=[2, 2, 2, 2],
        num_heads=[2, 4, 8, 16],
        window_size=4,
        drop_path_rate=0.0,
        out_features=["stage1", "stage2", "stage3", "stage4"],  # type: ignore[call-arg]
    )
    names = [category.name for category in CATEGORIES]
    config = Mask2FormerConfig(
        backbone_config=backbone,
        feature_size=128,
        mask_feature_size=128,
        hidden_dim=128,
        encoder_layers=2,
        encoder_feedforward_dim=512,
        decoder_layers=4,
        dim_feedforward=512,
        num_attention_heads=4,
        num_queries=24,
        dropout=0.0,
        train_num_points=1024,
        class_weight=class_weight,
        id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
    )
    config.aligncat_image_size = IMAGE_SIZE
    return Mask2FormerForUniversalSegmentation(config)


@dataclass(frozen=True)
class _Example:
    pixels: Tensor  # (3, S, S) float32, normalised
    masks: Tensor  # (n, S, S) float32 in {0, 1}
    classes: Tensor  # (n,) int64


class _DetectorScenes(Dataset[_Example]):
    """The scenes of the split "detector", letterboxed; every second batch mirrors the batch before it."""

    def __init__(self, config: MiniDetectorConfig, first: int, count: int, size: int) -> None:
        self._config, self._first, self._count, self._size = config, first, count, size
        self._index = {category.name: index for index, category in enumerate(CATEGORIES)}
        self._fresh: dict[int, _Example] = {}

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, item: int) -> _Example:
        batch, place = divmod(self._first + item, self._config.batch_size)
        number = batch // 2 * self._config.batch_size + place
        if batch % 2 == 0:
            self._fresh[number] = self._compose(number)
            return self._fresh[number]
        example = self._fresh.pop(number, None) or self._compose(number)
        return _Example(example.pixels.flip(-1), example.masks.flip(-1), example.classes)

    def _compose(self, number: int) -> _Example:
        scene = compose(self._config.seed, "detector", number)
        image, box = letterbox_image(Image.fromarray(scene.pixels), self._size)
        visible = torch.from_numpy(np.stack([entry.mask for entry in scene.objects])).float()
        inner = F.interpolate(visible[None], (box.inner_height, box.inner_width), mode="area")[0] > 0.5
        masks = torch.zeros(len(visible), self._size, self._size)
        masks[:, box.top : box.top + box.inner_height, box.left : box.left + box.inner_width] = inner.float()
        classes = torch.tensor([self._index[entry.category.name] for entry in scene.objects])
        return _Example(normalize([image])[0], masks, classes)


def train_mini_detector(*, out: Path, recipe: MiniDetectorConfig = MiniDetectorConfig(), save_every: int = 500) -> Path:
    """Train the mini detector and save it as a Hugging Face folder with float16 weights.

    Interrupted, it resumes from the last state saved beside the folder (`OUT.state.pt`).

    Args:
        out: the folder to write.
        recipe: the recipe.
        save_every: steps between saved states.

    Returns:
        The folder.
    """
    torch.manual_seed(recipe.seed)
    model = build_mini_detector(class_weight=recipe.class_weight).train()
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))  # type: ignore[no-untyped-call]
    decayed = [weight for weight in model.parameters() if weight.ndim > 1]
    plain = [weight for weight in model.parameters() if weight.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": decayed}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    steps = recipe.images // recipe.batch_size
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, recipe.warmup, steps))
    state_file = out.with_name(out.name + ".state.pt")
    parts: dict[str, Any] = {"model": model, "average": average, "optimizer": optimizer, "schedule": schedule}
    step = _restore(state_file, parts)
    with _progress() as progress:
        task = progress.add_task("training the mini detector", total=steps, completed=step, loss="")
        for batch in _batches(recipe, step):
            loss = _loss(model, batch)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            schedule.step()
            average.update_parameters(model)
            step += 1
            progress.update(task, advance=1, loss=f"loss {loss.item():.2f}")
            if step % 50 == 0:
                logger.info("step %d of %d, loss %.3f", step, steps, loss.item())
            if step % save_every == 0:
                _save_state(state_file, parts, step)
                _save(average, out, recipe)
    _save(average, out, recipe)
    state_file.unlink(missing_ok=True)
    return out


def _batches(config: MiniDetectorConfig, step: int) -> Iterator[list[_Example]]:
    """The batches from a step on: small images first, then those at the full size."""
    steps = config.images // config.batch_size
    small_steps = int(config.small_share * steps)
    for start, stop, size in ((0, small_steps, 112), (small_steps, steps, IMAGE_SIZE)):
        first = max(step, start)
        if first >= stop:
            continue
        scenes = _DetectorScenes(config, first * config.batch_size, (stop - first) * config.batch_size, size)
        yield from DataLoader(
            scenes,
            config.batch_size,
            num_workers=1,
            prefetch_factor=8,
            collate_fn=list,
            multiprocessing_context="fork",
        )


def _loss(model: Mask2FormerForUniversalSegmentation, batch: list[_Example]) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        output = model(
            pixel_values=torch.stack([example.pixels for example in batch]),
            mask_labels=[example.masks for example in batch],
            class_labels=[example.classes for example in batch],
        )
    loss: Tensor = output.loss
    return loss.squeeze()


def _rate(step: int, warmup: int, steps: int) -> float:
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + float(np.cos(np.pi * (step - warmup) / max(1, steps - warmup))))


def _restore(state_file: Path, parts: dict[str, Any]) -> int:
    if not state_file.exists():
        return 0
    state = torch.load(state_file, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    logger.info("resuming at step %d", state["step"])
    return int(state["step"])


def _save_state(state_file: Path, parts: dict[str, Any], step: int) -> None:
    temporary = state_file.with_suffix(".tmp")
    torch.save({"step": step, **{name: part.state_dict() for name, part in parts.items()}}, temporary)
    temporary.replace(state_file)


def _save(average: AveragedModel, out: Path, config: MiniDetectorConfig) -> None:
    half = build_mini_detector(class_weight=config.class_weight).half()  # type: ignore[no-untyped-call]
    half.load_state_dict(average.module.state_dict())
    half.config.aligncat_recipe = asdict(config)
    half.save_pretrained(out)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}"),
        TimeRemainingColumn(),
    )  # fmt: skip
