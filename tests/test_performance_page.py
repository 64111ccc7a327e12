"""docs/performance.md is what docs/make_performance.py makes of the stored files, and says what they say."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.benchmark_scripts import ROOT, script

from aligncat.errors import DataError

make_performance, measuring = script("make_performance"), script("measuring")
Figure = measuring.Figure


def test_the_committed_page_matches_the_stored_files() -> None:
    committed = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert make_performance.page(measuring.RESULTS) == committed, "run make bench"


def test_every_command_names_a_script() -> None:
    for section in make_performance.SECTIONS:
        _, path, *_ = section.command.split()
        assert (ROOT / path).exists()


def test_ratios_are_medians_of_rounds() -> None:
    figure = Figure.ratio("a", [1.0, 6.0, 2.0], [2.0, 2.0, 2.0], "times b", limit=0.25, bar=0.75)
    assert (figure.value, figure.low, figure.high, figure.rounds) == (1.0, 0.5, 3.0, 3)
    assert figure.from_limit == 4.0 and figure.met is False


@pytest.mark.parametrize(
    ("value", "limit", "bar", "more", "distance", "met"),
    [
        (3.0, 2.0, 3.0, False, 1.5, True),
        (3.5, 2.0, 3.0, False, 1.75, False),
        (0.5, 1.0, 0.8, True, 2.0, False),
        (0.8, 1.0, 0.8, True, 1.25, True),
        (3.0, None, None, False, None, None),
    ],
)
def test_costs_are_above_their_limit_and_rates_below(
    value: float, limit: float | None, bar: float | None, more: bool, distance: float | None, met: bool | None
) -> None:
    figure = Figure("a", value, "s", limit=limit, bar=bar, more_is_better=more)
    assert (figure.from_limit, figure.met) == (distance, met)


def test_alternated_parts_take_turns_and_the_first_rounds_do_not_count() -> None:
    called: list[str] = []
    clock = iter(range(100))
    found = measuring.alternated(
        {name: lambda name=name: called.append(name) for name in "ab"}, 2, warm=1, clock=lambda: next(clock)
    )
    assert called == ["a", "b"] * 3 and found == {"a": [1, 1], "b": [1, 1]}


def written(folder: Path, monkeypatch: pytest.MonkeyPatch, **more: Any) -> Path:
    """Write a result as a benchmark does."""
    photos, out = folder / "secret" / "photos", folder / "results" / "detector.json"
    monkeypatch.setattr(sys, "argv", ["/here/benchmarks/detector.py", str(photos), "--count", "2", "--out", str(out)])
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int)
    measuring.add_out(parser)
    figures = [
        Figure.ratio("pass | a", [0.5, 0.7], [1.0, 1.0], "times b", limit=0.3, limit_is="the floor", bar=0.5),
        Figure("rate", 1234.5, "GB/s", bar=1000.0, more_is_better=True),
        Figure("plain", 2.0, "MB"),
    ]
    measuring.write(figures, parser.parse_args(), **more)
    return out


def test_the_page_shows_what_a_benchmark_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = written(tmp_path, monkeypatch, notes=["a note"], not_run={"epoch": "it needs more than its 5 s"})
    assert str(tmp_path) not in out.read_text()
    lines = make_performance.page(out.parent).splitlines()
    assert "    python benchmarks/detector.py PHOTOS --count 2" in lines
    assert "| pass \\| a | 0.6 times b (0.5 to 0.7) | 0.3 (the floor) | 2 | at most 0.5: **missed** |" in lines
    assert "| rate | 1,234 GB/s | - | - | at least 1000: met |" in lines
    assert "| plain | 2 MB | - | - | - |" in lines
    assert "- a note" in lines and "- Not run: epoch: it needs more than its 5 s" in lines
    assert "1 of 2 bars are met, and these are missed:" in lines
    assert "- pass | a: 0.6 times b, bar at most 0.5" in lines
    assert lines.count("**No run is stored yet:**") == len(make_performance.SECTIONS) - 2
    assert "**Never measured**, because no accelerator was at hand:" in lines


def test_a_file_without_a_section_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(DataError, match=r"other\.json.*no section"):
        make_performance.page(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", "{}", json.dumps({"figures": [{"what": 1}]})])
def test_a_file_that_no_benchmark_wrote_is_an_error_that_names_it(tmp_path: Path, content: str) -> None:
    (tmp_path / "detector.json").write_text(content)
    with pytest.raises(DataError, match=r"detector\.json"):
        make_performance.page(tmp_path)
