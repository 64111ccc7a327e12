"""aligncat report: print where the page is."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console


def show(page: Path) -> None:
    """Print the path of the report's page."""
    Console(stderr=True).print(f"open {page}", highlight=False, soft_wrap=True)
