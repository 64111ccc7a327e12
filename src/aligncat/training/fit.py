"""Train a grounder on a split and a store. `aligncat.train` and the ablation studies both use `fit`."""

from __future__ import annotations

import copy
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from torch import Tensor

from aligncat.alignment.config import AlignmentConfig
from aligncat.datasets.lexicon import Lexicon
from aligncat.datasets.split import Split
from aligncat.datasets.tables import values_of
from aligncat.detectors.description import DetectorDescription
from aligncat.detectors.training_record import STARTED_FROM_KEY, TrainingRecord
from aligncat.files.hashes import file_sha256
from aligncat.grounder.features import COLUMNS_KEY, ScaledColumn, columns_of, input_dim
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.model import GroundingModel, ModelConfig
from aligncat.grounder.unlike import Familiar
from aligncat.language.config import TextEncoderConfig
from aligncat.language.tokens import FIRST_RULE, RULE_KEY, Tokens
from aligncat.language.transformer import TransformerTextEncoder
from aligncat.language.vectors import load_word_vectors
from aligncat.language.vocabulary import Vocabulary
from aligncat.quiet import quiet_lightning
from aligncat.signals import lightning_interrupts
from aligncat.store.reader import Store
from aligncat.training.calibration import calibrate
from aligncat.training.callbacks import (
    AveragedWeights,
    EpochCheckpoint,
    EpochLines,
    Judge,
    ProgressBar,
    Validation,
)
from aligncat.training.checkpoints import HashedCheckpoints, Resumption, read_checkpoint
from aligncat.training.config import TrainingConfig
from aligncat.training.data import GroundingData
from aligncat.training.devices import on_devices
from aligncat.training.initial import Initial
from aligncat.training.module import GroundingModule
from aligncat.training.nodes import ONLY_NODE, Agreement, Node, trainer_settings
from aligncat.training.run_folder import RUN, check_run_folder, describe_split, save_settings, word_rule
from aligncat.training.tokens import load_tokens, phrase_words
from aligncat.versions import installed_versions

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ValidationSplit:
    """The split that selects the best epoch and calibrates the grounder.

    Attributes:
        split: its expressions that select the best epoch, without boxes or masks.
        judge: evaluates the choices for these expressions.
        texts: its expressions that calibrate the grounder; whether their boxes can be read changes nothing.
    """

    split: Split
    judge: Judge
    texts: Split


def fit(
    *,
    train: Split,
    validation: ValidationSplit | None,
    store: Store,
    out: Path,
    alignment: AlignmentConfig,
    text: TextEncoderConfig,
    training: TrainingConfig,
    word_vectors: Path | None = None,
    lexicon: Path | None = None,
    initial: Initial | None = None,
    progress: bool = True,
    node: Node = ONLY_NODE,
) -> Grounder:
    """Train a grounder and save it. An interrupted run resumes after its last whole epoch.

    Args:
        train: the training split.
        validation: the split that selects the best epoch; None keeps the last epoch.
        store: the candidates of both splits' images.
        out: the grounder's folder.
        alignment: settings of the alignment model and its losses.
        text: settings of the text encoder.
        training: settings of the optimiser, schedule and batches.
        word_vectors: a GloVe or word2vec text file with the initial word vectors, or "glove-50d".
        lexicon: a TOML file with own words for categories (`DataConfig.lexicon`); relations read the second object's
            category with it.
        initial: the grounder that training starts from, or None to start from random weights.
        progress: show a progress bar.
        node: this machine, if several train together.

    Returns:
        The trained grounder, as the first node saves it in `out`.

    Raises:
        ConfigError: the settings contradict each other, the folder holds another run, or the initial grounder has
            other settings or another detector.
        DetectorError: the detector lacks a category of the dataset.
        StoreError: the store lacks an image, or the appearance that `alignment.features` names.
        KeyboardInterrupt: on Ctrl-C, after a log line that says how to resume.
    """
    config = ModelConfig(alignment=alignment, text=text)
    columns = columns_of(store, alignment)
    rule = word_rule(out)
    if initial is not None:
        initial.check(config, store.manifest, columns)
        rule = initial.rule
    vocabulary, pretrained = load_tokens(text, train, word_vectors, rule, initial)
    provenance: dict[str, Any] = {
        "data": describe_split(train),
        "val_split": None if validation is None else validation.split.split,
        "store": store.manifest.detector.to_json(),
        "training": asdict(training),
        "word_vectors": None if word_vectors is None else word_vectors.name,
        "text_encoder": None if pretrained is None else {"name": pretrained.name, "sha256": pretrained.sha256},
        "init": None if initial is None else initial.provenance(),
        "versions": installed_versions(),
    }
    settings = {**asdict(config), **provenance, **_newer_settings(columns, vocabulary)}
    if node.leads:  # it compares its settings with the others'
        check_run_folder(out, settings)
    provenance |= _started_from(store.manifest.detector)

    pl.seed_everything(training.seed, verbose=False)
    model = GroundingModel(
        config,
        len(vocabulary),
        feature_dim=input_dim(store.manifest.feature_dim, columns),
        classes=len(store.labels),
        vectors=_initial_vectors(word_vectors, vocabulary, training.seed),
        pretrained=pretrained,
    )
    if initial is not None:
        initial.load_into(model)
    splits = (train,) if validation is None else (train, validation.texts)
    batches = GroundingData(
        train=train,
        val=None if validation is None else validation.split,
        store=store,
        vocabulary=vocabulary,
        max_length=text.max_length,
        batch_size=training.batch_size,
        seed=training.seed,
        with_labels=alignment.category_train == "label" or alignment.classifier,
        columns=columns,
        lexicon=Lexicon.load(lexicon, store.labels) if alignment.context == "relations" else None,
    )
    if isinstance(model.text, TransformerTextEncoder):
        texts = [text for split in splits for text in values_of(split.expressions, "text")]
        model.text.remember(vocabulary.encode(texts, text.max_length), progress=progress)
    module = GroundingModule(model, training, batches.steps_per_epoch)
    if node.leads:
        save_settings(out, settings)
    arguments = (module, batches, training, out / RUN, validation, settings, progress)
    kept: Path = _fit(*arguments) if training.processes == 1 else on_devices(_fit_part, arguments, training, node)
    module.load_state_dict(read_checkpoint(kept, module.state_dict(), _remedy(kept.parent))["state_dict"])
    if isinstance(model.text, TransformerTextEncoder):
        model.text.forget()
    calibration = None
    if validation is not None:
        calibration = calibrate(
            model.eval(),
            vocabulary,
            store=store,
            split=validation.texts,
            references=list(train.images),
            seed=training.seed,
            columns=columns,
        )
    grounder = Grounder(
        model,
        vocabulary,
        store.labels,
        store.manifest.detector,
        provenance,
        pretrained,
        columns,
        calibration,
        Familiar.of(batches.confidences),
        None if isinstance(vocabulary, Vocabulary) else phrase_words(train, initial),
    )
    if node.leads:
        grounder.save_pretrained(out)
    return grounder


def _newer_settings(columns: Sequence[ScaledColumn], vocabulary: Tokens) -> dict[str, Any]:
    """Return the settings that runs of the first versions do not have, as far as they differ from what those did."""
    found: dict[str, Any] = {}
    if columns:
        found[COLUMNS_KEY] = [each.to_json() for each in columns]
    if isinstance(vocabulary, Vocabulary) and vocabulary.rule != FIRST_RULE:
        found[RULE_KEY] = vocabulary.rule
    return found


def _started_from(detector: DetectorDescription) -> dict[str, Any]:
    """Return what the detector's training started from, if its folder is there.

    It is not among the settings: a run is resumed also where the detector's folder has gone meanwhile.
    """
    found = TrainingRecord.started_from_of(detector.name, detector.weights_sha256)
    return {STARTED_FROM_KEY: list(found)} if found else {}


def _initial_vectors(word_vectors: Path | None, vocabulary: Tokens, seed: int) -> Tensor | None:
    if word_vectors is None or not isinstance(vocabulary, Vocabulary):
        return None
    found = load_word_vectors(word_vectors, vocabulary, seed=seed)
    logger.info("%s has %d of the %d words of the vocabulary", word_vectors, found.found, found.words)
    return found.table


def _fit_part(module: GroundingModule, *arguments: Any) -> Path:
    """Train in the process of one device, with its own weights instead of those in shared memory; see `_fit`."""
    return _fit(copy.deepcopy(module), *arguments)


def _fit(  # noqa: PLR0917 - the arguments are sent to other processes
    module: GroundingModule,
    batches: GroundingData,
    training: TrainingConfig,
    folder: Path,
    validation: ValidationSplit | None,
    settings: Mapping[str, Any],
    progress: bool,
) -> Path:
    """Train or resume training, and return the checkpoint to keep: the best one, or the last one without validation."""
    callbacks: list[Callback] = [AveragedWeights(training.ema_decay)]
    if validation is not None:
        callbacks += [
            Validation(validation.judge, len(validation.split.expressions)),
            EpochCheckpoint(folder, "best", best="val/rec"),
        ]
    callbacks.append(EpochCheckpoint(folder, "last"))  # after "best", whose score it stores
    shows_bar = progress and sys.stderr.isatty()
    callbacks.append(ProgressBar() if shows_bar else EpochLines())
    best, last = folder / "best.ckpt", folder / "last.ckpt"
    expected, remedy = module.state_dict(), _remedy(folder)
    resumption = Resumption(last if last.exists() else None, remedy)
    if training.processes > 1:
        resumed = {"resumes": file_sha256(last) if last.exists() else None}
        callbacks.append(Agreement({**settings, **resumed, "versions": None}))
    callbacks.append(resumption)
    if validation is not None and last.exists():
        # Otherwise a damaged file of the best epoch would be found only at the end.
        read_checkpoint(best, expected, remedy)
    with quiet_lightning(), _deterministic():
        trainer = pl.Trainer(
            max_epochs=training.epochs,
            callbacks=callbacks,
            # Each start of the command writes its own CSV file, because Lightning would empty an existing one.
            logger=[
                CSVLogger(folder, name="csv", flush_logs_every_n_steps=1),
                TensorBoardLogger(folder, name="", version="tensorboard"),
            ],
            plugins=[HashedCheckpoints(expected, remedy)],
            gradient_clip_val=training.clip_norm,
            num_sanity_val_steps=0,
            enable_progress_bar=shows_bar,
            enable_model_summary=False,
            deterministic=True,
            **trainer_settings(training, all_used=module.model.config.alignment.context_without is None),
        )
        with lightning_interrupts(trainer, "after the last whole epoch"), resumption.named_errors():
            trainer.fit(module, batches, ckpt_path=last if last.exists() else None, weights_only=True)
    return last if validation is None else best


def _remedy(folder: Path) -> str:
    """Return what to do about a damaged checkpoint. Without that of the last epoch, training writes both anew."""
    return f"delete {folder / 'last.ckpt'}, and the same command starts again from the first epoch"


@contextmanager
def _deterministic() -> Iterator[None]:
    """Restore the global settings of torch that Lightning's `deterministic` changes.

    In deterministic mode, torch also fills new tensors before use. Here that is switched off, because it takes a tenth
    of the time of a step and has no benefit.
    """
    memory: Any = torch.utils.deterministic
    deterministic, filled = torch.are_deterministic_algorithms_enabled(), memory.fill_uninitialized_memory
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(deterministic)
        memory.fill_uninitialized_memory = filled
