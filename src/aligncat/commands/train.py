"""aligncat train: learn to ground from a store and a training split."""

from __future__ import annotations

import hashlib
import json
import logging
import signal
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger

from aligncat.alignment.config import AlignmentConfig
from aligncat.alignment.old_sizes import without_old_sizes
from aligncat.datasets.config import DataConfig
from aligncat.datasets.formats.read_once import files_read_once
from aligncat.datasets.load import load_split, load_truth
from aligncat.datasets.split import Split
from aligncat.errors import ConfigError
from aligncat.evaluation.overlaps import Overlaps
from aligncat.files.atomic import PART_SUFFIX, write_atomic
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.model import GroundingModel, ModelConfig
from aligncat.language.encoder import TextEncoderConfig
from aligncat.language.pretrained import PretrainedText, load_pretrained_text
from aligncat.language.tokens import Tokens
from aligncat.language.transformer import TransformerTextEncoder
from aligncat.language.vectors import first_words, load_word_vectors
from aligncat.language.vocabulary import Vocabulary
from aligncat.quiet import quiet_lightning
from aligncat.store.reader import Store
from aligncat.training.callbacks import AveragedWeights, EpochCheckpoint, ProgressBar, ValidationScores
from aligncat.training.checkpoint_files import WholeFiles
from aligncat.training.config import TrainingConfig
from aligncat.training.data import GroundingData
from aligncat.training.module import GroundingModule
from aligncat.versions import installed_versions

logger = logging.getLogger(__name__)

RUN = "run"  # the subfolder of checkpoints and logs; everything else in the folder is the grounder
SETTINGS = Path(RUN, "settings.json")


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
        word_vectors: a GloVe or word2vec text file to start from, or "glove-50d" for the package of the extra [glove].
        skip_bad_rows: leave out bad rows of the dataset and report them, instead of stopping.
        progress: show a progress bar.

    Returns:
        The trained grounder, as it is in the folder.

    Raises:
        ConfigError: the settings do not fit each other, or the folder holds another run.
        DataError: the dataset cannot be read.
        DetectorError: a category of the dataset is none of the detector's.
        StoreError: the store is not finished, or lacks an image.
        KeyboardInterrupt: Ctrl-C, after a line on what is safe.
    """
    opened = Store.open(store)
    with files_read_once():
        splits = {
            name: load_split(data, name, skip_bad_rows=skip_bad_rows, check_images=False)
            for name in (train_split, val_split)
            if name is not None
        }
    val = None
    if val_split is not None:
        truth = load_truth(data, val_split, skip_bad_rows=skip_bad_rows)
        val = splits[val_split], Overlaps.of(opened, splits[val_split], truth)
    return learn(
        train=splits[train_split],
        val=val,
        store=opened,
        out=out,
        alignment=alignment,
        text=text,
        training=training,
        word_vectors=word_vectors,
        progress=progress,
    )


def learn(
    *,
    train: Split,
    val: tuple[Split, Overlaps] | None,
    store: Store,
    out: Path,
    alignment: AlignmentConfig,
    text: TextEncoderConfig,
    training: TrainingConfig,
    word_vectors: Path | None = None,
    progress: bool = True,
) -> Grounder:
    """Train a grounder from what is loaded; see `train`, whose arguments and errors these are.

    Args:
        train: what is learned from.
        val: what tells the best epoch, and its truth; None keeps the last epoch.
        store: open.
        out: the grounder's folder.
        alignment: which scores choose, and how they are learned.
        text: how expressions are read.
        training: optimiser, schedule, batch and seed.
        word_vectors: a file to start from.
        progress: show a progress bar.
    """
    config = ModelConfig(alignment=alignment, text=text)
    vocabulary, pretrained = _read_with(text, train, word_vectors)
    provenance = {
        "data": describe(train),
        "val_split": None if val is None else val[0].split,
        "store": store.manifest.detector.to_json(),
        "training": asdict(training),
        "word_vectors": None if word_vectors is None else word_vectors.name,
        "text_encoder": None if pretrained is None else {"name": pretrained.name, "sha256": pretrained.sha256},
        "versions": installed_versions(),
    }
    settings = {**asdict(config), **provenance}
    _check_folder(out, settings)

    pl.seed_everything(training.seed, verbose=False)
    vectors = None
    if word_vectors is not None and isinstance(vocabulary, Vocabulary):
        found = load_word_vectors(word_vectors, vocabulary, seed=training.seed)
        logger.info("%s has %d of %d words", word_vectors, found.found, found.words)
        vectors = found.table
    model = GroundingModel(
        config,
        len(vocabulary),
        feature_dim=store.manifest.feature_dim,
        classes=len(store.labels),
        vectors=vectors,
        pretrained=pretrained,
    )
    batches = GroundingData(
        train=train,
        val=None if val is None else val[0],
        store=store,
        vocabulary=vocabulary,
        max_length=text.max_length,
        batch_size=training.batch_size,
        seed=training.seed,
        with_labels=alignment.category_train == "label" or alignment.classifier,
    )
    if isinstance(model.text, TransformerTextEncoder):
        texts = [e.text for split in (train, *([] if val is None else [val[0]])) for e in split.expressions]
        model.text.remember(vocabulary.encode(texts, text.max_length), progress=progress)
    validation = None if val is None else ValidationScores(val[1])
    module = GroundingModule(model, training, batches.steps_per_epoch)
    _claim(out, settings)
    best = _fit(module, batches, training, out / RUN, validation, progress=progress)
    state = torch.load(best, map_location="cpu", weights_only=True)["state_dict"]
    module.load_state_dict(state)
    if isinstance(model.text, TransformerTextEncoder):
        model.text.forget()
    grounder = Grounder(model, vocabulary, store.labels, store.manifest.detector, provenance, pretrained)
    grounder.save_pretrained(out)
    return grounder


def _read_with(
    text: TextEncoderConfig, split: Split, word_vectors: Path | None
) -> tuple[Tokens, PretrainedText | None]:
    """How expressions become token ids, and the transformer that reads these, if it is one.

    Raises:
        ConfigError: the settings do not fit each other, or the transformer cannot be loaded.
    """
    if not text.recurrent:
        if word_vectors is not None:
            raise ConfigError("word_vectors are for text.encoder 'recurrent': a transformer has its own")
        pretrained = load_pretrained_text(text.encoder)
        return pretrained.pieces, pretrained
    if text.freeze_vectors and word_vectors is None:
        raise ConfigError(
            "text.freeze_vectors keeps word vectors as they are, and none are given: name a file with --word_vectors, "
            "or learn them with --text.freeze_vectors false"
        )
    vocabulary = Vocabulary.from_expressions(e.text for e in split.expressions)
    if text.vector_words and word_vectors is not None:
        vocabulary = vocabulary.with_words(first_words(word_vectors, text.vector_words))
    return vocabulary, None


def _fit(
    module: GroundingModule,
    batches: GroundingData,
    training: TrainingConfig,
    folder: Path,
    validation: ValidationScores | None,
    *,
    progress: bool,
) -> Path:
    """Train, or go on training, and return the checkpoint to keep: the best where there is validation.

    Raises:
        KeyboardInterrupt: Ctrl-C, after a line on what is safe.
    """
    callbacks: list[Callback] = [AveragedWeights(training.ema_decay)]
    if validation is not None:
        callbacks += [validation, EpochCheckpoint(folder, "best", best="val/rec")]
    callbacks.append(EpochCheckpoint(folder, "last"))  # behind the best, whose score it holds
    if progress:
        callbacks.append(ProgressBar())
    best, last = folder / "best.ckpt", folder / "last.ckpt"
    deterministic, interrupt = torch.are_deterministic_algorithms_enabled(), signal.getsignal(signal.SIGINT)
    # Beside deterministic algorithms torch fills every new tensor first: a tenth of a step and more, for nothing here.
    memory: Any = torch.utils.deterministic
    filled, memory.fill_uninitialized_memory = memory.fill_uninitialized_memory, False
    try:
        with quiet_lightning():
            trainer = pl.Trainer(
                max_epochs=training.epochs,
                callbacks=callbacks,
                # A CSV file for each sitting, because Lightning empties one that it finds.
                logger=[
                    CSVLogger(folder, name="csv", flush_logs_every_n_steps=1),
                    TensorBoardLogger(folder, name="", version="tensorboard"),
                ],
                plugins=[WholeFiles()],
                gradient_clip_val=training.clip_norm,
                num_sanity_val_steps=0,
                enable_progress_bar=progress,
                enable_model_summary=False,
                deterministic=True,
                devices=1,
            )
            trainer.fit(module, batches, ckpt_path=last if last.exists() else None, weights_only=True)
    except SystemExit:
        # Lightning makes of Ctrl-C an exit with status 1, and leaves the process deaf to the next one.
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, interrupt)
        logger.info("Stopped. The same command goes on after the last whole epoch.")
        raise KeyboardInterrupt from None
    finally:
        torch.use_deterministic_algorithms(deterministic)
        memory.fill_uninitialized_memory = filled
    return last if validation is None else best


def check_settings(out: Path, settings: Mapping[str, Any]) -> None:
    """Make sure that a folder that holds a run was begun with these settings.

    Args:
        out: the folder; it has the file SETTINGS.
        settings: some of the keys of that file; the others may be whatever they are.

    Raises:
        ConfigError: a setting differs, or the file is damaged.
    """
    path = out / SETTINGS
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path} is damaged ({error}): choose another --out") from error
    found["alignment"] = without_old_sizes(found.get("alignment", {}), str(path))
    # A run that was begun before a field existed had what is now the field's default.
    for part, default in (
        ("alignment", AlignmentConfig()),
        ("text", TextEncoderConfig()),
        ("training", TrainingConfig()),
    ):
        found[part] = {**asdict(default), **found.get(part, {})}
    # Versions may differ: a run outlives an upgrade.
    wanted = {key: value for key, value in json.loads(_json(settings)).items() if key != "versions"}
    if differing := list(_differences({key: found.get(key) for key in wanted}, wanted)):
        raise ConfigError(
            f"{out} holds a run with other settings: {'; '.join(differing)}. Choose another --out, or repeat the "
            "settings of that run to resume it"
        )
    if "versions" in settings and found.get("versions") != settings["versions"]:
        logger.warning("%s was begun with other versions of its libraries, so the last bits may differ", out)


def _check_folder(out: Path, settings: Mapping[str, Any]) -> None:
    """Make sure that the folder is new, or holds a run with these settings.

    Raises:
        ConfigError: it is not empty, and not of a run with these settings.
    """
    if (out / SETTINGS).is_file():
        check_settings(out, settings)
    elif out.exists() and (not out.is_dir() or any(p.is_file() and p.suffix != PART_SUFFIX for p in out.rglob("*"))):
        raise ConfigError(f"{out} exists and is not an empty folder: choose another --out")


def _differences(found: Any, wanted: Any, name: str = "") -> Iterator[str]:
    """Where two nested settings differ, one readable entry a key."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted({*found, *wanted}):
            yield from _differences(found.get(key), wanted.get(key), f"{name}.{key}" if name else key)
    elif found != wanted:
        yield f"{name} was {found!r} and is {wanted!r}"


def _claim(out: Path, settings: dict[str, Any]) -> None:
    """Make the folder this run's, as `_check_folder` allows; settings that failed a check leave nothing behind."""
    path = out / SETTINGS
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, _json(settings).encode())


def _json(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, indent=2, ensure_ascii=False, default=str) + "\n"


def describe(split: Split) -> dict[str, Any]:
    """What was learned from: names, counts, and a hash over everything that the learner may see."""
    seen = [(e.id, e.referent_id, e.image_id, e.text, e.category) for e in split.expressions]
    digest = hashlib.sha256(json.dumps(seen, ensure_ascii=False).encode()).hexdigest()
    names = {"dataset": split.dataset, "split": split.split, "split_by": split.split_by}
    return {**names, "expressions": len(seen), "images": len(split.images), "sha256": digest}
