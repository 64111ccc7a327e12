"""SimREC's JSON, as its own script writes it, and bad files."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.fabricate import HEIGHT, WIDTH, things_of, write_image
from pycocotools import mask as coco_mask

from aligncat.datasets.config import DataConfig
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.load import load_split, load_truth, split_names
from aligncat.errors import DataError, ImageError, MissingTruthError


def refcocog(tmp_path: Path, split_by: str | None) -> DataConfig:
    path = tmp_path / "anns/refcocog.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"val": [{"iid": 5, "bbox": [1, 2, 3, 4], "cat_id": 0, "refs": ["left man"]}]}))
    return DataConfig(tmp_path, "refcocog", split_by, format="simrec")


def test_refcocog_without_a_named_division_is_called_unknown_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = refcocog(tmp_path, None)
    files = AnnotationFiles()
    splits = [load_split(config, "val", check_images=False, files=files) for _ in range(2)]
    assert [split.split_by for split in splits] == ["unknown", "unknown"]
    assert ["--data.split_by umd or google" in message for message in caplog.messages] == [True], (
        "the warning is logged once for the same files"
    )


def test_the_division_named_by_the_user_is_recorded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert load_split(refcocog(tmp_path, "google"), "val", check_images=False).split_by == "google"
    assert not caplog.messages


def test_refcoco_needs_no_named_division(files: SimrecFiles, caplog: pytest.LogCaptureFixture) -> None:
    assert load_split(files.config, "val", check_images=False).split_by is None
    assert not caplog.messages


@dataclass
class SimrecFiles:
    config: DataConfig
    rows: dict[str, list[Any]]

    @property
    def path(self) -> Path:
        return self.config.path / "anns/refcoco.json"

    def save(self) -> DataConfig:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(self.rows), encoding="utf-8")
        return self.config


@pytest.fixture
def files(tmp_path: Path) -> SimrecFiles:
    """One training row and two val rows of one referent, as SimREC's script writes them, for the things on the left."""
    config = DataConfig(tmp_path, "refcoco", format="simrec")
    rows = []
    for number in range(2):
        x1, y1, x2, y2 = things_of(number)[0].box
        write_image(tmp_path / "images/train2014" / f"COCO_train2014_{number + 5:012d}.jpg", number)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[y1:y2, x1:x2] = 1 + number  # a pixel's value is the number of REFER's polygons that cover it
        (tmp_path / "masks/refcoco").mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / f"masks/refcoco/{number + 40}.npy", mask)
        rows.append({"iid": number + 5, "bbox": [x1, y1, x2 - x1, y2 - y1], "cat_id": 16, "mask_id": number + 40})
    found = SimrecFiles(
        config,
        {
            "train": [{**rows[0], "refs": ["red dog", "dog on left"]}],
            "val": [{**rows[1], "refs": ["blue dog"]}, {**rows[1], "refs": ["that dog"]}],
        },
    )
    found.save()
    return found


def test_a_training_row_is_a_referent(files: SimrecFiles) -> None:
    split = load_split(files.config, "train")
    assert [(e.id, e.referent_id, e.image_id, e.text, e.category, e.derived) for e in split.expressions] == [
        ("40:0", "40", "5", "red dog", "dog", False),
        ("40:1", "40", "5", "dog on left", "dog", False),
    ]
    assert (split.dataset, split.split) == ("refcoco", "train")
    assert split.images["5"].path == files.config.path / "images/train2014/COCO_train2014_000000000005.jpg"


def test_rows_of_one_mask_are_sentences_of_one_referent(files: SimrecFiles) -> None:
    groups = load_split(files.config, "val").sentences_by_referent()
    assert {key: [e.text for e in group] for key, group in groups.items()} == {"41": ["blue dog", "that dog"]}
    assert list(load_truth(files.config, "val")) == ["41"]


def test_truth_matches_the_drawn_rectangle(files: SimrecFiles) -> None:
    for number, name in enumerate(("train", "val")):
        [truth] = load_truth(files.config, name).values()
        x1, y1, x2, y2 = things_of(number)[0].box
        assert (truth.box.tolist(), truth.category) == ([x1, y1, x2, y2], "dog")
        assert truth.mask is not None
        pixels = coco_mask.decode(truth.mask)
        assert pixels.sum() == (x2 - x1) * (y2 - y1) == pixels[y1:y2, x1:x2].sum()


def test_the_file_determines_the_splits(files: SimrecFiles) -> None:
    files.rows = dict.fromkeys(("val", "testA", "train"), files.rows["val"])
    assert split_names(files.save()) == ("train", "val", "testA")
    with pytest.raises(DataError, match=r"refcoco\.json: no split 'test'; it has val, testA, train"):
        load_split(files.config, "test")


def test_a_split_is_the_same_without_boxes_and_masks(files: SimrecFiles) -> None:
    whole = load_split(files.config, "val")
    for row in files.rows["val"]:
        del row["bbox"]
    for path in (files.config.path / "masks/refcoco").iterdir():
        path.unlink()
    assert load_split(files.save(), "val") == whole
    with pytest.raises(MissingTruthError, match=r"val\[0\]: no 'bbox'"):
        load_truth(files.config, "val")


def test_without_a_folder_of_masks_only_boxes_are_read(files: SimrecFiles) -> None:
    for path in (files.config.path / "masks/refcoco").iterdir():
        path.unlink()
    (files.config.path / "masks/refcoco").rmdir()
    [truth] = load_truth(files.config, "train").values()
    assert truth.mask is None and truth.box.tolist() == list(things_of(0)[0].box)


def test_truth_with_masks_needs_no_photos(files: SimrecFiles) -> None:
    (files.config.path / "images/train2014/COCO_train2014_000000000005.jpg").unlink()
    assert list(load_truth(files.config, "train")) == ["40"]
    with pytest.raises(ImageError):
        load_split(files.config, "train")


def test_refclefs_photos_are_named_by_number(files: SimrecFiles) -> None:
    config = DataConfig(files.config.path, "refclef", format="simrec")
    (config.path / "anns/refclef.json").write_text(json.dumps(files.rows))
    assert load_split(config, "train", check_images=False).images["5"].path.name == "5.jpg"


def test_rows_can_name_their_photo_and_category(files: SimrecFiles) -> None:
    files.rows["train"] = [{"iid": "a", "file_name": "b.png", "refs": "lift truck", "category": "forklift"}]
    write_image(files.config.path / "images/train2014/b.png", 0)
    [expression] = load_split(files.save(), "train").expressions
    assert (expression.referent_id, expression.image_id, expression.category) == ("train:0", "a", "forklift")


def test_a_missing_category_comes_from_all_sentences_of_the_referent(files: SimrecFiles) -> None:
    for row, text in zip(files.rows["val"], ("the one on the left", "man in blue"), strict=True):
        row |= {"refs": [text], "cat_id": None}
    assert {(e.category, e.derived) for e in load_split(files.save(), "val").expressions} == {("person", True)}


BAD_ROWS: dict[str, tuple[dict[str, Any], str]] = {
    "no image": ({"iid": None}, "'iid' must be"),
    "image without a file": ({"iid": 77}, r"COCO_train2014_000000000077\.jpg: no such file"),
    "image without a number": ({"iid": "x"}, "'iid' is not a number"),
    "no sentence": ({"refs": []}, "'refs' is an empty list"),
    "empty sentence": ({"refs": ["red dog", " ?"]}, "empty expression"),
    "category that COCO lacks": ({"cat_id": 80}, "'cat_id' is 80, but COCO's categories are counted from 0 to 79"),
    "ids for other sentences": ({"sent_ids": [1]}, "1 'sent_ids' for 2 sentences"),
    "duplicated sentence ids": ({"sent_ids": [1, 1]}, "the id 1 was used before"),
    "kinds of other sentences": ({"kinds": [{}, {}, {}]}, "3 'kinds' for 2 sentences"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_an_error_with_file_and_row(files: SimrecFiles, name: str) -> None:
    change, message = BAD_ROWS[name]
    good = files.rows["train"][0]
    files.rows["train"] = [{**good, "mask_id": 1, "sent_ids": ["x", "y"]}, {**good, **change}]
    where = "" if "no such file" in message else r"refcoco\.json: train\[1\].*"
    with pytest.raises(DataError, match=where + message):
        load_split(files.save(), "train")
    kept = load_split(files.config, "train", skip_bad_rows=True).expressions
    assert [e.referent_id for e in kept] == ["1", "1"]


def test_a_sentence_id_in_two_rows_is_an_error(files: SimrecFiles) -> None:
    for row in files.rows["val"]:
        row["sent_ids"] = [9]
    with pytest.raises(DataError, match=r"val\[1\]: the id 9 was used before"):
        load_split(files.save(), "val")


def test_rows_of_one_referent_that_differ_are_an_error(files: SimrecFiles) -> None:
    files.rows["val"][1]["cat_id"] = 0
    with pytest.raises(
        DataError, match=r"val\[1\]: referent 41 has category person and image 6 here, but category dog"
    ):
        load_split(files.save(), "val")
    files.rows["val"][1]["bbox"] = [0, 0, 1, 1]
    with pytest.raises(DataError, match=r"val\[1\]: referent 41 has another 'bbox'"):
        load_truth(files.save(), "val")


def save_mask(pixels: Any) -> Callable[[SimrecFiles], None]:
    return lambda files: np.save(files.config.path / "masks/refcoco/40.npy", pixels)


def write_mask(content: bytes) -> Callable[[SimrecFiles], None]:
    return lambda files: (files.config.path / "masks/refcoco/40.npy").write_bytes(content) and None


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise AssertionError('code of a data file was run')",))


def bad_box(*box: float) -> Callable[[SimrecFiles], None]:
    def change(files: SimrecFiles) -> None:
        files.rows["train"][0]["bbox"] = list(box)
        files.save()

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (save_mask(np.ones((WIDTH, HEIGHT), np.uint8)), r"the mask's size is \[48, 40\], but .* \[40, 48\]"),
        (save_mask(np.zeros((HEIGHT, WIDTH), np.uint8)), r"40\.npy: the mask covers no pixel"),
        (save_mask(np.ones((HEIGHT, WIDTH, 3), np.uint8)), r"40\.npy: must be an array of numbers"),
        (save_mask(np.full((2, 2), "x")), r"40\.npy: must be an array of numbers"),
        (save_mask(np.array([Bomb()])), r"40\.npy: cannot be read as an array"),
        (write_mask(pickle.dumps(Bomb())), r"40\.npy: cannot be read as an array"),
        (write_mask(b""), r"40\.npy: cannot be read as an array"),
        (bad_box(100, 5, 10, 10), "outside its image of 48 x 40"),
        (bad_box(1, 5, 0, 10), "has no area"),
        (bad_box(1, 5, 10), "four finite numbers"),
    ],
)
def test_bad_truth_is_an_error_with_file_and_row(
    files: SimrecFiles, damage: Callable[[SimrecFiles], None], message: str
) -> None:
    damage(files)
    with pytest.raises(DataError, match=r"refcoco\.json: train\[0\]: .*" + message):
        load_truth(files.config, "train")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"train": [{"refs": ["caf\xe9"]}]}', "UTF-8"),
        (b'{"train": [', "not JSON"),
        (b"[]", "must be a mapping"),
        (b'{"train": {}}', "'train' must be a list"),
        (b'{"train": [1]}', r"train\[0\]: must be a mapping"),
        (b'{"train": []}', "no usable row"),
    ],
    ids=["Latin-1", "cut off", "a list", "a split that is not a list", "a row that is not a mapping", "empty"],
)
def test_a_damaged_file_is_an_error(files: SimrecFiles, content: bytes, message: str) -> None:
    files.path.write_bytes(content)
    with pytest.raises(DataError, match=r"refcoco\.json.*" + message):
        load_split(files.config, "train")


def test_a_missing_file_lists_the_existing_ones(files: SimrecFiles) -> None:
    config = DataConfig(files.config.path, "refcoco+", format="simrec")
    with pytest.raises(DataError, match=r"refcoco\+\.json: no such file; .* has refcoco\.json; check `dataset`"):
        load_split(config, "train")
