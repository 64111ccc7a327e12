"""Train a grounder on a split and a store. `aligncat.train` and the ablation studies both use `fit`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
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
from aligncat.store.reader import Store
from aligncat.training.calibration import calibrate
from aligncat.training.checkpoints import read_checkpoint
from aligncat.training.config import TrainingConfig
from aligncat.training.data import GroundingData
from aligncat.training.devices import on_devices
from aligncat.training.epochs import ValidationSplit, remedy_of, run_epochs, run_epochs_of_device
from aligncat.training.initial import Initial
from aligncat.training.module import GroundingModule
from aligncat.training.nodes import ONLY_NODE, Node
from aligncat.training.run_folder import RUN, check_run_folder, describe_split, save_settings, word_rule
from aligncat.training.tokens import load_tokens, phrase_words
from aligncat.versions import installed_versions

logger = logging.getLogger(__name__)


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
        **_lexicon_of_relations(alignment, lexicon),
    }
    settings = {**asdict(config), **provenance, **_newer_settings(columns, vocabulary)}
    if node.leads:  # it compares its settings with the others'
        check_run_folder(out, settings)
    provenance |= _started_from(store.manifest.detector, initial)

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
    if training.processes == 1:
        kept = run_epochs(*arguments)
    else:
        kept = on_devices(run_epochs_of_device, arguments, training, node)
    module.load_state_dict(read_checkpoint(kept, module.state_dict(), remedy_of(kept.parent))["state_dict"])
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


def _lexicon_of_relations(alignment: AlignmentConfig, lexicon: Path | None) -> dict[str, str | None]:
    """Return the hash of the own words that second objects are labelled with, for configs with relations."""
    if alignment.context != "relations":
        return {}
    return {"lexicon": None if lexicon is None else file_sha256(lexicon)}


def _newer_settings(columns: Sequence[ScaledColumn], vocabulary: Tokens) -> dict[str, Any]:
    """Return the settings that runs of the first versions do not have, as far as they differ from what those did."""
    found: dict[str, Any] = {}
    if columns:
        found[COLUMNS_KEY] = [each.to_json() for each in columns]
    if isinstance(vocabulary, Vocabulary) and vocabulary.rule != FIRST_RULE:
        found[RULE_KEY] = vocabulary.rule
    return found


def _started_from(detector: DetectorDescription, initial: Initial | None) -> dict[str, Any]:
    """Return what the detector's training started from, if its folder is there or the initial grounder recorded it.

    It is not among the settings: a run is resumed also where the detector's folder has gone meanwhile.
    """
    found = TrainingRecord.started_from_of(detector.name, detector.weights_sha256)
    if not found and initial is not None:  # whose detector is the same one
        found = tuple(initial.contents.provenance.get(STARTED_FROM_KEY, ()))
    return {STARTED_FROM_KEY: list(found)} if found else {}


def _initial_vectors(word_vectors: Path | None, vocabulary: Tokens, seed: int) -> Tensor | None:
    if word_vectors is None or not isinstance(vocabulary, Vocabulary):
        return None
    found = load_word_vectors(word_vectors, vocabulary, seed=seed)
    logger.info("%s has %d of the %d words of the vocabulary", word_vectors, found.found, found.words)
    return found.table
