"""Photos of another size than their annotations are never measured."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.fabricate import HEIGHT, WIDTH
from helpers.tiny_run import World, run

from aligncat.api.evaluate import evaluate
from aligncat.datasets.config import DataConfig
from aligncat.errors import DataError


@pytest.fixture
def declared(world: World, tmp_path: Path) -> Callable[[int, int], DataConfig]:
    """Return a function that gives the world's data, boxes alone, with another size declared for val's first image."""

    def write(width: int, height: int) -> DataConfig:
        shutil.copytree(world.data.path, tmp_path / "data")
        path = tmp_path / "data" / "refcoco" / "instances.json"
        instances = json.loads(path.read_text())
        for row in instances["annotations"]:
            row |= {"bbox": [1, 1, 5, 5], "segmentation": []}
        [image] = [row for row in instances["images"] if row["id"] == 1012]
        image |= {"width": width, "height": height}
        path.write_text(json.dumps(instances))
        return replace(world.data, path=tmp_path / "data")

    return write


@pytest.mark.parametrize(
    ("width", "height", "message"), [(HEIGHT, WIDTH, "EXIF"), (WIDTH // 2, HEIGHT // 2, "resized")]
)
def test_evaluation_and_validation_refuse_annotations_for_another_size(
    world: World,
    trained: Path,
    tmp_path: Path,
    declared: Callable[[int, int], DataConfig],
    width: int,
    height: int,
    message: str,
) -> None:
    data = declared(width, height)
    expected = f"image '1012', .* {width} x {height} pixels, but the photo has {WIDTH} x {HEIGHT}, .*{message}"
    with pytest.raises(DataError, match=expected):
        evaluate(grounder=trained, data=data, store=world.store, splits=("val",))
    with pytest.raises(DataError, match=expected):
        run(world, tmp_path / "run", data=data)


def test_bad_rows_and_images_of_another_size_can_be_left_out(
    world: World, trained: Path, declared: Callable[[int, int], DataConfig], caplog: pytest.LogCaptureFixture
) -> None:
    data = declared(HEIGHT, WIDTH)
    path = data.path / "refcoco" / "instances.json"
    instances = json.loads(path.read_text())
    [row] = [row for row in instances["annotations"] if row["id"] == 5026]  # in image 1013, which is in val too
    row["bbox"] = [0.1, 0.1, 0.5, 0.5]
    path.write_text(json.dumps(instances))
    [answers] = evaluate(grounder=trained, data=data, store=world.store, splits=("val",), skip_bad_rows=True)
    # 4 images with 2 referents of 2 sentences each, without one image and one referent
    assert answers.result.metrics.expressions == 16 - 4 - 2
    assert answers.result.metrics.res_miou is None
    assert "left out 1 images" in caplog.text and "annotation 5026" in caplog.text
