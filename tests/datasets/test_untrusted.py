"""Untrusted files in every format: paths that leave the dataset's folder, half characters, huge sizes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.fabricate import jsonl_rows, write_image, write_jsonl_dataset, write_refer_dataset
from helpers.fabricate_hub import PHOTO, answers_row, refers_row, write_parquet

from aligncat.datasets.config import DataConfig
from aligncat.datasets.convert.convert import convert_dataset
from aligncat.datasets.load import load_split, load_truth, split_names
from aligncat.errors import DataError
from aligncat.geometry import MAX_PIXELS

Values = dict[str, Any]
"""Values in the single row of a fabricated dataset: "split", "photo", "text", "width" or "height"."""


def refer(root: Path, values: Values) -> DataConfig:
    files = write_refer_dataset(root, splits={"train": 1})
    image, ref = files.instances["images"][0], files.refs[1]
    image |= {key: values[key] for key in ("width", "height") if key in values}
    image["file_name"] = values.get("photo", image["file_name"])
    ref["split"] = values.get("split", "train")
    ref["sentences"][0]["sent"] = values.get("text", "a dog")
    return files.save().config


def phrases(root: Path, values: Values) -> DataConfig:
    files = write_refer_dataset(root, splits={"train": 1}, image_folder="images")
    image = files.instances["images"][0]
    image |= {key: values[key] for key in ("width", "height") if key in values}
    image["file_name"] = values.get("photo", image["file_name"])
    (root / "instances.json").write_text(json.dumps(files.instances))
    (root / "phrases.csv").write_text(f"annotation_id,phrase,split\n5000,a dog,{values.get('split', 'train')}\n")
    return DataConfig(root, "own", format="coco-csv")


def simrec(root: Path, values: Values) -> DataConfig:
    (root / "anns").mkdir(parents=True)
    photo = values.get("photo", "0.png")
    row = {"iid": 0, "file_name": photo, "bbox": [2, 5, 9, 9], "cat_id": 16, "refs": [values.get("text", "a dog")]}
    (root / "anns/refcoco.json").write_text(json.dumps({values.get("split", "train"): [row]}))
    write_image(root / "images/0.png", 0)
    return DataConfig(root, "refcoco", format="simrec")


def hub(root: Path, values: Values) -> DataConfig:
    row = refers_row(0, values.get("split", "train"))
    row["raw_image_info"] = json.dumps({**json.loads(row["raw_image_info"]), **values})
    write_parquet(root / "train-0.parquet", row)
    write_image(root / "images" / PHOTO.format(0), 0)
    return DataConfig(root, "refcoco", format="hub")


def answers(root: Path, values: Values) -> DataConfig:
    row = answers_row(0) | ({"file_name": values["photo"]} if "photo" in values else {})
    write_parquet(root / f"{values.get('split', 'train')}-0.parquet", row)
    write_image(root / "images" / PHOTO.format(0), 0)
    return DataConfig(root, "refcoco", format="hub")


def jsonl(root: Path, values: Values) -> DataConfig:
    row = jsonl_rows(1)[0] | {"image": values.get("photo", "photos/0.png"), "expression": values.get("text", "a dog")}
    return write_jsonl_dataset(root, {values.get("split", "train"): [row]})


Make = Callable[[Path, Values], DataConfig]
IN_FILES: tuple[Make, ...] = (refer, phrases, simrec, hub)
"""The formats whose files contain the names of splits. The others have them in the names of files."""


@pytest.mark.parametrize("make", [*IN_FILES, answers, jsonl])
@pytest.mark.parametrize("name", ["train", "val.2_x+y", "été"])
def test_a_valid_split_name_is_read(tmp_path: Path, make: Make, name: str) -> None:
    assert name in split_names(make(tmp_path, {"split": name}))


@pytest.mark.parametrize(
    ("make", "name"),
    [
        *(
            (make, name)
            for make in IN_FILES
            for name in ("../../evil", "/evil", "a\\b", "..", ".", "a b", "a\0", 61 * "a")
        ),
        *((answers, name) for name in ("a b", "..", "a(1)")),
        *((jsonl, name) for name in ("a b", "a(1)")),
    ],
)
def test_an_invalid_split_name_is_refused_before_anything_is_written(tmp_path: Path, make: Make, name: str) -> None:
    config = make(tmp_path / "deep/in/here", {"split": name})
    before = sorted(tmp_path.rglob("*"))
    for to in ("jsonl", "simrec", "refer"):
        with pytest.raises(DataError, match=r"here/.* cannot be a split's name.*rename it"):
            convert_dataset(data=config, to=to, out=tmp_path / "deep/out/of")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("make", "place"),
    [
        (refer, r"refs\(unc\)\.p: row 1: "),
        (phrases, r"phrases\.csv:2: "),
        (hub, r"parquet: row 0: "),
        (simrec, "json: "),
    ],
)
def test_the_error_says_where_the_invalid_name_is(tmp_path: Path, make: Make, place: str) -> None:
    with pytest.raises(DataError, match=place + r"'\.\./evil' cannot be a split's name"):
        split_names(make(tmp_path, {"split": "../evil"}))


@pytest.mark.parametrize("make", [*IN_FILES, answers, jsonl])
def test_a_split_named_by_the_user_cannot_leave_the_folder(tmp_path: Path, make: Make) -> None:
    config = make(tmp_path / "data", {})
    shutil.copytree(tmp_path / "data", tmp_path / "other")
    with pytest.raises(DataError):
        convert_dataset(data=config, to="jsonl", out=tmp_path / "out", splits=("../other/train",))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("make", [refer, phrases, simrec, answers, jsonl])
@pytest.mark.parametrize(
    "name", ["/photos/0.png", "C:\\0.png", "../0.png", "a/../../0.png", "\ud800.png", "e" * 252 + ".png"]
)
def test_a_photo_outside_its_folder_is_an_error_that_says_where(tmp_path: Path, make: Make, name: str) -> None:
    if make is answers and not name.isascii():
        pytest.skip("Parquet cannot hold half characters")
    config = make(tmp_path, {"photo": name})
    for read in (load_split, load_truth) if make in (simrec, jsonl) else (load_split,):
        with pytest.raises(DataError, match=r"(json|jsonl:1|parquet).*(must be relative|half a character|too long)"):
            read(config, "train")  # type: ignore[operator]


@pytest.mark.parametrize("make", [refer, simrec, jsonl])
@pytest.mark.parametrize("to", ["simrec", "jsonl", "refer"])
def test_half_a_character_is_an_error_that_says_where(tmp_path: Path, make: Make, to: str) -> None:
    config = make(tmp_path / "data", {"text": "a dog \ud83d"})
    with pytest.raises(DataError, match=r"(row 1|train\[0\]|jsonl:1).*half a character"):
        convert_dataset(data=config, to=to, out=tmp_path / "out")


@pytest.mark.parametrize("make", [refer, phrases, hub])
@pytest.mark.parametrize(
    ("size", "message"),
    [
        ({"width": 2**40}, "more than the limit of 64,000,000"),
        ({"width": 10**9, "height": 10**9}, "more than the limit"),
        ({"width": MAX_PIXELS // 40 + 1, "height": 40}, "more than the limit"),
        ({"width": 0}, "'width' must be at least 1 pixel, not 0"),
        ({"height": -5}, "'height' must be at least 1 pixel, not -5"),
        ({"width": 2**70}, "'width' must be a whole number"),
    ],
)
def test_an_impossible_photo_size_is_an_error_that_says_where(
    tmp_path: Path, make: Make, size: Values, message: str
) -> None:
    config = make(tmp_path, size)
    with pytest.raises(DataError, match=rf"(image 1000|row 0, raw_image_info): .*{message}"):
        load_truth(config, "train")


@pytest.mark.filterwarnings("ignore:overflow")  # numpy warns before it raises the error
@pytest.mark.parametrize("shape", [(10**6, 10**6), (10**30, 1), (2**32, 2**32), (41, 48)])
def test_a_mask_that_claims_more_than_its_file_holds_is_an_error(tmp_path: Path, shape: tuple[int, int]) -> None:
    config = simrec(tmp_path, {})
    with_mask(config)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with (tmp_path / "masks/refcoco/3.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.write(bytes(40 * 48))
    with pytest.raises(DataError, match=r"train\[0\]: .*3\.npy: cannot be read as an array"):
        load_truth(config, "train")


def test_a_mask_with_more_pixels_than_the_limit_is_an_error(tmp_path: Path) -> None:
    config = simrec(tmp_path, {})
    with_mask(config)
    with (tmp_path / "masks/refcoco/3.npy").open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (MAX_PIXELS + 1, 1)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + MAX_PIXELS + 1)  # a sparse file, which takes no space on the disk
    with pytest.raises(DataError, match=r"train\[0\]: .*3\.npy: 64,000,001 pixels are more than the limit"):
        load_truth(config, "train")


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04 which is the beginning of a zip file",
        b"\x80\x04\x95 a pickle",
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x01\x00\x10\x00" + b"(" * 16,
        b"\x93NUMPY\x02\x00\x00\x20\x00\x00" + b"[" * 8192,
        b"\x93NUMPY\x01\x00\x10\x00{'descr': '|O',\n",
    ],
)
def test_a_mask_file_that_is_no_array_is_an_error(tmp_path: Path, content: bytes) -> None:
    config = simrec(tmp_path, {})
    with_mask(config)
    (tmp_path / "masks/refcoco/3.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"train\[0\]: .*3\.npy: cannot be read as an array"):
        load_truth(config, "train")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_mask_of_numbers_that_are_not_finite_is_an_error(tmp_path: Path, value: float) -> None:
    config = simrec(tmp_path, {})
    with_mask(config)
    np.save(tmp_path / "masks/refcoco/3.npy", np.full((40, 48), value))
    with pytest.raises(DataError, match=r"3\.npy: contains numbers that are not finite"):
        load_truth(config, "train")


def with_mask(config: DataConfig) -> None:
    """Add a mask's id to the row."""
    path = config.path / "anns/refcoco.json"
    rows = json.loads(path.read_text())
    rows["train"][0]["mask_id"] = 3
    path.write_text(json.dumps(rows))
    (config.path / "masks/refcoco").mkdir(parents=True)
