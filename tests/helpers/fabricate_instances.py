"""A tiny COCO instances.json with photos, to train detectors on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpers.fabricate import CATEGORIES, HEIGHT, WIDTH, polygons_of, run_lengths_of, things_of, write_image


@dataclass
class InstancesFiles:
    """The files. Change `content`, then call `save()`."""

    path: Path
    images: Path
    content: dict[str, Any] = field(default_factory=dict)

    def save(self) -> Path:
        self.path.write_text(json.dumps(self.content))
        return self.path


def write_instances(folder: Path, *, photos: int = 6, first: int = 0, name: str = "instances.json") -> InstancesFiles:
    """Write photos with two rectangles each: the left one as polygons, the right one as run lengths."""
    images, annotations = [], []
    for number in range(first, first + photos):
        write_image(folder / "photos" / f"photo-{number}.png", number)
        images.append({"id": number, "file_name": f"photo-{number}.png", "width": WIDTH, "height": HEIGHT})
        for side, thing in enumerate(things_of(number)):
            x1, y1, x2, y2 = thing.box
            shape = run_lengths_of(thing.box) if side else polygons_of(thing.box)
            row = {"id": 2 * number + side + 1, "image_id": number, "category_id": thing.category_id, "iscrowd": 0}
            annotations.append({**row, "bbox": [x1, y1, x2 - x1, y2 - y1], "segmentation": shape})
    categories = [{"id": number, "name": each} for number, each in CATEGORIES.items()]
    content = {"images": images, "annotations": annotations, "categories": categories}
    files = InstancesFiles(folder / name, folder / "photos", content)
    files.save()
    return files
