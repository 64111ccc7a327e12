"""aligncat train: learn to ground from a store and a training split."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint, RichProgressBar
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger

from aligncat.alignment import AlignmentConfig
from aligncat.datasets import DataConfig, Split, load_split, load_truth
from aligncat.errors import ConfigError
from aligncat.evaluation import Overlaps, installed_versions
from aligncat.grounder import Grounder
from aligncat.language import TextEncoderConfig, Vocabulary, load_word_vectors
from aligncat.model import GroundingModel, ModelConfig
from aligncat.store import Store
from aligncat.training import (
    AveragedWeights,
    GroundingData,
    GroundingModule,
    TrainingConfig,
    ValidationScores,
)

logger = logging.getLogger(__name__)

RUN = "run"  # the subfolder of checkpoints and logs; everything else in the folder is the grounder


def train(
    *,
    data: DataConfig,
    store: Path,
    out: Path,
    alignment: AlignmentConfig = AlignmentConfig(),
    text: TextEncoderConfig = TextEncoderConfig(),
    training: TrainingConfig = TrainingConfig(),
    train_split: str = "train",
    val_split: str | None = "val",
    word_vectors: Path | None = None,
    skip_bad_rows: bool = False,
    progress: bool = True,
) -> Grounder:
    """Train a grounder from a store and a training split; no image, box or mask is read.

    The sizes that the detector decides (alignment.visual_dim and alignment.classes) are taken from the store.
    Interrupted, the same command goes on after the last whole epoch.

    Args:
        data: the dataset.
        store: the candidates of its images, from `aligncat extract`.
        out: the grounder's folder.
        alignment: which scores choose, and how they are learned.
        text: how expressions are read.
        training: optimiser, schedule, batch and seed.
        train_split: what is learned from.
        val_split: what tells the best epoch, by REC accuracy; None keeps the last epoch.
        word_vectors: a GloVe or word2vec text file to start from.
        skip_bad_rows: leave out bad rows of the dataset and report them, instead of stopping.
        progress: show a progress bar.

    Returns:
        The trained grounder, as it is in the folder.

    Raises:
        ConfigError: the settings do not fit each other, or the folder holds another run.
        DataError: the dataset cannot be read.
        StoreError: the store is not finished, or lacks an image.
    """
    opened = Store.open(store)
    splits = {
        name: load_split(data, name, skip_bad_rows=skip_bad_rows, check_images=False)
        for name in (train_split, val_split)
        if name is not None
    }
    alignment = replace(alignment, visual_dim=opened.manifest.feature_dim, classes=len(opened.labels))
    config = ModelConfig(alignment=alignment, text=text)
    vocabulary = Vocabulary.from_expressions(e.text for e in splits[train_split].expressions)
    provenance = {
        "data": _describe(splits[train_split]),
        "val_split": val_split,
        "store": opened.manifest.detector,
        "training": asdict(training),
        "word_vectors": None if word_vectors is None else word_vectors.name,
        "versions": installed_versions(),
    }
    _claim(out, {**asdict(config), **provenance})

    pl.seed_everything(training.seed, verbose=False)
    vectors = None if word_vectors is None else load_word_vectors(word_vectors, vocabulary, seed=training.seed)
    if vectors is not None:
        logger.info("%s has %d of %d words", word_vectors, vectors.found, vectors.words)
    model = GroundingModel(config, len(vocabulary), None if vectors is None else vectors.table)
    batches = GroundingData(
        train=splits[train_split],
        val=None if val_split is None else splits[val_split],
        store=opened,
        vocabulary=vocabulary,
        max_length=text.max_length,
        batch_size=training.batch_size,
        seed=training.seed,
        with_labels="label" in alignment.category_train or alignment.classifier,
    )
    validation = None
    if val_split is not None:
        truth = load_truth(data, val_split, skip_bad_rows=skip_bad_rows)
        validation = ValidationScores(Overlaps.of(opened, splits[val_split], truth))
    module = GroundingModule(model, training, batches.steps_per_epoch)
    best = _fit(module, batches, training, out / RUN, validation, progress=progress)
    state = torch.load(best, map_location="cpu", weights_only=True)["state_dict"]
    module.load_state_dict(state)
    grounder = Grounder(model, vocabulary, opened.labels, opened.manifest.detector, provenance)
    grounder.save_pretrained(out)
    return grounder


def _fit(
    module: GroundingModule,
    batches: GroundingData,
    training: TrainingConfig,
    folder: Path,
    validation: ValidationScores | None,
    *,
    progress: bool,
) -> Path:
    """Train, or go on training, and return the checkpoint to keep: the best where there is validation."""
    checkpoints = ModelCheckpoint(
        folder,
        filename="best",
        monitor=None if validation is None else "val/rec",
        mode="max",
        save_last=True,
        enable_version_counter=False,
        save_on_train_epoch_end=None if validation is not None else True,
    )
    callbacks: list[Callback] = [AveragedWeights(training.ema_decay), checkpoints]
    if validation is not None:
        callbacks.append(validation)
    if progress:
        callbacks.append(RichProgressBar())
    trainer = pl.Trainer(
        max_epochs=training.epochs,
        callbacks=callbacks,
        logger=[
            CSVLogger(folder, name="", version="csv"),
            TensorBoardLogger(folder, name="", version="tensorboard"),
        ],
        gradient_clip_val=training.clip_norm,
        num_sanity_val_steps=0,
        enable_progress_bar=progress,
        enable_model_summary=False,
        log_every_n_steps=50,
        deterministic=True,
        devices=1,
    )
    last = folder / "last.ckpt"
    trainer.fit(module, batches, ckpt_path=last if last.exists() else None, weights_only=True)
    if trainer.interrupted:
        raise KeyboardInterrupt
    return Path(checkpoints.best_model_path or last)


def _claim(out: Path, settings: dict[str, Any]) -> None:
    """Make the folder this run's, or find that it is so already.

    Raises:
        ConfigError: it is not empty, and not of a run with these settings.
    """
    path = out / RUN / "settings.json"
    text = json.dumps(settings, indent=2, ensure_ascii=False, default=str)
    if path.exists():
        if path.read_text(encoding="utf-8") != text:
            raise ConfigError(
                f"{out} holds a run with other settings (see {path}): choose another --out, or repeat the "
                "settings of that run to resume it"
            )
        return
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out} exists and is not empty: choose another --out")
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")


def _describe(split: Split) -> dict[str, Any]:
    """What was learned from: names, counts, and a hash over everything that the learner may see."""
    seen = [(e.id, e.referent_id, e.image_id, e.text, e.category) for e in split.expressions]
    digest = hashlib.sha256(json.dumps(seen, ensure_ascii=False).encode()).hexdigest()
    names = {"dataset": split.dataset, "split": split.split, "split_by": split.split_by}
    return {**names, "expressions": len(seen), "images": len(split.images), "sha256": digest}
