"""`DataConfig`: which dataset to read, its folder and its format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from aligncat.datasets.formats import FORMATS, USUAL_FORMAT, BoxForm
from aligncat.datasets.formats.format import Format, find_format
from aligncat.datasets.known import known_dataset
from aligncat.errors import ConfigError
from aligncat.files.fields import is_name
from aligncat.wording import did_you_mean

UNKNOWN_DIVISION = "unknown"


def division_name(dataset: str, split_by: str | None) -> str:
    """Return the dataset's name, with the division appended if the dataset has several, as RefCOCOg has."""
    return f"{dataset}-{split_by}" if known_dataset(dataset).shared_split_names and split_by else dataset


@dataclass(frozen=True)
class DataConfig:
    """A dataset's name, folder and format.

    Attributes:
        path: the folder with the dataset. REFER's layout has `<path>/<dataset>/refs(<split_by>).p` and
            `<path>/<dataset>/instances.json`; jsonl has `<path>/<split>.jsonl`. docs/formats.md describes the others.
        dataset: the dataset's name, of letters, digits and . _ + - only. The names refcoco, refcoco+, refcocog,
            grefcoco, refclef, mojiref, mojiref+, mojirefg, gmojiref and, for MojiRef's version 2, mojiref2, mojiref2+
            and mojiref2g have defaults of their own. jsonl stands for the dataset `own` in the format jsonl, and pseudo
            for the phrases that `aligncat data phrases` writes in that format.
        split_by: the division of the data into splits: unc for RefCOCO, RefCOCO+ and MojiRef, umd or google for
            RefCOCOg, unc or berkeley for RefCLEF. In REFER's layout it is part of a file name, and unc is the
            default. Other formats do not record it, and results call RefCOCOg's division "unknown" if it is not set.
        images: the folder of the images. The default is the first of `<path>/images/mscoco/images/train2014`,
            `<path>/images/train2014`, `<path>/images/<dataset>` and `<path>/images` that has any of them; for jsonl
            it is the folder of the .jsonl file.
        format: the file format: refer, simrec, hub, coco-csv, jsonl, or one that another tool writes: shikra, qwen,
            vlm-r1, ms-swift, llava, mdetr or ofa. The default is refer (REFER's layout), and jsonl for the dataset
            jsonl.
        lexicon: a TOML file with your own words for categories, in addition to the package's words for COCO's
            categories. An expression without a category gets the category that its words name (docs/language.md).
        boxes: what the four numbers of a box are, for the formats that leave a choice: xyxy (x1, y1, x2, y2 in pixels,
            the default of jsonl), xywh (x, y, width, height in pixels, the default of coco-csv), or x1, y1, x2, y2 as
            fraction (from 0 to 1) or as thousandths (from 0 to 1000) of the photo's width and height, or padded (from
            0 to 1 of the square that the photo is padded to, as in LLaVA-1.5).
        fields: the keys of your own JSON lines, such as "expression=query": aligncat's key, =, and the key in your
            file. A path such as objects.bbox leads into a mapping or a list. Other keys of your rows are ignored.

    Raises:
        ConfigError: the dataset's name cannot be part of a file name, the format is unknown, the name requires
            another format, the format has only one reading of boxes, or it has no fields that can be named.
    """

    path: Path
    dataset: str
    split_by: str | None = None
    images: Path | None = None
    format: str | None = None
    lexicon: Path | None = None
    boxes: BoxForm | None = None
    fields: tuple[str, ...] | None = None

    if TYPE_CHECKING:  # the fields are paths, which can be given as text

        def __init__(  # noqa: PLR0917  # the fields in their order
            self,
            path: str | Path,
            dataset: str,
            split_by: str | None = None,
            images: str | Path | None = None,
            format: str | None = None,
            lexicon: str | Path | None = None,
            boxes: BoxForm | None = None,
            fields: Sequence[str] | Mapping[str, str] | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        for name in ("path", "images", "lexicon"):
            value: str | Path | None = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, Path(value))  # the dataclass is frozen
        if not is_name(self.dataset):
            raise ConfigError(
                f"dataset {self.dataset!r}: a dataset's name has at most 60 letters, digits and . _ + -, because it "
                "is part of file names; give the folder of the dataset as `path`"
            )
        known = known_dataset(self.dataset)
        if known.format is not None and self.file_format != known.format:
            raise ConfigError(
                f"dataset {self.dataset} is always in format {known.format}, not in format {self.format}; name the "
                f"dataset {known.short_for}"
            )
        record = find_format(self.file_format)
        if self.boxes not in (None, *get_args(BoxForm)):
            forms = get_args(BoxForm)
            near = did_you_mean(str(self.boxes), forms)
            raise ConfigError(f"boxes {self.boxes!r} is not known; use one of {', '.join(forms)}{near}")
        if self.boxes is not None and record.boxes is None:
            choice = [name for name in FORMATS if find_format(name).boxes is not None]
            raise ConfigError(
                f"boxes {self.boxes!r}: format {self.file_format} says itself what the numbers of a box are; leave out "
                f"--data.boxes, which is for the formats {', '.join(choice)}"
            )
        if self.fields is not None:
            object.__setattr__(self, "fields", _checked_fields(self.fields, record, self.file_format))
        if self.split_by is None:
            split_by = record.split_by or (UNKNOWN_DIVISION if known.must_say_division else None)
            object.__setattr__(self, "split_by", split_by)  # the dataclass is frozen

    @property
    def file_format(self) -> str:
        """The name of the file format: `format`, or its default."""
        return self.format or known_dataset(self.dataset).format or USUAL_FORMAT

    @property
    def division(self) -> str:
        """The dataset's name with its division, for file names; see `division_name`."""
        return division_name(self.dataset, self.split_by)


def format_of(config: DataConfig) -> Format:
    """Return the record of a dataset's format."""
    return find_format(config.file_format)


def _checked_fields(fields: Sequence[str] | Mapping[str, str], record: Format, name: str) -> tuple[str, ...] | None:
    """Return the texts "ours=theirs" of `DataConfig.fields`; None if there are none."""
    from aligncat.datasets.formats.dialects import field_map

    texts = tuple(f"{ours}={theirs}" for ours, theirs in fields.items()) if isinstance(fields, Mapping) else (*fields,)
    field_map(texts)
    if texts and (record.dialect is None or "flat" not in record.dialect.layouts):
        choice = [name for name in FORMATS if (each := find_format(name).dialect) and "flat" in each.layouts]
        raise ConfigError(
            f"fields {texts[0]!r}: format {name} has no keys to choose; leave out --data.fields, which is for the "
            f"formats {', '.join(choice)}"
        )
    return texts or None
