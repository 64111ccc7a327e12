"""What is known of datasets by their names. Any other name is fine too: it takes the defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class KnownDataset:
    """What is known of a dataset.

    Attributes:
        short_for: the dataset that the name is short for, in `format`.
        format: the only format that the name may have.
        shared_split_names: whether several people divided the dataset into splits of the same names, so that files
            and results are named after the division too.
        must_say_division: whether a result is not comparable without the division, so that one that nobody said is
            called "unknown".
        photos: where the photos are from.
        image_folders: where REFER's users keep the photos, below `<path>/images`, in the order they are tried.
        photo_name: the file of a photo by the number of its image, for formats that give the number alone.
    """

    short_for: str | None = None
    format: str | None = None
    shared_split_names: bool = False
    must_say_division: bool = False
    photos: Literal["coco", "saiapr", "mojiref"] | None = None
    image_folders: tuple[str, ...] = ("mscoco/images/train2014", "train2014")
    photo_name: str = "COCO_train2014_{:012d}.jpg"


KNOWN: dict[str, KnownDataset] = {
    "refcoco": KnownDataset(photos="coco"),
    "refcoco+": KnownDataset(photos="coco"),
    "refcocog": KnownDataset(photos="coco", shared_split_names=True, must_say_division=True),
    "refclef": KnownDataset(
        photos="saiapr", shared_split_names=True, image_folders=("saiapr_tc-12",), photo_name="{}.jpg"
    ),
    "mojiref": KnownDataset(photos="mojiref"),
    "mojiref+": KnownDataset(photos="mojiref"),
    "mojirefg": KnownDataset(photos="mojiref"),
    "own": KnownDataset(),
    "jsonl": KnownDataset(short_for="own", format="jsonl"),
}


def known_dataset(name: str) -> KnownDataset:
    """Return what is known of a dataset; the defaults where nothing is."""
    return KNOWN.get(name, KnownDataset())
