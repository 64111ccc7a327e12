"""Results of evaluations with the conditions they were measured under, and their mean and spread over seeds."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from aligncat.alignment.config import Context, Features
from aligncat.errors import DataError
from aligncat.evaluation.floors import Floors
from aligncat.evaluation.metrics import Metrics
from aligncat.evaluation.stored_metrics import check_keys, read_metrics
from aligncat.files.atomic import write_atomic
from aligncat.files.documents import read_json
from aligncat.files.fields import as_mapping, required, required_count, required_int, required_str, shorten
from aligncat.files.seals import SEAL, check_seal, sealed
from aligncat.grounder.names import TRAINING_FREE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Seen: TypeAlias = Literal["clean", "leaked", "unknown"]
"""Whether the detector was trained on images of the split: "clean" if it was not, "leaked" if it was."""

Read: TypeAlias = Features | Literal["none", "colour"]
"""What a model reads of a candidate. The baselines read no query feature: "none", or the column `colour` alone."""
READ: tuple[str, ...] = (*get_args(Features), "none", "colour")

Metric: TypeAlias = Callable[[Metrics], float | None]
"""A function that returns one metric, or None if it is undefined."""


@dataclass(frozen=True, slots=True)
class Result:
    """The metrics of one trained model on one split.

    Attributes:
        dataset: the dataset's name.
        split: the split's name.
        split_by: who divided the data; None if the dataset has only one division.
        config: name of the trained model, such as "AlignCAT".
        detector: name of the detector that made the candidates.
        seen: whether the detector was trained on the split's images.
        seed: seed of the training; None if it is not recorded, as for an imported QueryMatch.
        versions: versions of the packages that computed the result (`installed_versions`).
        metrics: the metrics, with the number of expressions. Stored under the key "scores".
        images: the number of photos in the split; None if they were not counted.
        images_seen: the number of these photos that the detector was trained on; None if unknown.
        seen_claimed: True if `seen` is only the user's claim: neither a list nor the detector's name supports it.
        features: what the model reads of a candidate, `alignment.features`.
        context: what it reads of the other candidates, `alignment.context`.
        floors: the baselines on the same expressions and candidates; None in files of earlier versions.
        boxes_alone: whether the detector gives boxes without masks, so that RES is not measured.
    """

    dataset: str
    split: str
    split_by: str | None
    config: str
    detector: str
    seen: Seen
    seed: int | None
    versions: Mapping[str, str]
    metrics: Metrics
    images: int | None = None
    images_seen: int | None = None
    seen_claimed: bool = False
    features: Read = "query"
    context: Context = "none"
    floors: Floors | None = None
    boxes_alone: bool = False

    @property
    def reads(self) -> str:
        """What the model reads, for tables: `features`, and `context` if there is one."""
        return self.features if self.context == "none" else f"{self.features}, {self.context}"

    def to_json(self) -> dict[str, Any]:
        """Return plain values; undefined metrics are None.

        A file without `features`, `context`, `floors` or `boxes_alone` means "query", "none", None or False, as older
        ones do.
        """
        own = {"scores" if f.name == "metrics" else f.name: getattr(self, f.name) for f in fields(self)}
        defaults = (("features", "query"), ("context", "none"), ("floors", None), ("boxes_alone", False))
        for name, default in defaults:
            if own[name] == default:
                del own[name]
        if self.floors is not None:
            own["floors"] = self.floors.to_json()
        return {**own, "versions": dict(self.versions), "scores": self.metrics.to_json()}

    def save(self, path: Path) -> None:
        """Write the result as a JSON file, atomically, with a hash of its content.

        Raises:
            OSError: the file cannot be written; an existing file is left unchanged.
        """
        text = json.dumps(sealed(self.to_json()), indent=2, allow_nan=False) + "\n"
        write_atomic(path, text.encode())

    @classmethod
    def load(cls, path: Path) -> Result:
        """Read a result that `save` wrote. Files of earlier versions have no hash.

        Raises:
            DataError: the file is missing, is damaged, or is not a result.
        """
        try:
            values = as_mapping(read_json(path), "the file")
        except DataError as error:
            raise DataError(f"{path} is not a result that `aligncat evaluate` wrote: {error}") from error
        check_seal(values, str(path), "evaluate again", error=DataError)
        return cls.from_json({key: value for key, value in values.items() if key != SEAL}, str(path))

    @classmethod
    def from_json(cls, values: object, where: str) -> Result:
        """Invert `to_json`.

        Args:
            values: the values that `to_json` returned.
            where: the file that they were read from, for the error.

        Raises:
            DataError: the values are not a result: one is missing, unknown, of the wrong type or out of its range.
        """
        try:
            return cls(**_fields(as_mapping(values, "the file")))
        except DataError as error:
            raise DataError(f"{where} is not a result that `aligncat evaluate` wrote: {error}") from error


def _fields(row: Mapping[str, object]) -> dict[str, Any]:
    where = "the result"
    check_keys(row, tuple("scores" if f.name == "metrics" else f.name for f in fields(Result)), where)
    counts = {key: row.get(key) for key in ("images", "images_seen")}
    seen_claimed = row.get("seen_claimed", False)
    if not isinstance(seen_claimed, bool):
        raise DataError(f"{where}: 'seen_claimed' must be true or false, not {shorten(seen_claimed)}")
    if (seen := required_str(row, "seen", where)) not in get_args(Seen):
        raise DataError(f"{where}: seen is {shorten(seen)}, but must be one of {', '.join(get_args(Seen))}")
    if not isinstance(boxes_alone := row.get("boxes_alone", False), bool):
        raise DataError(f"{where}: 'boxes_alone' must be true or false, not {shorten(boxes_alone)}")
    read = {"features": row.get("features", "query"), "context": row.get("context", "none")}
    for name, known in (("features", READ), ("context", get_args(Context))):
        if read[name] not in known:
            raise DataError(f"{where}: {name} is {shorten(read[name])}, but must be one of {', '.join(known)}")
    versions = as_mapping(required(row, "versions", where), f"{where}, versions")
    return {
        **{key: required_str(row, key, where) for key in ("dataset", "split", "config", "detector")},
        "split_by": None if required(row, "split_by", where) is None else required_str(row, "split_by", where),
        "seen": seen,
        "seed": None if required(row, "seed", where) is None else required_int(row, "seed", where),
        "versions": {key: required_str(versions, key, f"{where}, versions") for key in versions},
        "metrics": read_metrics(required(row, "scores", where), "scores"),
        **{key: None if counts[key] is None else required_count(row, key, where) for key in counts},
        "seen_claimed": seen_claimed,
        "boxes_alone": boxes_alone,
        **read,
        "floors": Floors.from_json(row["floors"], f"{where}, floors") if "floors" in row else None,
    }


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and spread of a metric over seeds.

    Attributes:
        mean: mean over the seeds.
        deviation: the sample standard deviation (n - 1); None for a single seed.
    """

    mean: float
    deviation: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """The results of one config on one split over its seeds (`summarise`).

    Attributes:
        results: one per seed; they differ only in seed and metrics.
    """

    results: tuple[Result, ...]

    @property
    def first(self) -> Result:
        """Return the first seed's result, which shares everything but seed and metrics with the others."""
        return self.results[0]

    @property
    def seeds(self) -> tuple[int | None, ...]:
        """Return the seed of each result."""
        return tuple(result.seed for result in self.results)

    def metric(self, read: Metric) -> Spread | None:
        """Return mean and spread of a metric over the seeds; None if it is undefined for one of them."""
        values = [read(result.metrics) for result in self.results]
        defined = [value for value in values if value is not None]
        if len(defined) < len(values):
            return None
        return Spread(statistics.fmean(defined), statistics.stdev(defined) if len(defined) > 1 else None)


_IDENTITY = ("dataset", "split", "split_by", "config", "detector", "seen", "seen_claimed", "features", "context")


def summarise(results: Sequence[Result]) -> Summary:
    """Combine the results of one config on one split over its seeds.

    Raises:
        DataError: there are no results, they differ in more than the seed, or a seed occurs twice, which would make
            the spread look too small.
    """
    if not results:
        raise DataError("there are no results to summarise")
    first = results[0]
    for result in results[1:]:
        for name in _IDENTITY:
            if getattr(result, name) != getattr(first, name):
                raise DataError(
                    f"results of {name} {getattr(first, name)!r} and {getattr(result, name)!r} have no "
                    "common mean; summarise them separately"
                )
        if result.metrics.expressions != first.metrics.expressions:
            raise DataError(
                f"results over {first.metrics.expressions} and {result.metrics.expressions} expressions of "
                f"{first.dataset} {first.split} have no common mean; evaluate both on the same data"
            )
    summary = Summary(tuple(results))
    if len(set(summary.seeds)) < len(results):
        raise DataError(
            f"{first.config} on {first.dataset} {first.split}: the seeds {summary.seeds} are not all "
            "different; leave out the repeated result"
        )
    return summary


def summaries(results: Sequence[Result]) -> list[Summary]:
    """Group results by config and split, in order of first mention, and summarise each group.

    Raises:
        DataError: the results of a group cannot be summarised (`summarise`).
    """
    groups: dict[tuple[str | None, ...], list[Result]] = defaultdict(list)
    for result in results:
        groups[tuple(getattr(result, name) for name in _IDENTITY)].append(result)
    return [summarise(group) for group in groups.values()]


def with_floors(results: Sequence[Result]) -> list[Result]:
    """Return results and, after those of each dataset and split, one further result for each baseline beside them.

    A baseline that was evaluated as a grounder of its own is not repeated. Where the configs have other candidates, so
    that a baseline differs between them, its name says beside which config it stands.
    """
    groups: dict[tuple[object, ...], list[Result]] = defaultdict(list)
    for result in results:
        key = (result.dataset, result.split_by, result.split, result.detector, result.seen, result.seen_claimed)
        groups[key].append(result)
    return [each for group in groups.values() for each in (*group, *_floors_of(group))]


def _floors_of(group: Sequence[Result]) -> list[Result]:
    """Return the baselines of one dataset, split and detector."""
    found: dict[str, list[Result]] = defaultdict(list)
    for result in group:
        if result.floors is None:
            continue
        for name, metrics in result.floors.by_name().items():
            reads: Read = "colour" if name == TRAINING_FREE and result.floors.coloured else "none"
            floor = replace(
                result, config=name, seed=None, metrics=metrics, features=reads, context="none", floors=None
            )
            if floor.metrics not in [each.metrics for each in found[name]]:
                others = found[name]
                found[name].append(replace(floor, config=f"{name}, beside {result.config}") if others else floor)
    configs = {result.config for result in group}
    return [each for name, floors in found.items() if name not in configs for each in floors]
