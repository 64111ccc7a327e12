"""A result with all that must be said beside it, and results over seeds."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from aligncat.errors import DataError
from aligncat.evaluation.metrics import Metrics
from aligncat.files.atomic import write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Seen: TypeAlias = Literal["clean", "leaked", "unknown"]
"""Whether the detector was trained on images of the split: "clean" when it was not, "leaked" when it was."""

Metric: TypeAlias = Callable[[Metrics], float | None]
"""Reads one metric; returns None where it is not defined."""


@dataclass(frozen=True, slots=True)
class Result:
    """The metrics of one trained model on one split.

    Attributes:
        dataset: by name.
        split: by name.
        split_by: who divided the data; None where the dataset knows only one division.
        config: name of what was trained, such as "AlignCAT".
        detector: name of the detector whose candidates were chosen from.
        seen: whether the detector was trained on the split's images.
        seed: of the training; None where nothing random was trained.
        versions: by package, of what computed it (`installed_versions`).
        metrics: of the split, with the number of expressions. Stored under the key "scores".
        images: how many photos the split has; None where they were not counted.
        images_seen: how many of them the detector is known to have been trained on; None where nothing is known.
        seen_claimed: whether `seen` is what the user said, as neither a list nor the detector's name showed it.
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

    def to_json(self) -> dict[str, Any]:
        """Return plain values, undefined metrics as None."""
        own = {"scores" if f.name == "metrics" else f.name: getattr(self, f.name) for f in fields(self)}
        return {**own, "versions": dict(self.versions), "scores": self.metrics.to_json()}

    def save(self, path: Path) -> None:
        """Write as JSON: wholly, or not at all.

        Raises:
            OSError: the folder cannot be written; a file that was there before is as it was.
        """
        text = json.dumps(self.to_json(), indent=2, allow_nan=False) + "\n"
        write_atomic(path, text.encode())

    @classmethod
    def load(cls, path: Path) -> Result:
        """Read what `save` wrote.

        Raises:
            DataError: the file is missing, or is not a result.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{path} is not a result that `aligncat evaluate` wrote: {error!r}") from error
        return cls.from_json(values, str(path))

    @classmethod
    def from_json(cls, values: Any, where: str) -> Result:
        """Invert `to_json`.

        Args:
            values: what `to_json` gave.
            where: the file that it was read from, for the error.

        Raises:
            DataError: it is not a result.
        """
        try:
            said = {key: value for key, value in values.items() if key != "scores"}
            result = cls(**said, metrics=Metrics.from_json(values["scores"]))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataError(f"{where} is not a result that `aligncat evaluate` wrote: {error!r}") from error
        if result.seen not in get_args(Seen):
            raise DataError(f"{where}: seen is {result.seen!r}, which is none of {', '.join(get_args(Seen))}")
        return result


@dataclass(frozen=True, slots=True)
class Spread:
    """A metric over seeds.

    Attributes:
        mean: over the seeds.
        deviation: the sample standard deviation (n - 1); None for a single seed.
    """

    mean: float
    deviation: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """The results of one config on one split over its seeds (`summarise`).

    Attributes:
        results: one a seed, alike in everything else.
    """

    results: tuple[Result, ...]

    @property
    def first(self) -> Result:
        """The first seed's result: all but its seed and metrics is true of all."""
        return self.results[0]

    @property
    def seeds(self) -> tuple[int | None, ...]:
        """The seed of each result."""
        return tuple(result.seed for result in self.results)

    def metric(self, read: Metric) -> Spread | None:
        """Return mean and spread of a metric over the seeds; None if it is not defined for one of them."""
        values = [read(result.metrics) for result in self.results]
        defined = [value for value in values if value is not None]
        if len(defined) < len(values):
            return None
        return Spread(statistics.fmean(defined), statistics.stdev(defined) if len(defined) > 1 else None)


_IDENTITY = ("dataset", "split", "split_by", "config", "detector", "seen", "seen_claimed")


def summarise(results: Sequence[Result]) -> Summary:
    """Gather the results of one config on one split over its seeds.

    Raises:
        DataError: there is none, they are not of the same thing, or a seed comes twice, which would make the
            spread look smaller than it is.
    """
    if not results:
        raise DataError("there are no results to summarise")
    first = results[0]
    for result in results[1:]:
        for name in _IDENTITY:
            if getattr(result, name) != getattr(first, name):
                raise DataError(
                    f"results of {name} {getattr(first, name)!r} and {getattr(result, name)!r} have no "
                    "common mean: summarise them apart"
                )
        if result.metrics.expressions != first.metrics.expressions:
            raise DataError(
                f"results over {first.metrics.expressions} and {result.metrics.expressions} expressions of "
                f"{first.dataset} {first.split} have no common mean: evaluate both on the same data"
            )
    summary = Summary(tuple(results))
    if len(set(summary.seeds)) < len(results):
        raise DataError(
            f"{first.config} on {first.dataset} {first.split}: the seeds {summary.seeds} are not all "
            "different, so they say nothing of the spread"
        )
    return summary


def summaries(results: Sequence[Result]) -> list[Summary]:
    """Summarise results of any number of configs and splits, grouped, in order of first mention.

    Raises:
        DataError: as `summarise`.
    """
    groups: dict[tuple[str | None, ...], list[Result]] = defaultdict(list)
    for result in results:
        groups[tuple(getattr(result, name) for name in _IDENTITY)].append(result)
    return [summarise(group) for group in groups.values()]
