"""Reads the answers that a report is made of, brings them in order, and gives every run a name of its own."""

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
"""Config, detector and seed: what stays the same when one run answers several splits."""

_FIRST_SPLITS = ("train", "val")
_logger = logging.getLogger(__name__)


def read_runs(given: Sequence[Path]) -> dict[Path, Answers]:
    """Read answers, each file once.

    Args:
        given: files of answers, or folders that hold such files at any depth, as `aligncat evaluate` and `aligncat
            ablate` leave them; stores of candidates in such a folder are passed over.

    Returns:
        The answers by file, in the order given.

    Raises:
        DataError: a file is missing or holds no answers, a folder has none, two files answer the same split by the
            same config, detector and seed, or stores of different make go by one detector's name.
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
            raise DataError(f"{run}: there is no such file or folder; `aligncat evaluate --out {run}` makes one")
        return [run]
    files = sorted(path for path in run.rglob("*.parquet") if not (path.parent / MANIFEST).is_file())
    if not files:
        raise DataError(f"{run} holds no answers (*.parquet); `aligncat evaluate --out {run}` writes them there")
    return files


def _refuse_doubles(runs: dict[Path, Answers]) -> None:
    seen: dict[tuple[object, ...], Path] = {}
    for path, answers in runs.items():
        result = answers.result
        key = (result.dataset, result.split_by, result.split, *run_key(result))
        if key in seen:
            raise DataError(
                f"{seen[key]} and {path} both answer {result.dataset} {result.split} as {result.config}, seed "
                f"{result.seed}, so nothing would tell them apart; leave one out, or evaluate one under another name"
            )
        seen[key] = path


def _refuse_other_stores(runs: Mapping[Path, Answers]) -> None:
    """Results name the detector alone, so that one name must stand for one detector.

    How many candidates were kept may differ from config to config, as in the study of it, but not inside one.
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
                    f"{first} and {path} are of different stores, which both call their detector {result.detector!r}: "
                    f"in the first, {'; '.join(differing)}; report them apart, or evaluate one again"
                )


def in_order(runs: Mapping[Path, Answers]) -> dict[Path, Answers]:
    """Runs in the order of a report: by dataset and split as given, but "train" and "val" before other splits."""
    results = [answers.result for answers in runs.values()]
    datasets = list(dict.fromkeys((result.dataset, result.split_by) for result in results))
    splits = list(dict.fromkeys((*_FIRST_SPLITS, *(result.split for result in results))))

    def place(run: tuple[Path, Answers]) -> tuple[int, int]:
        result = run[1].result
        return datasets.index((result.dataset, result.split_by)), splits.index(result.split)

    return dict(sorted(runs.items(), key=place))


def run_key(result: Result) -> RunKey:
    """What run a result is of."""
    return result.config, result.detector, result.seed


def run_names(results: Iterable[Result]) -> dict[RunKey, str]:
    """A name for every run: the config, with seed and detector where runs of that config differ in them.

    Returns:
        The names by run, in order of first mention.
    """
    keys = list(dict.fromkeys(map(run_key, results)))
    return {key: _name(key, [other for other in keys if other[0] == key[0]]) for key in keys}


def _name(key: RunKey, of_config: Sequence[RunKey]) -> str:
    config, detector, seed = key
    said = [config]
    if len({other[2] for other in of_config}) > 1:
        said.append(f"seed {seed}")
    if len({other[1] for other in of_config}) > 1:
        said.append(detector)
    return ", ".join(said)
