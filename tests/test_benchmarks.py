"""Tests of the calculations inside benchmarks. The benchmarks as a whole are not run here."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from helpers.benchmark_scripts import script
from PIL import Image
from pycocotools.coco import COCO

from aligncat.api.extract import extract
from aligncat.datasets.categories import COCO_NAMES
from aligncat.datasets.config import DataConfig
from aligncat.grounder.folder import SHIPPED
from aligncat.mojiref.build import make_mojiref
from aligncat.mojiref.glyphs import CATEGORIES as MOJIREF
from aligncat.mojiref.recipe import MojiRefConfig

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.mark.parametrize(
    ("phrase", "sorted_as"),
    [
        ("left man in red shirt", ["place", "first noun", "function", "color", "function"]),
        ("big blue car left of bus", ["size", "color", "first noun", "relation", "function", "second noun"]),
        ("orange on left", ["first noun", "function", "place"]),
        ("orange cup near the orange", ["color", "first noun", "relation", "function", "second noun"]),
        ("woman wearing orange", ["first noun", "function", "color"]),
        ("dog to the right of cat", ["first noun", "function", "function", "relation", "function", "second noun"]),
        ("a cat at the top of the picture", ["function", "first noun", *["function"] * 2, "place", *["function"] * 3]),
    ],
)
def test_each_word_gets_its_sort(phrase: str, sorted_as: list[str]) -> None:
    sorts = runpy.run_path(str(BENCHMARKS / "word_weights.py"))["sorts"]
    assert list(sorts(phrase.split())) == sorted_as


@pytest.mark.parametrize(
    ("phrase", "way"),
    [
        ("dog to the right of the cat", "right"),
        ("left dog over a chair", "above"),
        ("cup on the left side of the picture under the clock", "below"),
        ("man left of bus", "left"),
        ("right cup next to the orange", None),
    ],
)
def test_the_direction_comes_from_the_relation_and_not_from_the_place(phrase: str, way: str | None) -> None:
    assert runpy.run_path(str(BENCHMARKS / "relations.py"))["direction"](phrase.split()) == way


@pytest.mark.parametrize(("way", "which"), [("left", 0), ("right", 1), ("above", 1), ("below", 2)])
def test_the_farthest_object_is_the_one_with_the_farthest_centre(way: str, which: int) -> None:
    alike = np.array([[0, 40, 20, 60], [50, 0, 90, 20], [10, 10, 40, 99]], float)  # centres: 10, 50; 70, 10; 25, 54.5
    lies_farthest = runpy.run_path(str(BENCHMARKS / "relations.py"))["lies_farthest"]
    assert [lies_farthest(box, alike, way) for box in alike] == [number == which for number in range(3)]


def test_25_epochs_take_a_pass_for_each_referent_in_the_loop_and_one_for_each_image_with_a_store() -> None:
    epochs = script("against_on_the_fly").epochs
    # 42,404 referents in batches of 100 are 424 whole steps an epoch; 16,994 images are extracted once.
    assert epochs(loop=2.0, ours=0.5, extract=0.25, batch=100) == (25 * 424 * 2.0, 16_994 * 0.25 + 25 * 424 * 0.5)


def test_the_scenes_of_the_own_detector_have_nothing_of_mojiref_and_true_annotations(tmp_path: Path) -> None:
    own = runpy.run_path(str(BENCHMARKS / "own_detector.py"))
    drawn = {code for codes in own["CATEGORIES"].values() for code in codes}
    assert len(own["CATEGORIES"]) == 30 and not {*own["CATEGORIES"]} & {*COCO_NAMES}
    assert not drawn & {glyph.code for category in MOJIREF for glyph in category.glyphs}
    noise = np.random.default_rng(0).integers(0, 256, (10, 400, 500, 3), np.uint8)
    (tmp_path / "backgrounds").mkdir()
    for number, pixels in enumerate(noise):
        Image.fromarray(pixels).save(tmp_path / "backgrounds" / f"{number}.png")
    for out in ("one", "two"):
        own["make_scenes"](tmp_path / out, tmp_path / "backgrounds", 4, 2, 0)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert len(files) == 4 + 2 + 2 + 3
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files)
    for part, count in (("train", 4), ("held-out", 2)):
        read = COCO(str(tmp_path / "one" / f"{part}.json"))
        assert len(read.imgs) == count and len(read.anns) >= 3 * count - 2
        for image in read.imgs:
            annotations = read.loadAnns(read.getAnnIds([image]))
            masks = np.array([read.annToMask(each) for each in annotations])
            assert masks.sum(axis=0).max() == 1, "the visible parts of two objects overlap"
            for annotation, mask in zip(annotations, masks, strict=True):
                y, x = np.nonzero(mask)
                box = [x.min(), y.min(), x.max() + 1 - x.min(), y.max() + 1 - y.min()]
                assert (annotation["bbox"], annotation["area"]) == (box, mask.sum())


def test_the_shipped_grounder_finds_second_objects_and_turns_with_the_scene(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, store = tmp_path / "mojiref", tmp_path / "store"
    make_mojiref(out=made, recipe=MojiRefConfig(train=1, val=24, test=1))
    data = DataConfig(made, "mojiref+")
    extract(detector="mini", data=data, splits=("val",), out=store, appearance=True)
    monkeypatch.setattr("sys.argv", ["second_objects.py", str(SHIPPED), str(made), str(store)])
    script("second_objects").main()
    weight, chance, turned = map(float, re.findall(r"[\d.]+(?=, at random|\n|%; where)", capsys.readouterr().out)[:3])
    assert weight > 2 * chance
    assert turned > 50
