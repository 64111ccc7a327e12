"""Write the tables of docs/scale.md: what extraction from a hundred million photos takes.

    python docs/make_scale.py

The tables are computed from FIGURES, each of which says where it is from. Do not edit them by hand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from aligncat.store.extract import SHARD_SIZE

PAGE = Path(__file__).resolve().parent / "scale.md"
PHOTOS = 100_000_000
STORE_PHOTOS = 1_000_000
RATES = (50, 200, 500)
"""Photos a second that an accelerator detects: assumed."""
MACHINES = (1, 8, 32)
ACCELERATORS = 8
"""Accelerators of a machine: assumed."""
CORES = 96
"""Processor cores of a machine: assumed."""


@dataclass(frozen=True)
class Figure:
    """A number of the plan.

    Attributes:
        what: what it is.
        value: its value.
        unit: its unit.
        source: where it is from.
        measured: whether it was measured, not assumed.
    """

    what: str
    value: float
    unit: str
    source: str
    measured: bool


# Of a Mask2Former of Swin-Tiny's size with random weights at 416 px, O = 20, on an AMD Zen 4 server.
BARE = Figure(
    "transformers' forward pass, two threads, a photo", 0.801, "s", "docs/results/speed.json, 100 photos", True
)
FORWARD = Figure(
    "our forward pass, as a share of it",
    0.595,
    "",
    "benchmarks/results/earlier/detector-swin-tiny.json, one thread",
    True,
)
EXTRACTION = Figure(
    "the whole extraction, as a share of our forward pass",
    1.069,
    "",
    "benchmarks/results/earlier/detector-swin-tiny.json, one thread",
    True,
)
BYTES = Figure("a photo in the store, d_v = 256, O = 20", 9230, "bytes", "docs/store.md, 100 photos", True)
SLACK = Figure("outlines of real objects and headers, as a factor of it", 2, "", "docs/reproduction.md (c)", False)
PHOTO = Figure("a photo's file", 200_000, "bytes", "COCO's photos have 160 kB on average", False)
FINISH = Figure(
    "memory of the process that finishes a store, a photo", 550, "bytes", "`python benchmarks/scale.py`", True
)
ACCELERATOR_PRICE = Figure(
    "an accelerator with its share of the machine, an hour", 3.00, "money", "a list price", False
)
CORE_PRICE = Figure("a processor core, an hour", 0.05, "money", "a list price", False)
PUT_PRICE = Figure("a million objects written", 5.00, "money", "a list price of object stores", False)
GET_PRICE = Figure("a million objects read", 0.40, "money", "a list price of object stores", False)
MONTH_PRICE = Figure("a terabyte in an object store, a month", 23.00, "money", "a list price", False)
FIGURES = (
    BARE,
    FORWARD,
    EXTRACTION,
    BYTES,
    SLACK,
    PHOTO,
    FINISH,
    ACCELERATOR_PRICE,
    CORE_PRICE,
    PUT_PRICE,
    GET_PRICE,
    MONTH_PRICE,
)


def core_seconds() -> float:
    """Return the processor time of a photo where there is no accelerator, seconds of one core."""
    return 2 * BARE.value * FORWARD.value * EXTRACTION.value


def host_seconds() -> float:
    """Return the processor time of a photo besides the forward pass, seconds of one core."""
    return 2 * BARE.value * FORWARD.value * (EXTRACTION.value - 1)


def accelerator_hours(rate: float) -> float:
    """Return the hours of one accelerator for all photos.

    Args:
        rate: photos a second.
    """
    return PHOTOS / rate / 3600


def tables() -> dict[str, str]:
    """Return the tables of the page, by name."""
    return {"figures": _figures(), "accelerators": _accelerators(), "cores": _cores(), "files": _files()}


def page(text: str) -> str:
    """Return the page with its tables computed again."""
    for name, table in tables().items():
        head, start, rest = text.partition(f"<!-- {name} -->\n")
        _, end, tail = rest.partition("<!-- end -->")
        assert start and end, name
        text = f"{head}{start}{table}\n{end}{tail}"
    return text


def _figures() -> str:
    rows = [
        [each.what, f"{each.value:,g}", each.unit or "-", "measured" if each.measured else "**assumed**", each.source]
        for each in FIGURES
    ]
    return _table(["figure", "value", "unit", "", "from"], rows)


def _accelerators() -> str:
    """Return hours and money with accelerators."""
    rows = []
    for rate in RATES:
        hours = accelerator_hours(rate)
        rows.append(
            [
                f"{rate}",
                f"{hours:,.0f}",
                *(f"{hours / ACCELERATORS / machines:,.1f}" for machines in MACHINES),
                f"{math.ceil(rate * host_seconds())}",
                f"{rate * PHOTO.value / 1e6:,.0f}",
                f"{hours * ACCELERATOR_PRICE.value:,.0f}",
            ]
        )
    names = [f"hours on {machines} x {ACCELERATORS}" for machines in MACHINES]
    return _table(
        ["photos a second (assumed)", "accelerator-hours", *names, "workers on each", "MB/s of photos, each", "money"],
        rows,
    )


def _cores() -> str:
    """Return hours and money without accelerators."""
    core_hours = PHOTOS * core_seconds() / 3600
    rows = [
        [
            f"{machines} x {CORES}",
            f"{core_hours:,.0f}",
            f"{core_hours / CORES / machines:,.0f}",
            f"{core_hours * CORE_PRICE.value:,.0f}",
        ]
        for machines in (8, 32, 128)
    ]
    return _table(["machines x cores", "core-hours", "hours", "money"], rows)


def _files() -> str:
    """Return the numbers and the sizes of files."""
    stores = PHOTOS // STORE_PHOTOS
    shards = -(-STORE_PHOTOS // SHARD_SIZE)
    size = BYTES.value * SLACK.value
    requests = stores * shards / 1e6 * PUT_PRICE.value + 2 * PHOTOS / 1e6 * GET_PRICE.value
    rows = [
        ["photos", "1 store", f"{stores} stores"],
        ["", f"{STORE_PHOTOS:,}", f"{PHOTOS:,}"],
        [f"shards of {SHARD_SIZE}", f"{shards:,}", f"{stores * shards:,}"],
        ["size of a shard, kB", f"{SHARD_SIZE * size / 1e3:,.0f}", ""],
        ["size on the disk, GB", f"{STORE_PHOTOS * size / 1e9:,.1f}", f"{PHOTOS * size / 1e9:,.0f}"],
        ["photos read, TB", f"{STORE_PHOTOS * PHOTO.value / 1e12:,.1f}", f"{PHOTOS * PHOTO.value / 1e12:,.0f}"],
        ["memory of the process that finishes, GB", f"{STORE_PHOTOS * FINISH.value / 1e9:,.1f}", "one after another"],
        ["requests to an object store, money", f"{requests / stores:,.2f}", f"{requests:,.0f}"],
        [
            "the stores in an object store, money a month",
            f"{STORE_PHOTOS * size / 1e12 * MONTH_PRICE.value:,.2f}",
            f"{PHOTOS * size / 1e12 * MONTH_PRICE.value:,.0f}",
        ],
    ]
    return _table(rows[0], rows[1:])


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
