"""The record that tells images unlike those of a grounder's training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.hand_store import IMAGES
from helpers.tiny_run import World

from aligncat.datasets.load import load_split
from aligncat.errors import ConfigError
from aligncat.grounder.folder import SHIPPED
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.unlike import LEAST_IMAGES, UNLIKE, Familiar, unlike_training
from aligncat.mojiref.scenes import compose

REAL_PHOTOS = Path(__file__).resolve().parents[3] / "shared" / "real" / "photos" / "images"


def test_the_record_is_means_spreads_and_a_quantile() -> None:
    confidences = np.linspace(0.2, 0.9, 200, dtype=np.float32).reshape(50, 4)[:, ::-1].copy()
    record = Familiar.of(confidences)
    assert record is not None
    wide = confidences.astype(np.float64)
    np.testing.assert_allclose(record.means, wide.mean(axis=0))
    np.testing.assert_allclose(record.spreads, wide.std(axis=0))
    distances = (((wide - wide.mean(axis=0)) / wide.std(axis=0)) ** 2).mean(axis=1)
    assert record.limit == pytest.approx(np.quantile(distances, 0.97))
    assert sum(record.distance(row) > record.limit for row in wide) == 2  # 3% of 50 images


def test_an_image_with_fewer_or_more_candidates_is_compared_by_rank() -> None:
    record = Familiar((0.5, 0.25), (0.5, 0.25), 1.0)
    assert record.distance(np.array([], np.float32)) == pytest.approx((1 + 1) / 2)
    assert record.distance(np.array([1.0])) == pytest.approx((1 + 1) / 2)
    assert record.distance(np.array([1.0, 0.5, 0.4])) == pytest.approx((1 + 1) / 2)
    assert record.distance(np.array([0.5, 0.25])) == 0


def test_equal_images_have_a_spread_all_the_same() -> None:
    record = Familiar.of(np.full((LEAST_IMAGES, 2), 0.5, np.float32))
    assert record is not None and record.spreads == (0.01, 0.01) and record.limit == 0


def test_few_images_leave_no_record_and_no_record_warns_of_nothing() -> None:
    assert Familiar.of(np.full((LEAST_IMAGES - 1, 2), 0.5, np.float32)) is None
    assert Familiar.of(np.zeros((LEAST_IMAGES, 0), np.float32)) is None
    assert not unlike_training(None, IMAGES[0])
    assert unlike_training(Familiar((5.0,), (0.1,), 1.0), IMAGES[0])


def test_training_keeps_a_record_if_it_has_enough_images(trained: Path, world: World) -> None:
    images = len(load_split(world.data, "train").images)
    assert images < LEAST_IMAGES and Grounder.from_pretrained(trained).familiar is None


def test_the_record_is_part_of_the_folder(trained: Path, tmp_path: Path) -> None:
    grounder = Grounder.from_pretrained(trained)
    grounder.familiar = Familiar((0.5, 0.25), (0.5, 0.25), 1.0)
    grounder.save_pretrained(tmp_path / "with")
    assert Grounder.from_pretrained(tmp_path / "with").familiar == grounder.familiar


@pytest.mark.parametrize(
    "changes",
    [
        {"means": [0.5]},
        {"means": [], "spreads": []},
        {"spreads": [0.0, 0.1]},
        {"limit": float("nan")},
        {"limit": None},
        {"means": None},
        {"means": ["a", "b"]},
    ],
)
def test_a_damaged_record_is_an_error_of_the_folder(trained: Path, tmp_path: Path, changes: dict[str, object]) -> None:
    grounder = Grounder.from_pretrained(trained)
    grounder.save_pretrained(tmp_path / "bad")
    content = json.loads((tmp_path / "bad" / "config.json").read_text())
    content.pop("content_sha256")
    content["familiar"] = {**Familiar((0.5, 0.25), (0.5, 0.25), 1.0).to_json(), **changes}
    (tmp_path / "bad" / "config.json").write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"bad.*(damaged or written by another version|not a finite number)"):
        Grounder.from_pretrained(tmp_path / "bad")


def test_the_shipped_grounder_has_a_record_of_as_many_candidates_as_its_detector_gives() -> None:
    grounder = Grounder.from_pretrained(SHIPPED)
    assert grounder.familiar is not None
    assert len(grounder.familiar.means) == grounder.detector_description.candidates


def test_an_answer_warns_of_an_unlike_photo(trained: Path, world: World) -> None:
    grounder, candidates = Grounder.from_pretrained(trained), world.open().candidates(world.open().image_ids[0])
    [plain] = grounder.ground_candidates(candidates, "cat")
    assert UNLIKE not in plain.warnings
    count = len(candidates)
    grounder.familiar = Familiar((5.0,) * count, (0.1,) * count, 1.0)
    assert all(UNLIKE in found.warnings for found in grounder.ground_candidates(candidates, ["cat", "dog"]))


def test_the_shipped_grounder_warns_of_noise() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (160, 160, 3), dtype=np.uint8)
    [found] = Grounder.from_pretrained(SHIPPED).ground(noise, "dog")
    assert UNLIKE in found.warnings


@pytest.mark.slow
def test_the_shipped_grounder_knows_the_drawings_of_mojiref() -> None:
    scenes = ((compose(0, "val", number).pixels, "dog") for number in range(200))
    answers = Grounder.from_pretrained(SHIPPED).ground_many(scenes)
    assert sum(UNLIKE in answer.groundings[0].warnings for answer in answers) <= 0.05 * 200


@pytest.mark.slow
@pytest.mark.skipif(not REAL_PHOTOS.is_dir(), reason="the 100 COCO photos are not on this machine")
def test_the_shipped_grounder_warns_of_photographs() -> None:
    photos = ((path, "dog") for path in sorted(REAL_PHOTOS.glob("*.jpg")))
    warned = [UNLIKE in each.groundings[0].warnings for each in Grounder.from_pretrained(SHIPPED).ground_many(photos)]
    assert len(warned) == 100 and sum(warned) >= 95
