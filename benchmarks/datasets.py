"""Measure the time of reading a dataset of RefCOCO's size.

    python benchmarks/datasets.py

The script fabricates 50,000 referents with 120,000 sentences in 19,994 images (RefCOCO has 50,000 and 142,210) and
an instances.json of 200,000 annotations, without image files. It prints the CPU time of our readers beside that of
Python's own pickle and json for the same files.
"""

from __future__ import annotations

import json
import pickle
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aligncat.datasets.categories import COCO_CATEGORIES
from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import load_split, load_truth

IMAGES, REFERENTS, SENTENCES, ANNOTATIONS = 19_994, 50_000, 120_000, 200_000
WORDS = ("the", "a", "red", "left", "man", "dog", "with", "shirt", "near", "big", "standing", "on", "side")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        config = DataConfig(Path(folder), "refcoco")
        for protocol in (0, 2, 4):
            fabricate(config, protocol)
            files = Path(folder, "refcoco")
            bare_pickle = seconds(lambda: pickle.loads((files / "refs(unc).p").read_bytes()))  # noqa: B023
            bare_json = seconds(lambda: json.loads((files / "instances.json").read_text()))  # noqa: B023
            split = seconds(lambda: load_split(config, "train", check_images=False))
            truth = seconds(lambda: load_truth(config, "train"))
            print(
                f"protocol {protocol}: pickle.loads {bare_pickle:.2f} s, json.loads {bare_json:.2f} s, "
                f"load_split {split:.2f} s ({split / (bare_pickle + bare_json):.2f} x both), "
                f"load_truth {truth:.2f} s"
            )


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def fabricate(config: DataConfig, protocol: int) -> None:
    """Write refs(unc).p with the given pickle protocol, and instances.json."""
    rng = random.Random(0)
    folder = config.path / config.dataset
    folder.mkdir(exist_ok=True)
    instances = {
        "images": [
            {"id": i, "file_name": f"COCO_train2014_{i:012d}.jpg", "width": 640, "height": 480} for i in range(IMAGES)
        ],
        "categories": [{"id": number, "name": name} for number, name in COCO_CATEGORIES.items()],
        "annotations": [annotation(i, rng) for i in range(ANNOTATIONS)],
    }
    (folder / "instances.json").write_text(json.dumps(instances))
    refs: list[dict[str, Any]] = [
        {
            "ref_id": i,
            "ann_id": i,
            "image_id": i % IMAGES,
            "category_id": 1,
            "split": "train",
            "file_name": f"COCO_train2014_{i:012d}_{i}.jpg",
            "sent_ids": [],
            "sentences": [],
        }
        for i in range(REFERENTS)
    ]
    for sent_id in range(SENTENCES):
        tokens = rng.choices(WORDS, k=rng.randint(1, 7))
        text = " ".join(tokens)
        ref = refs[sent_id % REFERENTS]
        ref["sent_ids"].append(sent_id)
        ref["sentences"].append({"tokens": tokens, "raw": text, "sent_id": sent_id, "sent": text})
    (folder / "refs(unc).p").write_bytes(pickle.dumps(refs, protocol))


def annotation(number: int, rng: random.Random) -> dict[str, object]:
    corners = [float(rng.randint(10, 400)) + 0.25 for _ in range(40)]
    return {
        "id": number,
        "image_id": number % IMAGES,
        "category_id": 1,
        "bbox": [10.25, 10.5, 300.0, 200.75],
        "iscrowd": 0,
        "area": 1234.5,
        "segmentation": [corners],
    }


if __name__ == "__main__":
    main()
