"""The dialects of JSON lines and similar files: how other tools write photos, phrases and boxes.

A dialect is a record: which keys its rows have, what they mean, and what the numbers of its boxes are. The module
`dialect_rows` applies it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from aligncat.datasets.formats import UNSAID, BoxForm, DeclaredForm
from aligncat.errors import ConfigError
from aligncat.wording import did_you_mean

# Rows of a few kilobytes come first in such files, also in the largest.
_HEAD = 16_384

Layout: TypeAlias = Literal["flat", "objects", "turns", "sentence", "columns"]
"""How a row holds its phrases: a phrase and its boxes under one key each, a list of phrases and a list of boxes, a
conversation, a sentence of MDETR's with its annotations, or a line of OFA's."""

KEYS = (
    *("image", "expression", "category", "box", "mask", "boxes", "masks", "no_target", "width", "height"),
    *("id", "image_id", "expression_ids", "kinds"),
)
"""The keys of aligncat's own rows."""


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """A way to write referring expressions.

    Attributes:
        name: the name of its format.
        tool: the tool or its file, as its users know it.
        source: the page that shows its rows.
        signs: the keys that a row of it has, as alternatives.
        suffixes: of its files.
        boxes: what the numbers of its boxes are. UNSAID if its files do not say it and differ.
        layouts: how its rows hold phrases. The first one that fits a row counts.
        turns: the key of its rows' conversations.
        fields: aligncat's key -> the key of its rows. A path such as "objects.bbox" leads into a mapping or a list.
        corners: what numbers written as (x1,y1),(x2,y2) are, if not `boxes`.
        sentences: whether a JSON file of it has COCO's lists of images, one for each sentence, and annotations.
        advice: what its users have to know about its boxes; empty if nothing.
    """

    name: str
    tool: str
    source: str
    signs: tuple[tuple[str, ...], ...]
    suffixes: tuple[str, ...] = (".jsonl", ".json")
    boxes: DeclaredForm = "xyxy"
    layouts: tuple[Layout, ...] = ("flat",)
    turns: Literal["conversations", "messages"] = "conversations"
    fields: Mapping[str, str] = field(default_factory=dict)
    corners: BoxForm | None = None
    sentences: bool = False
    advice: str = ""

    def described(self) -> str:
        """Return what the dialect is and how to read it, for a message after a file or a row."""
        boxes = f", and name the form of its boxes with --data.boxes ({self.advice})" if self.boxes == UNSAID else ""
        return f"looks like {self.tool}; read it with --data.format {self.name}{boxes}"


@dataclass(frozen=True, kw_only=True)
class Lookalike:
    """A file that is no dialect, but is often taken for one.

    Attributes:
        tool: the tool or its file, as its users know it.
        signs: see `Dialect`.
        advice: how to read it.
    """

    tool: str
    signs: tuple[tuple[str, ...], ...]
    advice: str

    def described(self) -> str:
        """Return what the file is and how to read it, for a message after a file or a row."""
        return f"looks like {self.tool}; {self.advice}"


ALIGNCAT = Dialect(
    name="jsonl",
    tool="aligncat's JSON lines",
    source="docs/formats.md",
    signs=(("image", "expression"),),
    suffixes=(".jsonl",),
)

DIALECTS: dict[str, Dialect] = {
    each.name: each
    for each in (
        ALIGNCAT,
        Dialect(
            name="ms-swift",
            tool="ms-swift's JSON lines",
            source="https://github.com/modelscope/ms-swift/blob/main/docs/source_en/Customization/Custom-dataset.md",
            signs=(("messages", "images"),),
            layouts=("objects", "turns"),
            turns="messages",
            boxes=UNSAID,
            advice='rows with "objects" say it themselves; the boxes in other rows\' messages are thousandths for '
            "Qwen2-VL, Qwen3-VL and InternVL",
        ),
        Dialect(
            name="llava",
            tool="LLaVA's conversations",
            source="https://github.com/haotian-liu/LLaVA/blob/main/docs/Finetune_Custom_Data.md",
            signs=(("image", "conversations"),),
            suffixes=(".json", ".jsonl"),
            layouts=("turns",),
            boxes=UNSAID,
            advice="LLaVA-1.5's own files are padded, fractions of the photo padded to a square; for others, fraction, "
            "thousandths or xyxy",
        ),
        Dialect(
            name="vlm-r1",
            tool="VLM-R1's annotations",
            source="https://github.com/om-ai-lab/VLM-R1/issues/11",
            signs=(("normal_caption", "solution"),),
            fields={
                "image": "image",
                "expression": "normal_caption",
                "box": "solution",
                "width": "width",
                "height": "height",
            },
            suffixes=(".json", ".jsonl"),
        ),
        Dialect(
            name="shikra",
            tool="Shikra's JSON lines",
            source="https://github.com/shikras/shikra/blob/main/mllm/dataset/single_image_dataset/rec.py",
            signs=(("img_path", "bbox"), ("img_path", "expression")),
            fields={
                "image": "img_path",
                "expression": "expression",
                "box": "bbox",
                "width": "width",
                "height": "height",
            },
        ),
        Dialect(
            name="qwen",
            tool="Qwen-VL's JSON lines",
            source="https://github.com/QwenLM/Qwen-VL/blob/master/eval_mm/evaluate_grounding.py",
            signs=(("sent", "bbox"), ("image", "sent"), ("conversations",)),
            layouts=("turns", "flat"),
            corners="thousandths",
            advice="those of its conversations in other brackets than (x1,y1),(x2,y2) are thousandths for Qwen2-VL and "
            "Qwen3-VL, and xyxy for Qwen2.5-VL",
            fields={"image": "image", "expression": "sent", "box": "bbox", "width": "width", "height": "height"},
        ),
        Dialect(
            name="mdetr",
            tool="MDETR's JSON",
            source="https://github.com/ashkamath/mdetr/blob/main/scripts/fine-tuning/refexp_coco_format.py",
            signs=(("caption", "original_id"),),
            suffixes=(".json",),
            boxes="xywh",
            layouts=("sentence",),
            sentences=True,
        ),
        Dialect(
            name="ofa",
            tool="OFA's TSV",
            source="https://github.com/OFA-Sys/OFA#referring-expression-comprehension",
            signs=(("uniq-id", "region-coord"),),
            suffixes=(".tsv",),
            layouts=("columns",),
        ),
    )
}
"""Name of the format -> dialect. Of those whose signs a row has, the first counts, and aligncat's own last."""

_LOOKALIKES = (
    Lookalike(
        tool="gRefCOCO's grefs(unc).json",
        signs=(("no_target", "ann_id"),),
        advice="put it at grefcoco/grefs(unc).json below --data.path, beside COCO's instances.json; there it is read "
        "with --data.dataset grefcoco --data.format refer",
    ),
    Lookalike(
        tool="a row with COCO's key bbox",
        signs=(("image", "expression", "bbox"),),
        advice="read it with --data.fields box=bbox, and --data.boxes xywh if its numbers are x, y, width, height, as "
        "COCO's are",
    ),
)


def dialect_of(row: Mapping[str, object]) -> Dialect | Lookalike | None:
    """Return the dialect of a row of JSON lines by its keys, or None if it is none that is known."""
    return _first(lambda keys: all(key in row for key in keys))


def dialect_of_file(path: Path) -> Dialect | Lookalike | None:
    """Return the dialect of a file by the keys at its beginning, or None if it is none that is known."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return None
    if path.suffix == ".tsv":
        return DIALECTS["ofa"] if head.split(b"\n")[0].count(b"\t") == len(OFA_COLUMNS) - 1 else None
    return _first(lambda keys: all(f'"{key}"'.encode() in head for key in keys))


OFA_COLUMNS = ("uniq-id", "image-id", "text", "region-coord", "photo")


def _first(has: Callable[[tuple[str, ...]], bool]) -> Dialect | Lookalike | None:
    known: tuple[Dialect | Lookalike, ...] = (
        *(each for each in DIALECTS.values() if each is not ALIGNCAT),
        *_LOOKALIKES,
        ALIGNCAT,
    )
    return next((each for each in known if any(map(has, each.signs))), None)


def field_map(fields: Sequence[str]) -> dict[str, str]:
    """Return aligncat's key -> the key in the file, from texts such as "expression=query".

    Raises:
        ConfigError: a text has another form, or names a key that aligncat does not know, or names one twice.
    """
    found: dict[str, str] = {}
    for text in fields:
        ours, equals, theirs = text.partition("=")
        if not equals or not ours or not theirs:
            raise ConfigError(f"fields {text!r}: write aligncat's key, =, and the key in your file: expression=query")
        if ours not in KEYS:
            raise ConfigError(
                f"fields {text!r}: aligncat has no key {ours!r}{did_you_mean(ours, KEYS)}; it has {', '.join(KEYS)}"
            )
        if ours in found:
            raise ConfigError(f"fields: {ours!r} is there twice; name one key of your file for it")
        found[ours] = theirs
    return found
