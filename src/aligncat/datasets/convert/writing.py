"""Functions shared by the writers of several formats."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aligncat.datasets.convert.source import Referent, Source
from aligncat.errors import DataError
from aligncat.types import RLE, Expression, Truth


def tracked_referents(source: Source, name: str) -> Iterable[Referent]:
    """Read the referents of a split and show a progress bar."""
    total = len(source.splits[name].sentences_by_referent())
    from aligncat.console import track  # here, so that a missing file is found quickly

    return track(source.referents(name), f"converting {name}", total=total)


def recorded_kinds(sentences: Iterable[Expression]) -> dict[str, list[dict[str, Any]]]:
    """Return {"kinds": one entry per sentence}, or an empty dict if no sentence has a kind."""
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
    """Return an id as an integer if it is the decimal form of one, as in COCO's and REFER's files."""
    return int(value) if value.isascii() and value.isdigit() and str(int(value)) == value else value


def corner_and_sides(truth: Truth) -> list[float]:
    """Return the referent's box in COCO's form: x, y, width, height."""
    x1, y1, x2, y2 = truth.box.tolist()
    return [x1, y1, x2 - x1, y2 - y1]


def drawn_mask(referent: Referent, mask: RLE) -> object:
    """Return the source's "segmentation" unchanged (polygons or run lengths), or the mask's run lengths if it has none.

    Args:
        referent: the referent.
        mask: its mask.
    """
    return referent.as_written.annotation.get("segmentation") or plain_mask(mask)


def plain_mask(mask: RLE) -> dict[str, Any]:
    """Return a mask's run lengths as values that JSON can hold."""
    return {"size": list(mask["size"]), "counts": mask["counts"].decode("ascii")}


def refuse_other_than_one(referent: Referent, form: str) -> None:
    """Check that a referent is one object, in a format that cannot say anything else.

    Args:
        referent: the referent.
        form: the format's name, for the message.

    Raises:
        DataError: its sentences mean no object or several.
    """
    if referent.sentences[0].no_target or (referent.truth is not None and len(referent.truth) != 1):
        raise DataError(
            f"referent {referent.id}: {referent.sentences[0].text!r} means no object or several, and {form} has one "
            "for each sentence; convert to jsonl"
        )
