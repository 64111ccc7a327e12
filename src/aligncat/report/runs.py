"""The runs of a report: reading their answers, their order, and a unique name for each."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from aligncat.detectors.description import DetectorDescription
from aligncat.errors import DataError, DetectorError
from aligncat.evaluation.answers import Answers
from aligncat.evaluation.results import Result
from aligncat.store.manifest import MANIFEST, detector_differences

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RunKey: TypeAlias = tuple[str, str, int | None]
"""Config, detector and seed, which identify a run across splits."""

_FIRST_SPLITS = ("train", "val")
_logger = logging.getLogger(__name__)


def read_runs(given: Sequence[Path]) -> dict[Path, Answers]:
    """Read answers, each file once.

    Args:
        given: files of answers, or folders that hold such files at any depth, as `aligncat evaluate` and `aligncat
            ablate` write them. Stores of candidates in these folders are skipped.

    Returns:
        The answers by file, in the given order.

    Raises:
        DataError: a file is missing or holds no answers; a folder has no file of answers; two files answer the same
            split with the same config, detector and seed; or answers from different stores name the same detector.
    """
    files: dict[Path, Path] = {}
    for path in (file for run in given for file in _files_of(run)):
        if path.resolve() in files:
            _logger.warning("%s is given twice; it is shown once", path)
        files.setdefault(path.resolve(), path)
    runs = {path: Answers.load(path) for path in files.values()}
    _refuse_doubles(runs)
    _refuse_other_stores(runs)
    return runs


def _files_of(run: Path) -> list[Path]:
    if not run.is_dir():
        if not run.exists():
            raise DataError(f"{run}: no such file or folder; create it with `aligncat evaluate --out {run}`")
        return [run]
    files = sorted(path for path in run.rglob("*.parquet") if not (path.parent / MANIFEST).is_file())
    if not files:
        raise DataError(f"{run} holds no answers (*.parquet); write some with `aligncat evaluate --out {run}`")
    return files


def _refuse_doubles(runs: dict[Path, Answers]) -> None:
    seen: dict[tuple[object, ...], Path] = {}
    for path, answers in runs.items():
        result = answers.result
        key = (result.dataset, result.split_by, result.split, *run_key(result))
        if key in seen:
            raise DataError(
                f"{seen[key]} and {path} both answer {result.dataset} {result.split} as {result.config}, seed "
                f"{result.seed}, so a report cannot tell them apart; leave one out, or evaluate one under another name"
            )
        seen[key] = path


def _refuse_other_stores(runs: Mapping[Path, Answers]) -> None:
    """Check that runs naming the same detector used the same detector.

    Results hold only the detector's name, so it must be unambiguous. The number of candidates may differ between
    configs, as in the study of that number, but not within a config.
    """
    seen: dict[tuple[str, ...], tuple[Path, DetectorDescription]] = {}
    for path, answers in runs.items():
        made, result = answers.provenance.get("store"), answers.result
        if not isinstance(made, Mapping):
            continue
        try:
            store = DetectorDescription.from_json(made)
        except DetectorError as error:
            raise DataError(f"{path}: {error}") from error
        for key, ignoring in (((result.detector,), ("candidates",)), ((result.detector, result.config), ())):
            first, expected = seen.setdefault(key, (path, store))
            if differing := detector_differences(expected, store, ignoring=ignoring):
                raise DataError(
                    f"{first} and {path} both name the detector {result.detector!r}, but their stores differ: "
                    f"in the first, {'; '.join(differing)}. Report them separately, or evaluate one again"
                )


def in_order(runs: Mapping[Path, Answers]) -> dict[Path, Answers]:
    """Sort runs by dataset and split, in the given order but with "train" and "val" before other splits."""
    results = [answers.result for answers in runs.values()]
    datasets = list(dict.fromkeys((result.dataset, result.split_by) for result in results))
    splits = list(dict.fromkeys((*_FIRST_SPLITS, *(result.split for result in results))))

    def place(run: tuple[Path, Answers]) -> tuple[int, int]:
        result = run[1].result
        return datasets.index((result.dataset, result.split_by)), splits.index(result.split)

    return dict(sorted(runs.items(), key=place))


def run_key(result: Result) -> RunKey:
    """Return the key of the run that a result belongs to."""
    return result.config, result.detector, result.seed


def run_names(results: Iterable[Result]) -> dict[RunKey, str]:
    """Return a unique name for every run, in order of first mention.

    A name is the config's, followed by the seed and the detector if runs of that config differ in them.
    """
    keys = list(dict.fromkeys(map(run_key, results)))
    return {key: _name(key, [other for other in keys if other[0] == key[0]]) for key in keys}


def _name(key: RunKey, of_config: Sequence[RunKey]) -> str:
    config, detector, seed = key
    parts = [config]
    if len({other[2] for other in of_config}) > 1:
        parts.append(f"seed {seed}")
    if len({other[1] for other in of_config}) > 1:
        parts.append(detector)
    return ", ".join(parts)
