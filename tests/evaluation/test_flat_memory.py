"""Evaluation, answers and report of more expressions than are held at once: the same figures, in flat memory."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from helpers.benchmark_scripts import script
from helpers.hand_store import DETECTOR, candidates, manifest

from aligncat.datasets.config import DataConfig
from aligncat.errors import TemporaryFileError
from aligncat.evaluation import answering, answers, questions
from aligncat.evaluation.answering import answer, save_answers
from aligncat.evaluation.answers import Answers
from aligncat.evaluation.error_tables import error_tables
from aligncat.evaluation.overlaps import Overlaps
from aligncat.evaluation.questions import Questions
from aligncat.evaluation.staircase import staircase
from aligncat.evaluation.truth_table import TruthTable
from aligncat.files.table_file import TableFile, blocks_of, keep_rows
from aligncat.grounder.trained_grounder import PHRASES_AT_ONCE
from aligncat.grounder.training_free import TrainingFreeGrounder
from aligncat.report.folder import write_folder
from aligncat.store.ids import ids_sha256
from aligncat.store.reader import Store
from aligncat.store.writer import StoreWriter
from aligncat.types import RLE, Truth

SLOTS, IMAGES = 20, 12
PHRASES = ("left cup", "cat", "second dog from the right", "big cup near the cat", "dog")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return a store of images with 0 to 20 candidates."""
    folder = tmp_path_factory.mktemp("flat") / "store"
    made = [
        replace(candidates(number, SLOTS - number if number else 0), image_id=f"{number}.jpg")
        for number in range(IMAGES)
    ]
    ids = [each.image_id for each in made]
    writer = StoreWriter.open(
        folder,
        manifest(
            images=IMAGES,
            image_ids_sha256=ids_sha256(ids),
            shard_size=5,
            candidates=SLOTS,
            detector=replace(DETECTOR, candidates=SLOTS),
        ),
    )
    for shard in range(3):
        writer.write(shard, made[5 * shard : 5 * shard + 5])
    writer.finish()
    return Store.open(folder)


def write_lines(folder: Path, count: int, store: Store, *, sets: bool = False) -> DataConfig:
    folder.mkdir(parents=True)
    with (folder / "val.jsonl").open("w") as file:
        for number in range(count):
            found = store.candidates(f"{(7 * number) % IMAGES}.jpg")
            sides = [found.width, found.height]
            ends = found.boxes[number % len(found)].reshape(2, 2) if len(found) else np.zeros((2, 2))
            low = np.minimum(ends.min(axis=0), np.subtract(sides, 2))
            box = [*low.tolist(), *np.clip(ends.max(axis=0), low + 2, sides).tolist()]
            row = {"image": found.image_id, "expression": PHRASES[number % 5], "category": "cup"}
            row |= {"width": found.width, "height": found.height}
            truth = {"no_target": True} if sets and number % 5 == 4 else {"box": box}
            file.write(json.dumps({**row, **truth}) + "\n")
    return DataConfig(folder, "jsonl")


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def use(size: int) -> None:
        for module in (questions, answering, answers):
            monkeypatch.setattr(module, "BLOCK", size)

    return use


def test_blocks_are_whole_forward_passes() -> None:
    assert questions.BLOCK % PHRASES_AT_ONCE == 0


@pytest.mark.parametrize("sets", [False, True])
def test_blocks_give_what_all_expressions_together_give(
    store: Store, tmp_path: Path, small_blocks: Callable[[int], None], sets: bool
) -> None:
    data = write_lines(tmp_path / "data", 137, store, sets=sets)
    grounder = TrainingFreeGrounder.of_store(store)
    whole = Questions.load(data, store, "val")
    expected = answer(grounder, "ours", whole)
    assert isinstance(whole.measured, Overlaps) and isinstance(expected.rows, pa.Table)
    assert (expected.result.metrics.sets is not None) == sets
    written = save_answers(expected, tmp_path / "whole", "ours")
    small_blocks(25)
    parts = Questions.load(data, store, "val")
    assert [len(block.overlaps) for block in parts.blocks()] == [25] * 5 + [12]
    for name in ("box_iou", "unions", "same_category", "valid", "targets", "expressions"):
        np.testing.assert_array_equal(getattr(parts.overlaps, name), getattr(whole.overlaps, name), err_msg=name)
    found = answer(grounder, "ours", parts)
    assert isinstance(found.rows, TableFile)
    assert found.result.to_json() == expected.result.to_json()
    assert found.table.equals(expected.table)
    assert error_tables(found) == error_tables(expected)
    assert staircase(found.rows) == staircase(expected.rows)
    assert pickle.loads(pickle.dumps(found)).table.equals(expected.table)
    path = save_answers(found, tmp_path / "parts", "ours")
    assert path.with_suffix(".errors.json").read_bytes() == written.with_suffix(".errors.json").read_bytes()
    read = Answers.load(path)
    assert isinstance(read.rows, TableFile)
    assert read.table.equals(Answers.load(written).table) and read.result == expected.result
    for run, name in ((expected, "whole"), (read, "parts")):
        write_folder({path: run}, tmp_path / f"report-{name}", figures=False)
    pages = [
        {each.name: each.read_bytes() for each in (tmp_path / f"report-{name}" / "data").iterdir()}
        for name in ("whole", "parts")
    ]
    assert pages[0] == pages[1] and len(pages[0]) == 4


def test_truth_in_arrays_is_the_truth() -> None:
    mask = RLE(size=[4, 5], counts=b"05110")
    truth = {
        "box": Truth.of_one(np.array([1.5, 2, 3, 4]), None, "cup", (5, 4)),
        "mask": Truth(np.array([[0, 0, 1, 1], [1, 1, 2, 2.25]]), (mask, RLE(size=[4, 5], counts=b"9")), None, None),
        "nothing": Truth(np.zeros((0, 4)), (), "cat", (5, 4)),
        "unknown": Truth(np.zeros((0, 4)), None),
    }
    table = TruthTable(truth)
    assert [*table] == [*truth] and len(table) == 4 and "other" not in table and 7 not in table
    for name, expected in truth.items():
        found = table[name]
        np.testing.assert_array_equal(found.boxes, expected.boxes)
        assert (found.boxes.shape, found.boxes.dtype) == (expected.boxes.shape, np.float64)
        assert (found.masks, found.category, found.size) == (expected.masks, expected.category, expected.size)
    with pytest.raises(KeyError):
        _ = table["other"]
    assert not TruthTable({})


def test_rows_of_a_file_are_those_of_the_table(tmp_path: Path) -> None:
    table = pa.table({"number": range(40), "words": [["a"] * (row % 3) for row in range(40)]})
    kept = keep_rows(table.schema, blocks_of(table, 7), tmp_path, 10)
    assert isinstance(kept, TableFile) and not [*tmp_path.iterdir()] and kept.num_rows == 40
    assert kept.select(["words", "number"]).equals(table.select(["words", "number"]))
    for offset, length in ((0, 3), (5, 20), (38, 9), (40, 1), (0, 40)):
        assert kept.slice(offset, length).equals(table.slice(offset, length))
    few = keep_rows(table.schema, blocks_of(table, 7), tmp_path, 40)
    assert isinstance(few, pa.Table) and few.equals(table)
    assert keep_rows(table.schema, [], tmp_path, 40).num_rows == 0


def test_a_column_of_a_file_does_not_keep_the_others_in_memory(tmp_path: Path) -> None:
    table = pa.table({"number": range(1000), "wide": ["x" * 1000] * 1000})
    kept = TableFile(table.schema, blocks_of(table, 100), tmp_path)
    before = pa.total_allocated_bytes()
    numbers = kept.select(["number"])
    assert numbers.equals(table.select(["number"]))
    assert pa.total_allocated_bytes() - before < 20_000  # 1,000 numbers are 8,000 bytes


def test_a_folder_that_cannot_hold_the_file_is_named(tmp_path: Path) -> None:
    table = pa.table({"number": [1, 2]})
    with pytest.raises(TemporaryFileError, match=r"missing: cannot write a temporary file .* set TMPDIR to a folder"):
        keep_rows(table.schema, [table], tmp_path / "missing", 1)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import pyarrow as pa
from aligncat.errors import TemporaryFileError
from aligncat.files.table_file import TableFile

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
table = pa.table({"number": range(8000)})
for limit in (0, 100, 64_000, *range(64_100, 67_000, 50)):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        rows = TableFile(table.schema, [table], Path(sys.argv[1]))
    except TemporaryFileError as error:
        assert "cannot write a temporary file" in str(error) and "TMPDIR" in str(error), error
        print("error")
        continue
    assert rows.select(["number"]).equals(table)
    print("made")
"""


def test_a_disk_that_fills_at_any_byte_is_known_when_the_file_is_made(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert said == sorted(said) and {*said} == {"error", "made"}


def test_an_expression_keeps_a_few_numbers(store: Store, tmp_path: Path, small_blocks: Callable[[int], None]) -> None:
    small_blocks(64)
    grounder = TrainingFreeGrounder.of_store(store)
    held = {}
    for count in (20, 300, 900):  # the first one warms up, and both others fill blocks
        data = write_lines(tmp_path / f"{len(held)}-{count}", count, store)
        asked = Questions.load(data, store, "val")
        _ = asked.floors
        before = pa.total_allocated_bytes()
        tracemalloc.start()
        try:
            made = answer(grounder, "ours", asked)
            path = save_answers(made, tmp_path / "out", f"{len(held)}-{count}")
            loaded = Answers.load(path)
            write_folder({path: loaded}, tmp_path / f"report-{len(held)}-{count}", figures=False)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        held[count] = peak + pa.total_allocated_bytes() - before
    # Before, an expression kept about 1,300 bytes in the table and 700 in its overlaps and scores.
    assert (held[900] - held[300]) / 600 < 500


@pytest.mark.slow
def test_evaluating_100_000_expressions_takes_hardly_more_than_20_000(tmp_path: Path) -> None:
    """Up to its answers, and up to its report, of as many pictures that are not shown."""
    peaks = []
    for count in (20_000, 100_000):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            stages = pool.submit(script("large_data").answers_mb, tmp_path / str(count), count, 64).result()
        peaks.append(stages)
    few, many = peaks
    for stage in ("saved", "reported"):
        assert many[stage] < max(1.1 * few[stage], few[stage] + 30), stage
