"""The public function `aligncat.train`."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from aligncat.alignment.config import AlignmentConfig
from aligncat.datasets.config import DataConfig
from aligncat.errors import DataError
from aligncat.files.writable import check_writable
from aligncat.language.config import TextEncoderConfig
from aligncat.training.config import TrainingConfig
from aligncat.training.presets import Adapt

if TYPE_CHECKING:
    from aligncat.grounder.grounder import Grounder

logger = logging.getLogger(__name__)


def train(
    *,
    data: DataConfig,
    store: str | Path,
    out: str | Path,
    alignment: AlignmentConfig = AlignmentConfig(),
    text: TextEncoderConfig = TextEncoderConfig(),
    training: TrainingConfig = TrainingConfig(),
    train_split: str = "train",
    val_split: str | None = "val",
    word_vectors: str | Path | None = None,
    init: str | Path | None = None,
    adapt: Adapt = "none",
    skip_bad_rows: bool = False,
    progress: bool = True,
) -> Grounder:
    """Train a grounder from a store and a training split, without images, boxes or masks.

    Phrases of which the data says that their image shows nothing they mean are left out.

    If the command is interrupted, running it again resumes after the last whole epoch.

    Args:
        data: the dataset.
        store: the store with the candidates of its images, from `aligncat extract`.
        out: the folder for the grounder.
        alignment: which scores choose the candidate, and how they are learned.
        text: the text encoder.
        training: optimiser, schedule, batch size and seed.
        train_split: the split to train on.
        val_split: the split whose REC accuracy selects the best epoch; null keeps the last epoch. Phrases that
            `aligncat data phrases` wrote have no boxes to measure REC with, so they keep the last epoch too.
        word_vectors: a GloVe or word2vec text file with initial word vectors, or "glove-50d" from the extra [glove].
        init: a grounder whose weights training starts from: its folder or its name on the hub. It must have the same
            `alignment` and `text` and the same detector. Words of the data that it does not know are added.
        adapt: "size" fits batch size, epochs and warm-up to the number of phrases, and does without categories or a
            validation split where there are none. "all" also takes MiniLM and the store's appearance where they are
            there. What is chosen is logged. The preset `own` has "all".
        skip_bad_rows: leave out bad rows of the dataset and report them, instead of stopping.
        progress: show a progress bar; otherwise, and off a terminal, one line per epoch is logged.

    Returns:
        The trained grounder, as saved in the folder.

    Raises:
        ConfigError: the settings contradict each other, the folder holds a different run, `init` is not a grounder of
            these settings and this detector, or the nodes train different things.
        DataError: the dataset cannot be read or is too small to adapt to, annotations of the validation split are of
            another size than their image in the store, or another process is training in the folder.
        DetectorError: the detector lacks a category of the dataset.
        StoreError: the store is unfinished, or lacks an image.
        WriteError: the folder cannot be written, for example because the disk is full.
        KeyboardInterrupt: Ctrl-C, after a log line that explains how to resume.
    """
    check_writable(out)
    from aligncat.datasets.formats.annotation_files import AnnotationFiles
    from aligncat.datasets.load import load_split, load_truth, split_names
    from aligncat.evaluation.judge import judge_choices
    from aligncat.evaluation.measurable import measurable
    from aligncat.evaluation.overlaps import Overlaps
    from aligncat.files.locks import folder_lock
    from aligncat.files.write_errors import named_write_errors
    from aligncat.store.reader import Store
    from aligncat.training.adapt import adapted
    from aligncat.training.epochs import ValidationSplit
    from aligncat.training.fit import fit
    from aligncat.training.initial import Initial
    from aligncat.training.nodes import Node
    from aligncat.training.presets import Preset

    out = Path(out)
    node = Node.of(training)
    opened = Store.open(store)
    start = None if init is None else Initial.read(init)
    validation = None
    with folder_lock(out) if node.leads else nullcontext(), AnnotationFiles() as files:
        train_data = load_split(
            data, train_split, skip_bad_rows=skip_bad_rows, check_images=False, categories=opened.labels, files=files
        )
        train_data = train_data.with_targets()
        if val_split is not None:
            names = split_names(data, files=files)
            if val_split not in names and adapt != "none":
                logger.info(
                    "No split %s, so the last epoch is kept, and the answers have no match: nothing to calibrate it on",
                    val_split,
                )
                val_split = None
            elif val_split not in names:
                raise DataError(
                    f"{data.path}: no split {val_split!r}, only {', '.join(names)}; add it, name another with "
                    "--val_split, or keep the last epoch with --val_split null"
                )
        if val_split is not None:
            val = load_split(
                data, val_split, skip_bad_rows=skip_bad_rows, check_images=False, categories=opened.labels, files=files
            )
            if val.made is None:
                texts = val.with_targets()
                truth = load_truth(data, val_split, skip_bad_rows=skip_bad_rows, files=files)
                if skip_bad_rows:
                    val = measurable(val, truth, opened)
                val = val.with_targets()
                validation = ValidationSplit(val, judge_choices(Overlaps.of(opened, val, truth)), texts)
            else:
                logger.info(
                    "No person wrote the phrases of %s, which have no boxes, so the last epoch is kept", val_split
                )
        preset = adapted(
            Preset(alignment, text, training),
            train_data,
            columns=[each.name for each in opened.manifest.columns],
            adapt=adapt,
            word_vectors=word_vectors is not None,
        )
        with named_write_errors(out):
            return fit(
                train=train_data,
                validation=validation,
                store=opened,
                out=out,
                alignment=preset.alignment,
                text=preset.text,
                training=preset.training,
                word_vectors=None if word_vectors is None else Path(word_vectors),
                lexicon=data.lexicon,
                initial=start,
                progress=progress,
                node=node,
            )
