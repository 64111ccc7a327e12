"""Answers files: a value that cannot be, in any column, is an error that names the row."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from helpers.fabricate_answers import answers, paint, row
from pyarrow import parquet

from aligncat.errors import DataError
from aligncat.evaluation.answers import SCHEMA, Answers

NAN, INF = float("nan"), float("inf")


def without_hash(path: Path, rows: list[dict[str, Any]], **header: Any) -> Path:
    """Write answers as another program would: any rows, and no hash."""
    made = answers([row(0, Path("0.png"))])
    values = {"result": made.result.to_json(), "labels": list(made.labels), "provenance": {}, **header}
    values["result"]["scores"]["expressions"] = len(rows)
    values["result"]["scores"]["with_mask"] = 0
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    parquet.write_table(table.replace_schema_metadata({b"aligncat": json.dumps(values).encode()}), path)
    return path


def rows(tmp_path: Path, **changes: Any) -> list[dict[str, Any]]:
    return [row(0, tmp_path / "0.png"), row(1, tmp_path / "1.png", **changes)]


def test_answers_without_a_hash_are_read(tmp_path: Path) -> None:
    given = rows(tmp_path, cause="wrong_object")
    found = Answers.load(without_hash(tmp_path / "a.parquet", given))
    assert found.table.equals(pa.Table.from_pylist(given, schema=SCHEMA))


def test_an_image_without_candidates_is_read(tmp_path: Path) -> None:
    lists = ("boxes", "categories", "confidences", "kept", "probabilities", "ious", "class_scores", "global_scores")
    empty = {name: [] for name in (*lists, "coarse_scores")}
    given = rows(tmp_path, cause="no_query", choice=-1, chosen_mask=None, score=0.0, **empty)
    given[1]["choice"] = -1
    assert len(Answers.load(without_hash(tmp_path / "a.parquet", given))) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kept": [True, True]}, "'kept' has another length"),
        ({"kept": [True, None, True]}, "'kept' has an empty value"),
        ({"boxes": [0.0, 0, 1, 1]}, "'boxes' must have four numbers"),
        ({"boxes": [NAN, *range(11)]}, "'boxes' must be a finite number"),
        ({"truth_box": [0, 0, 1]}, "'truth_box' must have four numbers"),
        ({"truth_box": [0, 0, INF, 1]}, "'truth_box' must be a finite number"),
        ({"confidences": [0.9, 0.8, 1.5]}, "'confidences' must be a number from 0 to 1"),
        ({"probabilities": [0.9, NAN, 0.1]}, "'probabilities' must be a number from 0 to 1"),
        ({"ious": [1, 0, -1]}, "'ious' must be a number from 0 to 1"),
        ({"global_scores": [1, 2]}, "'global_scores' has another length"),
        ({"global_scores": [1, 2, NAN]}, "'global_scores' must be a number"),
        ({"categories": [0, 1, 3]}, "'categories' must be the number of a label"),
        ({"categories": [0, 1, -1]}, "'categories' must be the number of a label"),
        ({"choice": 3}, "'choice' is not the number of a candidate"),
        ({"choice": -1}, "'choice' is not the number of a candidate"),
        ({"score": 1.5}, "'score' must be a number from 0 to 1"),
        ({"right": False}, "'right' and 'cause' contradict"),
        ({"cause": "bad luck", "right": False, "choice": 1}, "'cause' must be a cause of errors"),
        ({"word_weights": [0.5]}, "'word_weights' has another length"),
        ({"text": None}, "'text' is missing"),
        ({"width": 0}, "'width' or 'height'"),
        ({"width": 2**31 - 1, "height": 2**31 - 1}, "'width' or 'height'"),
        ({"width": 63}, "'truth_mask' is not a mask of its photo's size"),
        ({"truth_mask": b"PP\xff"}, "'truth_mask' is not a mask"),
        ({"chosen_mask": b"o"}, "'chosen_mask' is not a mask"),
        ({"chosen_mask": None}, "'chosen_mask' and 'choice' contradict"),
        ({"size": -0.5}, "'size' must be zero or more"),
        ({"same_category": -2}, "'same_category' must be zero or more"),
    ],
)
def test_a_value_that_cannot_be_is_an_error_with_its_row(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    given = rows(tmp_path)
    given[1] |= change
    with pytest.raises(DataError, match=rf"a\.parquet: row 1: {said}"):
        Answers.load(without_hash(tmp_path / "a.parquet", given))


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"labels": "person"}, "'labels' must be a list"),
        ({"labels": [1, 2]}, "'labels' must be a list of strings"),
        ({"provenance": []}, "provenance: must be a mapping"),
    ],
)
def test_a_damaged_header_is_an_error(tmp_path: Path, header: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=rf"a\.parquet does not hold answers.*{said}"):
        Answers.load(without_hash(tmp_path / "a.parquet", rows(tmp_path), **header))


def test_metrics_of_another_number_of_expressions_are_refused(tmp_path: Path) -> None:
    made = answers(rows(tmp_path))
    Answers(made.result, made.labels, {}, made.table.slice(0, 1)).save(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="has 1 answers, but its metrics are of 2"):
        Answers.load(tmp_path / "a.parquet")


def test_every_flipped_bit_is_an_error_or_changes_nothing(tmp_path: Path) -> None:
    """One bit of every 29th byte."""
    path = tmp_path / "a.parquet"
    made = answers([row(0, paint(tmp_path)[0])])
    made.save(path)
    content = path.read_bytes()
    accepted = 0
    for place in range(0, len(content), 29):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1 << place // 29 % 8]) + content[place + 1 :])
        try:
            found = Answers.load(path)
        except DataError:
            continue
        accepted += 1
        assert found.table.equals(made.table) and found.result == made.result
    assert accepted <= 3  # in the key of the hash


def test_saving_again_gives_equal_bytes(tmp_path: Path) -> None:
    made = answers(rows(tmp_path))
    for name in ("a", "b"):
        made.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert parquet.read_table(io.BytesIO((tmp_path / "a").read_bytes())).num_rows == 2
