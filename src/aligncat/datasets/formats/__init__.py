"""Dataset formats. Each is one module and one row of `FORMATS`; the other modules are shared by formats.

A row names the `Format` record at the end of the format's module. The module is imported when a dataset needs it.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

FORMATS: dict[str, str] = {
    "refer": "aligncat.datasets.formats.refer:REFER",
    "simrec": "aligncat.datasets.formats.simrec:SIMREC",
    "hub": "aligncat.datasets.formats.hub:HUB",
    "coco-csv": "aligncat.datasets.formats.coco_csv:COCO_CSV",
    "jsonl": "aligncat.datasets.formats.jsonl:JSONL",
    "shikra": "aligncat.datasets.formats.jsonl:SHIKRA",
    "qwen": "aligncat.datasets.formats.jsonl:QWEN",
    "vlm-r1": "aligncat.datasets.formats.jsonl:VLM_R1",
    "ms-swift": "aligncat.datasets.formats.jsonl:MS_SWIFT",
    "llava": "aligncat.datasets.formats.jsonl:LLAVA",
    "mdetr": "aligncat.datasets.formats.jsonl:MDETR",
    "ofa": "aligncat.datasets.formats.jsonl:OFA",
}
"""Name of a format, as given to `--data.format` -> "module:record"."""

BoxForm: TypeAlias = Literal["xyxy", "xywh", "fraction", "thousandths", "padded"]
"""What the four numbers of a box are: x1, y1, x2, y2 or x, y, width, height in pixels, or x1, y1, x2, y2 in fractions
(0 to 1) or in thousandths (0 to 1000) of the photo's width and height, or in fractions of the square that the photo
is padded to."""

UNSAID: Literal["unsaid"] = "unsaid"
"""Stands for the form of boxes in a format whose files do not say it, so that the user has to."""

DeclaredForm: TypeAlias = BoxForm | Literal["unsaid"]
"""The form of boxes that a format or a row declares."""

USUAL_FORMAT = "refer"
"""The format of a dataset whose configuration names no format."""
