"""Rows of candidates in memory and in a temporary file give the same batches."""

from __future__ import annotations

import json
import pickle
import resource
import subprocess
import sys
from dataclasses import replace
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.hand_store import IMAGES, candidates, manifest, write

from aligncat.errors import StoreError
from aligncat.files.memory import free_memory
from aligncat.store.reader import Store
from aligncat.store.rows import RowsInFile, RowsInMemory, temporary_folder
from aligncat.store.writer import StoreWriter
from aligncat.types import FeatureColumn

IDS = [IMAGES[number].image_id for number in (4, 0, 3, 2)]
TINT = FeatureColumn("tint", 1, 3)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store whose queries have a further column."""
    writer = StoreWriter.open(tmp_path / "store", manifest(columns=(TINT,)))
    rng = np.random.default_rng(0)
    images = [replace(each, columns={"tint": rng.random((len(each), 3)).astype(np.float16)}) for each in IMAGES]
    for shard in range(3):
        writer.write(shard, images[2 * shard : 2 * shard + 2])
    writer.finish()
    return Store.open(tmp_path / "store")


@pytest.mark.parametrize("numbers", [[0, 1, 2, 3], [3, 3, 0], [2], []])
def test_both_kinds_give_what_the_store_has(store: Store, numbers: list[int]) -> None:
    inside, outside = store.rows(IDS, [TINT]), store.rows(IDS, [TINT], memory=0)
    assert isinstance(inside, RowsInMemory) and isinstance(outside, RowsInFile)
    tensors, images = store.tensors(IDS), torch.tensor(numbers, dtype=torch.int64)
    expected = {
        **{name: getattr(tensors, name) for name in ("features", "categories", "confidences", "valid")},
        "relative_boxes": torch.from_numpy(store.relative_boxes(IDS)),
        "features_tint": store.further_features(IDS, TINT),
    }
    for rows in (inside, outside):
        found = rows.gather(images)
        assert found.keys() == expected.keys()
        for name, tensor in expected.items():
            assert torch.equal(found[name], tensor[images]) and found[name].dtype == tensor.dtype, name
            assert found[name].is_contiguous(), name
        np.testing.assert_array_equal(rows.confidences, tensors.confidences.numpy())


@pytest.mark.parametrize("memory", [None, 0])
def test_another_process_gathers_the_same(store: Store, memory: int | None) -> None:
    rows, images = store.rows(IDS, [TINT], memory=memory), torch.tensor([2, 0])
    sent = ForkingPickler.dumps(rows)
    received = pickle.loads(sent)
    for name, tensor in rows.gather(images).items():
        assert torch.equal(received.gather(images)[name], tensor), name
    np.testing.assert_array_equal(received.confidences, rows.confidences)


def test_the_boxes_are_in_shares_of_the_photo(store: Store) -> None:
    """The photo of image 3 is 13 pixels wide and 10 high, as its name says in `hand_store`."""
    found = store.rows(["image 3"], memory=0).gather(torch.tensor([0]))["relative_boxes"][0].numpy()
    np.testing.assert_allclose(found, IMAGES[3].boxes / [13, 10, 13, 10], rtol=1e-6)


def test_one_line_says_that_a_file_is_read(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        store.rows(IDS)
        assert not caplog.records
        store.rows(IDS, memory=0)
    [line] = caplog.records
    assert "the candidates of 4 images take 0.0 GiB" in line.getMessage() and str(store.folder) in line.getMessage()


def test_the_file_has_no_name(store: Store) -> None:
    before = sorted(store.folder.iterdir())
    rows = store.rows(IDS, memory=0)
    assert sorted(store.folder.iterdir()) == before and len(rows.gather(torch.tensor([1]))["valid"]) == 1


def test_tmpdir_is_the_place_of_the_file(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert temporary_folder(store.folder) == store.folder
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)  # Python reads TMPDIR once
    assert temporary_folder(store.folder) == tmp_path


def test_a_disk_without_room_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    """The limit of a file's size stands for a full disk: writing beyond it fails."""
    write(tmp_path / "store").finish()
    program = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
from aligncat.errors import StoreError
from aligncat.store.reader import Store
store = Store.open({str(tmp_path / "store")!r})
try:
    store.rows(store.image_ids, memory=0)
except StoreError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "store: cannot write a temporary file of 0.0 GiB" in done.stdout and "set TMPDIR" in done.stdout


def test_a_cut_file_is_an_error(store: Store) -> None:
    rows = store.rows(IDS, memory=0)
    assert isinstance(rows, RowsInFile)
    rows._file.truncate(10)
    with pytest.raises(StoreError, match="the temporary file of candidates was cut"):
        rows.gather(torch.tensor([0]))


def test_an_image_that_is_not_there_is_named(store: Store) -> None:
    with pytest.raises(StoreError, match="image 'nobody' is not in the store"):
        store.rows(["image 1", "nobody"], memory=0)
    with pytest.raises(StoreError, match="no column 'other'"):
        store.rows(IDS, [FeatureColumn("other", 1, 3)])


@pytest.mark.parametrize("limit", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_the_limits_of_the_process_bound_the_free_memory(limit: str) -> None:
    program = f"""
import json, resource
from aligncat.files.memory import free_memory
before = free_memory()
resource.setrlimit(resource.{limit}, (600_000_000, 600_000_000))
print(json.dumps([before, free_memory()]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    before, after = json.loads(done.stdout)
    assert 0 < after < 600_000_000 and after <= before


def test_the_free_memory_is_some_of_that_of_the_machine() -> None:
    pages = resource.getpagesize()
    total = int(subprocess.run(["getconf", "_PHYS_PAGES"], capture_output=True, text=True, check=True).stdout) * pages
    free = free_memory()
    assert free is not None and 0 < free < total


def test_a_narrowed_store_has_narrow_rows(store: Store) -> None:
    found = store.narrowed(2).rows(IDS, memory=0).gather(torch.tensor([2]))
    np.testing.assert_array_equal(found["features"][0].numpy(), candidates(3, 4).features[:2])
