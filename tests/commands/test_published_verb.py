"""The published verb, and tables that compare our results with published ones."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console
from rich.table import Table

from aligncat.cli import main
from aligncat.commands.published import published
from aligncat.errors import DataError
from aligncat.evaluation.metrics import Metrics
from aligncat.evaluation.results import Result
from aligncat.report.published_tables import published_beside


def metrics(rec: float, res_miou: float | None, expressions: int = 10_834) -> Metrics:
    return Metrics(expressions, rec, 1.0, expressions, res_miou, None, None, None, None, None)


MINE = Result("refcoco", "val", "unc", "mine", "swin-tiny", "leaked", 0, {}, metrics(0.5, 0.4), 1500, 1500)


def shown(table: Table) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined]


def line_of(text: str, *starts: str) -> list[str]:
    """Return the numbers of the one line that begins with these words."""
    [line] = [line for line in text.splitlines() if line.split()[: len(starts)] == list(starts)]
    return re.findall(r"(?<!\S)(?:-|\d+\.\d\d(?:±\d+\.\d\d)?)(?!\S)", line)


class TestVerb:
    def test_all_tables_are_printed_in_full_to_a_pipe(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["published"]) == 0
        output = capsys.readouterr().out
        assert [f"Published, not measured here: Table {number} of" in output for number in range(1, 6)] == [True] * 5
        assert line_of(output, "TSEG") == ["30.12", "-", "-", "25.95", "-", "-", "22.62"]
        assert line_of(output, "Cycle-Free") == ["39.58", "41.46", "37.96", "39.19", "39.63", "37.53", "-"]
        assert line_of(output, "confidence-based", "selection") == ["67.24", "71.50", "62.06"]
        assert "…" not in output

    def test_only_the_selection_is_printed(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["published", "--dataset", "refcocog", "--task", "rec"]) == 0
        output = capsys.readouterr().out
        assert line_of(output, "QueryMatch") == ["48.47"]
        assert "Cycle-Free" not in output, "it has no value in that column"
        assert "google" in output and "Table 1" not in output and "unc" not in output

    def test_one_table(self) -> None:
        [found] = published(table=4, split="testB")
        assert [row.values for row in found.rows] == [(66.21,), (66.23,), (66.40,), (63.53,), (66.59,)]

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (
                ["--dataset", "mojiref"],
                "no published value for dataset mojiref; Table 1 has res on refcoco (val testA testB)",
            ),
            (["--table", "3", "--task", "res"], "no published value for table 3, task res"),
            (["--split", "test"], "no published value for split test"),
            (["--dataset", "refcco"], "for dataset refcco; did you mean refcoco or refcocog? Table 1 has"),
            (["--split", "testa"], "for split testa; did you mean testA or testB? Table 1 has"),
        ],
    )
    def test_an_empty_selection_is_an_error_that_lists_the_published_results(
        self, words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["published", *words]) == 1
        [line] = capsys.readouterr().err.splitlines()
        assert expected in line

    def test_an_unknown_table_is_a_wrong_command_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as left:
            main(["published", "--table", "6"])
        assert left.value.code == 2 and "table" in capsys.readouterr().err


class TestBeside:
    def test_our_results_are_separate_and_state_how_they_were_measured(self) -> None:
        table = published_beside([MINE])
        assert table is not None
        text = shown(table)
        assert "Published results, not measured here" in text and "ours below them" in text
        assert line_of(text, "published", "QueryMatch") == ["66.02", "59.10"]
        assert "VC" not in text, "it has no result on val"
        assert line_of(text, "published", "AMR") == ["-", "14.12"]
        assert line_of(text, "published", "AlignCAT") == ["69.03", "61.83"]
        assert line_of(text, "measured", "here", "mine") == ["50.00", "40.00"]
        assert (
            "10,834 sentences; detector swin-tiny HAS SEEN 1,500 of 1,500 images; features query; seeds 0"
            in " ".join(text.split())
        )
        [ours] = [number for number, line in enumerate(text.splitlines()) if "measured here  " in line]
        assert all("published" not in line for line in text.splitlines()[ours:])

    def test_splits_are_columns_and_seeds_give_a_spread(self) -> None:
        others = [
            replace(MINE, seed=1, metrics=metrics(0.6, 0.4)),
            replace(MINE, split="testA", metrics=metrics(0.7, 0.3, 5_657)),
        ]
        table = published_beside([MINE, *others])
        assert table is not None
        text = shown(table)
        # 50 and 60: mean 55, sample deviation the square root of 50
        assert line_of(text, "measured", "here", "mine") == ["55.00±7.07", "70.00", "40.00±0.00", "30.00"]
        assert line_of(text, "published", "RefCLIP") == ["60.36", "58.58", "-", "-"]
        assert "5,657 sentences" in text and "seeds 0, 1" in text

    def test_without_masks_there_are_no_res_columns(self) -> None:
        table = published_beside([replace(MINE, metrics=metrics(0.5, None))])
        assert table is not None
        text = shown(table)
        assert "mIoU" not in text and "AMR" not in text
        assert line_of(text, "published", "APL") == ["64.51"]

    @pytest.mark.parametrize(
        "change",
        [
            {"dataset": "mojiref"},
            {"dataset": "refcocog", "split_by": "umd"},
            {"dataset": "refcocog", "split_by": None},
            {"dataset": "refcocog", "split_by": "umd", "split": "test"},
            {"split": "train"},
        ],
    )
    def test_a_split_that_the_paper_does_not_have_gets_no_table(self, change: dict[str, str]) -> None:
        assert published_beside([replace(MINE, **change)]) is None

    def test_a_result_without_division_belongs_to_the_only_division(self) -> None:
        table = published_beside([replace(MINE, split_by=None)])
        assert table is not None and line_of(shown(table), "measured", "here", "mine") == ["50.00", "40.00"]

    def test_google_is_compared_with_google(self) -> None:
        table = published_beside([replace(MINE, dataset="refcocog", split_by="google")])
        assert table is not None and line_of(shown(table), "published", "QueryMatch") == ["48.47", "43.06"]

    def test_a_name_with_brackets_is_printed_unchanged(self) -> None:
        table = published_beside([replace(MINE, config="[red]mine[/red]")])
        assert table is not None and "[red]mine[/red]" in shown(table)

    def test_results_with_the_same_seed_twice_are_rejected(self) -> None:
        with pytest.raises(DataError, match="seeds"):
            published_beside([MINE, MINE])
