"""Answers of more expressions than are made at once: every row is that of its expression."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
from helpers.hand_store import DETECTOR, KEPT, candidates, manifest

from aligncat.datasets.split import Split
from aligncat.evaluation.answers import _BLOCK, answers_table
from aligncat.evaluation.overlaps import Overlaps
from aligncat.evaluation.questions import Questions
from aligncat.geometry import box_iou
from aligncat.store.ids import ids_sha256
from aligncat.store.reader import Store
from aligncat.store.writer import StoreWriter
from aligncat.types import Choices, Expression, ImageRecord, Truth

IMAGES = [candidates(number, 1 + number % KEPT) for number in range(7)]


def test_rows_of_all_blocks_are_those_of_their_expressions(tmp_path: Path) -> None:
    ids = [each.image_id for each in IMAGES]
    made = manifest(images=len(ids), image_ids_sha256=ids_sha256(ids), shard_size=4)
    writer = StoreWriter.open(tmp_path / "store", made)
    writer.write(0, IMAGES[:4])
    writer.write(1, IMAGES[4:])
    writer.finish()
    count = 2 * _BLOCK + 3
    pictures = [IMAGES[(5 * row) % 7] for row in range(count)]
    expressions = tuple(
        Expression(f"e{row}", f"r{row}", each.image_id, f"cup {row}") for row, each in enumerate(pictures)
    )
    # The referent has the box of the first candidate.
    truth = {f"r{row}": Truth.of_one(each.boxes[0].astype(float)) for row, each in enumerate(pictures)}
    split = Split("toy", "val", None, {each: ImageRecord(each, Path(each)) for each in ids}, expressions)
    store = Store.open(tmp_path / "store")
    chosen = np.array([row % len(each) for row, each in enumerate(pictures)])
    choices = Choices(
        choice=chosen,
        kept=np.ones((count, KEPT), bool),
        probabilities=np.random.default_rng(0).random((count, KEPT), np.float32),
        scores={},
        predicted=None,
        category_matched=np.ones(count, bool),
        word_weights=((),) * count,
    )
    table = answers_table(Questions(split, truth, store, Overlaps.of(store, split, truth)), choices)
    assert table["boxes"].num_chunks == 1 and len(table) == count
    for row in (0, 1, _BLOCK - 1, _BLOCK, 2 * _BLOCK, count - 1):
        [found], each = table.slice(row, 1).to_pylist(), pictures[row]
        assert (found["expression_id"], found["image_id"], found["choice"]) == (f"e{row}", each.image_id, chosen[row])
        np.testing.assert_array_equal(np.array(found["boxes"], np.float32), each.boxes.ravel())
        assert found["categories"] == each.categories.tolist()
        np.testing.assert_array_equal(np.float32(found["probabilities"]), choices.probabilities[row, : len(each)])
        assert found["chosen_mask"] == each.masks[chosen[row]]["counts"]


def test_overlaps_take_little_more_memory_than_they_keep(tmp_path: Path) -> None:
    slots = 20
    images = [candidates(number, slots) for number in range(10)]
    ids = [each.image_id for each in images]
    detector = replace(DETECTOR, candidates=slots)
    made = manifest(images=10, image_ids_sha256=ids_sha256(ids), shard_size=10, candidates=slots, detector=detector)
    writer = StoreWriter.open(tmp_path / "store", made)
    writer.write(0, images)
    writer.finish()
    store, records = Store.open(tmp_path / "store"), {each: ImageRecord(each, Path(each)) for each in ids}
    peaks, kept = {}, {}
    for count in (1_000, 1_000, 3_000):  # the first one warms up
        pairs = [(f"r{row}", images[row * 10 // count]) for row in range(count)]
        expressions = tuple(Expression(f"e{name}", name, each.image_id, "cup", kind="any") for name, each in pairs)
        truth = {name: Truth.of_one(each.boxes[0].astype(float)) for name, each in pairs}
        split = Split("toy", "val", None, records, expressions)
        tracemalloc.start()
        try:
            overlaps = Overlaps.of(store, split, truth)
            kept[count], peaks[count] = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        for row in (0, count // 2, count - 1):
            name, each = pairs[row]
            [expected] = box_iou(truth[name].boxes, each.boxes)
            np.testing.assert_array_equal(overlaps.box_iou[row], [*expected, 0])
        assert not overlaps.valid[:, slots].any() and overlaps.valid[:, :slots].all()
    # A referent keeps 21 cells of 36 bytes. Beside it come the cells of one image, which has a tenth of them, and the
    # numbers and names of the rows.
    cells = (slots + 1) * 36
    assert (kept[3_000] - kept[1_000]) / 2_000 < 1.2 * cells
    assert (peaks[3_000] - peaks[1_000]) / 2_000 < 1.8 * cells
