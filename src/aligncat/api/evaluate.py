"""The public function `aligncat.evaluate`."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from aligncat.datasets.config import DataConfig
from aligncat.errors import ConfigError, DataError
from aligncat.evaluation.answer_sets import MIN_MATCH
from aligncat.evaluation.results import Seen
from aligncat.files.writable import check_writable

if TYPE_CHECKING:
    from aligncat.evaluation.answers import Answers
    from aligncat.grounder.photo_grounder import PhotoGrounder
    from aligncat.store.reader import Store

logger = logging.getLogger(__name__)


def evaluate(
    *,
    grounder: str | Path,
    data: DataConfig,
    store: str | Path,
    splits: tuple[str, ...] | None = None,
    out: str | Path | None = None,
    queries: str | Path | None = None,
    detector_images: str | Path | None = None,
    seen: Seen | None = None,
    min_match: float = MIN_MATCH,
    skip_bad_rows: bool = False,
    text_encoder: str | Path | None = None,
    model_card: bool = False,
) -> list[Answers]:
    """Evaluate a grounder on the splits of a dataset: REC, RES, the oracle, and the causes of errors.

    REC is the share of chosen boxes with an IoU above 0.5, and RES the mean IoU of the chosen masks. The oracle is
    what the best candidate of each image would reach. If some phrase of a split means no object or several, as in
    gRefCOCO, an answer is what it names: nothing, the choice, or several objects. gRefCOCO's metrics are reported too.

    Args:
        grounder: the folder that `aligncat train` wrote, or "training-free" for the grounder that needs no training.
            The folder's name, without an ending such as "-seed0", becomes the config's name in the results.
        data: the dataset.
        store: the store with the candidates of its images, from the detector that the grounder was trained with.
        splits: the splits; by default all but "train".
        out: a folder for the results. Files are named after grounder, dataset and split: the metrics (.json), the
            errors by cause and slice (.errors.json), and every answer (.parquet), which `aligncat report` shows.
        queries: a store of every query of the detector (`aligncat extract --every_query`). It distinguishes referents
            that the detector missed from referents that the confidence filter dropped.
        detector_images: the images that the detector was trained on, as in `aligncat audit`, to count how many photos
            of the splits it has seen. By default this is known for the shipped detector on MojiRef (none), for the COCO
            checkpoints of the hub (coco-train2017), and for detectors of `aligncat detector train`, whose folder lists
            them.
        seen: whether the detector was trained on the images of the splits, if you know it but have no list: clean,
            leaked or unknown. Results mark it as a claim. It is an error if a list or the detector's name shows
            otherwise.
        min_match: where phrases may mean nothing in the photo, an answer whose match is lower names nothing. A grounder
            that gives no match always names something.
        skip_bad_rows: leave out bad rows of the dataset and report them, instead of stopping.
        text_encoder: the folder or hub name of the grounder's frozen transformer, if it has moved since training.
        model_card: rewrite the grounder's README.md with these results.

    Returns:
        The answers and metrics of each split.

    Raises:
        ConfigError: the folder is not a grounder, its model card is part of aligncat, `seen` contradicts what is known
            of the detector, or `min_match` is not from 0 to 1.
        DataError: the dataset, or the list of the detector's images, cannot be read; or another process is writing
            results of this grounder on this dataset.
        StoreError: the store is from another detector, or lacks an image.
        WriteError: the results cannot be written, for example because the disk is full.
    """
    if out is not None:
        check_writable(out)
    from aligncat.datasets.formats.annotation_files import AnnotationFiles
    from aligncat.datasets.load import split_names
    from aligncat.datasets.split import split_tuple
    from aligncat.evaluation.answering import answer, open_queries, save_answers, seed_of
    from aligncat.evaluation.questions import Questions
    from aligncat.evaluation.training_images import read_training_images
    from aligncat.files.locks import path_lock
    from aligncat.grounder.folder import SHIPPED
    from aligncat.grounder.model_card import write_model_card
    from aligncat.grounder.names import TRAINING_FREE
    from aligncat.report.card import card_results

    if not 0 <= min_match <= 1:
        raise ConfigError(f"min_match is {min_match}, but a match is a probability; give a number from 0 to 1")
    out = None if out is None else Path(out)
    folder = None if str(grounder) == TRAINING_FREE else Path(grounder)
    if model_card and (folder is None or folder.resolve() == SHIPPED):
        raise ConfigError(f"{grounder} and its model card are part of aligncat: copy the folder to write a card")
    loaded, opened = _open(grounder, folder, store, text_encoder)
    name = TRAINING_FREE if folder is None else folder.resolve().name
    # Folders that differ only in the seed hold the same config; reports average over its seeds.
    config = name.removesuffix(f"-seed{seed_of(loaded)}")
    training = None if detector_images is None else read_training_images(str(detector_images))
    every_query = None if queries is None else open_queries(Path(queries), opened)
    found: list[Answers] = []
    with nullcontext() if out is None else path_lock(out / f"{name}-{data.division}"):
        with AnnotationFiles() as files:
            names = split_tuple(splits) or tuple(split for split in split_names(data, files=files) if split != "train")
            if not names:
                raise DataError(f"{data.path}: the only split is train; add another split, or name one with --splits")
            for split in names:
                questions = Questions.load(data, opened, split, skip_bad_rows=skip_bad_rows, files=files)
                answers = answer(
                    loaded,
                    config,
                    questions,
                    folder=folder,
                    queries=every_query,
                    training=training,
                    seen=seen,
                    min_match=min_match,
                )
                if out is not None:
                    save_answers(answers, out, name)
                found.append(answers)
        if model_card and folder is not None:
            path = write_model_card(folder, card_results([answers.result for answers in found]))
            logger.info("%s: results added", path)
    return found


def _open(
    grounder: str | Path, folder: Path | None, store: str | Path, text_encoder: str | Path | None
) -> tuple[PhotoGrounder, Store]:
    """Return a grounder and a store of its detector; without a folder, the training-free grounder of the store."""
    from aligncat.grounder.opening import open_grounder
    from aligncat.grounder.training_free import TrainingFreeGrounder
    from aligncat.store.reader import Store

    if folder is None:
        opened = Store.open(store)
        return TrainingFreeGrounder.of_store(opened), opened
    loaded = open_grounder(grounder, text_encoder=text_encoder)
    return loaded, Store.open(store, expect=loaded.detector_description)
