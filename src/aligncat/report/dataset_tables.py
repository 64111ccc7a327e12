"""Tables about a dataset: its counts, and the photos that a detector was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aligncat.console import DataTable, shown

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from aligncat.datasets.prepare.check import Report, SplitCheck
    from aligncat.evaluation.audit import DetectorAudit

_COUNTS = ("referents", "sentences", "images")
_STYLES = {"clean": "green", "leaked": "red", "unknown": "yellow"}


def audit_table(audit: DetectorAudit) -> Table:
    """Return a table with one row per split: its photos, how many the detector was trained on, and the verdict."""
    table = DataTable(f"evaluation photos in {audit.training.name}")
    for heading in ("Dataset", "Split by", "Split"):
        table.add_column(heading)
    for heading in ("Photos", "Trained on", "Cannot be known"):
        table.add_column(heading, justify="right")
    table.add_column("Verdict")
    for split in audit.splits:
        counts = (f"{count:,}" for count in (split.images, split.seen, split.unknown))
        extent = f" ({split.seen:,} of {split.images:,})" if split.seen else ""
        verdict = shown(split.verdict + extent, style=_STYLES[split.verdict])
        table.add_row(split.dataset, split.split_by or "none", split.split, *counts, verdict)
    return table


def counts_table(report: Report) -> Table:
    """Return a table with one row per split; a count that differs from the published one shows both."""
    division = f", split by {report.data.split_by}" if report.data.split_by else ""
    title = f"{report.data.dataset}{division}, in {report.data.path}"
    table = DataTable(title)
    table.add_column("Split")
    for name in _COUNTS:
        table.add_column(name.capitalize(), justify="right", overflow="fold")
    table.add_column("Against the published counts")
    for split in report.splits:
        table.add_row(split.split, *(_count(split, name) for name in _COUNTS), _verdict(split))
    return table


def _count(split: SplitCheck, name: str) -> Text:
    found = None if split.found is None else int(getattr(split.found, name))
    published = None if split.published is None else int(getattr(split.published, name))
    if found is None:
        return shown("none" if published is None else f"none, not {published:,}", style="red")
    if published is None or found == published:
        return shown(f"{found:,}")
    return shown(f"{found:,}, not {published:,} ({found - published:+,})", style="red")


def _verdict(split: SplitCheck) -> Text:
    if split.missing:
        return shown("not in the files", style="red")
    if split.found is None:
        return shown("cannot be read", style="red")
    if split.published is None:
        return shown("none known")
    return shown("differs", style="red") if split.differs else shown("equal")
