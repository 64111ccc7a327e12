"""The public function `aligncat.ablate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aligncat.datasets.config import DataConfig
from aligncat.errors import ConfigError
from aligncat.evaluation.results import Seen
from aligncat.files.writable import check_writable
from aligncat.studies.studies import StudyName, study_of
from aligncat.studies.study import rows_for
from aligncat.threads import usable_cores
from aligncat.training.presets import load_preset, preset_of

if TYPE_CHECKING:
    from aligncat.studies.compare import StudyResult


def ablate(
    *,
    study: StudyName,
    data: DataConfig,
    store: str | Path,
    out: str | Path,
    seeds: tuple[int, ...] = (0, 1, 2),
    rows: tuple[str, ...] | None = None,
    preset: str | Path | None = None,
    splits: tuple[str, ...] | None = None,
    queries: str | Path | None = None,
    word_vectors: str | Path | None = None,
    detector_images: str | Path | None = None,
    seen: Seen | None = None,
    workers: int | None = None,
) -> StudyResult:
    """Train and evaluate the rows of an ablation study with several seeds, and compare them.

    All rows share the preset's sizes, optimiser and number of steps. A run is one row with one seed. Runs are trained
    in parallel by worker processes that share the store in memory. If the command is interrupted, running it again
    continues. Finished runs are reused, also those of another study.

    Args:
        study: a table of the paper, or a study of our own, named after what it varies.
        data: the dataset.
        store: the store with the candidates of its images.
        out: the folder of the results. It receives one folder per dataset, row and seed, and STUDY-DATASET.json with
            all results and comparisons. For RefCOCOg and RefCLEF, DATASET includes the division: refcocog-umd.
        seeds: the training seeds; use three or more for a meaningful spread.
        rows: the names of the rows to run, in the study's order; by default all. The results hold these rows alone.
        preset: the sizes and training settings: the name of a shipped preset, or a YAML file in the same format; by
            default the preset of the dataset.
        splits: the splits to evaluate; by default all but "train". The best epoch is chosen on "val", which must exist.
        queries: a store of every query, as in `aligncat evaluate`.
        word_vectors: the initial word vectors of the rows that do not name their own, as in `aligncat train`.
        detector_images: the images that the detector was trained on, as in `aligncat evaluate`.
        seen: whether the detector was trained on the images of the splits, as in `aligncat evaluate`.
        workers: the number of runs in parallel; by default one per core. Each has an equal share of the cores.

    Returns:
        The results of all rows, and their comparisons.

    Raises:
        ConfigError: a row does not fit the preset, a folder holds a run with other settings, a number is out of range,
            or `seen` contradicts what is known of the detector.
        DataError: the dataset cannot be read, or does not record what the study varies; or another process is running
            a study in the folder.
        StoreError: the store is unfinished, or lacks an image.
        WriteError: a folder cannot be written, for example because the disk is full.
        KeyboardInterrupt: Ctrl-C. Finished runs, and finished epochs of other runs, are kept.
    """
    check_writable(out)
    from aligncat.datasets.load import split_names
    from aligncat.datasets.split import split_tuple
    from aligncat.evaluation.answers import Answers
    from aligncat.evaluation.leak import judge_detector
    from aligncat.evaluation.published import published_ablation
    from aligncat.files.locks import folder_lock, remove_left
    from aligncat.store.reader import Store
    from aligncat.studies.compare import StudyResult
    from aligncat.studies.runs import LoadedInputs, StudyInputs, StudyRun
    from aligncat.studies.workers import work_all
    from aligncat.training.run_folder import describe_split

    out = Path(out)
    vectors = None if word_vectors is None else Path(word_vectors)
    chosen = study_of(study) if rows is None else study_of(study).only(rows)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ConfigError(f"seeds {seeds}: give at least one seed, and each seed only once")
    count = usable_cores() if workers is None else workers
    if count < 1:
        raise ConfigError(f"workers is {count}; it must be at least 1")
    name = str(preset or preset_of(data))
    if load_preset(name).training.processes > 1:
        raise ConfigError(
            f"preset {name} has training.devices or training.nodes above 1: a study trains its rows side by side, each "
            "on one device (--workers); leave them out"
        )
    runs = [
        StudyRun(
            row=row,
            settings=settings,
            seed=seed,
            folder=out / data.division / f"{row.name}-seed{seed}",
            word_vectors=row.word_vectors or (vectors if settings.text.recurrent else None),
        )
        for seed in seeds
        for row, settings in rows_for(chosen, load_preset(name, seed=seed))
    ]
    opened = Store.open(store)
    counts = {run.row.candidates for run in runs}
    inputs = StudyInputs(
        data=data,
        stores={each: opened if each is None else opened.narrowed(each) for each in counts},
        splits=split_tuple(splits) or tuple(split for split in split_names(data) if split != "train"),
        queries=None if queries is None else Path(queries),
        detector_images=None if detector_images is None else str(detector_images),
        seen=seen,
    )
    loaded = LoadedInputs(inputs)
    detector = opened.manifest.detector
    loaded.read_splits()
    judged = {
        split: judge_detector(
            loaded.split(split),
            detector.name,
            weights_sha256=detector.weights_sha256,
            training=loaded.training_images,
            claim=seen,
        )
        for split in inputs.splits
    }
    with folder_lock(out):
        todo = [run for run in runs if not run.is_done(loaded, judged)]
        for run in runs:
            remove_left(run.folder)  # a run that is done does not take its lock
        if todo:
            work_all(todo, loaded, min(count, len(todo)), threads=max(1, usable_cores() // count))
        ran = {run.row.name: run.row for run in runs}
        answers = {
            row: {
                split: [Answers.load(run.answers(data, split)) for run in runs if run.row.name == row]
                for split in inputs.splits
            }
            for row in ran
        }
        train = describe_split(loaded.split("train"))
        result = StudyResult.of(chosen, list(ran.values()), answers, published_ablation(study), train)
        result.save(out / f"{study}-{data.division}.json")
    return result
