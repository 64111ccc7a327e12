"""aligncat ablate: the rows of a study, side by side, and whether they stand in the paper's order."""

from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass
from functools import cache
from itertools import combinations
from multiprocessing import parent_process
from pathlib import Path
from threading import Thread

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from torch.multiprocessing import get_context

from aligncat.commands.evaluate import answer, open_queries, save_answers
from aligncat.commands.train import check_settings, describe, learn
from aligncat.configs import Preset, load_preset
from aligncat.datasets.config import DataConfig
from aligncat.datasets.formats.read_once import files_read_once
from aligncat.datasets.load import load_split
from aligncat.datasets.split import Split
from aligncat.datasets.split_names import split_names
from aligncat.errors import AligncatError, ConfigError
from aligncat.evaluation.answers import Answers
from aligncat.evaluation.leak import Judgement, judge, read_training_images
from aligncat.evaluation.published import published_ablation
from aligncat.evaluation.questions import Questions
from aligncat.evaluation.results import Seen
from aligncat.files.atomic import write_atomic
from aligncat.report.terminal import orderings_table, study_table
from aligncat.store.reader import Store
from aligncat.studies.orderings import Ordering, ordering
from aligncat.studies.studies import StudyName, study_of
from aligncat.studies.study import Study, StudyRow, rows_for

ANSWERS = "answers"  # the subfolder of a row's folder


@dataclass(frozen=True)
class _Run:
    """One row with one seed: what a worker is told."""

    row: StudyRow
    settings: Preset
    seed: int
    folder: Path
    splits: tuple[str, ...]
    data: DataConfig
    queries: Path | None
    word_vectors: Path | None
    detector_images: str | None
    seen: Seen | None

    @property
    def name(self) -> str:
        return self.folder.name

    def answers(self, split: str) -> Path:
        return self.folder / ANSWERS / f"{self.row.name}-{self.data.division}-{split}.parquet"

    def done(self, store: Store, judged: Mapping[str, Judgement]) -> bool:
        """Whether it is trained, and all that is asked of it is answered, with what is `judged` of each split.

        Raises:
            ConfigError: they are those of other settings or data.
        """
        if not all(self._answered(split, judged[split]) for split in self.splits):
            return False
        settings = {
            "alignment": asdict(self.settings.alignment),
            "text": asdict(self.settings.text),
            "training": asdict(self.settings.training),
            "data": describe(self.row.training_split(_split(self.data, "train"), self.seed)),
            "store": store.manifest.detector.to_json(),
            "word_vectors": None if self.word_vectors is None else self.word_vectors.name,
        }
        check_settings(self.folder, settings)
        return True

    def _answered(self, split: str, judged: Judgement) -> bool:
        """Whether its answers on a split are there, to these expressions and with what is to be said of them."""
        if not self.answers(split).is_file():
            return False
        answers = Answers.load(self.answers(split))
        said = (answers.result.seen, answers.result.seen_claimed, answers.result.images_seen)
        asked = [(e.id, e.text) for e in _split(self.data, split).expressions]
        return (
            [*zip(answers.table["expression_id"].to_pylist(), answers.table["text"].to_pylist(), strict=True)] == asked
            and (self.queries is None or answers.table["query_right"].null_count == 0)
            and said == astuple(judged)
        )


def ablate(
    *,
    study: StudyName,
    data: DataConfig,
    store: Path,
    out: Path,
    seeds: tuple[int, ...] = (0, 1, 2),
    preset: str | None = None,
    splits: tuple[str, ...] | None = None,
    queries: Path | None = None,
    word_vectors: Path | None = None,
    detector_images: str | None = None,
    seen: Seen | None = None,
    workers: int | None = None,
) -> list[Ordering]:
    """Train and evaluate the rows of an ablation study over seeds, and compare them.

    Every row gets the preset's sizes, optimiser and steps. Rows run side by side in worker processes, which share the
    store in memory. Stopped, the same command goes on where it was: a row that is there is not repeated, whichever
    study it was made for.

    Args:
        study: table3, table4 or table5 of the paper, or one of our own: over-specification, pairs, candidates, keep,
            alpha, negatives, weighting, temperature, ranks, positives, text.
        data: the dataset.
        store: the candidates of its images.
        out: a folder for a folder a dataset, row and seed, and STUDY-DATASET.json with all figures and
            comparisons (of RefCOCOg and RefCLEF, DATASET has the division: refcocog-umd).
        seeds: of the trainings; the spread needs three or more.
        preset: whose sizes and steps: a preset that is shipped, or a YAML file like these; by default the dataset's.
        splits: what is measured; by default all but "train". The best epoch is told on "val", which must be there.
        queries: a store of every query, as in `aligncat evaluate`.
        word_vectors: where every row starts from that has no word vectors of its own, as in `aligncat train`.
        detector_images: what the detector was trained on, as in `aligncat evaluate`.
        seen: whether the detector was trained on the splits' images, as in `aligncat evaluate`.
        workers: rows at a time; by default the cores there are, each row then on one.

    Returns:
        The comparisons: for the paper's tables all pairs of rows, else each row against the reference.

    Raises:
        ConfigError: a row does not fit the preset, a folder holds a run with other settings, a number is wrong, or
            `seen` contradicts what is known.
        DataError: the dataset cannot be read, or does not record what the study varies.
        StoreError: the store is not finished, or lacks an image.
        KeyboardInterrupt: Ctrl-C; whole rows, and the whole epochs of others, are kept.
    """
    chosen = study_of(study)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ConfigError(f"seeds {seeds}: give at least one, each once")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = cores if workers is None else workers
    if count < 1:
        raise ConfigError(f"workers is {count}; it must be at least 1")
    measured = splits or tuple(name for name in split_names(data) if name != "train")
    name = preset or preset_of(data)
    runs = [
        _Run(
            row,
            settings,
            seed,
            out / data.division / f"{row.name}-seed{seed}",
            measured,
            data,
            queries,
            row.word_vectors or (word_vectors if settings.text.recurrent else None),
            detector_images,
            seen,
        )
        for seed in seeds
        for row, settings in rows_for(chosen, load_preset(name, seed=seed))
    ]
    opened = Store.open(store)
    stores = {
        row.candidates: opened if row.candidates is None else opened.narrowed(row.candidates)
        for row in (run.row for run in runs)
    }
    training = None if detector_images is None else _training_images(detector_images)
    detector = opened.manifest.detector.name
    with files_read_once():
        judged = {split: judge(_split(data, split), detector, training=training, claim=seen) for split in measured}
        todo = [run for run in runs if not run.done(stores[run.row.candidates], judged)]
    if todo:
        _run_all(todo, stores, min(count, len(todo)), threads=max(1, cores // count))
    answers = {run.name: {split: Answers.load(run.answers(split)) for split in measured} for run in runs}
    rows = list({run.row.name: run.row for run in runs}.values())
    by_row = {
        row.name: {split: [answers[f"{row.name}-seed{seed}"][split] for seed in seeds] for split in measured}
        for row in rows
    }
    paper = published_ablation(study)
    found = [each for pair in _pairs(chosen, rows) for each in _compare(*pair, by_row, paper, measured)]
    _save(out / f"{study}-{data.division}.json", chosen, rows, by_row, found)
    console = Console(width=None if Console().is_terminal else 140)
    labels = {row.name: row.label for row in rows}
    results = {row: {split: [a.result for a in each] for split, each in found.items()} for row, found in by_row.items()}
    console.print(study_table(chosen.title, labels, results, paper), orderings_table(labels, found))
    return found


def preset_of(data: DataConfig) -> str:
    """The preset of a dataset: that of its division for RefCOCOg, MojiRef's for its three flavours.

    Raises:
        ConfigError: there is none.
    """
    if data.dataset.startswith("mojiref"):
        return "mojiref"
    if data.division not in ("refcoco", "refcoco+", "refcocog-umd", "refcocog-google"):
        raise ConfigError(f"there is no preset for {data.division}: name one with --preset, such as refcoco")
    return data.division


def _run_all(runs: Sequence[_Run], stores: dict[int | None, Store], workers: int, *, threads: int) -> None:
    """Train and evaluate, `workers` at a time.

    Raises:
        AligncatError: of the first run that failed; those that were running beside it end first. Or a worker was
            killed.
    """
    for split in ("train", *runs[0].splits):
        found = _split(runs[0].data, split)
        images = tuple(dict.fromkeys(e.image_id for e in found.expressions))
        for store in stores.values():
            store.share(images)
    with _progress() as progress:
        task = progress.add_task("ablate", total=len(runs))
        pool = ProcessPoolExecutor(
            workers,
            mp_context=get_context("spawn"),
            initializer=_start_worker,
            initargs=(stores, threads),
        )
        try:
            with _interrupts_held():
                waiting: set[Future[str]] = {pool.submit(_work, run) for run in runs}
            while waiting:
                ended, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in ended:
                    progress.console.print(future.result(), highlight=False)
                    progress.advance(task)
        except BrokenProcessPool as error:
            raise AligncatError(
                "a worker was killed, as happens when memory runs out: repeat the command with fewer --workers; what "
                "was finished is kept"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Processes that start here put Ctrl-C off until `_start_worker`; before it they would print where they were."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_STORES: dict[int | None, Store] = {}


def _start_worker(stores: dict[int | None, Store], threads: int) -> None:
    # Ctrl-C reaches every process. A worker that only dropped its row would begin the next one that it holds; its files
    # are whole at any moment.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    _STORES.update(stores)


def _end_with_parent() -> None:
    """A parent that was killed can be started again at once: no worker of it then writes in the same folders."""
    parent = parent_process()
    assert parent is not None, "a worker has a parent"
    parent.join()
    os._exit(1)


def _work(run: _Run) -> str:
    """Train and evaluate one row with one seed, and return its name."""
    store = _STORES[run.row.candidates]
    val = _questions(run.data, run.row.candidates, "val")
    grounder = learn(
        train=run.row.training_split(_split(run.data, "train"), run.seed),
        val=(val.split, val.overlaps),
        store=store,
        out=run.folder,
        alignment=run.settings.alignment,
        text=run.settings.text,
        training=run.settings.training,
        word_vectors=run.word_vectors,
        progress=False,
    )
    queries = None if run.queries is None else open_queries(run.queries, grounder)
    training = None if run.detector_images is None else _training_images(run.detector_images)
    for split in run.splits:
        questions = _questions(run.data, run.row.candidates, split)
        answers = answer(
            grounder, run.row.name, questions, folder=run.folder, queries=queries, training=training, seen=run.seen
        )
        save_answers(answers, run.folder / ANSWERS, run.row.name)
    return run.name


@cache
def _split(data: DataConfig, split: str) -> Split:
    """What rows learn from or are asked, read once."""
    return load_split(data, split, check_images=False)


_training_images = cache(read_training_images)


@cache
def _questions(data: DataConfig, candidates: int | None, split: str) -> Questions:
    """What a worker's rows are asked, made once."""
    return Questions.load(data, _STORES[candidates], split)


def _pairs(study: Study, rows: Sequence[StudyRow]) -> Iterator[tuple[StudyRow, StudyRow]]:
    if study.reference is None:
        yield from combinations(rows, 2)
        return
    [reference] = [row for row in rows if row.name == study.reference]
    yield from ((row, reference) for row in rows if row is not reference)


def _compare(
    first: StudyRow,
    second: StudyRow,
    answers: dict[str, dict[str, list[Answers]]],
    paper: dict[str, dict[str, float]],
    splits: Sequence[str],
) -> Iterator[Ordering]:
    """Two rows on every split, the one that the paper has ahead first."""
    for split in splits:
        published = [paper.get(row.name, {}).get(split) for row in (first, second)]
        one, other = first, second
        difference = None
        if published[0] is not None and published[1] is not None:
            difference = published[0] - published[1]
            if difference < 0:
                one, other, difference = second, first, -difference
        yield ordering((one.name, answers[one.name][split]), (other.name, answers[other.name][split]), difference)


def _save(
    path: Path,
    study: Study,
    rows: Sequence[StudyRow],
    answers: dict[str, dict[str, list[Answers]]],
    orderings: Sequence[Ordering],
) -> None:
    first = next(iter(answers[rows[0].name].values()))
    content = {
        "study": study.name,
        "title": study.title,
        "dataset": first[0].result.dataset,
        "detector": first[0].result.detector,
        "seeds": [each.result.seed for each in first],
        "rows": [
            {
                "name": row.name,
                "label": row.label,
                "results": [each.result.to_json() for split in answers[row.name].values() for each in split],
            }
            for row in rows
        ],
        "orderings": [asdict(each) for each in orderings],
    }
    write_atomic(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


@contextmanager
def _progress() -> Iterator[Progress]:
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    ) as progress:
        yield progress
