"""A tiny training setup: a REFER dataset, a detector, a store, and settings with which a run takes a second."""

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
STEPS = 3  # per epoch: 12 images with 2 referents each, 8 referents per step
CANDIDATES = 6


@dataclass(frozen=True)
class World:
    """The inputs of a training run."""

    files: ReferFiles
    detector: Path
    store: Path

    @property
    def data(self) -> DataConfig:
        return self.files.config

    def open(self) -> Store:
        return Store.open(self.store)


def make_world(root: Path) -> World:
    """Write the dataset, the detector and the store.

    Outside the training split, the true box of a referent is the box of one of the candidates, so that random choices
    are sometimes right.
    """
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
    """Train in the tiny world, with some values of TRAINING changed."""
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
    """Raise KeyboardInterrupt, or call `by`, in the n-th forward pass of the model in training or in validation."""
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
    """Return the bytes of the grounder's weights."""
    return (out / "model.safetensors").read_bytes()


def checkpoint(out: Path, name: str) -> dict[str, Any]:
    """Return a checkpoint of a run."""
    state: dict[str, Any] = torch.load(out / "run" / f"{name}.ckpt", weights_only=True)
    return state


def averaged(out: Path, name: str) -> dict[str, Tensor]:
    """Return the averaged weights in a checkpoint, by their names in the grounder."""
    return {key.removeprefix("model."): value for key, value in checkpoint(out, name)["state_dict"].items()}


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Return whether two sets of weights are bit-identical."""
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def logged(out: Path, key: str, start: int = 0) -> list[float]:
    """Return a logged value for each epoch, from the CSV file of the n-th start of the run."""
    with (out / "run" / "csv" / f"version_{start}" / "metrics.csv").open() as file:
        return [float(row[key]) for row in csv.DictReader(file) if row[key]]
