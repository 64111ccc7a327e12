"""Run a grounder on a split and save its answers."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from aligncat.datasets.config import division_name
from aligncat.errors import StoreError
from aligncat.evaluation.answer_sets import MIN_MATCH, AnswerSets
from aligncat.evaluation.answers import SCHEMA, Answers, answers_table
from aligncat.evaluation.error_tables import error_tables
from aligncat.evaluation.leak import judge_detector
from aligncat.evaluation.outcomes import Measured
from aligncat.evaluation.questions import BLOCK
from aligncat.evaluation.results import Result
from aligncat.files.atomic import write_atomic
from aligncat.files.table_file import keep_rows
from aligncat.grounder.training_free import TrainingFreeGrounder
from aligncat.store.manifest import detector_differences
from aligncat.store.reader import Store
from aligncat.store.rows import temporary_folder
from aligncat.versions import installed_versions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from aligncat.evaluation.questions import Questions
    from aligncat.evaluation.results import Read, Seen
    from aligncat.evaluation.training_images import TrainingImages
    from aligncat.grounder.photo_grounder import PhotoGrounder


def open_queries(folder: Path, candidates: Store) -> Store:
    """Open a store that has all queries of each image, and check that the detector of another store made it.

    Args:
        folder: the folder of the store to open.
        candidates: the store with the candidates that are evaluated.

    Raises:
        StoreError: the store is unfinished, was made by another detector or has other masks, or holds only the best
            candidates.
    """
    store = Store.open(folder)
    if not store.manifest.detector.every_query:
        raise StoreError(f"{folder}: this store holds only the best candidates; extract a new one with --every_query")
    ignoring = ("candidates", "every_query")
    if differing := detector_differences(store.manifest.detector, candidates.manifest.detector, ignoring=ignoring):
        raise StoreError(f"{folder}: made by another detector than {candidates.folder}. " + "; ".join(differing))
    return store


def seed_of(grounder: PhotoGrounder) -> int | None:
    """Return the seed of the grounder's training, or None if it is not recorded, as in an imported QueryMatch."""
    seed: int | None = grounder.provenance.get("training", {}).get("seed")
    return seed


def features_of(grounder: PhotoGrounder) -> Read:
    """Return what a grounder reads of a candidate beside its category, confidence and box."""
    if grounder.alignment is not None:
        return grounder.alignment.features
    return "colour" if isinstance(grounder, TrainingFreeGrounder) and grounder.coloured else "none"


def save_answers(answers: Answers, folder: Path, name: str) -> Path:
    """Write the metrics, the errors by cause, and every answer.

    Args:
        answers: the answers on one split.
        folder: where to write; it is created if it does not exist.
        name: the start of the file names, followed by the dataset (with its division) and the split.

    Returns:
        The path of the Parquet file with the answers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    result = answers.result
    division = division_name(result.dataset, result.split_by)
    path = folder / f"{name}-{division}-{result.split}.parquet"
    result.save(path.with_suffix(".json"))
    tables = json.dumps(error_tables(answers), indent=2, ensure_ascii=False) + "\n"
    write_atomic(path.with_suffix(".errors.json"), tables.encode())
    answers.save(path)
    return path


def answer(
    grounder: PhotoGrounder,
    name: str,
    questions: Questions,
    *,
    folder: Path | None = None,
    queries: Store | None = None,
    training: TrainingImages | None = None,
    seen: Seen | None = None,
    min_match: float = MIN_MATCH,
) -> Answers:
    """Return a grounder's answers to every expression of a split, with their metrics.

    Args:
        grounder: a trained grounder, or the training-free one of the questions' store.
        name: the grounder's name in the result.
        questions: the split, with candidates of the detector that the grounder was trained with.
        folder: the grounder's folder, recorded in the answers; None if it has none.
        queries: a store that has all queries (`open_queries`), to tell whether the detector missed a referent.
        training: the images that the detector was trained on; by default those known from its name.
        seen: what the user claims about the detector's training, as in `evaluate`: whether it used the split's images.
        min_match: in a split in which some expression means no object or several, an answer with a lower match names
            nothing.

    Raises:
        ConfigError: `seen` contradicts the list of training images or the detector's name.
        WriteError: there are many expressions, and the temporary file of their answers cannot be written.
    """
    split, store = questions.split, questions.store
    described = grounder.detector_description
    judgement = judge_detector(
        split, described.name, weights_sha256=described.weights_sha256, training=training, claim=seen
    )
    measured: list[Measured] = []

    def tables() -> Iterator[pa.Table]:
        for block in questions.blocks():
            choices = grounder.choose(store, block.split)
            sets = AnswerSets.of(block, choices, min_match) if questions.has_sets else None
            measured.append(Measured.of(block.overlaps, choices.choice, choices.predicted, sets))
            yield answers_table(block, choices, queries, sets)

    rows = keep_rows(SCHEMA, tables(), temporary_folder(store.folder), BLOCK)
    result = Result(
        dataset=split.dataset,
        split=split.split,
        split_by=split.split_by,
        config=name,
        detector=described.name,
        seen=judgement.seen,
        seed=seed_of(grounder),
        versions=installed_versions(),
        metrics=Measured.joined(measured).metrics(),
        images=len(split.images),
        images_seen=judgement.images_seen,
        seen_claimed=judgement.claimed,
        features=features_of(grounder),
        context="none" if grounder.alignment is None else grounder.alignment.context,
        floors=questions.floors,
        boxes_alone=not store.manifest.detector.has_masks,
    )
    provenance = {
        "grounder": None if folder is None else str(folder.absolute()),
        "store": store.manifest.detector.to_json(),
        "alignment": None if grounder.alignment is None else asdict(grounder.alignment),
    }
    return Answers(result, grounder.labels, provenance, rows)
