"""Properties of well-known datasets, by name. Any other name is allowed and has the default properties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aligncat.detectors.known import MINI, MINI2


@dataclass(frozen=True, kw_only=True)
class KnownDataset:
    """Properties of a dataset.

    Attributes:
        title: the name for readers, such as "RefCOCO"; None if the dataset is not published.
        short_for: the dataset that this name stands for, in the format `format`.
        format: the only format that the dataset can have; None if any is possible.
        shared_split_names: whether several divisions of the dataset use the same split names. The names of files and
            results then include the division.
        must_say_division: whether results cannot be compared without the division. A missing one is then recorded as
            "unknown".
        photos: the source of the photos; None if it is not known.
        image_folders: folders below `<path>/images` in which users of REFER keep the photos, in the order to try.
        detector: the detector that `aligncat extract` takes by default.
        photo_name: file name of a photo as a template for the image number, for formats that have only the number.
    """

    title: str | None = None
    short_for: str | None = None
    format: str | None = None
    shared_split_names: bool = False
    must_say_division: bool = False
    photos: Literal["coco", "saiapr", "mojiref"] | None = None
    image_folders: tuple[str, ...] = ("mscoco/images/train2014", "train2014")
    detector: str = MINI
    photo_name: str = "COCO_train2014_{:012d}.jpg"


KNOWN: dict[str, KnownDataset] = {
    "refcoco": KnownDataset(title="RefCOCO", photos="coco"),
    "refcoco+": KnownDataset(title="RefCOCO+", photos="coco"),
    "refcocog": KnownDataset(title="RefCOCOg", photos="coco", shared_split_names=True, must_say_division=True),
    "grefcoco": KnownDataset(title="gRefCOCO", photos="coco"),
    "refclef": KnownDataset(
        title="RefCLEF", photos="saiapr", shared_split_names=True, image_folders=("saiapr_tc-12",), photo_name="{}.jpg"
    ),
    "mojiref": KnownDataset(title="MojiRef", photos="mojiref"),
    "mojiref+": KnownDataset(title="MojiRef+", photos="mojiref"),
    "mojirefg": KnownDataset(title="MojiRefg", photos="mojiref"),
    "gmojiref": KnownDataset(title="gMojiRef", photos="mojiref"),
    "mojiref2": KnownDataset(title="MojiRef 2", photos="mojiref", detector=MINI2),
    "mojiref2+": KnownDataset(title="MojiRef 2+", photos="mojiref", detector=MINI2),
    "mojiref2g": KnownDataset(title="MojiRef 2g", photos="mojiref", detector=MINI2),
    "own": KnownDataset(),
    "jsonl": KnownDataset(short_for="own", format="jsonl"),
    "pseudo": KnownDataset(short_for="own", format="jsonl"),
}


def known_dataset(name: str) -> KnownDataset:
    """Return the properties of a dataset; the defaults for an unknown name."""
    return KNOWN.get(name, KnownDataset())
