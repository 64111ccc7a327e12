"""Train a grounder on a split and a store. `aligncat.train` and the ablation studies both use `fit`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger

from aligncat.alignment.config import AlignmentConfig
from aligncat.datasets.split import Split
from aligncat.datasets.tables import values_of
from aligncat.detectors.training.record import STARTED_FROM_KEY, TrainingRecord
from aligncat.errors import ConfigError
from aligncat.grounder.features import COLUMNS_KEY, columns_of, input_dim
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.model import GroundingModel, ModelConfig
from aligncat.grounder.unlike import Familiar
from aligncat.language.config import TextEncoderConfig
from aligncat.language.pretrained import PretrainedText, load_pretrained_text
from aligncat.language.tokens import FIRST_RULE, RULE_KEY, Tokens
from aligncat.language.transformer import TransformerTextEncoder
from aligncat.language.vectors import first_words, load_word_vectors
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
from aligncat.training.initial import Initial, phrase_words
from aligncat.training.module import GroundingModule
from aligncat.training.run_folder import RUN, check_run_folder, describe_split, save_settings, word_rule
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
    initial: Initial | None = None,
    progress: bool = True,
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
        initial: the grounder that training starts from, or None to start from random weights.
        progress: show a progress bar.

    Returns:
        The trained grounder, as saved in `out`.

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
    vocabulary, pretrained = _load_tokens(text, train, word_vectors, rule, initial)
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
    settings = {**asdict(config), **provenance}
    if columns:
        settings[COLUMNS_KEY] = [each.to_json() for each in columns]
    if isinstance(vocabulary, Vocabulary) and vocabulary.rule != FIRST_RULE:
        settings[RULE_KEY] = vocabulary.rule
    check_run_folder(out, settings)
    # Not among the settings: a run is resumed also where the detector's folder has gone meanwhile.
    described = store.manifest.detector
    if started_from := TrainingRecord.started_from_of(described.name, described.weights_sha256):
        provenance[STARTED_FROM_KEY] = list(started_from)

    pl.seed_everything(training.seed, verbose=False)
    vectors = None
    if word_vectors is not None and isinstance(vocabulary, Vocabulary):
        found = load_word_vectors(word_vectors, vocabulary, seed=training.seed)
        logger.info("%s has %d of the %d words of the vocabulary", word_vectors, found.found, found.words)
        vectors = found.table
    model = GroundingModel(
        config,
        len(vocabulary),
        feature_dim=input_dim(store.manifest.feature_dim, columns),
        classes=len(store.labels),
        vectors=vectors,
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
    )
    if isinstance(model.text, TransformerTextEncoder):
        texts = [text for split in splits for text in values_of(split.expressions, "text")]
        model.text.remember(vocabulary.encode(texts, text.max_length), progress=progress)
    module = GroundingModule(model, training, batches.steps_per_epoch)
    save_settings(out, settings)
    kept = _fit(module, batches, training, out / RUN, validation, progress=progress)
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
    grounder.save_pretrained(out)
    return grounder


def _load_tokens(
    text: TextEncoderConfig, split: Split, word_vectors: Path | None, rule: int, initial: Initial | None
) -> tuple[Tokens, PretrainedText | None]:
    """Return the vocabulary or tokenizer, and the transformer if the text encoder is one.

    Raises:
        ConfigError: the settings contradict each other, or the transformer cannot be loaded.
    """
    if not text.recurrent:
        if word_vectors is not None:
            raise ConfigError(
                f"--word_vectors is only for text.encoder 'recurrent', and text.encoder is {text.encoder!r}: "
                "leave --word_vectors out"
            )
        pretrained = load_pretrained_text(text.encoder)
        if initial is not None:
            initial.check_text_encoder(pretrained)
        return pretrained.pieces, pretrained
    if text.freeze_vectors and word_vectors is None:
        raise ConfigError(
            "text.freeze_vectors is true and there are no word vectors: name a file with --word_vectors, or train "
            "the vectors with --text.freeze_vectors false"
        )
    vocabulary = Vocabulary.from_expressions(values_of(split.expressions, "text"), rule)
    if initial is not None:
        vocabulary = initial.words_before(vocabulary)
    if text.vector_words and word_vectors is not None:
        vocabulary = vocabulary.with_words(first_words(word_vectors, text.vector_words, rule))
    return vocabulary, None


def _fit(
    module: GroundingModule,
    batches: GroundingData,
    training: TrainingConfig,
    folder: Path,
    validation: ValidationSplit | None,
    *,
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
            devices=1,
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
