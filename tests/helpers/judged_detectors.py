"""Splits of photos by their names, and the record of a detector's training, to ask whether it has seen the photos."""

from __future__ import annotations

import json
from pathlib import Path

from aligncat.datasets.split import Split
from aligncat.types import ImageRecord

TRAIN, VAL, TEST = (f"COCO_{release}_000000000009.jpg" for release in ("train2014", "val2014", "test2014"))


def split_of(*photos: str, dataset: str = "refcoco") -> Split:
    images = {str(number): ImageRecord(str(number), Path("photos") / name) for number, name in enumerate(photos)}
    return Split(dataset, "val", "unc", images, ())


def own_detector(folder: Path, images: str, *started_from: str) -> Path:
    """Write what `aligncat detector train` writes about the images."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"aligncat_started_from": started_from}))
    (folder / "trained-on.txt").write_text(images)
    (folder / "held-out.txt").write_text("3.jpg\n")
    return folder
