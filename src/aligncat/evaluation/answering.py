"""Ask a grounder every expression of a split, and save the answers."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from aligncat.datasets.config import division_name
from aligncat.errors import StoreError
from aligncat.evaluation.answers import Answers, answers_table
from aligncat.evaluation.error_tables import error_tables
from aligncat.evaluation.leak import judge
from aligncat.evaluation.metrics import measure
from aligncat.evaluation.results import Result
from aligncat.files.atomic import write_atomic
from aligncat.store.manifest import detector_differences
from aligncat.store.reader import Store
from aligncat.versions import installed_versions

if TYPE_CHECKING:
    from pathlib import Path

    from aligncat.evaluation.leak import TrainingImages
    from aligncat.evaluation.questions import Questions
    from aligncat.evaluation.results import Seen
    from aligncat.grounder.grounder import Grounder


def open_queries(folder: Path, grounder: Grounder) -> Store:
    """Open a store of every query, and make sure that it is by the grounder's detector.

    Raises:
        StoreError: it is not finished, was made by another detector, or holds the best candidates alone.
    """
    store = Store.open(folder)
    if not store.manifest.detector.every_query:
        raise StoreError(f"{folder} holds the best candidates alone: extract it anew with --every_query")
    ignoring = ("candidates", "every_query")
    if differing := detector_differences(store.manifest.detector, grounder.detector_description, ignoring=ignoring):
        raise StoreError(f"{folder}: made by another detector than the grounder's. " + "; ".join(differing))
    return store


def seed_of(grounder: Grounder) -> int | None:
    """The seed of its training; None where nothing random was trained."""
    seed: int | None = grounder.provenance.get("training", {}).get("seed")
    return seed


def save_answers(answers: Answers, folder: Path, name: str) -> Path:
    """Write the figures, the errors by cause, and every answer.

    Args:
        answers: of one split.
        folder: made if need be.
        name: what the files' names begin with, before the dataset's (and division's) and the split's.

    Returns:
        The path of the answers.
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
    grounder: Grounder,
    name: str,
    questions: Questions,
    *,
    folder: Path | None = None,
    queries: Store | None = None,
    training: TrainingImages | None = None,
    seen: Seen | None = None,
) -> Answers:
    """Ask a loaded grounder every sentence of one split.

    Args:
        grounder: trained.
        name: what the result calls it.
        questions: the split, with the candidates of the detector that the grounder was trained with.
        folder: where the grounder is, for those who read the answers.
        queries: as `open_queries` gives it.
        training: what the detector was trained on; by default what its name says.
        seen: as in `evaluate`.

    Raises:
        ConfigError: `seen` contradicts what is known.
    """
    split, store = questions.split, questions.store
    detector = grounder.detector_description.name
    judgement = judge(split, detector, training=training, claim=seen)
    choices = grounder.choose(store, split)
    result = Result(
        dataset=split.dataset,
        split=split.split,
        split_by=split.split_by,
        config=name,
        detector=detector,
        seen=judgement.seen,
        seed=seed_of(grounder),
        versions=installed_versions(),
        metrics=measure(questions.overlaps, choices.choice, choices.predicted),
        images=len(split.images),
        images_seen=judgement.images_seen,
        seen_claimed=judgement.claimed,
    )
    provenance = {
        "grounder": None if folder is None else str(folder.absolute()),
        "store": store.manifest.detector.to_json(),
        "alignment": asdict(grounder.model.config.alignment),
    }
    table = answers_table(questions, choices, queries)
    return Answers(result, grounder.labels, provenance, table)
