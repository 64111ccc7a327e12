"""What detectors of other people give is checked where it enters, with one error that names detector and image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from aligncat.api.extract import extract
from aligncat.detectors.checked import CheckedDetector
from aligncat.detectors.description import DetectorDescription
from aligncat.detectors.registry import load_detector, open_detector
from aligncat.errors import ConfigError, DetectorError
from aligncat.geometry import encode_mask
from aligncat.store.reader import Store
from aligncat.types import Candidates, FeatureColumn

WIDTH, HEIGHT = 20, 10


def description(**settings: Any) -> DetectorDescription:
    values: dict[str, Any] = {
        "name": "halves",
        "weights_sha256": "none",
        "config_sha256": "none",
        "architecture": "halves",
        "image_size": 32,
        "preprocessing": {},
        "feature": "none",
        "confidence": "constant",
        "candidates": 4,
        "masks": "none",
        **settings,
    }
    return DetectorDescription(**values)


class Halves:
    """A detector whose candidates are the left and the right half of an image, as `change` makes them."""

    labels = ("left", "right")
    feature_dim = 3
    columns: tuple[FeatureColumn, ...] = ()
    candidates = 4
    batch_size = 2
    device = "cpu"

    def __init__(self, *, masks: bool = False, **changes: Any) -> None:
        self.masks, self.changes = masks, changes

    def description(self) -> DetectorDescription:
        return description(masks="interpolated" if self.masks else "none")

    def detect(self, images: Sequence[Image.Image], ids: Sequence[str]) -> list[Candidates]:
        return [self.halves(image, image_id) for image, image_id in zip(images, ids, strict=True)]

    def halves(self, image: Image.Image, image_id: str) -> Candidates:
        width, height = image.size
        boxes = np.array([[0, 0, width / 2, height], [width / 2, 0, width, height]], np.float32)
        found = Candidates(
            image_id=image_id,
            width=width,
            height=height,
            features=np.ones((2, 3), np.float16),
            queries=np.arange(2, dtype=np.int32),
            categories=np.arange(2, dtype=np.int32),
            confidences=np.array([0.75, 0.5], np.float32),
            boxes=boxes,
            masks=tuple(encode_mask(half) for half in halves_of(width, height)) if self.masks else None,
        )
        return replace(found, **self.changes)


def halves_of(width: int, height: int) -> list[np.ndarray]:
    left = np.zeros((height, width), bool)
    left[:, : width // 2] = True
    return [left, ~left]


def checked(**changes: Any) -> Candidates:
    [found] = CheckedDetector(Halves(**changes)).detect([Image.new("RGB", (WIDTH, HEIGHT))], ["photo 1"])
    return found


def test_good_candidates_are_kept_with_the_types_of_candidates() -> None:
    found = checked(
        features=[[1, 2, 3], [4, 5, 6]], categories=np.array([1, 0]), boxes=[[0, 0, 5, 5], [1, 1, 20.0001, 10]]
    )
    assert found.features.dtype == np.float16 and found.features.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert found.categories.dtype == np.int32 and found.categories.tolist() == [1, 0]
    assert found.boxes.dtype == np.float32 and found.boxes.tolist() == [[0, 0, 5, 5], [1, 1, 20, 10]]
    assert found.masks is None
    assert checked(masks=True).masks == Halves(masks=True).halves(Image.new("RGB", (WIDTH, HEIGHT)), "").masks


def test_no_candidates_at_all_are_good() -> None:
    found = checked(features=[], queries=[], categories=[], confidences=[], boxes=[])
    assert len(found) == 0 and found.features.shape == (0, 3) and found.boxes.shape == (0, 4)
    assert found.features.dtype == np.float16 and found.boxes.dtype == found.confidences.dtype == np.float32
    assert found.queries.dtype == found.categories.dtype == np.int32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_id": "photo 2"}, "candidates of image 'photo 2' of 20 x 10 px, but it is 'photo 1' of 20 x 10 px"),
        ({"width": 10}, "of 10 x 10 px, but it is 'photo 1' of 20 x 10 px"),
        ({"features": np.ones((2, 4), np.float16)}, r"features of shape \(2, 4\) and type float16, not \(2, 3\)"),
        ({"features": np.full((2, 3), np.nan)}, "features that are not finite as float16"),
        ({"features": np.full((2, 3), 1e6)}, "features that are not finite as float16"),
        ({"features": [["a"] * 3] * 2}, "features of shape"),
        ({"features": [[1], [2, 3]]}, "features that are no array of numbers"),
        ({"queries": np.zeros(3, np.int32)}, r"queries of shape \(3,\)"),
        ({"categories": np.array([0.0, 1.0])}, "categories of shape .* and type float64, not .* and int32"),
        ({"categories": np.array([0, 2])}, "a category that is not from 0 to 1"),
        ({"categories": np.array([-1, 0])}, "a category that is not from 0 to 1"),
        ({"categories": np.array([2**32, 0])}, "categories that are too large for int32"),
        ({"queries": np.array([0, 2**31])}, "queries that are too large for int32"),
        ({"confidences": np.array([0.5, 0.75])}, "not sorted; put the most confident first"),
        ({"confidences": np.array([1.5, 0.75])}, "a confidence that is not from 0 to 1"),
        ({"confidences": np.array([np.nan, 0.75])}, "confidences that are not finite"),
        ({"boxes": np.array([[0, 0, 25, 5], [0, 0, 1, 1]])}, r"the box \(0, 0, 25, 5\), which must be"),
        ({"boxes": np.array([[0, 0, 5, 5], [3, 0, 3, 1]])}, r"the box \(3, 0, 3, 1\)"),
        ({"boxes": np.array([[-9e-4, 0, -1e-4, 5], [0, 0, 1, 1]])}, r"the box \(-0.0009, 0, -0.0001, 5\)"),
        ({"boxes": np.array([[-2, 0, 5, 5], [0, 0, 1, 1]])}, r"the box \(-2, 0, 5, 5\)"),
        ({"boxes": np.array([[0, 0, np.inf, 5], [0, 0, 1, 1]])}, "boxes that are not finite"),
        ({"boxes": np.zeros((2, 2))}, r"boxes of shape \(2, 2\)"),
        ({"columns": {"colour": np.zeros((2, 17))}}, r"the columns \['colour'\], not those that it announces"),
    ],
)
def test_a_mistake_is_named_with_detector_and_image(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DetectorError, match=rf"^detector halves, image photo 1: gave .*{message}"):
        checked(**changes)


def test_more_candidates_than_announced() -> None:
    many = {
        "features": np.ones((5, 3)),
        "queries": np.arange(5),
        "categories": np.zeros(5, int),
        "confidences": np.full(5, 0.5),
        "boxes": np.tile([0, 0, 1, 1], (5, 1)),
    }
    with pytest.raises(DetectorError, match=r"gave 5 candidates, more than its 4"):
        checked(**many)


class WithMasks(Halves):
    def __init__(self, masks: Any) -> None:
        super().__init__(masks=True)
        self.changes = {"masks": masks}


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (None, "gave no masks, but the `masks` of its description is 'interpolated'"),
        ((encode_mask(halves_of(WIDTH, HEIGHT)[0]),), "masks that are not 2 RLEs"),
        (tuple(encode_mask(each) for each in halves_of(10, 20)), r"masks that are not 2 RLEs .* of size \[10, 20\]"),
        (({"size": [HEIGHT, WIDTH], "counts": b"\xff\xff"},) * 2, "masks that are not 2 RLEs"),
        (({"size": [HEIGHT, WIDTH], "counts": [200]},) * 2, "masks that are not 2 RLEs"),
        (("mask", "mask"), "masks that are not 2 RLEs"),
    ],
)
def test_masks_that_cannot_be(masks: Any, message: str) -> None:
    with pytest.raises(DetectorError, match=message):
        CheckedDetector(WithMasks(masks)).detect([Image.new("RGB", (WIDTH, HEIGHT))], ["photo 1"])


def test_masks_of_a_detector_that_announces_boxes_alone() -> None:
    with pytest.raises(DetectorError, match=r"gave masks, but the `masks` of its description is 'none'"):
        CheckedDetector(Announced()).detect([Image.new("RGB", (WIDTH, HEIGHT))], ["photo 1"])


class Announced(Halves):
    def __init__(self) -> None:
        super().__init__(masks=True)

    def description(self) -> DetectorDescription:
        return description()


def with_member(name: str, value: Any) -> Halves:
    detector = Halves()
    setattr(detector, name, value)
    return detector


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("labels", (), "its labels must be the names"),
        ("labels", (1, 2), "its labels must be the names"),
        ("feature_dim", 0, "its feature_dim must be a whole number from 1 to 65536, not 0"),
        ("feature_dim", 3.0, "its feature_dim must be a whole number"),
        ("batch_size", -1, "its batch_size must be a whole number"),
        ("candidates", 5, "gives 5 candidates, but its description says 4"),
        ("columns", ("colour",), "its columns must be FeatureColumn records"),
        ("description", lambda: {"name": "halves"}, "its description is a dict, not a DetectorDescription"),
        ("description", lambda: description(image_size="32"), "its description is no JSON"),
        ("description", lambda: description(preprocessing={"mean": {1, 2}}), "its description is no JSON"),
    ],
)
def test_a_detector_that_describes_itself_wrongly(name: str, value: Any, message: str) -> None:
    with pytest.raises(DetectorError, match=message):
        CheckedDetector(with_member(name, value))


def test_an_object_that_is_no_detector() -> None:
    with pytest.raises(DetectorError, match=r"detector int: lacks labels, feature_dim"):
        open_detector(3)  # type: ignore[arg-type]


def test_detect_that_returns_something_else() -> None:
    with pytest.raises(DetectorError, match=r"gave 0 records for 1 images"):
        CheckedDetector(with_member("detect", lambda images, ids: [])).detect([Image.new("RGB", (9, 9))], ["a"])
    with pytest.raises(DetectorError, match=r"detector halves, image a: gave a dict, not Candidates"):
        CheckedDetector(with_member("detect", lambda images, ids: [{}])).detect([Image.new("RGB", (9, 9))], ["a"])


@given(
    st.lists(st.lists(st.floats(width=32) | st.integers(-3, 30), min_size=4, max_size=4), min_size=2, max_size=2),
    st.lists(st.floats(width=32), min_size=2, max_size=2),
)
def test_whatever_numbers_a_detector_gives_what_passes_is_right(boxes: list[Any], confidences: list[float]) -> None:
    try:
        found = checked(boxes=np.array(boxes, np.float64), confidences=np.array(confidences))
    except DetectorError as error:
        assert str(error).startswith("detector halves, image photo 1: ")
        return
    x1, y1, x2, y2 = found.boxes.T
    assert (x1 >= 0).all() and (x2 <= WIDTH).all() and (y1 >= 0).all() and (y2 <= HEIGHT).all()
    assert (x1 < x2).all() and (y1 < y2).all()
    assert ((found.confidences >= 0) & (found.confidences <= 1)).all()


def test_an_object_extracts_and_is_refused_where_only_a_name_is_known(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (WIDTH, HEIGHT), "red").save(tmp_path / "photos" / "a.png")
    store = extract(out=tmp_path / "store", images=tmp_path / "photos", detector=Halves(), device="cpu")
    assert store.candidates("a.png").boxes.tolist() == [[0, 0, 10, 10], [10, 0, 20, 10]]
    assert Store.open(tmp_path / "store").masks("a.png") is None
    with pytest.raises(DetectorError, match=r"'halves' \(halves\) is an object of somebody's own code"):
        load_detector(store.manifest.detector)


@pytest.mark.parametrize(
    "option",
    [{"candidates": 3}, {"image_size": 64}, {"preprocessing": "squash"}, {"every_query": True}, {"appearance": True}],
)
def test_options_that_only_the_detector_can_decide(option: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"{next(iter(option))}: a detector of your own decides this itself"):
        open_detector(Halves(), **option)
