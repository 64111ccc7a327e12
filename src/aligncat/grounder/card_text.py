"""Names and Markdown in a model card, in which no value can break the page."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path


def detector_name(name: str) -> str:
    """Return a detector's name. A local folder is reduced to its last part: the rest describes a private disk."""
    return f"{Path(name).name} (a local folder)" if Path(name).is_absolute() else name


def hub_name(dataset: str) -> str:
    """Return a dataset's name in the characters that the hub accepts."""
    return re.sub(r"[^\w.-]+", "-", dataset.replace("+", "plus"), flags=re.ASCII).strip("-.") or "own"


def markdown_table(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown, with each cell escaped."""
    rows = [[escaped(cell) for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in ([*headings], ["---"] * len(headings), *rows))


def code_block(values: object) -> str:
    """Return JSON as an indented code block, which no value can close."""
    text = json.dumps(values, indent=2, ensure_ascii=True, default=str)
    return "\n".join(f"    {line}" for line in text.splitlines())


def one_line(value: object) -> str:
    """Return the printable characters of a value, on one line."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())


def escaped(value: object) -> str:
    """Escape text so that Markdown shows it unchanged in a sentence or a table cell."""
    text = re.sub(r"([\\`*_\[\]|~])", r"\\\1", one_line(value))
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
