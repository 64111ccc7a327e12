"""`aligncat report`: print the path of the page."""

from __future__ import annotations

from pathlib import Path

from aligncat.console import error_console


def show(page: Path) -> None:
    """Print the path of the report's page."""
    error_console().print(f"open {page}", highlight=False, soft_wrap=True)
