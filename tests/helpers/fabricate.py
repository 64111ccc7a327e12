"""Tiny real datasets for tests: PNG images of coloured rectangles, with truth that can be checked by hand."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from aligncat.datasets.config import DataConfig

WIDTH, HEIGHT = 48, 40
CATEGORIES = {1: "person", 18: "dog", 63: "couch"}
SPLITS = {"train": 4, "val": 2, "testA": 1, "testB": 1}


@dataclass(frozen=True)
class Thing:
    """A rectangle in a fabricated image, in whole pixels; x2 and y2 are exclusive."""

    category_id: int
    colour: str
    box: tuple[int, int, int, int]

    @property
    def category(self) -> str:
        return CATEGORIES[self.category_id]


def things_of(number: int) -> tuple[Thing, Thing]:
    """Return the two things in image `number`: one on the left and a different one on the right."""
    shift = number % 8
    ids = list(CATEGORIES)
    colours = ("red", "blue", "green", "yellow")
    return (
        Thing(ids[number % 3], colours[number % 4], (2 + shift, 5, 14 + shift, 30)),
        Thing(ids[(number + 1) % 3], colours[(number + 1) % 4], (26 + shift, 10, 38 + shift, 22)),
    )


def write_image(path: Path, number: int) -> Path:
    """Write the PNG of image `number`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (WIDTH, HEIGHT), "grey")
    draw = ImageDraw.Draw(image)
    for thing in things_of(number):
        x1, y1, x2, y2 = thing.box
        draw.rectangle((x1, y1, x2 - 1, y2 - 1), fill=thing.colour)
    image.save(path)
    return path


def polygons_of(box: tuple[int, int, int, int]) -> list[list[float]]:
    """Return a rectangle as two polygons, its left and its right half."""
    x1, y1, x2, y2 = box
    middle = (x1 + x2) // 2
    return [
        [float(v) for v in (left, y1, right, y1, right, y2, left, y2)] for left, right in ((x1, middle), (middle, x2))
    ]


def run_lengths_of(box: tuple[int, int, int, int], width: int = WIDTH, height: int = HEIGHT) -> dict[str, Any]:
    """Return a rectangle as uncompressed COCO run lengths, column by column, without using pycocotools."""
    x1, y1, x2, y2 = box
    runs = [x1 * height + y1]
    for _ in range(x2 - x1 - 1):
        runs += [y2 - y1, height - (y2 - y1)]
    return {"size": [height, width], "counts": [*runs, y2 - y1, (height - y2) + (width - x2) * height]}


@dataclass
class ReferFiles:
    """A dataset in REFER's layout. Change `refs` or `instances`, then call `save()`."""

    config: DataConfig
    image_folder: Path
    refs: list[Any] = field(default_factory=list)
    instances: dict[str, Any] = field(default_factory=dict)

    @property
    def refs_path(self) -> Path:
        return self.config.path / self.config.dataset / f"refs({self.config.split_by}).p"

    @property
    def instances_path(self) -> Path:
        return self.config.path / self.config.dataset / "instances.json"

    def save(self) -> ReferFiles:
        self.refs_path.parent.mkdir(parents=True, exist_ok=True)
        self.refs_path.write_bytes(pickle.dumps(self.refs, protocol=2))
        self.instances_path.write_text(json.dumps(self.instances))
        return self


def write_refer_dataset(
    root: Path,
    dataset: str = "refcoco",
    split_by: str = "unc",
    splits: dict[str, int] | None = None,
    image_folder: str = "images/mscoco/images/train2014",
) -> ReferFiles:
    """Write a REFER dataset with two referents per image and two sentences per referent.

    Args:
        root: the folder for DataConfig.path.
        dataset: name of the dataset and of its folder.
        split_by: who divided the dataset.
        splits: number of images per split; SPLITS by default. Images are numbered from 0 across all splits.
        image_folder: the folder of the images, below root.
    """
    files = ReferFiles(DataConfig(root, dataset, split_by), root / image_folder)
    files.instances = {
        "images": [],
        "annotations": [],
        # Not in the order of the ids, since no reader may rely on it.
        "categories": [{"id": number, "name": CATEGORIES[number]} for number in sorted(CATEGORIES, reverse=True)],
    }
    numbers = iter(range(10**6))
    for split, count in (splits or SPLITS).items():
        for _, number in zip(range(count), numbers, strict=False):
            _add_image(files, split, number)
    return files.save()


def _add_image(files: ReferFiles, split: str, number: int) -> None:
    image_id, name = 1000 + number, f"COCO_train2014_{1000 + number:012d}.png"
    write_image(files.image_folder / name, number)
    files.instances["images"].append({"id": image_id, "file_name": name, "width": WIDTH, "height": HEIGHT})
    for index, (thing, side) in enumerate(zip(things_of(number), ("left", "right"), strict=True)):
        ref_id = 2 * number + index
        x1, y1, x2, y2 = thing.box
        files.instances["annotations"].append(
            {
                "id": 5000 + ref_id,
                "image_id": image_id,
                "category_id": thing.category_id,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "iscrowd": 0,
                "segmentation": polygons_of(thing.box) if index == 0 else run_lengths_of(thing.box),
            }
        )
        texts = (f"{thing.colour} {thing.category}", f"the {thing.category} on the {side}")
        files.refs.append(
            {
                "ref_id": ref_id,
                "ann_id": 5000 + ref_id,
                "image_id": image_id,
                "category_id": thing.category_id,
                "file_name": f"COCO_train2014_{image_id:012d}_{index}.png",
                "split": split,
                "sent_ids": [2 * ref_id, 2 * ref_id + 1],
                "sentences": [
                    {"sent_id": 2 * ref_id + k, "sent": text, "raw": text.upper(), "tokens": text.split()}
                    for k, text in enumerate(texts)
                ],
            }
        )


def jsonl_rows(count: int = 3) -> list[dict[str, Any]]:
    """Return one row per image: the thing on the left, with a box, a mask and two expressions."""
    rows = []
    for number in range(count):
        thing = things_of(number)[0]
        rows.append(
            {
                "image": f"photos/{number}.png",
                "expression": [f"the {thing.colour} {thing.category}", "the thing on the left"],
                "category": thing.category,
                "box": list(thing.box),
                "mask": polygons_of(thing.box),
            }
        )
    return rows


def write_jsonl_dataset(root: Path, splits: dict[str, list[dict[str, Any]]] | None = None) -> DataConfig:
    """Write a JSON Lines dataset, <root>/<split>.jsonl and images. By default train has 3 rows and val has 2."""
    for split, rows in (splits or {"train": jsonl_rows(3), "val": jsonl_rows(2)}).items():
        root.mkdir(parents=True, exist_ok=True)
        (root / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for number in range(3):
        write_image(root / "photos" / f"{number}.png", number)
    return DataConfig(root, "jsonl")
