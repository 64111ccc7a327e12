"""Published counts of the RefCOCO family."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).with_name("counts.toml")


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of one split.

    Attributes:
        referents: number of objects that are referred to.
        sentences: number of expressions.
        images: number of photos with at least one expression.
    """

    referents: int
    sentences: int
    images: int


def published_counts(dataset: str, split_by: str | None) -> dict[str, Counts]:
    """Return the published counts of a dataset's division.

    Args:
        dataset: the dataset's name.
        split_by: the division's name, such as unc or umd.

    Returns:
        split -> counts; empty if none are known.
    """
    table = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return {split: Counts(**counts) for split, counts in table.get(dataset, {}).get(split_by or "", {}).items()}
