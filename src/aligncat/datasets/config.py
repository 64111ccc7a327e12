"""Which dataset to read, and where it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from aligncat.errors import ConfigError

DatasetName = Literal["refcoco", "refcoco+", "refcocog", "refclef", "mojiref", "mojiref+", "mojirefg", "own", "jsonl"]
Format = Literal["refer", "simrec", "hub", "coco-csv", "jsonl"]

UNKNOWN_DIVISION = "unknown"


def division_name(dataset: str, split_by: str | None) -> str:
    """The dataset's name, and who divided it where several did: RefCOCOg's and RefCLEF's splits share their names."""
    return f"{dataset}-{split_by}" if dataset in ("refcocog", "refclef") and split_by else dataset


@dataclass(frozen=True)
class DataConfig:
    """Where a dataset's files are.

    Attributes:
        path: the folder that holds the dataset. REFER's layout has `<path>/<dataset>/refs(<split_by>).p` and
            `<path>/<dataset>/instances.json` in it; jsonl has `<path>/<split>.jsonl`; docs/formats.md has the rest.
        dataset: one of RefCOCO's or MojiRef's three flavours, RefCLEF, or own for data of your own; jsonl is short
            for own in JSON lines.
        split_by: who divided the data into splits: unc for RefCOCO, RefCOCO+ and MojiRef, umd or google for
            RefCOCOg, unc or berkeley for RefCLEF. REFER's layout has it in a file's name and takes unc by default;
            other formats do not say it, so there RefCOCOg is "unknown" until you do, and is called so in results.
        images: the folder of the images. It is found by itself at `<path>/images/mscoco/images/train2014`,
            `<path>/images/train2014`, `<path>/images/<dataset>` or `<path>/images`; jsonl takes the folder of the
            .jsonl file.
        format: how the files are written; by default REFER's layout, or JSON lines for the dataset jsonl.
        lexicon: a TOML file with your own words for categories, which adds to the package's words for COCO's.
            A row without a category gets the one that its phrase names (docs/language.md).

    Raises:
        ConfigError: when the dataset or the format is not one of those above, or the two contradict each other.
    """

    path: Path
    dataset: DatasetName
    split_by: str | None = None
    images: Path | None = None
    format: Format | None = None
    lexicon: Path | None = None

    def __post_init__(self) -> None:
        if self.dataset not in get_args(DatasetName):
            raise ConfigError(f"dataset {self.dataset!r} is not known; use one of {', '.join(get_args(DatasetName))}")
        if self.format is not None and self.format not in get_args(Format):
            raise ConfigError(f"format {self.format!r} is not known; use one of {', '.join(get_args(Format))}")
        if self.dataset == "jsonl" and self.file_format != "jsonl":
            raise ConfigError(f"dataset jsonl is in JSON lines, not in format {self.format}; call the dataset own")
        if self.split_by is None:
            object.__setattr__(self, "split_by", self._usual_division())  # the dataclass is frozen

    @property
    def file_format(self) -> Format:
        """How the files are written: what `format` says, or its default."""
        return self.format or ("jsonl" if self.dataset == "jsonl" else "refer")

    @property
    def division(self) -> str:
        """What files that are of it are named after; see `division_name`."""
        return division_name(self.dataset, self.split_by)

    def _usual_division(self) -> str | None:
        if self.file_format == "refer":
            return "unc"
        return UNKNOWN_DIVISION if self.dataset == "refcocog" else None
