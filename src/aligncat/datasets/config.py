"""Which dataset to read, and where it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from aligncat.errors import ConfigError

DatasetName = Literal["refcoco", "refcoco+", "refcocog", "refclef", "mojiref", "mojiref+", "mojirefg", "jsonl"]


@dataclass(frozen=True)
class DataConfig:
    """Where a dataset's files are.

    Attributes:
        path: the folder that holds the dataset. REFER's layout has `<path>/<dataset>/refs(<split_by>).p` and
            `<path>/<dataset>/instances.json` in it; jsonl has `<path>/<split>.jsonl`.
        dataset: one of RefCOCO's or MojiRef's three flavours, RefCLEF, or jsonl for data of your own.
        split_by: who divided the data into splits: unc for RefCOCO, RefCOCO+ and MojiRef, umd or google for
            RefCOCOg, unc or berkeley for RefCLEF. jsonl has none and ignores it.
        images: the folder of the images. REFER's layout finds it by itself at
            `<path>/images/mscoco/images/train2014`, `<path>/images/<dataset>` or `<path>/images`; jsonl takes
            the folder of the .jsonl file.
        lexicon: jsonl: a TOML file with your own words for categories, which adds to the package's words for COCO's.
            A row without a category gets the one that its phrase names (docs/language.md).

    Raises:
        ConfigError: when the dataset's name is not one of those above.
    """

    path: Path
    dataset: DatasetName
    split_by: str = "unc"
    images: Path | None = None
    lexicon: Path | None = None

    def __post_init__(self) -> None:
        if self.dataset not in get_args(DatasetName):
            raise ConfigError(f"dataset {self.dataset!r} is not known; use one of {', '.join(get_args(DatasetName))}")
