"""Statistics of the scenes: COCO's long tail, groups, sizes, occlusion."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from helpers.checker import MojiRefFiles
from numpy.typing import NDArray
from scipy.ndimage import label
from scipy.stats import chisquare

from aligncat.mojiref.glyphs import CATEGORIES
from aligncat.mojiref.scenes import Scene, compose

# Instances in COCO train2017, from COCO's own table.
COCO_INSTANCES = {"person": 262465, "car": 43867, "chair": 38491, "book": 24715, "bottle": 24342, "cup": 20650}


def test_categories_have_cocos_ids_and_numbers() -> None:
    known = {1: "person", 3: "car", 18: "dog", 62: "chair", 90: "toothbrush"}
    assert known.items() <= {category.id: category.name for category in CATEGORIES}.items()
    assert len({category.id for category in CATEGORIES}) == len(CATEGORIES) == 64
    assert all(1 <= category.id <= 90 for category in CATEGORIES)
    assert COCO_INSTANCES.items() <= {category.name: category.frequency for category in CATEGORIES}.items()


def test_categories_have_cocos_long_tail(flavours: dict[str, MojiRefFiles]) -> None:
    # One object per scene, because objects of one scene are not independent.
    first = [thing[0].category for thing in flavours["mojiref"].scenes.values()]
    frequent = set(COCO_INSTANCES) - {"person"}
    found = Counter("person" if name == "person" else "frequent" if name in frequent else "rare" for name in first)
    total = sum(category.frequency for category in CATEGORIES)
    shares = {"person": COCO_INSTANCES["person"] / total}
    shares["frequent"] = sum(COCO_INSTANCES[name] for name in frequent) / total
    shares["rare"] = 1 - sum(shares.values())
    assert 0.25 < shares["person"] < 0.35
    bins = list(shares)
    assert chisquare([found[b] for b in bins], [shares[b] * len(first) for b in bins]).pvalue > 1e-4, found


def test_scenes_have_groups_and_varied_sizes_and_colours(flavours: dict[str, MojiRefFiles]) -> None:
    scenes = list(flavours["mojiref"].scenes.values())
    assert 4 <= np.mean([len(scene) for scene in scenes]) <= 6
    with_group = [max(Counter(thing.category for thing in scene).values()) > 1 for scene in scenes]
    assert np.mean(with_group) >= 0.7
    extents = np.array([thing.extent for scene in scenes for thing in scene])
    assert all(share > 0.15 for share in ((extents <= 0.26).mean(), (extents >= 0.40).mean()))
    colors = Counter(thing.color for scene in scenes for thing in scene)
    assert len(colors) == 11  # eight tints, gray, white, and none
    assert max(colors.values()) < 0.35 * colors.total()


@pytest.fixture(scope="module")
def composed() -> list[Scene]:
    return [compose(0, "val", index) for index in range(80)]


def test_groups_are_often_alike(composed: list[Scene]) -> None:
    # Objects of the same drawing, colour and size can only be distinguished by their place.
    pairs = [
        pair for scene in composed for pair in combinations(scene.objects, 2) if pair[0].category == pair[1].category
    ]
    alike = [one.color == other.color for one, other in pairs if one.glyph == other.glyph]
    assert 0.5 < len(alike) / len(pairs) < 0.9
    assert 0.4 < np.mean(alike) < 0.8


def test_an_object_is_nearly_always_in_one_piece(composed: list[Scene]) -> None:
    # Detectors take an object's box from its mask's largest piece. With a perfect mask, that box must count as right.
    whole = 0
    masks = [entry.mask for scene in composed for entry in scene.objects]
    for mask in masks:
        pieces, _ = label(mask, np.ones((3, 3)))
        largest = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
        whole += _area_of_box(largest) > 0.5 * _area_of_box(mask)  # one box contains the other, so this is their IoU
    assert whole / len(masks) > 0.995


def _area_of_box(mask: NDArray[np.bool_]) -> int:
    y, x = np.nonzero(mask)
    return int((np.ptp(y) + 1) * (np.ptp(x) + 1))


@pytest.mark.parametrize("split", ["train", "val", "detector"])
def test_a_scene_is_determined_by_its_arguments(split: str) -> None:
    one, again = compose(3, split, 5), compose(3, split, 5)
    assert (one.pixels == again.pixels).all()
    others = [compose(4, split, 5), compose(3, split, 6), compose(3, "testA", 5)]
    assert not any(np.array_equal(one.pixels, other.pixels) for other in others)


def test_objects_hide_parts_of_each_other_but_never_most() -> None:
    hidden = 0
    for index in range(20):
        scene = compose(0, "val", index)
        for number, entry in enumerate(scene.objects):
            assert entry.mask.sum() >= 60, "an object has only a few pixels"
            # A later object that touches this one is in front of it.
            height, width = entry.mask.shape
            y, x = np.nonzero(entry.mask)
            around = np.zeros((height + 2, width + 2), bool)
            for down, right in ((0, 1), (2, 1), (1, 0), (1, 2)):
                around[y + down, x + right] = True
            hidden += any((around[1:-1, 1:-1] & later.mask).any() for later in scene.objects[number + 1 :])
    assert 10 <= hidden <= 80
