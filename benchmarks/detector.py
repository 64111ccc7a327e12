"""Measure Mask2Former's own forward pass against that of transformers, and compare what they give.

    python benchmarks/detector.py PHOTOS [--detector mini] [--count 100] [--out FILE]

Two detectors: the one that aligncat ships, and a Mask2Former of real size (Swin-Tiny, 100 queries, 80 classes, 416 px)
with random weights, whose masks are noise. Both passes and a matrix product, for the limit, alternate over the batches
of the photos. `benchmarks/extract.py` measures whole extractions.
"""

from __future__ import annotations

import argparse
import tempfile
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from floors import Product, operations
from measuring import Figure, add_out, seconds, write
from numpy.typing import NDArray
from real_size import pass_of_transformers, photos_of, save_detector

from aligncat.detectors.candidates import RawOutput
from aligncat.detectors.mask2former import Mask2FormerDetector
from aligncat.detectors.preprocessing import normalize
from aligncat.detectors.registry import open_detector
from aligncat.files.images import read_image
from aligncat.geometry import letterbox_image
from aligncat.types import Candidates, ImageRecord

PARTS = ("class_logits", "mask_logits", "features")
BAR = 0.72


class Both:
    """The outputs of both passes for some pixels, each kept after its call."""

    def __init__(self, detector: Mask2FormerDetector, pixels: NDArray[np.float32]) -> None:
        self._detector, self._pixels = detector, pixels

    def run_theirs(self) -> None:
        self.theirs = pass_of_transformers(self._detector._model, self._pixels)

    def run_ours(self) -> None:
        self.ours = self._detector.forward(self._pixels)


def candidates_of(detector: Mask2FormerDetector, output: RawOutput, batch: list[ImageRecord]) -> list[Candidates]:
    """Return the candidates that a detector makes of an output."""
    shown = [read_image(each.path) for each in batch]
    given = copy(detector)
    given.forward = lambda pixels: output  # type: ignore[method-assign]
    return given.detect(shown, [each.id for each in batch])


def same(first: Candidates, second: Candidates) -> bool:
    """Return whether two records hold the same (query, class) pairs in the same order."""
    return np.array_equal(first.queries, second.queries) and np.array_equal(first.categories, second.categories)


def measure(name: str, path: str, images: list[ImageRecord]) -> tuple[Figure, dict[str, Any]]:
    """Return the ratio of the passes of a detector, and how much their outputs differ."""
    detector = open_detector(path)
    assert isinstance(detector, Mask2FormerDetector)
    detector._model.requires_grad_(False)
    product = Product(1024)
    times: dict[str, list[float]] = {"theirs": [], "ours": [], "product": []}
    differences, equal_masks, equal = [], [], 0
    batches = [images[at : at + detector.batch_size] for at in range(0, len(images), detector.batch_size)]
    for number, batch in enumerate([batches[0], *batches]):  # the first one warms up
        squares = [letterbox_image(read_image(each.path), detector.preprocessing.size)[0] for each in batch]
        pixels = normalize(squares)
        both = Both(detector, pixels)
        spent = {"theirs": seconds(both.run_theirs), "ours": seconds(both.run_ours), "product": seconds(product)}
        if number == 0:
            count = operations(partial(detector.forward, pixels)) / len(batch)
            continue
        for part, value in spent.items():
            times[part].append(value)
        differences.append(
            [float(np.abs(getattr(both.theirs, part) - getattr(both.ours, part)).max()) for part in PARTS]
        )
        pairs = zip(*(candidates_of(detector, each, batch) for each in (both.theirs, both.ours)), strict=True)
        for first, second in pairs:
            equal += same(first, second)
            equal_masks.append(np.mean([a == b for a, b in zip(first.masks or (), second.masks or (), strict=False)]))
    floor = count * detector.batch_size / product.rate(float(np.median(times["product"])))
    classes, masks, features = np.max(differences, axis=0).tolist()
    figure = Figure.ratio(
        f"forward pass of {name}, {detector.preprocessing.size} px",
        times["ours"],
        times["theirs"],
        "times the pass of transformers",
        limit=floor / float(np.median(times["theirs"])),
        limit_is="its operations at the rate of a matrix product",
        bar=BAR,
    )
    return figure, {
        "photos": len(images),
        "operations": count,
        "largest_difference_of_class_logits": classes,
        "largest_difference_of_mask_logits": masks,
        "largest_difference_of_features": features,
        "photos_with_the_same_candidates": equal,
        "share_of_equal_masks": round(float(np.mean(equal_masks)), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=100, help="use the first N photos")
    parser.add_argument("--detector", choices=("mini", "swin-tiny"), action="append")
    add_out(parser)
    options = parser.parse_args()
    images = photos_of(options.photos, options.count)
    torch.set_num_threads(1)
    figures, details = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.detector or ("mini", "swin-tiny"):
            path = name if name == "mini" else str(save_detector(Path(folder) / name, name))
            figure, details[name] = measure(name, path, images)
            figures.append(figure)
    notes = [
        f"{name}: {each['photos_with_the_same_candidates']} of {each['photos']} photos have the same (query, class) "
        f"pairs in both passes; mask logits differ by at most {each['largest_difference_of_mask_logits']:.1e}"
        for name, each in details.items()
    ]
    write(figures, options, details=details, notes=notes)


if __name__ == "__main__":
    main()
