"""Training examples: masks stay on their objects under every change, and depend on the seed and their number alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.fabricate_instances import write_instances
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from aligncat.datasets.labelled import read_labelled
from aligncat.detectors.training.examples import Example, PhotoExamples, fit_masks, object_mask
from aligncat.detectors.training.labelled import LabelledObject, LabelledPhoto, hold_out
from aligncat.detectors.training.recipe import DetectorRecipe
from aligncat.errors import ConfigError
from aligncat.geometry import Letterbox, encode_mask

SIZE = 96
PLAIN = DetectorRecipe(mirror=False, crop=0, colour=0)
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> tuple[LabelledPhoto, ...]:
    files = write_instances(tmp_path_factory.mktemp("photos"))
    return read_labelled(files.path, files.images).photos


def colours(example: Example) -> np.ndarray:
    """Return the square as (S, S, 3) in [0, 1]."""
    return example.pixels.numpy().transpose(1, 2, 0) * STD + MEAN


@pytest.mark.parametrize("recipe", [PLAIN, DetectorRecipe(crop=1, colour=0), DetectorRecipe(crop=1, colour=0, seed=7)])
def test_a_mask_covers_its_objects_colour_and_no_other(
    photos: tuple[LabelledPhoto, ...], recipe: DetectorRecipe
) -> None:
    examples = PhotoExamples(photos, recipe, SIZE, 0, 24)
    shown = 0
    for example in (examples[number] for number in range(24)):
        square = colours(example)
        for mask in example.masks.numpy():
            inside = square[mask]
            typical = np.median(inside, axis=0)  # one rectangle has one colour, up to its resized edge
            assert (np.abs(inside - typical).max(axis=1) < 0.25).mean() > 0.8
            assert np.abs(typical - 0.5).max() > 0.3, "the background and the padding are grey"
            shown += 1
    assert shown > 30


def test_an_epoch_has_every_photo_once_and_another_order_than_the_next(photos: tuple[LabelledPhoto, ...]) -> None:
    examples = PhotoExamples(photos, PLAIN, SIZE, 0, 12)
    squares = [examples[number].pixels.numpy().tobytes() for number in range(12)]
    assert len(set(squares[:6])) == 6 and set(squares[:6]) == set(squares[6:]) and squares[:6] != squares[6:]


def test_an_example_depends_on_its_number_and_not_on_where_reading_starts(photos: tuple[LabelledPhoto, ...]) -> None:
    recipe = DetectorRecipe(crop=1, colour=1, seed=3)
    whole, rest = PhotoExamples(photos, recipe, SIZE, 0, 12), PhotoExamples(photos, recipe, SIZE, 5, 7)
    assert len(rest) == 7
    for number in (0, 6):
        assert torch.equal(whole[5 + number].pixels, rest[number].pixels)
        assert torch.equal(whole[5 + number].masks, rest[number].masks)


def test_a_mirrored_example_is_the_mirror_image(tmp_path: Path) -> None:
    pixels = np.zeros((10, 20, 3), np.uint8)
    pixels[:, :5] = 255
    Image.fromarray(pixels).save(tmp_path / "1.png")
    mask = pixels[..., 0] > 0
    photo = LabelledPhoto("1.png", tmp_path / "1.png", (20, 10), (LabelledObject(2, (0, 0, 5, 10), encode_mask(mask)),))
    examples = PhotoExamples([photo], DetectorRecipe(crop=0, colour=0), 20, 0, 40)
    seen = set()
    for number in range(40):
        example = examples[number]
        assert example.classes.tolist() == [2]
        bright = colours(example)[5:15].mean(axis=(0, 2))
        columns = example.masks[0].any(dim=0).numpy()
        assert np.array_equal(bright > 0.5, columns) and columns.sum() == 5
        seen.add(bool(columns[0]))
    assert seen == {True, False}


def test_a_crowd_is_not_learned_and_a_photo_without_objects_has_no_masks(photos: tuple[LabelledPhoto, ...]) -> None:
    left, right = photos[0].objects
    crowd = LabelledObject(right.category, right.box, right.mask, crowd=True)
    of = [LabelledPhoto("a", photos[0].path, photos[0].size, each) for each in ((left, crowd), ())]
    for recipe in (PLAIN, DetectorRecipe(crop=1)):
        counts = [len(PhotoExamples([photo], recipe, SIZE, 0, 1)[0].masks) for photo in of]
        assert counts == [1, 0]


def test_a_box_alone_is_its_own_mask() -> None:
    mask = object_mask(LabelledObject(0, (-0.6, 2.0, 3.4, 4.0), None), 6, 5)
    assert mask.sum() == 6 and mask[2:4, :3].all()


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_a_fitted_mask_keeps_its_share_of_the_image(width: int, height: int, seed: int) -> None:
    mask = np.zeros((1, height, width), dtype=bool)
    mask[0, :, seed % width :] = True
    place = Letterbox.of(width, height, 64)
    fitted = fit_masks(mask, place)[0]
    inner = fitted[place.top : place.top + place.inner_height, place.left : place.left + place.inner_width]
    assert inner.sum() == fitted.sum(), "the padding belongs to no object"
    assert abs(float(inner.float().mean()) - mask.mean()) <= 1 / place.inner_width


@given(st.integers(1, 50), st.floats(0, 0.99), st.integers(0, 5))
def test_held_out_photos_are_a_share_and_no_photo_is_lost(count: int, share: float, seed: int) -> None:
    photos = [LabelledPhoto(str(number), Path(str(number)), (1, 1), ()) for number in range(count)]
    kept, held_out = hold_out(photos, share, seed)
    assert sorted((*kept, *held_out), key=lambda photo: int(photo.name)) == photos
    assert kept and (not held_out if share == 0 or count == 1 else abs(len(held_out) - share * count) <= 1)
    assert hold_out(photos, share, seed) == (kept, held_out)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"epochs": 0}, {"batch_size": 0}, {"validations": 0}, {"held_out": 1.0}, {"crop": 1.5}, {"colour": -0.1}),
        *({"learning_rate": 0.0}, {"clip": -1.0}, {"ema": 1.0}, {"warmup": -1}, {"seed": -1}, {"seed": 2**32}),
    ],
)
def test_an_impossible_recipe_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        DetectorRecipe(**wrong)  # type: ignore[arg-type]
