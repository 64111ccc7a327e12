"""JSON lines, good and bad."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.fabricate import HEIGHT, WIDTH, jsonl_rows, polygons_of, things_of, write_image, write_jsonl_dataset
from PIL import Image
from pycocotools import mask as coco_mask

from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import load_split, load_truth
from aligncat.errors import DataError, ImageError
from aligncat.types import Expression


def write_lines(root: Path, *lines: str) -> DataConfig:
    config = write_jsonl_dataset(root)
    (root / "train.jsonl").write_text("\n".join(lines) + "\n")
    return config


def row(**changes: object) -> str:
    return json.dumps({**jsonl_rows(1)[0], **changes})


def test_a_split_holds_every_expression_of_every_line(tmp_path: Path) -> None:
    split = load_split(write_jsonl_dataset(tmp_path), "train")
    assert (split.dataset, split.split, split.split_by) == ("jsonl", "train", None)
    assert len(split.expressions) == 6
    assert split.expressions[0] == Expression("train:1:0", "train:1", "photos/0.png", "the red person", "person")
    assert split.expressions[3] == Expression("train:2:1", "train:2", "photos/1.png", "the thing on the left", "dog")
    assert [e.category for e in split.expressions[::2]] == ["person", "dog", "couch"]
    assert split.images["photos/2.png"].path == tmp_path / "photos" / "2.png"
    assert [len(group) for group in split.sentences_by_referent().values()] == [2, 2, 2]


def test_ids_of_two_splits_differ(tmp_path: Path) -> None:
    config = write_jsonl_dataset(tmp_path)
    ids = [e.id for name in ("train", "val") for e in load_split(config, name).expressions]
    assert len(set(ids)) == len(ids) == 10


def test_an_image_and_a_phrase_are_enough(tmp_path: Path) -> None:
    config = write_lines(tmp_path, '{"image": "photos/0.png", "expression": "the dog"}')
    [expression] = load_split(config, "train").expressions
    assert (expression.text, expression.category, expression.derived) == ("the dog", "dog", True)


@pytest.mark.parametrize(
    ("phrases", "category"),
    [
        (["the thing on the left", "man in blue"], "person"),
        (["the bowl", "man in blue", "a guy"], "person"),
        (["the bowl", "man in blue"], "bowl"),
        (["the one on the left", "that thing"], None),
    ],
    ids=["one phrase names it", "most phrases name it", "a tie, first wins", "no phrase names it"],
)
def test_all_phrases_of_a_row_determine_its_category(tmp_path: Path, phrases: list[str], category: str | None) -> None:
    config = write_lines(tmp_path, row(expression=phrases, category=None))
    expressions = load_split(config, "train").expressions
    assert {(e.category, e.derived) for e in expressions} == {(category, category is not None)}


def test_a_given_category_takes_precedence_over_the_phrase(tmp_path: Path) -> None:
    config = write_lines(tmp_path, row(expression="the dog", category="forklift"))
    [expression] = load_split(config, "train").expressions
    assert (expression.category, expression.derived) == ("forklift", False)


def test_a_lexicon_adds_words_for_categories(tmp_path: Path) -> None:
    config = write_lines(tmp_path, row(expression="the lift truck with a dog", category=None))
    (tmp_path / "words.toml").write_text('[names]\nforklift = ["lift truck"]\n')
    config = replace(config, lexicon=tmp_path / "words.toml")
    assert {e.category for e in load_split(config, "train").expressions} == {"forklift"}


def test_given_ids_and_kinds_are_kept(tmp_path: Path) -> None:
    kinds = [{"kind": "color", "needed": ["color"], "redundant": ["size"]}, {}]
    config = write_lines(tmp_path, row(id=7, image_id=9, expression_ids=["a", 2], kinds=kinds))
    first, second = load_split(config, "train").expressions
    expected = Expression("a", "7", "9", "the red person", "person", ("color",), ("size",), "color")
    assert first == expected
    assert (second.id, second.kind) == ("2", None)
    assert list(load_truth(config, "train")) == ["7"]


def test_truth_has_no_derived_category(tmp_path: Path) -> None:
    config = write_lines(tmp_path, row(expression="the dog", category=None))
    assert load_truth(config, "train")["train:1"].category is None


def test_two_spellings_of_a_path_are_one_image(tmp_path: Path) -> None:
    config = write_lines(tmp_path, row(), row(image="./photos/../photos/0.png"))
    assert list(load_split(config, "train").images) == ["photos/0.png"]


def test_a_split_is_the_same_without_boxes_and_masks(tmp_path: Path) -> None:
    whole = load_split(write_jsonl_dataset(tmp_path), "train")
    bare = [{k: v for k, v in r.items() if k not in ("box", "mask")} for r in jsonl_rows(3)]
    config = write_jsonl_dataset(tmp_path, {"train": bare})
    assert load_split(config, "train") == whole
    with pytest.raises(DataError, match=r"train\.jsonl:1: neither 'box' nor 'mask'"):
        load_truth(config, "train")


def test_truth_matches_the_drawn_rectangles(tmp_path: Path) -> None:
    truth = load_truth(write_jsonl_dataset(tmp_path), "train")
    assert list(truth) == ["train:1", "train:2", "train:3"]
    for number, referent in enumerate(truth.values()):
        x1, y1, x2, y2 = things_of(number)[0].box
        assert referent.box.tolist() == [x1, y1, x2, y2]
        assert referent.category == things_of(number)[0].category
        assert referent.mask is not None and referent.mask["size"] == [HEIGHT, WIDTH]
        pixels = coco_mask.decode(referent.mask)
        assert pixels.sum() == (x2 - x1) * (y2 - y1) == pixels[y1:y2, x1:x2].sum()


def test_a_mask_without_a_box_gives_the_box_around_it(tmp_path: Path) -> None:
    config = write_lines(tmp_path, row(box=None))
    assert load_truth(config, "train")["train:1"].box.tolist() == list(things_of(0)[0].box)


def test_a_box_without_a_mask_is_read(tmp_path: Path) -> None:
    assert load_truth(write_lines(tmp_path, row(mask=None)), "train")["train:1"].mask is None


def test_a_photo_taken_sideways_has_its_displayed_size(tmp_path: Path) -> None:
    config = write_lines(tmp_path, row(image="photos/side.jpg", mask=polygons_of((30, 40, 35, 44)), box=None))
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate 90 degrees clockwise to show
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "photos" / "side.jpg", exif=exif)
    mask = load_truth(config, "train")["train:1"].mask
    assert mask is not None and mask["size"] == [WIDTH, HEIGHT]
    assert np.argwhere(coco_mask.decode(mask)).max(axis=0).tolist() == [43, 34]


def test_images_can_be_in_another_folder(tmp_path: Path) -> None:
    write_jsonl_dataset(tmp_path / "data", {"train": jsonl_rows(1)})
    write_image(tmp_path / "elsewhere" / "photos" / "0.png", 0)
    config = DataConfig(tmp_path / "data", "jsonl", images=tmp_path / "elsewhere")
    assert load_split(config, "train").images["photos/0.png"].path == tmp_path / "elsewhere/photos/0.png"


def test_windows_line_ends_blank_lines_and_a_byte_order_mark_are_harmless(tmp_path: Path) -> None:
    config = write_jsonl_dataset(tmp_path)
    (tmp_path / "train.jsonl").write_bytes(b"\xef\xbb\xbf" + f"{row()}\r\n\r\n{row()}".encode())
    assert [e.referent_id for e in load_split(config, "train").expressions[::2]] == ["train:1", "train:3"]


BAD_LINES: dict[str, tuple[str, str]] = {
    "not JSON": ("{'image': 1}", "not JSON"),
    "cut off": (row()[:-5], "not JSON"),
    "not an object": ('["photos/0.png", "dog"]', "must be a mapping .*not list"),
    "no image": ('{"expression": "dog"}', "key 'image' is missing"),
    "no expression": ('{"image": "photos/0.png"}', "key 'expression' is missing"),
    "misspelt key": (row(catgory="dog"), "key 'catgory' is not known; .*category"),
    "image no string": (row(image=3), "'image' must be a string .*not 3"),
    "image empty": (row(image=""), "'image' must be a string that is not empty"),
    "image absolute": (row(image="/photos/0.png"), "must be relative"),
    "image on a drive": (row(image="C:\\photos\\0.png"), "must be relative"),
    "image missing": (row(image="photos/9.png"), r"photos/9\.png: no such file; 'image' is relative to"),
    "expression empty": (row(expression=""), "empty expression ''"),
    "expression punctuation": (row(expression=["dog", "?!"]), r"empty expression '\?!'"),
    "expressions none": (row(expression=[]), "'expression' is an empty list"),
    "expression null": (row(expression=None), "the expression must be a string, not None"),
    "expression number": (row(expression=["dog", 4]), "the expression must be a string, not 4"),
    "duplicated id": (row(id="train:1"), "the id train:1 was used before"),
    "duplicated expression id": (row(expression_ids=[4, 4]), "the id 4 was used before; every sentence's id"),
    "an expression without id": (row(expression_ids=[4]), "1 'expression_ids' for 2 sentences"),
    "kind number": (row(kinds=[{"kind": 3}, {}]), "'kind' must be a string"),
    "another photo of an image": (row(image="photos/1.png", image_id="photos/0.png"), r"is photos/1\.png here"),
    "category number": (row(category=4), "'category' must be a string"),
    "huge number": ('{"image": ' + "9" * 5000 + "}", "not JSON"),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_bad_line_is_an_error_with_file_and_line_or_skipped_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    line, message = BAD_LINES[name]
    config = write_lines(tmp_path, row(), line, row())
    with pytest.raises(DataError, match=r"train\.jsonl:2: .*" + message):
        load_split(config, "train")
    with caplog.at_level(logging.WARNING, logger="aligncat.datasets"):
        split = load_split(config, "train", skip_bad_rows=True)
    assert [e.referent_id for e in split.expressions] == ["train:1"] * 2 + ["train:3"] * 2
    [warning] = caplog.messages
    assert "skipped 1 bad rows" in warning and "train.jsonl:2" in warning


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"box": [10, 20, 5, 30]}, "has no area; boxes are .x1, y1, x2, y2."),
        ({"box": [100, 0, 120, 20]}, "outside its image of 48 x 40"),
        ({"box": "10 20 30 40"}, "four finite numbers"),
        ({"mask": "m.png"}, "the mask must be"),
        ({"mask": {"size": [10, 10], "counts": [0, 100]}}, r"size is \[10, 10\]"),
        ({"mask": [[1, 1, 5, 5]]}, "a polygon must be a list of at least 6"),
        ({"id": "train:1"}, "the id train:1 was used before"),
        ({"box": None, "mask": None}, "neither 'box' nor 'mask'"),
        ({"image": "photos/9.png"}, "no such image file"),
        ({"image": "train.jsonl"}, "not a known image format"),
    ],
)
def test_bad_truth_is_an_error_with_file_and_line(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    config = write_lines(tmp_path, row(), row(**change))
    with pytest.raises(DataError, match=r"train\.jsonl:2: .*" + message):
        load_truth(config, "train")
    assert list(load_truth(config, "train", skip_bad_rows=True)) == ["train:1"]


def test_a_line_that_is_not_utf8_is_an_error(tmp_path: Path) -> None:
    config = write_jsonl_dataset(tmp_path)
    (tmp_path / "train.jsonl").write_bytes(row().encode() + b'\n{"image": "caf\xe9.png"}\n')
    with pytest.raises(DataError, match=r"train\.jsonl:2: not UTF-8"):
        load_split(config, "train")


def test_a_missing_split_lists_the_existing_ones(tmp_path: Path) -> None:
    config = write_jsonl_dataset(tmp_path)
    with pytest.raises(DataError, match=r"test\.jsonl: no such file; .* has train\.jsonl, val\.jsonl; check `split`"):
        load_split(config, "test")


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    config = write_lines(tmp_path)
    with pytest.raises(DataError, match=r"train\.jsonl: no usable row"):
        load_split(config, "train")


def test_a_missing_image_is_an_error_only_if_images_are_checked(tmp_path: Path) -> None:
    config = write_lines(tmp_path, row(image="photos/9.png"))
    with pytest.raises(ImageError):
        load_split(config, "train")
    assert len(load_split(config, "train", check_images=False).expressions) == 2


def test_a_long_expression_is_read_completely(tmp_path: Path) -> None:
    config = write_lines(tmp_path, row(expression="dog " * 10_000))
    assert load_split(config, "train").expressions[0].text == "dog " * 10_000
