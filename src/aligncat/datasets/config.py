"""Which dataset to read, and where it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aligncat.datasets.formats import USUAL_FORMAT
from aligncat.datasets.formats.format import Format, find_format
from aligncat.datasets.known import known_dataset
from aligncat.errors import ConfigError
from aligncat.files.fields import is_name

UNKNOWN_DIVISION = "unknown"


def division_name(dataset: str, split_by: str | None) -> str:
    """Return the dataset's name, followed by who divided it where several people did, as with RefCOCOg."""
    return f"{dataset}-{split_by}" if known_dataset(dataset).shared_split_names and split_by else dataset


@dataclass(frozen=True)
class DataConfig:
    """Where a dataset's files are.

    Attributes:
        path: the folder that holds the dataset. REFER's layout has `<path>/<dataset>/refs(<split_by>).p` and
            `<path>/<dataset>/instances.json` in it; jsonl has `<path>/<split>.jsonl`; docs/formats.md has the rest.
        dataset: the dataset's name: letters, digits and . _ + - alone. More is known of refcoco, refcoco+, refcocog,
            refclef, mojiref, mojiref+ and mojirefg. jsonl is short for a dataset `own` in the format jsonl.
        split_by: who divided the data into splits: unc for RefCOCO, RefCOCO+ and MojiRef, umd or google for
            RefCOCOg, unc or berkeley for RefCLEF. REFER's layout has it in a file's name and takes unc by default.
            Other formats do not say it: results call the division of such a RefCOCOg "unknown" until you do.
        images: the folder of the images. The default is the first of `<path>/images/mscoco/images/train2014`,
            `<path>/images/train2014`, `<path>/images/<dataset>` and `<path>/images` that holds any of them; for jsonl
            it is the folder of the .jsonl file.
        format: how the files are written: refer, simrec, hub, coco-csv or jsonl. The default is refer, REFER's
            layout, and jsonl for the dataset jsonl.
        lexicon: a TOML file with your own words for categories, added to the package's words for COCO's. An
            expression without a category gets the one that its words name (docs/language.md).

    Raises:
        ConfigError: the dataset's name cannot be part of a file name, the format is not known, or the two contradict
            each other.
    """

    path: Path
    dataset: str
    split_by: str | None = None
    images: Path | None = None
    format: str | None = None
    lexicon: Path | None = None

    def __post_init__(self) -> None:
        if not is_name(self.dataset):
            raise ConfigError(
                f"dataset {self.dataset!r}: the name must have letters, digits and . _ + - alone, as it becomes part "
                "of file names; name the folder that holds the dataset with `path`"
            )
        known = known_dataset(self.dataset)
        if known.format is not None and self.file_format != known.format:
            raise ConfigError(
                f"dataset {self.dataset} is in format {known.format}, not in format {self.format}; call the dataset "
                f"{known.short_for}"
            )
        record = find_format(self.file_format)
        if self.split_by is None:
            split_by = record.split_by or (UNKNOWN_DIVISION if known.must_say_division else None)
            object.__setattr__(self, "split_by", split_by)  # the dataclass is frozen

    @property
    def file_format(self) -> str:
        """The name of the files' format: what `format` says, or its default."""
        return self.format or known_dataset(self.dataset).format or USUAL_FORMAT

    @property
    def division(self) -> str:
        """The name for files about this dataset; see `division_name`."""
        return division_name(self.dataset, self.split_by)


def format_of(config: DataConfig) -> Format:
    """Return the record of a dataset's format."""
    return find_format(config.file_format)
