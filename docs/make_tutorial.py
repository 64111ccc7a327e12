"""Run docs/tutorial.ipynb in an empty folder, and keep its outputs in the file, without what is heavy or passes by.

python docs/make_tutorial.py
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).with_name("tutorial.ipynb")
KEPT = ("text/plain", "image/jpeg")  # of several forms of one output
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def main() -> None:
    """Run the notebook."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=1200, kernel_name="python3", resources={"metadata": {"path": folder}})
        client.execute()
    notebook.metadata.pop("language_info", None)  # the version of this Python
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [light(each) for each in cell.outputs if is_kept(each)]
    nbformat.write(notebook, NOTEBOOK)  # type: ignore[no-untyped-call]


def is_kept(output: Any) -> bool:
    """Return whether an output is a result: no warning, and no bar of progress."""
    text = output.get("text", "") + output.get("data", {}).get("text/plain", "")
    passing = "━" in text or "ipywidgets" in text  # which a bar of progress asks for
    return output.get("name") != "stderr" and bool(text) and not passing


def light(output: Any) -> Any:
    """Return an output without its heavier forms, and without the colours of a terminal."""
    if "data" in output:
        output.data = {kind: COLOURS.sub("", content) for kind, content in output.data.items() if kind in KEPT}
    return output


if __name__ == "__main__":
    main()
