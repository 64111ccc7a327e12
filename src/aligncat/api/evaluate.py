"""`aligncat.evaluate`: measure a grounder on the splits of a dataset."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from aligncat.datasets.config import DataConfig
from aligncat.errors import ConfigError
from aligncat.evaluation.results import Seen

if TYPE_CHECKING:
    from aligncat.evaluation.answers import Answers

logger = logging.getLogger(__name__)


def evaluate(
    *,
    grounder: Path,
    data: DataConfig,
    store: Path,
    splits: tuple[str, ...] | None = None,
    out: Path | None = None,
    queries: Path | None = None,
    detector_images: str | None = None,
    seen: Seen | None = None,
    skip_bad_rows: bool = False,
    text_encoder: str | None = None,
    model_card: bool = False,
) -> list[Answers]:
    """Measure a grounder on every sentence of the splits: REC, RES, the oracle, and where it errs.

    Args:
        grounder: the folder that `aligncat train` wrote. The results' config is called after it, without a "-seed0" at
            the end that is its seed.
        data: the dataset.
        store: the candidates of its images, by the detector that the grounder was trained with.
        splits: the splits; by default all but "train".
        out: a folder for what is found, named after grounder, dataset and split: the figures (.json), the errors by
            cause and slice (.errors.json), and every answer (.parquet), which `aligncat report` shows.
        queries: a store of every query of the detector (`aligncat extract --every_query`), to tell the referents that
            the detector missed from those that the confidence filter dropped.
        detector_images: what the detector was trained on, as in `aligncat audit`, to say how many of the splits'
            photos it has seen. Known by default of the shipped detector on MojiRef (none) and of the hub's COCO
            checkpoints (coco-train2017).
        seen: whether the detector was trained on the splits' images, where you know it but have no list at hand: clean,
            leaked or unknown. Results say that it was said. Where a list or the detector's name shows otherwise, it is
            an error.
        skip_bad_rows: leave out bad rows of the dataset and report them, instead of stopping.
        text_encoder: where a frozen transformer that reads the grounder's phrases is now, if not where it was in
            training: a folder or hub name.
        model_card: write the grounder's README.md anew, with these results in it.

    Returns:
        One result a split.

    Raises:
        ConfigError: the folder is not a grounder, its card is the package's own, or `seen` contradicts what is known.
        DataError: the dataset, or the list of the detector's images, cannot be read.
        StoreError: the store was made by another detector, or lacks an image.
    """
    from aligncat.datasets.formats.annotation_files import AnnotationFiles
    from aligncat.datasets.load import split_names
    from aligncat.evaluation.answering import answer, open_queries, save_answers, seed_of
    from aligncat.evaluation.leak import read_training_images
    from aligncat.evaluation.questions import Questions
    from aligncat.grounder.folder import SHIPPED
    from aligncat.grounder.grounder import Grounder
    from aligncat.grounder.model_card import write_model_card
    from aligncat.report.card import card_results
    from aligncat.store.reader import Store

    if model_card and grounder.resolve() == SHIPPED:
        raise ConfigError(f"{grounder} is part of aligncat, its card too: copy the folder to write another card")
    loaded = Grounder.from_pretrained(grounder, text_encoder=text_encoder)
    opened = Store.open(store, expect=loaded.detector_description)
    name = grounder.resolve().name
    # Folders that differ in the seed alone hold one config, whose seeds have a common mean.
    config = name.removesuffix(f"-seed{seed_of(loaded)}")
    training = None if detector_images is None else read_training_images(detector_images)
    every_query = None if queries is None else open_queries(queries, loaded)
    found: list[Answers] = []
    with AnnotationFiles() as files:
        for split in splits or [split for split in split_names(data, files=files) if split != "train"]:
            questions = Questions.load(data, opened, split, skip_bad_rows=skip_bad_rows, files=files)
            answers = answer(
                loaded, config, questions, folder=grounder, queries=every_query, training=training, seen=seen
            )
            if out is not None:
                save_answers(answers, out, name)
            found.append(answers)
    if model_card:
        path = write_model_card(grounder, card_results([answers.result for answers in found]))
        logger.info("%s: these results are in it", path)
    return found
