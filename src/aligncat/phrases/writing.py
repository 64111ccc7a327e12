"""The files of a dataset of pseudo-phrases: JSON lines, the record of how they were made, and what was left out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aligncat.datasets.made import MADE
from aligncat.files.atomic import write_atomic
from aligncat.phrases.grammar import Phrase
from aligncat.types import JSON

LEFT_OUT = "left-out.txt"


@dataclass(frozen=True, slots=True)
class Described:
    """One object with its phrases. Its box is not part of it, so no file can have it.

    Attributes:
        image_id: the image's id in the store.
        photo: the image's file, relative to the folder of the photos.
        category: the detector's category, which stands for c*.
        phrases: different phrases that fit this object only.
    """

    image_id: str
    photo: str
    category: str
    phrases: tuple[Phrase, ...]


def write_split(path: Path, objects: Sequence[Described]) -> None:
    """Write <split>.jsonl, one line for each object."""
    lines = []
    for each in objects:
        row: dict[str, JSON] = {
            "image": each.photo,
            **({} if each.image_id == each.photo else {"image_id": each.image_id}),
            "expression": [phrase.text for phrase in each.phrases],
            "category": each.category,
            "kinds": [_kinds(phrase) for phrase in each.phrases],
        }
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    write_atomic(path, "".join(lines).encode())


def write_record(folder: Path, record: Mapping[str, JSON], left_out: Mapping[str, str]) -> None:
    """Write the record of how the phrases were made, and the images without a phrase.

    Args:
        folder: the folder of the dataset.
        record: the record.
        left_out: image id -> why the image has no phrase.
    """
    write_atomic(folder / MADE, (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode())
    write_atomic(folder / LEFT_OUT, "".join(f"{each}\t{why}\n" for each, why in left_out.items()).encode())


def _kinds(phrase: Phrase) -> Mapping[str, JSON]:
    return {
        "kind": "+".join(phrase.needed) or "category",
        **({"needed": phrase.needed} if phrase.needed else {}),
        **({"redundant": phrase.redundant} if phrase.redundant else {}),
    }
