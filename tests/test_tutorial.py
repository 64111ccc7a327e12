"""The notebook docs/tutorial.ipynb: it is whole, light and without errors, and it runs from an empty folder."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient

PATH = Path(__file__).resolve().parents[1] / "docs" / "tutorial.ipynb"
NOTEBOOK: Any = nbformat.read(PATH, as_version=4)
CODE = [cell for cell in NOTEBOOK.cells if cell.cell_type == "code"]


def text_of(cell: Mapping[str, Any]) -> str:
    """Return what a cell printed or showed as text."""
    shown = [each.get("text") or each.get("data", {}).get("text/plain", "") for each in cell["outputs"]]
    return "".join(shown)


def test_it_follows_the_format_and_has_every_section_in_order() -> None:
    nbformat.validate(NOTEBOOK)
    text = "\n".join(cell.source for cell in NOTEBOOK.cells if cell.cell_type == "markdown")
    assert re.findall(r"^#+ (.*)", text, re.MULTILINE) == [
        "Tutorial: from photos and phrases to an export",
        *("Photos and phrases", "Without training", "The lexicon", "Train", "What it gets wrong", "Export"),
    ]


def test_its_python_parses() -> None:
    for cell in CODE:
        compile(TransformerManager().transform_cell(cell.source), "tutorial.ipynb", "exec")


def test_its_outputs_are_those_of_one_whole_run_light_and_of_no_machine() -> None:
    assert [cell.execution_count for cell in CODE] == list(range(1, len(CODE) + 1))
    assert all(cell.outputs for cell in CODE)
    assert not [
        each for cell in CODE for each in cell.outputs if each.output_type == "error" or each.get("name") == "stderr"
    ]
    assert PATH.stat().st_size < 300_000
    assert not re.search(r"/(?:tmp|home|work|root)/", PATH.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_it_runs_from_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PATH.parents[1] / "src"))
    run = nbformat.read(PATH, as_version=4)
    for cell in run.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    NotebookClient(run, timeout=1200, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [text_of(cell) for cell in run.cells if cell.cell_type == "code"]
    before, after = (int(re.findall(r"(\d+) (?:phrases|of them)", outputs[place])[0]) for place in (2, 3))
    assert "gizmo" in outputs[2] and after < before, "the words added to the lexicon give categories"
    work = tmp_path / "tutorial-1"
    rows = [json.loads(line) for line in (work / "DATA" / "train.jsonl").read_text().splitlines()]
    assert rows and all(set(row) == {"image", "expression"} for row in rows), "training has neither box nor category"
    assert (work / "RUN" / "model.safetensors").is_file()
    assert "training-free" in outputs[5] and (work / "REPORT" / "index.html").is_file()
    coco = json.loads((work / "answers.json").read_text())
    assert len(coco["images"]) == len(list((work / "DATA" / "photos").iterdir())) and coco["annotations"]
