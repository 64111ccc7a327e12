"""The published counts of RefCOCO and its kin."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).with_name("counts.toml")


@dataclass(frozen=True, slots=True)
class Counts:
    """How much a split holds.

    Attributes:
        referents: objects that are referred to.
        sentences: expressions.
        images: photos that the expressions are said of.
    """

    referents: int
    sentences: int
    images: int


def published_counts(dataset: str, split_by: str | None) -> dict[str, Counts]:
    """What was published of a division of a dataset.

    Args:
        dataset: by name.
        split_by: who divided it.

    Returns:
        Split -> its counts; empty where we know of none.
    """
    table = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return {split: Counts(**counts) for split, counts in table.get(dataset, {}).get(split_by or "", {}).items()}
