"""aligncat evaluate: REC and RES of a grounder on the splits of a dataset."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from aligncat.datasets.config import DataConfig, division_name
from aligncat.datasets.formats.read_once import files_read_once
from aligncat.datasets.split_names import split_names
from aligncat.errors import ConfigError, StoreError
from aligncat.evaluation.answers import Answers, answers_table
from aligncat.evaluation.error_tables import error_tables
from aligncat.evaluation.leak import TrainingImages, judge, read_training_images
from aligncat.evaluation.metrics import measure
from aligncat.evaluation.questions import Questions
from aligncat.evaluation.results import Result, Seen
from aligncat.files.atomic import write_atomic
from aligncat.grounder.folder import SHIPPED
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.model_card import write_model_card
from aligncat.report.card import card_results
from aligncat.report.published_tables import published_beside
from aligncat.report.terminal import causes_table, masks_table, results_table, slices_table
from aligncat.store.manifest import detector_differences
from aligncat.store.reader import Store
from aligncat.versions import installed_versions


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
) -> list[Result]:
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
    if model_card and grounder.resolve() == SHIPPED:
        raise ConfigError(f"{grounder} is part of aligncat, its card too: copy the folder to write another card")
    loaded = Grounder.from_pretrained(grounder, text_encoder=text_encoder)
    opened = Store.open(store, expect=loaded.detector_description)
    name = grounder.resolve().name
    # Folders that differ in the seed alone hold one config, whose seeds have a common mean.
    config = name.removesuffix(f"-seed{seed_of(loaded)}")
    training = None if detector_images is None else read_training_images(detector_images)
    every_query = None if queries is None else open_queries(queries, loaded)
    results: list[Result] = []
    causes: list[Table] = []
    with files_read_once():
        for split in splits or [split for split in split_names(data) if split != "train"]:
            questions = Questions.load(data, opened, split, skip_bad_rows=skip_bad_rows)
            answers = answer(
                loaded, config, questions, folder=grounder, queries=every_query, training=training, seen=seen
            )
            if out is not None:
                save_answers(answers, out, name)
            results.append(answers.result)
            causes.append(causes_table(answers))
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(results_table(results), masks_table(results))
    for result in results:
        if result.metrics.by_kind:
            console.print(slices_table([result]))
    console.print(*causes)
    if (beside := published_beside(results)) is not None:
        console.print(beside)
    if model_card:
        console.print(f"{write_model_card(grounder, card_results(results))}: these results are in it", markup=False)
    return results


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
