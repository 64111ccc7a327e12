"""`aligncat data check` of every format: counts, a box outside of its photo, and a missing photo."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.fabricate import jsonl_rows, things_of, write_image, write_jsonl_dataset
from helpers.fabricate_hub import PHOTO, refers_row, write_parquet

from aligncat.datasets.config import DataConfig
from aligncat.datasets.convert.convert import convert_dataset
from aligncat.datasets.formats import FORMATS
from aligncat.datasets.prepare.check import check_dataset
from aligncat.datasets.prepare.counts import Counts

SIZE = {"width": 48, "height": 40}
GOOD, OUTSIDE = [*things_of(0)[0].box], [500, 5, 520, 30]
Box = list[int]


def sides(box: Box) -> Box:
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


def changed(path: Path, key: str, box: Box) -> None:
    """Give the first row under a key of a JSON file another box."""
    content = json.loads(path.read_text())
    content[key][0]["bbox"] = sides(box)
    path.write_text(json.dumps(content))


def converted(to: str, file: str, key: str) -> Callable[[Path, Box], DataConfig]:
    """Return a function that writes a format with our own writer, and then changes the box in a file."""

    def write(root: Path, box: Box) -> DataConfig:
        own = write_jsonl_dataset(root / "own", {"val": [{**jsonl_rows(1)[0], "expression": "it"}]})
        config = convert_dataset(data=own, to=to, out=root / to)
        [path] = (root / to).rglob(file)
        changed(path, key, box)
        return config

    return write


def lines(row: Callable[[Box], dict[str, Any]], form: str, **options: Any) -> Callable[[Path, Box], DataConfig]:
    """Return a function that writes one row of JSON lines."""

    def write(root: Path, box: Box) -> DataConfig:
        write_image(root / "0.png", 0)
        (root / "val.jsonl").write_text(json.dumps(row(box)) + "\n")
        return DataConfig(root, "own", format=form, **options)

    return write


def hub(root: Path, box: Box) -> DataConfig:
    write_image(root / "images" / PHOTO.format(0), 0)
    annotation = {"id": 70, "bbox": sides(box)}
    write_parquet(root / "val-0.parquet", refers_row(0, "val", bbox=box, raw_anns=json.dumps(annotation)))
    return DataConfig(root, "refcoco", format="hub")


def mdetr(root: Path, box: Box) -> DataConfig:
    write_image(root / "0.png", 0)
    image = {"file_name": "0.png", "id": 0, "original_id": 9, "caption": "it", "dataset_name": "refcoco", **SIZE}
    row = {"bbox": sides(box), "image_id": 0, "category_id": 18, "id": 0, "tokens_positive": [[0, 2]]}
    content = {"images": [image], "annotations": [row], "categories": [{"id": 18, "name": "dog"}]}
    (root / "finetune_refcoco_val.json").write_text(json.dumps(content))
    return DataConfig(root, "own", format="mdetr", images=root)


def ofa(root: Path, box: Box) -> DataConfig:
    photo = write_image(root / "photos" / PHOTO.format(7), 0)
    content = base64.urlsafe_b64encode(photo.read_bytes()).decode()
    (root / "refcoco_val.tsv").write_text("\t".join(["79_1", "7", "it", ",".join(map(str, box)), content]) + "\n")
    return DataConfig(root, "refcoco", format="ofa", images=root / "photos")


def conversation(box: Box) -> dict[str, Any]:
    answer = str([box[0] / 48, box[1] / 40, box[2] / 48, box[3] / 40])
    said = [{"from": "human", "value": "<image>\nWhere is it: the thing."}, {"from": "gpt", "value": answer}]
    return {"image": "0.png", "conversations": said}


def messages(box: Box) -> dict[str, Any]:
    said = [{"role": "user", "content": "<image>find <ref-object>"}, {"role": "assistant", "content": "<bbox>"}]
    return {"messages": said, "images": ["0.png"], "objects": {"ref": ["it"], "bbox": [box]}}


WRITERS: dict[str, Callable[[Path, Box], DataConfig]] = {
    "refer": converted("refer", "instances.json", "annotations"),
    "simrec": converted("simrec", "*.json", "val"),
    "hub": hub,
    "coco-csv": converted("coco-csv", "*.json", "annotations"),
    "jsonl": lines(lambda box: {"image": "0.png", "expression": "it", "box": box}, "jsonl"),
    "shikra": lines(lambda box: {"img_path": "0.png", "expression": "it", "bbox": box, **SIZE}, "shikra"),
    "qwen": lines(lambda box: {"image": "0.png", "sent": "it", "bbox": box, **SIZE}, "qwen"),
    "vlm-r1": lines(
        lambda box: {"image": "0.png", "problem": "?", "normal_caption": "it", "solution": box, **SIZE}, "vlm-r1"
    ),
    "ms-swift": lines(messages, "ms-swift"),
    "llava": lines(conversation, "llava", boxes="fraction"),
    "mdetr": mdetr,
    "ofa": ofa,
}


def test_every_format_is_here() -> None:
    assert {*WRITERS} == {*FORMATS}


@pytest.mark.parametrize("form", WRITERS)
def test_a_good_file_has_its_counts_and_no_fault(tmp_path: Path, form: str) -> None:
    report = check_dataset(WRITERS[form](tmp_path, GOOD))
    [val] = [each for each in report.splits if each.found is not None]
    assert (val.split, val.found) == ("val", Counts(1, 2 if form == "hub" else 1, 1))
    assert report.problems == () and report.missing == () and report.photos == 1


@pytest.mark.parametrize("form", WRITERS)
def test_a_box_outside_of_its_photo_and_a_missing_photo_are_faults(tmp_path: Path, form: str) -> None:
    config = WRITERS[form](tmp_path, OUTSIDE)
    [box] = check_dataset(config).problems
    assert "val" in box or "instances" in box or "annotations" in box
    [photo] = [path for path in tmp_path.rglob("*") if path.suffix in (".png", ".jpg") and "1." not in path.name][:1]
    photo.unlink()
    assert [Path(name).name for name in check_dataset(config).missing] == [photo.name]
