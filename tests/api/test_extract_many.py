"""`aligncat.extract` in parts and by workers, on photos of more than one shard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.light_detector import LightDetector
from helpers.worker_runs import hashes
from PIL import Image

import aligncat
from aligncat.commands.closing import closing_line
from aligncat.errors import ConfigError

COUNT = 70  # of which 64 are a shard


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(COUNT):
        Image.fromarray(random.integers(0, 256, (6, 5, 3), dtype=np.uint8)).save(folder / f"{number:02d}.bmp")
    return folder


@pytest.fixture(scope="module")
def whole(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("whole") / "store"
    aligncat.extract(out=out, images=photos, detector=LightDetector())
    return hashes(out)


def test_parts_and_a_closing_call_without_shards(photos: Path, whole: dict[str, str], tmp_path: Path) -> None:
    detector = LightDetector()
    assert aligncat.extract(out=tmp_path / "store", images=photos, detector=detector, shards="2/2") is None
    store = aligncat.extract(out=tmp_path / "store", images=photos, detector=detector)
    assert len(store) == COUNT
    assert hashes(tmp_path / "store") == whole
    done = aligncat.extract(out=tmp_path / "store", images=photos, detector=detector, shards="7/9")
    assert done is not None


def test_workers(photos: Path, whole: dict[str, str], tmp_path: Path) -> None:
    aligncat.extract(out=tmp_path / "store", images=photos, detector=LightDetector(), workers=1)
    assert hashes(tmp_path / "store") == whole


def test_a_wrong_part_is_an_error_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--shards 3/2: give the part and the number of parts"):
        aligncat.extract(out=tmp_path / "store", images=tmp_path / "none", shards="3/2")
    assert not (tmp_path / "store").exists()


def test_the_closing_line_of_a_part() -> None:
    line = closing_line("extract", {"out": "store", "data": None, "shards": "3/16"}, None)
    assert line.startswith("Part 3/16 of store is written; the last of the other parts finishes the store.")
