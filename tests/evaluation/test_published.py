"""Published tables as data: values checked against a copy by hand, and malformed files."""

from __future__ import annotations

import io
import re
import statistics
from pathlib import Path
from typing import get_args

import pytest
from rich.console import Console

from aligncat.alignment.config import PRESETS, TABLES
from aligncat.errors import DataError
from aligncat.evaluation import published
from aligncat.evaluation.metrics import Metrics
from aligncat.evaluation.paper_tables import PublishedTable, read_published
from aligncat.evaluation.published import published_ablation, published_tables, published_values, select_published
from aligncat.evaluation.results import Result
from aligncat.report import tables as report_tables
from aligncat.report.published_tables import published_beside

SPLITS = ("val", "testA", "testB")
GOOD = """
source = "Somebody, 2026"
[[table]]
number = 1
title = "A comparison"
task = "rec"
metric = "accuracy"
columns = [{ dataset = "refcoco", split_by = "unc", split = "val" }]
rows = [{ name = "A", values = [12.5] }]
"""


def table(number: int) -> PublishedTable:
    [found] = [each for each in published_tables() if each.number == number]
    return found


@pytest.mark.parametrize(("number", "task", "columns", "rows", "without"), [(1, "res", 7, 12, 4), (2, "rec", 7, 12, 3)])
def test_a_comparison_has_all_its_systems_and_values(
    number: int, task: str, columns: int, rows: int, without: int
) -> None:
    found = table(number)
    assert (found.task, len(found.columns), len(found.rows)) == (task, columns, rows)
    values = [value for row in found.rows for value in row.values]
    assert values.count(None) == without
    assert [(column.dataset, column.split) for column in found.columns] == [
        *(("refcoco", split) for split in SPLITS),
        *(("refcoco+", split) for split in SPLITS),
        ("refcocog", "val"),
    ]
    assert found.columns[-1].split_by == "google", "val-g is Google's division"


# Venue and last value (val-g) of each row, copied by hand.
VAL_G = {
    1: "AMR AAAI'22 15.83, GroupViT CVPR'22 19.97, CLIP-ES CVPR'23 14.16, GbS ICCV'21 14.21, WWbL NeurIPS'22 21.84, "
    "TSEG arXiv'20 22.62, ALBEF NeurIPS'21 24.18, I-Chunk ICCV'23 32.88, TRIS ICCV'23 36.00, APL ECCV'24 40.13, "
    "QueryMatch MM'24 43.06, AlignCAT None 49.06",
    2: "VC TPAMI'19 29.65, ARN ICCV'19 33.09, KPRN MM'19 38.37, IGN NeurIPS'20 34.92, DTWREG TPAMI'21 42.54, "
    "Cycle-Free TMM'21 None, EARN TPAMI'23 45.33, TGKD ICRA'23 47.99, RefCLIP CVPR'23 47.87, APL ECCV'24 50.22, "
    "QueryMatch MM'24 48.47, AlignCAT None 54.72",
}


@pytest.mark.parametrize("number", VAL_G)
def test_systems_venues_and_last_values_match_the_paper(number: int) -> None:
    assert [(row.name, str(row.venue), row.values[-1]) for row in table(number).rows] == [
        (name, venue, None if value == "None" else float(value))
        for name, venue, value in (line.split() for line in VAL_G[number].split(", "))
    ]


@pytest.mark.parametrize(
    ("number", "system", "values"),
    [
        (1, "AMR", [14.12, 11.69, 17.47, 14.13, 11.47, 18.13, 15.83]),
        (1, "TSEG", [30.12, None, None, 25.95, None, None, 22.62]),
        (1, "APL", [55.92, 54.84, 55.64, 34.92, 34.87, 35.61, 40.13]),
        (1, "QueryMatch", [59.10, 59.08, 58.82, 39.87, 41.44, 37.22, 43.06]),
        (1, "AlignCAT", [61.83, 62.75, 60.02, 42.05, 46.39, 37.53, 49.06]),
        (2, "VC", [None, 32.68, 27.22, None, 34.68, 28.10, 29.65]),
        (2, "RefCLIP", [60.36, 58.58, 57.13, 40.39, 40.45, 38.86, 47.87]),
        (2, "QueryMatch", [66.02, 66.00, 65.48, 44.76, 46.72, 41.50, 48.47]),
        (2, "AlignCAT", [69.03, 70.27, 66.59, 47.16, 52.22, 41.91, 54.72]),
    ],
)
def test_rows_of_a_comparison_match_the_paper(number: int, system: str, values: list[float | None]) -> None:
    [row] = [row for row in table(number).rows if row.name == system]
    assert list(row.values) == values


@pytest.mark.parametrize(
    ("number", "margin"),
    [(1, 2.53), (2, 2.80)],
)
def test_mean_margins_over_querymatch_match_the_papers_text(number: int, margin: float) -> None:
    rows = {row.name: row.values[:3] for row in table(number).rows}
    means = {name: statistics.fmean(v for v in values if v is not None) for name, values in rows.items()}
    assert means["AlignCAT"] - means["QueryMatch"] == pytest.approx(margin, abs=0.005)


# The differences to the first row that the paper prints with arrows.
ARROWS = {
    "table3": [[1.66, 3.69, -0.81], [1.32, 1.99, 0.74], [1.47, 2.72, 1.01], [3.14, 4.33, 1.12]],
    "table4": [[1.53, 1.91, 0.02], [0.40, 0.25, 0.19], [-2.57, -3.03, -2.68], [1.82, 2.34, 0.38]],
}


@pytest.mark.parametrize("name", ["table3", "table4"])
def test_differences_to_the_first_row_match_the_papers_arrows(name: str) -> None:
    first, *others = published_ablation(name).values()
    found = [[round(row[split] - first[split], 2) for split in SPLITS] for row in others]
    assert found == ARROWS[name]


@pytest.mark.parametrize(
    ("name", "preset", "values"),
    [
        ("table3", "querymatch", (65.89, 65.94, 65.47)),
        ("table3", "fine+global+class", (67.36, 68.66, 66.48)),
        ("table4", "classifier-in-both", (64.64, 64.90, 63.53)),
        ("table4", "label-in-training", (68.74, 69.84, 66.23)),
        ("table5", "category-at-confidence", (67.24, 71.50, 62.06)),
        ("table5", "classifier-at-inference", (67.61, 68.18, 66.40)),
    ],
)
def test_rows_of_an_ablation_match_the_paper(name: str, preset: str, values: tuple[float, ...]) -> None:
    assert published_ablation(name)[preset] == dict(zip(SPLITS, values, strict=True))


# What follows AlignCAT's tables: RefCOCO val, testA, testB, RefCOCO+ val, testA, testB and RefCOCOg val-g, from the
# systems' repositories and CPL's paper, copied by hand.
LATER = {
    ("CPL", "rec"): (70.67, 74.58, 67.19, 51.81, 58.34, 46.17, 57.04),
    ("WeakMCN, SAM ViT-T", "rec"): (68.63, 70.18, 62.36, 51.14, 56.92, 42.22, 53.82),
    ("WeakMCN, SAM ViT-B", "rec"): (69.22, 70.76, 63.43, 51.93, 57.40, 43.28, 55.00),
    ("WeakMCN, SAM ViT-T", "res"): (58.41, 60.06, 56.08, 42.51, 48.91, 35.10, 45.73),
    ("WeakMCN, SAM ViT-B", "res"): (59.49, 61.01, 56.40, 44.36, 50.40, 37.12, 46.81),
    ("DViN", "rec"): (67.67, 70.90, 59.39, 52.54, 57.52, 45.31, 55.04),
    ("DViN", "res"): (61.43, 63.81, 56.97, 46.79, 51.87, 39.85, 46.49),
}


def test_later_systems_have_their_values_and_name_their_proposals() -> None:
    later = [each for each in published_tables() if "AlignCAT" not in each.source]
    assert {(row.name, each.task): row.values for each in later for row in each.rows} == LATER
    assert all(each.columns == table(2).columns and each.number is None for each in later)
    assert {row.proposals for each in later for row in each.rows} == {"VinVL regions", "YOLOv3 anchors"}
    assert {row.name: row.proposals for row in table(2).rows if row.preset} == dict.fromkeys(
        ("QueryMatch", "AlignCAT"), "Mask2Former queries"
    )


@pytest.mark.parametrize("number", [3, 4, 5])
def test_an_ablation_has_the_presets_of_its_table_in_order(number: int) -> None:
    found = published_ablation(f"table{number}")
    assert tuple(found) == TABLES[f"Table {number}"]
    assert all(tuple(row) == SPLITS for row in found.values())


def test_a_setting_shared_by_two_ablations_has_the_same_values_in_both() -> None:
    ablations = [published_ablation(name) for name in ("table3", "table4", "table5")]
    shared = {preset for one in ablations for other in ablations if one is not other for preset in one.keys() & other}
    assert shared == {"aligncat", "global+fine", "classifier-at-inference"}
    for preset in shared:
        rows = [ablation[preset] for ablation in ablations if preset in ablation]
        assert len(rows) > 1 and all(row == rows[0] for row in rows)


def test_every_named_preset_exists() -> None:
    assert {row.preset for each in published_tables() for row in each.rows} - {None} == set(PRESETS)


def test_values_of_a_split_name_their_system_and_table() -> None:
    found = published_values("refcoco", "testA", task="rec")
    assert (found[0].table.number, found[0].row.name, found[0].value) == (2, "VC", 32.68)
    assert len(found) == 16 and all(each.column.split == "testA" for each in found)
    assert len(published_values("refcoco", "val", "unc")) == 30, (
        "11 of REC (VC has none), 12 of RES, 7 of later systems"
    )


@pytest.mark.parametrize(
    "asked", [("refcocog", "val", "umd"), ("refcocog", "test", None), ("mojiref", "val", "unc"), ("refcoco", "train")]
)
def test_a_split_missing_from_the_paper_has_no_values(asked: tuple[str, ...]) -> None:
    assert published_values(*asked) == ()


def test_a_good_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(GOOD)
    [found] = read_published(tmp_path / "mine.toml")
    assert found.rows[0].values == (12.5,) and found.note is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[[table]]", "[[table]", "TOML"),
        ("[[table]]", "[table]", "'table' must be a list"),
        ('source = "Somebody, 2026"', "", "key 'source' is missing"),
        ("[[table]]", "x = 1\n[[table]]", "unknown key 'x'"),
        ('title = "A comparison"\n', "", "table 1: key 'title' is missing"),
        ('task = "rec"', 'task = "both"', "task is 'both'"),
        ("number = 1", 'number = "1"', "'number' must be a whole number"),
        ('split = "val" }', 'split = "val", side = "left" }', "table 1, column 1: unknown key 'side'"),
        ("number = 1", "proposals = 1", "unknown key 'proposals'"),
        ("[12.5]", "[12.5, 13]", "table 1, row 1: has 2 values for 1 columns"),
        ("[12.5]", '["12.5"]', "table 1, row 1: '12.5' is not a percentage"),
        ("[12.5]", "[125]", "125 is not a percentage"),
        ("[12.5]", "[nan]", "nan is not a finite number"),
        ("[12.5]", "[true]", "not a percentage"),
        ('name = "A"', 'name = ""', "'name' must be a string that is not empty"),
        ("rows = [{", "rows = [7, {", "table 1, row 1: must be a mapping"),
    ],
)
def test_a_malformed_file_is_named_with_the_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(DataError) as raised:
        read_published(path)
    assert str(raised.value).startswith(str(path)) and said in str(raised.value)


def test_a_table_number_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(GOOD + GOOD[GOOD.index("[[table]]") :])
    with pytest.raises(DataError, match="occurs twice"):
        read_published(tmp_path / "mine.toml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"mine\.toml"):
        read_published(tmp_path / "mine.toml")


def test_another_paper_is_one_file_and_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny.toml").write_text(GOOD)
    monkeypatch.setattr(published, "PAPERS", (*published.PAPERS, tmp_path / "tiny.toml"))
    sources = [found.source for found in published_tables()]
    assert (sources[0], sources[-1]) == ("Wang et al., AlignCAT, ACM MM 2025", "Somebody, 2026")
    *_, added = published_values("refcoco", "val", task="rec")
    assert (added.table.source, added.row.name, added.value) == ("Somebody, 2026", "A", 12.5)
    assert [found.source for found in select_published(table=1, task="rec")] == ["Somebody, 2026"]
    # Users see which paper each Table 1 is from.
    metrics = Metrics(10_834, 0.5, 1.0, 10_834, None, None, None, None, None, None)
    mine = Result("refcoco", "val", "unc", "mine", "swin-tiny", "leaked", 0, {}, metrics)
    beside = published_beside([mine])
    assert beside is not None
    said = io.StringIO()
    Console(file=said, width=200).print(beside)
    assert "(Wang et al., AlignCAT, ACM MM 2025; Liu et al., CPL, ICCV 2023; " in said.getvalue()
    assert "REC accuracy (Table 1 of Somebody, 2026)" in said.getvalue()
    lines = [re.split(r" {2,}", line.strip()) for line in said.getvalue().splitlines()]
    assert ["published", "A", "Somebody, 2026", "12.50"] in lines
    assert [
        "published",
        "QueryMatch",
        "MM'24, as in Wang et al., AlignCAT, ACM MM 2025",
        "Mask2Former queries",
        "66.02",
    ] in lines
    [line] = [line for line in report_tables.published([mine]) if line["system"] == "A"]
    assert (line["source"], line["rec"], line["res"]) == ("Somebody, 2026", 12.5, None)


def test_a_study_gets_the_rows_of_the_paper_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 'study = "tiny"\nrows = [{ name = "alpha 1", preset = "alpha=1", values = [12.5] }]'
    (tmp_path / "tiny.toml").write_text(GOOD.replace('rows = [{ name = "A", values = [12.5] }]', rows))
    monkeypatch.setattr(published, "PAPERS", (tmp_path / "tiny.toml",))
    assert published_ablation("tiny") == {"alpha=1": {"val": 12.5}}
    assert published_ablation("table3") == {} and published_values("refcoco", "val") == ()


def test_the_command_line_offers_all_table_numbers() -> None:
    assert get_args(published.TableNumber) == (1, 2, 3, 4, 5)
