"""The table of a study, as it is printed."""

from __future__ import annotations

from pathlib import Path

from helpers.fabricate_answers import answers, row
from rich.console import Console

from aligncat.report.terminal import study_table


def test_each_row_says_what_its_model_reads() -> None:
    read = {
        "aligncat": ("query", "none"),
        "aligncat-plus": ("query+appearance", "relations"),
    }
    results = {
        name: {"val": [answers([row(0, Path("x.png"))], config=name, features=features, context=context).result]}
        for name, (features, context) in read.items()
    }
    console = Console(width=120, record=True)
    console.print(study_table("what appearance adds", {name: name for name in read}, results, {}))
    heading, lines = console.export_text().split(" Features ")
    assert "query" not in heading
    cells = {words[0]: " ".join(words[1:-1]) for line in lines.splitlines() if (words := line.split())}
    assert (cells["aligncat"], cells["aligncat-plus"]) == ("query", "query+appearance, relations")
