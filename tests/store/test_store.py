"""Writing a store and reading it back, and the errors of stores that are damaged, unfinished or different."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from helpers.hand_store import DETECTOR, DIM, IMAGES, KEPT, candidates, manifest, write

from aligncat.errors import StoreError
from aligncat.files.owner import Owner
from aligncat.store.columns import SkippedImage
from aligncat.store.ids import ids_sha256
from aligncat.store.reader import Store
from aligncat.store.writer import StoreWriter
from aligncat.types import FeatureColumn


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
    assert table["positions"].to_pylist() == [[], [0, 1, 2, 3]]
    np.testing.assert_array_equal(table["boxes"][1].as_py(), IMAGES[3].boxes.ravel())
    features = b"".join(table["features"][1].as_py())
    np.testing.assert_array_equal(np.frombuffer(features, "<f2").reshape(-1, DIM), IMAGES[3].features)


def test_writers_of_different_shards_do_not_touch_each_others_files(store: Store, tmp_path: Path) -> None:
    """The second writer joins while the first is at work, and finishes the store with a shard that it did not write."""
    first = StoreWriter.open(tmp_path / "both", manifest())
    first.write(1, IMAGES[2:4])
    inode = (tmp_path / "both" / "shard-00001.parquet").stat().st_ino
    second = StoreWriter.open(tmp_path / "both", manifest())
    second.write(0, IMAGES[:2])
    first.write(2, IMAGES[4:])
    second.finish()
    assert (tmp_path / "both" / "shard-00001.parquet").stat().st_ino == inode, "it was written again"
    for path in store.folder.iterdir():
        assert (tmp_path / "both" / path.name).read_bytes() == path.read_bytes()


def test_a_query_that_is_several_candidates_is_stored_once(tmp_path: Path) -> None:
    """Of five candidates, three are query 7 and one repeats its number with another box, which is another query."""
    image = candidates(0, 4)
    twice = np.array([0, 1, 0, 2, 0])
    repeated = replace(
        image,
        features=image.features[twice],
        queries=np.array([7, 3, 7, 7, 7], np.int32),
        categories=np.array([0, 1, 1, 0, 2], np.int32),
        confidences=np.linspace(0.9, 0.5, 5, dtype=np.float32),
        boxes=image.boxes[twice],
        masks=tuple(image.masks[place] for place in twice),
    )
    made = manifest(candidates=5, images=1, image_ids_sha256=ids_sha256(["image 0"]))
    writer = StoreWriter.open(tmp_path / "store", made)
    writer.write(0, [repeated])
    writer.finish()
    table = pq.read_table(tmp_path / "store" / "shard-00000.parquet")
    assert table["positions"].to_pylist() == [[0, 1, 0, 2, 0]] and table["queries"].to_pylist() == [[7, 3, 7]]
    assert len(table["features"][0]) == len(table["masks"][0]) == 3 and len(table["boxes"][0]) == 12
    store = Store.open(tmp_path / "store")
    found = store.candidates("image 0")
    for name in ("features", "queries", "categories", "confidences", "boxes"):
        np.testing.assert_array_equal(getattr(found, name), getattr(repeated, name))
    assert found.masks == repeated.masks
    np.testing.assert_array_equal(store.tensors(["image 0"]).features[0], repeated.features)
    np.testing.assert_array_equal(store.boxes(["image 0"])[0], repeated.boxes)


def test_a_shard_may_hold_no_candidate_at_all(tmp_path: Path) -> None:
    writer = StoreWriter.open(
        tmp_path / "store", manifest(images=2, image_ids_sha256=ids_sha256(["image 0", "image 1"]))
    )
    writer.write(0, [candidates(0, 0), candidates(1, 0)])
    writer.finish()
    store = Store.open(tmp_path / "store")
    tensors = store.tensors(["image 1", "image 0"])
    assert tensors.features.shape == (2, KEPT, DIM) and not tensors.valid.any() and not tensors.features.any()
    assert store.boxes(["image 1"]).shape == (1, KEPT, 4)
    found = store.candidates("image 0")
    assert len(found) == 0 and found.features.shape == (0, DIM) and found.boxes.shape == (0, 4) and found.masks == ()


APPEARANCE = FeatureColumn("appearance", version=2, dim=3)


def test_a_further_column_is_kept_and_read_beside_the_features(tmp_path: Path) -> None:
    vectors = {image.image_id: np.arange(3 * len(image)).reshape(-1, 3).astype(np.float16) for image in IMAGES}
    writer = StoreWriter.open(tmp_path / "store", manifest(columns=(APPEARANCE,)))
    for shard in range(3):
        images = [replace(each, columns={"appearance": vectors[each.image_id]}) for each in IMAGES]
        writer.write(shard, images[2 * shard : 2 * shard + 2])
    writer.finish()
    store = Store.open(tmp_path / "store")
    assert store.manifest.columns == (APPEARANCE,)
    found = store.further_features(["image 3", "image 1"], APPEARANCE)
    assert found.dtype == torch.float16 and found.shape == (2, KEPT, 3)
    assert found[0].tolist() == vectors["image 3"].tolist()
    assert found[1].tolist() == [[0, 1, 2], [3, 4, 5], [0, 0, 0], [0, 0, 0]]
    assert store.candidates("image 1").columns["appearance"].tolist() == [[0, 1, 2], [3, 4, 5]]
    store.share(["image 3", "image 1"])
    shared = store.further_features(["image 3", "image 1"], APPEARANCE)
    assert shared.is_shared() and torch.equal(shared, found)
    with pytest.raises(StoreError, match="'appearance' has version 2 and length 3, but version 3 and length 3 are nee"):
        store.further_features(["image 1"], replace(APPEARANCE, version=3))
    with pytest.raises(StoreError, match="no column 'colour' \\(it has: appearance\\); extract into ano"):
        store.further_features(["image 1"], FeatureColumn("colour", 1, 3))
    with pytest.raises(StoreError, match=r"columns.appearance.version: the store has 2, not 1"):
        StoreWriter.open(tmp_path / "store", manifest(columns=(replace(APPEARANCE, version=1),)))


def test_a_detector_that_does_not_give_the_columns_it_names_is_an_error(tmp_path: Path) -> None:
    writer = StoreWriter.open(tmp_path / "store", manifest(columns=(APPEARANCE,)))
    with pytest.raises(StoreError, match=r"'image 0': the detector gives the columns \[\], but the store holds"):
        writer.write(0, IMAGES[:2])
    short = [replace(each, columns={"appearance": np.zeros((len(each), 2), np.float16)}) for each in IMAGES[:2]]
    with pytest.raises(StoreError, match="appearance: the detector's vectors are not 3 float16 numbers long"):
        writer.write(0, short)


def test_the_same_content_gives_the_same_bytes(store: Store, tmp_path: Path) -> None:
    write(tmp_path / "again").finish()
    names = sorted(path.name for path in store.folder.iterdir())
    assert names == [
        "complete.json",
        "index.parquet",
        "manifest.json",
        "shard-00000.parquet",
        "shard-00001.parquet",
        "shard-00002.parquet",
        "sources.parquet",
    ]
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (store.folder / name).read_bytes()


def test_a_skipped_image_is_listed_with_its_reason(tmp_path: Path) -> None:
    writer = StoreWriter.open(tmp_path / "store", manifest())
    writer.write(0, [SkippedImage("image 0", "one.png: truncated"), IMAGES[1]])
    writer.write(1, IMAGES[2:4])
    writer.write(2, [SkippedImage("image 4", "four.png: empty")])
    writer.finish()
    store = Store.open(tmp_path / "store")
    assert store.image_ids == ("image 1", "image 2", "image 3")
    assert [each.id for each in store.skipped] == ["image 0", "image 4"]
    assert json.loads((tmp_path / "store" / "complete.json").read_text())["images"] == 3
    assert store.tensors(["image 3", "image 1"]).valid.tolist() == [[True] * 4, [True, True, False, False]]
    np.testing.assert_array_equal(store.candidates("image 1").features, IMAGES[1].features)
    with pytest.raises(StoreError, match=r"'image 0' is not in the store; it was skipped: one\.png: truncated"):
        store.candidates("image 0")


@pytest.mark.parametrize("name", ["nobody", "\udc80.png"])  # Python has the second where a name is not UTF-8
@pytest.mark.parametrize("method", ["tensors", "rows", "boxes", "candidates", "masks"])
def test_an_unknown_image_is_named(store: Store, method: str, name: str) -> None:
    argument = name if method in ("candidates", "masks") else ["image 0", name]
    with pytest.raises(StoreError) as raised:
        getattr(store, method)(argument)
    assert f"image {name!r} is not in the store; extract it first" in str(raised.value)


def test_the_error_of_an_unfinished_store_says_how_much_is_saved(tmp_path: Path) -> None:
    write(tmp_path / "store", shards=2)
    with pytest.raises(StoreError, match=r"not finished\. 4 of 5 images are saved .* same command again to resume"):
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
        ({"image_ids_sha256": "0" * 64}, "image_ids_sha256: the store has"),
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


def lost_index(folder: Path) -> None:
    (folder / "index.parquet").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damaged_shard, r"shard-00001\.parquet: damaged: it has 21 bytes.*delete the file and run the same extraction"),
        (lost_shard, r"shard-00001\.parquet: cannot be read"),
        (damaged_manifest, r"manifest\.json: not JSON .*extract it again"),
        (newer_format, r"has format 99, but this version of aligncat reads formats 1, 2 and 3"),
        (incomplete_manifest, r"manifest\.json: key 'environment' is missing"),
        (lost_manifest, r"not a store \(no manifest\.json\)"),
        (damaged_complete, r"complete\.json: key 'sha256' is missing; the file is damaged: delete it"),
        (lost_index, r"index\.parquet: cannot be read"),
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
