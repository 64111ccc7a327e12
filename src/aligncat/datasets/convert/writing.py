"""Helpers that the writers of several formats share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.progress import track

from aligncat.datasets.convert.source import Referent, Source
from aligncat.types import RLE, Expression, Truth


def tracked_referents(source: Source, name: str) -> Iterable[Referent]:
    """Read the referents of a split, with a progress bar."""
    total = len(source.splits[name].sentences_by_referent())
    return track(source.referents(name), f"converting {name}", total=total, console=Console(stderr=True))


def recorded_kinds(sentences: Iterable[Expression]) -> dict[str, list[dict[str, Any]]]:
    """Return the sentences' kinds under "kinds", or nothing where no sentence has one."""
    kinds = [
        {
            **({} if sentence.kind is None else {"kind": sentence.kind}),
            **({"needed": list(sentence.needed)} if sentence.needed else {}),
            **({"redundant": list(sentence.redundant)} if sentence.redundant else {}),
        }
        for sentence in sentences
    ]
    return {"kinds": kinds} if any(kinds) else {}


def number_or_text(value: str) -> int | str:
    """Return an id as a whole number where it is one, as in COCO's and REFER's files."""
    return int(value) if value.isascii() and value.isdigit() and str(int(value)) == value else value


def corner_and_sides(truth: Truth) -> list[float]:
    """Return the box as COCO writes it: x, y, width, height."""
    x1, y1, x2, y2 = truth.box.tolist()
    return [x1, y1, x2 - x1, y2 - y1]


def drawn_mask(referent: Referent, mask: RLE) -> object:
    """Return the mask as the source has it in one of COCO's forms, polygons as polygons, or else as run lengths."""
    return referent.as_written.annotation.get("segmentation") or {
        "size": list(mask["size"]),
        "counts": mask["counts"].decode("ascii"),
    }
