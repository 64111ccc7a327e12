"""Reports to open in the browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.fabricate_answers import paint, row, save

from aligncat.api.report import write_report


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return paint(tmp_path_factory.mktemp("pictures"))


@pytest.fixture
def make_report(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes runs, given as rows, and makes their report."""

    def make(*runs: list[dict[str, Any]], **identity: Any) -> Path:
        folders = [
            save(tmp_path / f"run{number}", rows, **{"config": "AB"[number], **identity})
            for number, rows in enumerate(runs)
        ]
        return write_report(folders, out=tmp_path / "report", photos=Path("/"), figures=False)

    return make


@pytest.fixture(scope="session")
def two_runs(pictures: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two runs over four pictures, shared by tests that do not change it.

    A is right on 0, 1 and 3; B is right on 0 and 2.
    """
    folder = tmp_path_factory.mktemp("two")
    causes = {"A": ("right", "right", "wrong_object", "right", "no_candidate", "wrong_object")}
    causes["B"] = ("right", "wrong_category", "right", "wrong_object", "no_candidate", "wrong_object")
    texts = ("dog", "red dog", "the dog left of the cup", "a cup", "person", "red cup")
    kinds = ("category", "color", "place", "category", "category", "color")
    categories = ("dog", "dog", "dog", "cup", "person", "cup")
    runs = [
        save(
            folder / name,
            [
                row(number, pictures[number % 4], texts[number], cause, kind=kinds[number])
                | {"referent_category": categories[number], "score": 0.9 - number / 10, "size": 0.1 + number / 100}
                for number, cause in enumerate(causes[name])
            ],
            config=name,
        )
        for name in ("A", "B")
    ]
    return write_report(runs, out=folder / "report", photos=Path("/"), figures=False)
