"""Writing a store and reading it back, and the errors of stores that are damaged, unfinished or different."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from helpers.descriptions import detector_description

from aligncat.errors import StoreError
from aligncat.files.owner import Owner
from aligncat.geometry import encode_mask
from aligncat.store.manifest import FORMAT, Manifest
from aligncat.store.reader import Store
from aligncat.store.writer import SkippedImage, StoreWriter
from aligncat.types import Candidates

KEPT, DIM = 4, 6
DETECTOR = detector_description(
    name="hand", weights_sha256="ab" * 32, preprocessing={"size": 64, "mean": [0.5, 0.5]}, candidates=KEPT
)


def candidates(number: int, count: int) -> Candidates:
    """Return random candidates of image `number`, with `count` of them."""
    random = np.random.default_rng(number)
    width, height = 10 + number, 7 + number
    return Candidates(
        image_id=f"image {number}",
        width=width,
        height=height,
        features=random.normal(size=(count, DIM)).astype(np.float16),
        queries=random.integers(0, 100, count).astype(np.int32),
        categories=random.integers(0, 3, count).astype(np.int32),
        confidences=np.sort(random.random(count).astype(np.float32))[::-1].copy(),
        boxes=(random.random((count, 4)) * 10).astype(np.float32),
        masks=tuple(encode_mask(random.random((height, width)) > 0.5) for _ in range(count)),
    )


# Five images in shards of two. Some have fewer than KEPT candidates, and one has none.
IMAGES = [candidates(number, count) for number, count in enumerate([4, 2, 0, 4, 1])]


def manifest(**changes: object) -> Manifest:
    made = Manifest(
        format=FORMAT,
        detector=DETECTOR,
        labels=["cat", "dog", "cup"],
        feature_dim=DIM,
        candidates=KEPT,
        images=len(IMAGES),
        image_ids_sha256=hashlib.sha256("\n".join(each.image_id for each in IMAGES).encode()).hexdigest(),
        shard_size=2,
        environment={"torch": "2.13.0"},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def write(folder: Path, shards: int = 3) -> StoreWriter:
    writer = StoreWriter.open(folder, manifest())
    for shard in range(shards):
        writer.write(shard, IMAGES[2 * shard : 2 * shard + 2], [])
    return writer


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("stores") / "made"
    write(folder).finish()
    return Store.open(folder)


def test_candidates_are_read_back_unchanged(store: Store) -> None:
    assert len(store) == 5
    assert store.image_ids == tuple(each.image_id for each in IMAGES)
    assert store.labels == ("cat", "dog", "cup")
    assert store.manifest == manifest()
    for written in [IMAGES[3], IMAGES[0], IMAGES[4], IMAGES[2], IMAGES[1]]:
        found = store.candidates(written.image_id)
        assert (found.image_id, found.width, found.height) == (written.image_id, written.width, written.height)
        assert found.masks == written.masks == store.masks(written.image_id)
        for name in ("features", "queries", "categories", "confidences", "boxes"):
            expected = getattr(written, name)
            np.testing.assert_array_equal(getattr(found, name), expected)
            assert getattr(found, name).dtype == expected.dtype
            assert getattr(found, name).shape == expected.shape


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 0, 3, 3, 1], [2], []])
def test_tensors_are_padded_and_in_the_requested_order(store: Store, order: list[int]) -> None:
    ids = [IMAGES[number].image_id for number in order]
    tensors, boxes = store.tensors(ids), store.boxes(ids)
    assert tensors.features.shape == (len(order), KEPT, DIM) and tensors.features.dtype == torch.float16
    assert tensors.categories.shape == (len(order), KEPT) and tensors.categories.dtype == torch.int64
    assert tensors.confidences.dtype == torch.float32 and tensors.valid.dtype == torch.bool
    assert boxes.shape == (len(order), KEPT, 4) and boxes.dtype == np.float32
    for place, number in enumerate(order):
        written = IMAGES[number]
        count = len(written)
        assert tensors.valid[place].tolist() == [True] * count + [False] * (KEPT - count)
        assert tensors.categories[place].tolist() == written.categories.tolist() + [-1] * (KEPT - count)
        np.testing.assert_array_equal(tensors.features[place, :count], written.features)
        np.testing.assert_array_equal(tensors.confidences[place, :count], written.confidences)
        np.testing.assert_array_equal(boxes[place, :count], written.boxes)
        assert not tensors.features[place, count:].any() and not tensors.confidences[place, count:].any()
        assert not boxes[place, count:].any()


def test_training_tensors_hold_no_box_and_no_mask(store: Store) -> None:
    fields = set(type(store.tensors(["image 0"])).__dataclass_fields__)
    assert fields == {"features", "categories", "confidences", "valid"}


def test_shards_are_plain_parquet(store: Store) -> None:
    table = pq.read_table(store.folder / "shard-00001.parquet")
    assert table["image_id"].to_pylist() == ["image 2", "image 3"]
    assert table["count"].to_pylist() == [0, 4]
    assert str(table.schema.field("features").type) == f"fixed_size_list<element: halffloat>[{KEPT * DIM}]"
    np.testing.assert_array_equal(table["boxes"][1].as_py(), IMAGES[3].boxes.ravel())


def test_the_same_content_gives_the_same_bytes(store: Store, tmp_path: Path) -> None:
    write(tmp_path / "again").finish()
    names = sorted(path.name for path in store.folder.iterdir())
    assert names == [
        "complete.json",
        "manifest.json",
        "shard-00000.parquet",
        "shard-00001.parquet",
        "shard-00002.parquet",
    ]
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (store.folder / name).read_bytes()


def test_a_skipped_image_is_listed_with_its_reason(tmp_path: Path) -> None:
    writer = StoreWriter.open(tmp_path / "store", manifest())
    writer.write(0, [IMAGES[0]], [SkippedImage("image 1", "one.png: truncated")])
    writer.write(1, IMAGES[2:4], [])
    writer.write(2, [], [SkippedImage("image 4", "four.png: empty")])
    writer.finish()
    store = Store.open(tmp_path / "store")
    assert store.image_ids == ("image 0", "image 2", "image 3")
    assert [each.id for each in store.skipped] == ["image 1", "image 4"]
    assert json.loads((tmp_path / "store" / "complete.json").read_text())["images"] == 3
    assert store.tensors(["image 3", "image 0"]).valid.all()
    with pytest.raises(StoreError, match=r"'image 1' is not in the store; it was skipped: one\.png: truncated"):
        store.candidates("image 1")


@pytest.mark.parametrize("method", ["tensors", "boxes", "candidates", "masks"])
def test_an_unknown_image_is_named(store: Store, method: str) -> None:
    argument = "nobody" if method in ("candidates", "masks") else ["image 0", "nobody"]
    with pytest.raises(StoreError, match=r"'nobody' is not in the store; extract it first"):
        getattr(store, method)(argument)


def test_the_error_of_an_unfinished_store_says_how_much_is_saved(tmp_path: Path) -> None:
    write(tmp_path / "store", shards=2)
    with pytest.raises(StoreError, match=r"not finished\. 4 of 5 images are saved .* same extraction again to resume"):
        Store.open(tmp_path / "store")
    with pytest.raises(StoreError, match="not finished"):
        StoreWriter.open(tmp_path / "store", manifest()).finish()


def test_a_store_of_another_detector_is_refused_with_the_differences(store: Store) -> None:
    other = replace(DETECTOR, weights_sha256="cd" * 32, preprocessing={"size": 128, "mean": [0.5, 0.5]})
    with pytest.raises(StoreError) as caught:
        Store.open(store.folder, expect=other)
    message = str(caught.value)
    assert "made by another detector" in message
    assert "detector.preprocessing.size: the store has 64, not 128" in message
    assert "detector.weights_sha256: the store has" in message
    assert "mean" not in message
    Store.open(store.folder, expect=replace(DETECTOR, name="renamed"))
    Store.open(store.folder, expect=replace(DETECTOR, preprocessing={"size": 64, "mean": (0.5, 0.5)}))


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"candidates": 5}, "candidates: the store has 4, not 5"),
        ({"shard_size": 3}, "shard_size: the store has 2, not 3"),
        ({"images": 6}, "images: the store has 5, not 6"),
        ({"image_ids_sha256": "0"}, "image_ids_sha256: the store has"),
        ({"detector": replace(DETECTOR, unknown={"rule": "new"})}, 'detector.rule: the store has null, not "new"'),
        ({"labels": ["cat"]}, 'labels: the store has ["cat", "dog", "cup"], not ["cat"]'),
        ({"environment": {"torch": "3.0"}}, 'environment.torch: the store has "2.13.0", not "3.0"'),
    ],
)
def test_resuming_a_store_of_something_else_is_refused(
    tmp_path: Path, changes: dict[str, object], difference: str
) -> None:
    write(tmp_path / "store", shards=1)
    before = sorted(path.name for path in (tmp_path / "store").iterdir())
    with pytest.raises(StoreError) as caught:
        StoreWriter.open(tmp_path / "store", manifest(**changes))
    assert difference in str(caught.value) and "choose another folder" in str(caught.value)
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == before


def test_a_finished_store_opens_under_newer_versions(tmp_path: Path) -> None:
    write(tmp_path / "store").finish()
    assert StoreWriter.open(tmp_path / "store", manifest(environment={"torch": "3.0"})).missing() == []


def a_foreign_file(folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.tex").write_text("chapter 1")


def a_file_instead(folder: Path) -> None:
    folder.write_text("not a folder")


@pytest.mark.parametrize(
    ("prepare", "message"),
    [(a_foreign_file, "neither empty nor a store"), (a_file_instead, "cannot create a store there")],
)
def test_a_store_is_not_created_over_something_else(
    tmp_path: Path, prepare: Callable[[Path], None], message: str
) -> None:
    prepare(tmp_path / "out")
    with pytest.raises(StoreError, match=message):
        StoreWriter.open(tmp_path / "out", manifest())
    if (tmp_path / "out").is_dir():
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]


def test_partial_files_of_a_killed_writer_are_removed(tmp_path: Path) -> None:
    ours = Owner.current()
    (tmp_path / "out").mkdir()
    names = [f".aligncat-{owner}-0123abcd.part" for owner in (replace(ours, start=ours.start + 1), ours)]
    (tmp_path / "out" / names[0]).write_text("{")
    write(tmp_path / "out", shards=1)
    for name in names:
        (tmp_path / "out" / name).write_bytes(b"PAR1")
    assert StoreWriter.open(tmp_path / "out", manifest()).missing() == [1, 2]
    assert [path.name for path in (tmp_path / "out").glob("*.part")] == names[1:], "that of a living process stays"


def damaged_shard(folder: Path) -> None:
    (folder / "shard-00001.parquet").write_bytes(b"PAR1 and then nothing")


def lost_shard(folder: Path) -> None:
    (folder / "shard-00001.parquet").unlink()


def damaged_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")


def newer_format(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"format": 99}')


def incomplete_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"format": 1, "labels": []}')


def lost_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def damaged_complete(folder: Path) -> None:
    (folder / "complete.json").write_text('{"images": 5}')


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damaged_shard, r"shard-00001\.parquet: cannot be read .*delete the file and extract again"),
        (lost_shard, r"shard-00001\.parquet: cannot be read"),
        (damaged_manifest, r"manifest\.json: not valid JSON .*extract it again"),
        (newer_format, r"has format 99, but this version of aligncat reads format 1"),
        (incomplete_manifest, r"missing keys: detector, feature_dim"),
        (lost_manifest, r"not a store \(no manifest\.json\)"),
        (damaged_complete, r"complete\.json: damaged"),
    ],
)
def test_damage_is_a_store_error_that_names_the_file(
    tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    write(tmp_path / "store").finish()
    damage(tmp_path / "store")
    with pytest.raises(StoreError, match=message):
        Store.open(tmp_path / "store")


def test_a_missing_folder_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not a store"):
        Store.open(tmp_path / "nowhere")


def test_a_store_can_be_opened_with_fewer_candidates(store: Store) -> None:
    images = [store.candidates(image_id) for image_id in store.image_ids]
    assert {len(image) for image in images} > {1}
    fewer = Store.open(store.folder, expect=replace(store.manifest.detector, candidates=2))
    assert fewer.manifest.candidates == 2 and store.manifest.candidates == KEPT
    ids = list(store.image_ids)
    whole, part = store.tensors(ids), fewer.tensors(ids)
    assert part.features.shape == (len(ids), 2, DIM)
    for name in ("features", "categories", "confidences", "valid"):
        assert torch.equal(getattr(part, name), getattr(whole, name)[:, :2])
    assert np.array_equal(fewer.boxes(ids), store.boxes(ids)[:, :2])
    for image in images:
        found, count = fewer.candidates(image.image_id), min(2, len(image))
        assert len(found) == len(found.masks) == count and found.masks == image.masks[:count]
        assert np.array_equal(found.features, image.features[:count])
    with pytest.raises(StoreError, match="holds 4 candidates per image, but 5 are needed"):
        store.narrowed(5)
    with pytest.raises(StoreError, match="made by another detector"):
        Store.open(store.folder, expect=replace(store.manifest.detector, candidates=5))


def test_a_shared_store_uses_the_same_memory_in_another_process(tmp_path: Path) -> None:
    write(tmp_path / "store").finish()
    store = Store.open(tmp_path / "store")
    ids = ["image 2", "image 0"]
    alone = store.tensors(ids)
    store.share(ids)
    shared = store.tensors(ids)
    assert torch.equal(shared.features, alone.features) and store.tensors(ids) is shared
    context = torch.multiprocessing.get_context("spawn")
    process = context.Process(target=_mark, args=(store, ids))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert shared.confidences[0, 0] == 0.125, "the other process wrote into a copy"


def _mark(store: Store, ids: list[str]) -> None:
    store.tensors(ids).confidences[0, 0] = 0.125
