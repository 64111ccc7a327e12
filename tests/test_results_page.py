"""Tests that docs/results.md and the shipped model card match the stored JSON files."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from aligncat.errors import DataError
from aligncat.evaluation.floors import Floors
from aligncat.evaluation.metrics import ErrorShares, Metrics
from aligncat.evaluation.published import published_ablation
from aligncat.evaluation.results import Result
from aligncat.grounder.folder import SHIPPED
from aligncat.grounder.model_card import model_card
from aligncat.report.card import card_results

ROOT = Path(__file__).resolve().parents[1]
STORED = ROOT / "docs" / "results"


@pytest.fixture(scope="module")
def make_results() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_results", ROOT / "docs" / "make_results.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_results"] = module
    spec.loader.exec_module(module)
    return module


def result(config: str, seed: int, rec: float, wrong: float, **changes: Any) -> Result:
    """Return a result of 1,000 phrases; the phrases that need a colour have half the overall REC."""
    errors = ErrorShares(0.05, wrong, 1 - rec - wrong - 0.05)
    whole = Metrics(1_000, rec, 0.95, 1_000, rec / 2, None, 0.9, {"0.5": rec}, None, errors)
    slices = {
        "color": replace(whole, expressions=100, with_mask=100, rec=rec / 2),
        "color+size": replace(whole, rec=0.1),
    }
    made = Result("mojiref", "val", "unc", config, "mini", "clean", seed, {}, replace(whole, by_kind=slices))
    return replace(made, **changes)


def study(**changes: Any) -> dict[str, Any]:
    """Return a study of two rows and two seeds on val and testA; the tests' numbers are calculated by hand."""
    recs = {"querymatch": [(0.5, 0.3), (0.6, 0.2)], "aligncat": [(0.8, 0.1), (0.8, 0.1)]}
    rows = [
        {
            "name": name,
            "label": label,
            "results": [
                result(name, seed, rec, wrong, split=split).to_json()
                for split in ("val", "testA")
                for seed, (rec, wrong) in enumerate(recs[name])
            ],
        }
        for name, label in (("querymatch", "S_global"), ("aligncat", "all | of it"))
    ]
    compared = {"better": "aligncat", "worse": "querymatch", "split": "val", "paper": 3.14, "ours": 25.0}
    ordering = {**compared, "deviation": 7.1, "low": -1.0, "high": 30.0, "holds": "open"}
    content = {"study": "table3", "title": "Table 3: scores", "dataset": "mojiref", "detector": "mini", "seeds": [0, 1]}
    return {**content, "rows": rows, "orderings": [ordering], **changes}


def folder_with(tmp_path: Path, content: object, name: str = "table3-mojiref.json") -> Path:
    (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return tmp_path


def test_the_committed_page_matches_the_stored_files(make_results: ModuleType) -> None:
    committed = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert make_results.page(STORED) == committed, "run python docs/make_results.py"


def test_the_committed_card_matches_the_stored_results(make_results: ModuleType) -> None:
    results = make_results.read_shipped(STORED / make_results.SHIPPED_RESULTS)
    config = json.loads((SHIPPED / "config.json").read_text(encoding="utf-8"))
    card = (SHIPPED / "README.md").read_text(encoding="utf-8")
    assert card == str(model_card(config, card_results(results))), "run python docs/make_results.py"
    assert {each.seed for each in results} == {0, 1, 2} and {each.split for each in results} == {
        "val",
        "testA",
        "testB",
    }


def test_reading_and_writing_a_stored_result_keeps_its_keys_and_their_order() -> None:
    stored = json.loads((STORED / "shipped-grounder.json").read_text(encoding="utf-8"))["results"]
    assert len(stored) == 9
    for values in stored:
        again = Result.from_json(values, "shipped-grounder.json").to_json()
        assert json.dumps(again) == json.dumps(values)


def test_the_page_shows_the_numbers_of_the_files(make_results: ModuleType, tmp_path: Path) -> None:
    page = make_results.page(folder_with(tmp_path, study()))
    lines = page.splitlines()
    assert "## Table 3: scores, on MojiRef" in lines
    # 50 and 60: mean 55, deviation the square root of 50; published: 65.89 for S_global on val
    assert (
        "| S_global | `querymatch` | val | 55.0 ± 7.1 | 95.0 ± 0.0 | 27.5 ± 3.5 | 90.0 ± 0.0 | 5.0 ± 0.0 | 25.0 ± 7.1 "
        "| 15.0 ± 0.0 | 65.89 |"
    ) in lines
    assert "| S_global | 55.0 ± 7.1 | 25.0 ± 7.1 |" in lines
    assert "| all \\| of it | S_global | val | +3.14 | +25.0 ± 7.1 | -1.0 to +30.0 | open |" in lines
    assert "| S_global | 27.5 |" in lines and "| all \\| of it | 40.0 |" in lines, "REC of colour, half of all"
    # margins 30 and 20: mean 25, deviation 7.1; 10 against 25 wrong; 80 of 95
    assert "| AlignCAT at least 3 points above QueryMatch (REC) | yes (+25.0 ± 7.1) |" in lines
    assert "| other-category errors at most half of QueryMatch's | yes (10.0 against 25.0) |" in lines
    assert "| AlignCAT at least 75% of the oracle (REC) | yes (84.2%) |" in lines


def test_every_study_states_its_data_detector_and_seeds(make_results: ModuleType, tmp_path: Path) -> None:
    content = study()
    for row in content["rows"]:
        for each in row["results"]:
            each |= {"seen": "leaked", "detector": "swin"} if each["split"] == "testA" else {"detector": "swin"}
    page = make_results.page(folder_with(tmp_path, content))
    conditions = (
        "Split by unc; expressions: val 1,000, testA 1,000; detector swin, which val: it has not seen the images; "
        "testA: it HAS SEEN the images; seeds 0, 1."
    )
    assert conditions in page


def test_a_study_says_how_much_it_trained_on(make_results: ModuleType, tmp_path: Path) -> None:
    train = {"dataset": "mojiref", "split": "train", "images": 3_996, "expressions": 33_265, "sha256": "0"}
    page = make_results.page(folder_with(tmp_path, study(train=train)))
    assert "\nTrained on 3,996 images with 33,265 expressions. Split by unc; " in page
    assert "Trained on" not in make_results.page(folder_with(tmp_path, study())), "a file of an earlier version"


def test_the_page_begins_with_the_rows_beyond_the_paper_and_the_oracle(
    make_results: ModuleType, tmp_path: Path
) -> None:
    page = make_results.page(folder_with(tmp_path, study(study="plus"), "plus-mojiref.json"))
    lines = page.splitlines()
    start = lines.index("| dataset | row | val | testA |")
    assert lines[start + 2 : start + 5] == [
        "| MojiRef | S_global | 55.0 ± 7.1 | 55.0 ± 7.1 |",
        "| MojiRef | all \\| of it | 80.0 ± 0.0 | 80.0 ± 0.0 |",
        "| MojiRef | oracle | 95.0 ± 0.0 | 95.0 ± 0.0 |",
    ]
    assert start < lines.index("## Table 3: scores, on MojiRef")


def test_an_imported_result_names_no_folder_of_its_detector(make_results: ModuleType) -> None:
    stored = result("aligncat", 0, 0.8, 0.1, detector="/home/someone/detectors/mine").to_json()
    assert make_results.cut_result(stored)["detector"] == "mine"
    assert make_results.cut_result({**stored, "detector": "facebook/swin"})["detector"] == "facebook/swin"
    assert make_results.cut_study(study(detector="/home/someone/detectors/mine"))["detector"] == "mine"


def test_a_study_without_a_table_in_the_paper_shows_no_published_values(
    make_results: ModuleType, tmp_path: Path
) -> None:
    content = study(study="keep", orderings=[])
    page = make_results.page(folder_with(tmp_path, content, "keep-mojiref.json"))
    assert "published REC" not in page and "Is the first row ahead" not in page and "Goals" not in page


def test_cutting_a_study_leaves_the_page_unchanged(make_results: ModuleType, tmp_path: Path) -> None:
    content = study()
    whole = make_results.page(folder_with(tmp_path, content))
    make_results.write_json(tmp_path / "table3-mojiref.json", make_results.cut_study(content))
    written = (tmp_path / "table3-mojiref.json").read_text()
    assert make_results.page(tmp_path) == whole
    assert len(written) < len(json.dumps(content)) and "color+size" not in written


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        study(rows=[]),
        study(dataset="imagenet"),
        study(rows=[{"name": "a", "label": "a", "results": []}]),
    ],
)
def test_a_file_that_is_not_a_study_is_named_in_the_error(
    content: object, make_results: ModuleType, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"table3-mojiref\.json"):
        make_results.page(folder_with(tmp_path, content))


def test_results_of_other_weights_than_the_shipped_ones_are_refused(make_results: ModuleType, tmp_path: Path) -> None:
    path = Path(shutil.copy(STORED / make_results.SHIPPED_RESULTS, tmp_path))
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "weights_sha256": "0" * 64}))
    with pytest.raises(DataError, match="other weights"):
        make_results.read_shipped(path)


@pytest.mark.parametrize(
    "name", ["table3-mojiref", "table3-mojiref+", "table3-mojirefg", "table4-mojiref", "table5-mojiref"]
)
def test_the_papers_tables_are_stored_completely(make_results: ModuleType, name: str) -> None:
    """Check every row of the paper's table, at least three seeds per split, and a comparison of every pair of rows."""
    file = make_results.read_study(STORED / f"{name}.json")
    assert [row.name for row in file.rows] == list(published_ablation(name.partition("-")[0]))
    for row in file.rows:
        assert list(row.splits) == ["val", "testA", "testB"]
        assert all(len(summary.seeds) >= 3 for summary in row.splits.values())
    pairs = {frozenset((each["better"], each["worse"])) for each in file.orderings}
    assert pairs == {frozenset(pair) for pair in combinations((row.name for row in file.rows), 2)}


def test_the_baselines_are_rows_below_those_of_the_study(make_results: ModuleType, tmp_path: Path) -> None:
    content = study()
    kinds = {"color": Metrics(100, 0.125, 0.95, 0, None, None, None, None, None, None)}
    errors = [ErrorShares(0.05, 0.5, 0.45 - rec) for rec in (0.25, 0.375)]
    floors = [
        Metrics(1_000, 0.95 - 0.5 - each.same_category, 0.95, 0, None, None, None, None, None, each, by_kind=kinds)
        for each in errors
    ]
    stored = Floors(*floors, coloured=True).to_json()
    for row in content["rows"]:
        for each in row["results"]:
            each["floors"] = stored
    lines = make_results.page(folder_with(tmp_path, make_results.cut_study(content))).splitlines()
    for split in ("val", "testA"):
        for label, name, rec, rest in (
            ("most confident of the right category", "most confident", "25.0", "20.0"),
            ("no training", "training-free", "37.5", "7.5"),
        ):
            assert f"| {label} | `{name}` | {split} | {rec} | 95.0 | - | - | 5.0 | 50.0 | {rest} | - |" in lines
    assert "| no training | 37.5 | 50.0 |" in lines
    assert [line for line in lines if line.startswith("| no training | 12.5")] == ["| no training | 12.5 |"]
