"""Reads the answers that a report is made of, and gives every run a name of its own."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from aligncat.errors import DataError
from aligncat.evaluation import Answers, Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RunKey: TypeAlias = tuple[str, str, int | None]
"""Config, detector and seed: what stays the same when one run answers several splits."""

_logger = logging.getLogger(__name__)


def read_runs(given: Sequence[Path]) -> dict[Path, Answers]:
    """Read answers, each file once.

    Args:
        given: files of answers, folders of such files, or folders of such folders (as `aligncat ablate` leaves them).

    Returns:
        The answers by file, in the order given.

    Raises:
        DataError: a file is missing or holds no answers, a folder has none, or two files answer the same split by the
            same config, detector and seed.
    """
    files: dict[Path, Path] = {}
    for path in (file for run in given for file in _files_of(run)):
        if path.resolve() in files:
            _logger.warning("%s is given twice; it is shown once", path)
        files.setdefault(path.resolve(), path)
    runs = {path: Answers.load(path) for path in files.values()}
    _refuse_doubles(runs)
    return runs


def _files_of(run: Path) -> list[Path]:
    if not run.is_dir():
        if not run.exists():
            raise DataError(f"{run}: there is no such file or folder; `aligncat evaluate --out {run}` makes one")
        return [run]
    files = sorted(run.glob("*.parquet")) or sorted(run.glob("*/*.parquet"))
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
