"""A whole tiny path to train on: a REFER dataset, a store of the tiny detector, and settings that run in a second."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from aligncat.alignment.config import AlignmentConfig
from aligncat.api.extract import extract
from aligncat.api.train import train
from aligncat.datasets.config import DataConfig
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.model import GroundingModel
from aligncat.language.config import TextEncoderConfig
from aligncat.store.reader import Store
from aligncat.training.config import TrainingConfig
from helpers.fabricate import CATEGORIES, ReferFiles, write_refer_dataset
from helpers.tiny_detector import save_tiny_detector

ALIGNMENT = AlignmentConfig(dim=16, negatives_per_image=2, keep=4)
TEXT = TextEncoderConfig(word_dim=16, dim=16, blocks=1, heads=2, feedforward=32, max_length=8)
TRAINING = TrainingConfig(epochs=4, batch_size=8, learning_rate=0.02, warmup_epochs=0.5, clip_norm=1.0, ema_decay=0.9)
STEPS = 3  # in an epoch: 12 images of 2 referents, 8 a step
CANDIDATES = 6


@dataclass(frozen=True)
class World:
    """What a run needs."""

    files: ReferFiles
    detector: Path
    store: Path

    @property
    def data(self) -> DataConfig:
        return self.files.config

    def open(self) -> Store:
        return Store.open(self.store)


def make_world(root: Path) -> World:
    """Write dataset, detector and store. The truth outside the training split is one of the candidates' boxes, so that
    a random choice is right now and then."""
    detector = save_tiny_detector(root / "detector", labels=tuple(CATEGORIES.values()))
    files = write_refer_dataset(root / "data", splits={"train": 12, "val": 4, "testA": 2, "testB": 2})
    store = extract(out=root / "store", data=files.config, detector=str(detector), candidates=CANDIDATES)
    splits = {ref["ann_id"]: ref["split"] for ref in files.refs}
    for annotation in files.instances["annotations"]:
        if splits[annotation["id"]] != "train":
            boxes = store.candidates(str(annotation["image_id"])).boxes
            x1, y1, x2, y2 = boxes[annotation["id"] % len(boxes)].tolist()
            annotation["bbox"] = [x1, y1, x2 - x1, y2 - y1]
    files.save()
    return World(files, detector, root / "store")


def run(
    world: World,
    out: Path,
    *,
    alignment: AlignmentConfig = ALIGNMENT,
    val_split: str | None = "val",
    data: DataConfig | None = None,
    progress: bool = False,
    **training: Any,
) -> Grounder:
    """Train in the tiny world, with some of TRAINING changed."""
    return train(
        data=data or world.data,
        store=world.store,
        out=out,
        alignment=alignment,
        text=TEXT,
        training=replace(TRAINING, **training),
        val_split=val_split,
        progress=progress,
    )


@contextmanager
def interrupted_at(passes: int, *, training: bool = True, by: Callable[[], object] | None = None) -> Iterator[None]:
    """Ctrl-C, or what `by` does, in the n-th forward pass of the model, in training or in validation."""
    count = 0

    def interrupt(module: nn.Module, _: object) -> None:
        nonlocal count
        if isinstance(module, GroundingModel) and module.training is training:
            count += 1
            if count == passes:
                if by is None:
                    raise KeyboardInterrupt
                by()

    hook = register_module_forward_pre_hook(interrupt)
    try:
        yield
    finally:
        hook.remove()


def weights(out: Path) -> bytes:
    """The grounder's weights, byte by byte."""
    return (out / "model.safetensors").read_bytes()


def checkpoint(out: Path, name: str) -> dict[str, Any]:
    """A checkpoint of a run."""
    state: dict[str, Any] = torch.load(out / "run" / f"{name}.ckpt", weights_only=True)
    return state


def averaged(out: Path, name: str) -> dict[str, Tensor]:
    """The averaged weights in a checkpoint, under the grounder's names."""
    return {key.removeprefix("model."): value for key, value in checkpoint(out, name)["state_dict"].items()}


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Whether two sets of weights are the same, bit for bit."""
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def logged(out: Path, key: str, sitting: int = 0) -> list[float]:
    """A figure over the epochs, from a sitting's CSV file."""
    with (out / "run" / "csv" / f"version_{sitting}" / "metrics.csv").open() as file:
        return [float(row[key]) for row in csv.DictReader(file) if row[key]]
