"""Damage in any file of a store is an error, or what is read is equal: it is never computed with."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.hand_store import IMAGES, manifest, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aligncat.errors import StoreError
from aligncat.store.complete import COMPLETE, FileRecord, read_complete
from aligncat.store.index import INDEX, SOURCES, read_sources, sources_file
from aligncat.store.manifest import MANIFEST, shard_name
from aligncat.store.manifest_file import read_manifest
from aligncat.store.reader import Store
from aligncat.store.sources import Stamp
from aligncat.store.writer import StoreWriter

FAST = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ALL_FILES = (MANIFEST, COMPLETE, INDEX, SOURCES, shard_name(0), shard_name(1), shard_name(2))
FIRST = Path(__file__).resolve().parents[1] / "fixtures" / "first-layout" / "store"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damage") / "store"
    write(folder).finish()
    return folder


def everything(folder: Path) -> list[Any]:
    """Return all that a store can be asked for."""
    store = Store.open(folder)
    stamps = read_sources(folder, store.manifest, read_complete(folder).sources) if store.manifest.format == 2 else None
    tensors = store.tensors(store.image_ids)
    images = [store.candidates(image_id) for image_id in store.image_ids]
    return [
        *(getattr(tensors, name).numpy() for name in ("features", "categories", "confidences", "valid")),
        store.boxes(store.image_ids),
        *(getattr(image, name) for image in images for name in ("features", "queries", "categories", "boxes")),
        [(image.image_id, image.width, image.height, image.masks) for image in images],
        store.manifest,
        store.skipped,
        None if stamps is None else stamps.to_pylist(),
    ]


def same(one: list[Any], other: list[Any]) -> bool:
    return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in zip(one, other, strict=True))


@contextmanager
def changed(path: Path, content: bytes) -> Iterator[None]:
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)


def found_or_equal(folder: Path, name: str, content: bytes, expected: list[Any]) -> bool:
    """Return whether the damage is found, or nothing that is read has changed."""
    with changed(folder / name, content):
        try:
            return same(everything(folder), expected)
        except StoreError as error:
            return name in str(error) or str(folder) in str(error)


def flipped(content: bytes, bit: int) -> bytes:
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


@pytest.mark.parametrize("name", ALL_FILES)
def test_a_flipped_bit_is_found_or_changes_nothing(folder: Path, name: str) -> None:
    expected, content = everything(folder), (folder / name).read_bytes()

    @FAST
    @given(bit=st.integers(0, 8 * len(content) - 1))
    def check(bit: int) -> None:
        assert found_or_equal(folder, name, flipped(content, bit), expected)

    check()


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL_FILES)
def test_every_flipped_bit_is_found_or_changes_nothing(folder: Path, name: str) -> None:
    expected, content = everything(folder), (folder / name).read_bytes()
    for bit in range(8 * len(content)):
        assert found_or_equal(folder, name, flipped(content, bit), expected), f"bit {bit} of {name}"


@pytest.mark.parametrize("name", ALL_FILES)
def test_a_file_that_is_cut_lengthened_or_replaced_is_found(folder: Path, name: str) -> None:
    expected, content = everything(folder), (folder / name).read_bytes()

    @settings(FAST, max_examples=6)
    @given(cut=st.integers(0, len(content) - 1), more=st.binary(max_size=40))
    def check(cut: int, more: bytes) -> None:
        assert found_or_equal(folder, name, content[:cut] + more, expected)
        assert found_or_equal(folder, name, content + more, expected)
        assert found_or_equal(folder, name, more, expected)

    check()


def test_swapped_and_copied_shards_are_found(folder: Path) -> None:
    """The first two shards have the same number of images, so only their content differs."""
    first, second = ((folder / shard_name(shard)).read_bytes() for shard in (0, 1))
    with (
        changed(folder / shard_name(0), second),
        changed(folder / shard_name(1), first),
        pytest.raises(StoreError, match=r"shard-00000\.parquet: damaged"),
    ):
        everything(folder)
    with changed(folder / shard_name(1), first), pytest.raises(StoreError, match=r"shard-00001\.parquet: damaged"):
        everything(folder)


@pytest.mark.parametrize("with_dictionary", [False, True])
@pytest.mark.parametrize("name", [INDEX, SOURCES])
def test_a_small_file_that_unpacks_to_gigabytes_is_refused(
    name: str, with_dictionary: bool, folder: Path, tmp_path: Path
) -> None:
    """A stranger's store has right hashes. With a dictionary, the text of 150 MB is in the file once."""
    bomb = Path(shutil.copytree(folder, tmp_path / "bomb"))
    table = pq.read_table(bomb / name)
    ids = pa.array(["a" * 150_000_000] * len(table))
    table = table.set_column(0, table.schema.field("image_id"), ids).replace_schema_metadata(None)
    pq.write_table(table, bomb / name, compression="zstd", use_dictionary=with_dictionary, store_schema=False)
    complete = read_complete(bomb)
    record = FileRecord.of((bomb / name).read_bytes())
    assert record.size < 1_000_000
    parts = {"index": record} if name == INDEX else {"sources": record}
    (bomb / COMPLETE).write_bytes(replace(complete, **parts).to_bytes())
    with pytest.raises(StoreError, match=r"the limit for a file of this size|a dictionary"):
        everything(bomb)


def test_a_first_shard_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    path = Path(shutil.copytree(FIRST, tmp_path / "bomb")) / shard_name(0)
    table = pq.read_table(path)
    ids = pa.array(["a" * 50_000_000] * len(table))
    pq.write_table(table.set_column(0, table.schema.field("image_id"), ids), path, compression="zstd")
    with pytest.raises(StoreError, match="the limit for a file of this size"):
        Store.open(path.parent)


def test_stamps_of_other_images_are_found(folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    complete = read_complete(other)
    stamps = read_sources(other, read_manifest(other).manifest, complete.sources)
    content = sources_file(stamps.slice(1))
    (other / SOURCES).write_bytes(content)
    (other / COMPLETE).write_bytes(replace(complete, sources=FileRecord.of(content)).to_bytes())
    with pytest.raises(StoreError, match=r"sources\.parquet: its images are not those of the manifest"):
        everything(other)


def test_a_shard_of_another_store_is_found(folder: Path, tmp_path: Path) -> None:
    """The other store has the same images and sizes, and another environment."""
    writer = StoreWriter.open(tmp_path / "other", manifest(environment={"torch": "2.13.1"}))
    for shard in range(3):
        writer.write(shard, IMAGES[2 * shard : 2 * shard + 2])
    writer.finish()
    other = (tmp_path / "other" / shard_name(1)).read_bytes()
    assert len(other) == (folder / shard_name(1)).stat().st_size
    with changed(folder / shard_name(1), other), pytest.raises(StoreError, match=r"shard-00001\.parquet: damaged"):
        everything(folder)


MUTATIONS: list[tuple[str, Callable[[Any], Any]]] = [
    ("feature_dim", lambda dim: dim // 2),
    ("images", lambda _: -5),
    ("images", lambda images: images - 1),
    ("images", lambda _: 10**30),
    ("labels", lambda labels: [labels[1], labels[0], *labels[2:]]),
    ("labels", lambda _: []),
    ("labels", lambda _: "cat"),
    ("labels", lambda labels: [7, *labels[1:]]),
    ("shard_size", lambda _: 0),
    ("shard_size", lambda size: size + 1),
    ("shard_size", lambda _: 2.0),
    ("candidates", lambda _: True),
    ("candidates", lambda kept: kept - 1),
    ("image_ids_sha256", lambda _: "0" * 64),
    ("image_ids_sha256", lambda _: 3),
    ("detector", lambda _: []),
    ("detector", lambda detector: {**detector, "candidates": None}),
    ("detector", lambda detector: {**detector, "preprocessing": {"mode": "hub-384"}}),
    ("environment", lambda _: None),
    ("columns", lambda _: {"appearance": {"version": 0, "dim": 3}}),
    ("columns", lambda _: {"../up": {"version": 1, "dim": 3}}),
    ("format", lambda _: "2"),
    ("format", lambda _: 1),
]


@pytest.mark.parametrize(("key", "change"), MUTATIONS)
def test_a_changed_manifest_is_found(folder: Path, key: str, change: Callable[[Any], Any]) -> None:
    content = json.loads((folder / MANIFEST).read_text())
    content[key] = change(content[key])
    with changed(folder / MANIFEST, json.dumps(content).encode()), pytest.raises(StoreError, match=str(folder)):
        everything(folder)


@pytest.mark.parametrize(
    "content",
    [b"", b"[" * 100_000, b'{"format": ' * 100_000, b"[]", b"null", b"\xff\xfe{}", b"1e999", b'{"format": NaN}'],
)
@pytest.mark.parametrize("name", [MANIFEST, COMPLETE])
def test_json_of_any_other_shape_is_an_error(folder: Path, name: str, content: bytes) -> None:
    with changed(folder / name, content), pytest.raises(StoreError, match=name):
        everything(folder)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**25), 10**25) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("name", [MANIFEST, COMPLETE])
def test_a_value_of_another_type_is_an_error(folder: Path, name: str) -> None:
    """complete.json gets the right hash of its wrong values, so that they and not the hash are at fault."""
    expected, whole = everything(folder), json.loads((folder / name).read_text())

    @FAST
    @given(key=st.sampled_from(sorted(whole)), value=VALUES)
    def check(key: str, value: Any) -> None:
        content = {**whole, key: value}
        if name == COMPLETE and key != "sha256":
            rest = {each: content[each] for each in content if each != "sha256"}
            text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
            content["sha256"] = hashlib.sha256(text.encode(errors="replace")).hexdigest()
        damaged = json.dumps(content).encode()
        if name == COMPLETE and key == "skipped":  # the reasons have no other copy that is read on opening
            with changed(folder / name, damaged):
                try:
                    Store.open(folder)
                except StoreError:
                    return
        else:
            assert found_or_equal(folder, name, damaged, expected)

    check()


def test_a_shard_with_the_right_hash_and_wrong_values_is_an_error(tmp_path: Path) -> None:
    """Someone made this store by hand: a category beyond the labels, which would be an index out of range later."""
    image = replace(IMAGES[0], categories=np.array([0, 1, 2, 3], np.int32))
    writer = StoreWriter.open(tmp_path / "store", manifest())
    for shard in range(3):
        writer.write(shard, [image if each is IMAGES[0] else each for each in IMAGES[2 * shard : 2 * shard + 2]])
    writer.finish()
    with pytest.raises(StoreError, match=r"shard-00000\.parquet: damaged \(a category is not one of the labels\)"):
        Store.open(tmp_path / "store").tensors(["image 0"])


def test_a_shard_left_damaged_in_an_unfinished_store_is_written_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A flipped bit in a page or in the footer, a cut file and a shard of another store are found when resuming."""
    folder = tmp_path / "store"
    write(folder, shards=2)
    good = {shard: (folder / shard_name(shard)).read_bytes() for shard in (0, 1)}
    other = StoreWriter.open(tmp_path / "other", manifest(environment={"torch": "2.13.1"}))
    other.write(0, IMAGES[:2])
    bad = [
        *(flipped(good[0], bit) for bit in range(0, 8 * len(good[0]), 401)),
        good[0][:-1],
        b"",
        good[1],
        (tmp_path / "other" / shard_name(0)).read_bytes(),
    ]
    for content in bad:
        caplog.clear()
        (folder / shard_name(0)).write_bytes(content)
        writer = StoreWriter.open(folder, manifest())
        assert writer.check_shards() == [0, 2]
        assert [record.getMessage().count("shard-00000.parquet") for record in caplog.records] == [1]
    writer.write(0, IMAGES[:2])
    writer.write(2, IMAGES[4:])
    writer.finish()
    assert (folder / shard_name(0)).read_bytes() == good[0]
    assert len(Store.open(folder)) == 5


def test_damage_is_not_repaired_under_other_versions(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    write(folder)
    (folder / shard_name(1)).write_bytes(b"PAR1")
    writer = StoreWriter.open(folder, manifest(environment={"torch": "3.0"}))
    with pytest.raises(StoreError, match=r'environment\.torch: the store has "2\.13\.0", not "3\.0"'):
        writer.check_shards()
    with pytest.raises(StoreError, match=r"shard-00001\.parquet: cannot be read"):
        writer.finish()


def test_a_shard_lost_from_a_finished_store_makes_it_unfinished(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    write(folder).finish()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / shard_name(1)).unlink()
    writer = StoreWriter.open(folder, manifest())
    assert writer.check_shards() == [1]
    with pytest.raises(StoreError, match="not finished"):
        Store.open(folder)
    writer.write(1, IMAGES[2:4])
    writer.finish()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_shards_of_other_images_are_not_finished(tmp_path: Path) -> None:
    writer = StoreWriter.open(tmp_path / "store", manifest())
    for shard, images in enumerate([IMAGES[2:4], IMAGES[:2], IMAGES[4:]]):
        writer.write(shard, images)
    with pytest.raises(StoreError, match="not those of the manifest"):
        writer.finish()


def test_a_store_of_the_first_format_opens_with_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copytree(FIRST, tmp_path / "store")
    store = Store.open(tmp_path / "store")
    store.tensors(store.image_ids)
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'store'}: a store of an older format, in which damage is not noticed; extract again into another "
        "folder"
    ]


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("feature_dim", lambda dim: dim // 2),
        ("candidates", lambda kept: kept // 2),
        ("shard_size", lambda _: 0),
        ("shard_size", lambda _: 8),
        ("images", lambda _: -5),
        ("images", lambda _: 0),
        ("labels", lambda _: []),
        ("labels", lambda labels: labels[:1]),
    ],
)
def test_a_manifest_of_the_first_format_that_does_not_fit_its_shards_is_an_error(
    tmp_path: Path, key: str, change: Callable[[Any], Any]
) -> None:
    shutil.copytree(FIRST, tmp_path / "store")
    content = json.loads((FIRST / MANIFEST).read_text())
    content[key] = change(content[key])
    (tmp_path / "store" / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(StoreError, match=str(tmp_path)):
        everything(tmp_path / "store")


def test_an_unfinished_store_of_the_first_format_cannot_be_resumed(tmp_path: Path) -> None:
    shutil.copytree(FIRST, tmp_path / "store")
    (tmp_path / "store" / COMPLETE).unlink()
    with pytest.raises(StoreError, match="unfinished store of an older format, which cannot be resumed; delete it"):
        StoreWriter.open(tmp_path / "store", manifest())


def test_a_finished_store_of_the_first_format_is_only_opened(tmp_path: Path) -> None:
    shutil.copytree(FIRST, tmp_path / "store")
    before = {path.name: path.read_bytes() for path in FIRST.iterdir()}
    stored = Store.open(FIRST).manifest
    writer = StoreWriter.open(tmp_path / "store", replace(stored, format=2, environment={"torch": "99"}))
    assert writer.is_finished()
    with pytest.raises(StoreError, match="labels: the store has"):
        StoreWriter.open(tmp_path / "store", replace(stored, format=2, labels=["cat"]))
    assert {path.name: path.read_bytes() for path in (tmp_path / "store").iterdir()} == before


def test_a_record_holds_the_size_and_the_hash() -> None:
    record = FileRecord.of(b"abc")
    assert record == FileRecord(3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    assert record.fits(b"abc") and not record.fits(b"abd") and not record.fits(b"abcd")


def test_stamps_are_kept_in_order_with_gaps(tmp_path: Path) -> None:
    stamps = {f"image {n}": Stamp(n, 10**18 + n, f"{n:064x}") for n in (0, 1, 3)}
    writer = StoreWriter.open(tmp_path / "store", manifest())
    for shard in range(3):
        writer.write(shard, IMAGES[2 * shard : 2 * shard + 2], stamps)
    writer.finish()
    folder = tmp_path / "store"
    stored = read_sources(folder, read_manifest(folder).manifest, read_complete(folder).sources)
    assert stored["image_id"].to_pylist() == [image.image_id for image in IMAGES]
    assert stored["source_bytes"].to_pylist() == [0, 1, None, 3, None]
    assert stored["source_modified"].to_pylist() == [10**18, 10**18 + 1, None, 10**18 + 3, None]
    assert [each and each[-1] for each in stored["source_sha256"].to_pylist()] == [0, 1, None, 3, None]
