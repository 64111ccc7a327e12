"""The plan of docs/scale.md: its tables are computed, and its arithmetic is right."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def make_scale() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_scale", ROOT / "docs" / "make_scale.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_scale"] = module
    spec.loader.exec_module(module)
    return module


def test_the_tables_of_the_page_are_those_that_the_script_computes(make_scale: ModuleType) -> None:
    text = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    assert make_scale.page(text) == text


def test_the_measured_figures_are_those_of_the_stored_results(make_scale: ModuleType) -> None:
    swin = json.loads((ROOT / "benchmarks/results/earlier/detector-swin-tiny.json").read_text())["swin-tiny"]
    assert make_scale.FORWARD.value == swin["forward_to_transformers"]
    assert make_scale.EXTRACTION.value == swin["extraction_to_own_forward"]
    assert f"the bare detector {make_scale.BARE.value} s" in (ROOT / "docs/results/speed.json").read_text()
    assert f"| {make_scale.BYTES.value:,} |" in (ROOT / "docs/store.md").read_text()


def test_the_arithmetic_is_that_of_a_hand_calculation(make_scale: ModuleType) -> None:
    # 100 million photos at 200 a second are 500,000 s, 138.9 h of one accelerator, 17.4 h of eight.
    assert make_scale.accelerator_hours(200) == pytest.approx(138.9, abs=0.05)
    assert "| 200 | 139 | 17.4 | 2.2 | 0.5 |" in make_scale.tables()["accelerators"]
    # 0.801 s on 2 threads x 0.595 x 1.069 = 1.02 core-seconds; 100 million of them are 28,300 core-hours.
    assert make_scale.core_seconds() == pytest.approx(1.019, abs=0.001)
    assert "| 8 x 96 | 28,30" in make_scale.tables()["cores"]
    # A million photos are 15,625 shards of 64; 18,460 bytes each are 18.5 GB.
    assert "| 15,625 | 1,562,500 |" in make_scale.tables()["files"]
    assert "| 18.5 | 1,846 |" in make_scale.tables()["files"]
