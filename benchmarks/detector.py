"""Measure Mask2Former's own forward pass, and extraction with it, against the forward pass of transformers.

    python benchmarks/detector.py PHOTOS_FOLDER [--detector mini] [--photos 100] [--extracted 24] [--out FILE]

Two detectors: the one that aligncat ships, and a Mask2Former of real size (Swin-Tiny, 100 queries, 80 classes, 416 px)
with random weights, whose masks are noise. The passes of transformers, those of aligncat and extraction alternate,
batch by batch, over the same photos. Each figure is the median over the batches of a ratio of processor times, with one
thread. Extraction also decodes the photos, makes boxes and masks and writes the store. The script also compares what
both forward passes give. It prints the figures as JSON.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable
from copy import copy
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import numpy as np
import torch
from extract import SUFFIXES, save_real_size_detector
from numpy.typing import NDArray

from aligncat.detectors.candidates import RawOutput
from aligncat.detectors.mask2former import Mask2FormerDetector
from aligncat.detectors.preprocessing import normalize
from aligncat.detectors.registry import open_detector
from aligncat.files.images import read_image
from aligncat.geometry import letterbox_image
from aligncat.store.extract import extract_images
from aligncat.types import Candidates, ImageRecord

T = TypeVar("T")
PARTS = ("class_logits", "mask_logits", "features")


def of_transformers(detector: Mask2FormerDetector, pixels: NDArray[np.float32]) -> RawOutput:
    """Run the forward pass of transformers on a detector's model."""
    model = detector._model
    with torch.inference_mode():
        output = model(pixel_values=torch.from_numpy(pixels))
        features = model.model.transformer_module.decoder.layernorm(output.transformer_decoder_last_hidden_state)
        parts = (output.class_queries_logits, output.masks_queries_logits, features)
        return RawOutput(*(part.numpy() for part in parts))


def timed(work: Callable[..., T], *arguments: Any, **options: Any) -> tuple[T, float]:
    """Return the result of a call, and its processor time in seconds."""
    begun = time.process_time()
    result = work(*arguments, **options)
    return result, time.process_time() - begun


def candidates_of(detector: Mask2FormerDetector, output: RawOutput, batch: list[ImageRecord]) -> list[Candidates]:
    """Return the candidates that a detector makes of an output."""
    shown = [read_image(each.path) for each in batch]
    given = copy(detector)
    given.forward = lambda pixels: output  # type: ignore[method-assign]
    return given.detect(shown, [each.id for each in batch])


def same(first: Candidates, second: Candidates) -> bool:
    """Return whether two records hold the same (query, class) pairs in the same order."""
    return np.array_equal(first.queries, second.queries) and np.array_equal(first.categories, second.categories)


def measure(name: str, images: list[ImageRecord], extracted: int, scratch: Path) -> dict[str, float]:
    detector = open_detector(name)
    assert isinstance(detector, Mask2FormerDetector)
    forward_ratios, extract_ratios, differences, equal_masks, equal = [], [], [], [], 0
    remaining = iter(images)
    batches = list(iter(lambda: list(islice(remaining, detector.batch_size)), []))
    for number, batch in enumerate([batches[0], *batches]):  # the first one warms up
        squares = [letterbox_image(read_image(each.path), detector.preprocessing.size)[0] for each in batch]
        pixels = normalize(squares)
        theirs, their_seconds = timed(of_transformers, detector, pixels)
        ours, our_seconds = timed(detector.forward, pixels)
        if number == 0:
            continue
        forward_ratios.append(our_seconds / their_seconds)
        differences.append([float(np.abs(getattr(theirs, part) - getattr(ours, part)).max()) for part in PARTS])
        if number * detector.batch_size <= extracted:
            out = scratch / f"{Path(name).name}-{number}"
            _, seconds = timed(extract_images, images=batch, detector=detector, out=out)
            extract_ratios.append((seconds / their_seconds, seconds / our_seconds))
        pairs = zip(candidates_of(detector, theirs, batch), candidates_of(detector, ours, batch), strict=True)
        for first, second in pairs:
            equal += same(first, second)
            equal_masks.append(np.mean([a == b for a, b in zip(first.masks or (), second.masks or (), strict=False)]))
    to_theirs, to_ours = zip(*extract_ratios, strict=True)
    classes, masks, features = np.max(differences, axis=0).tolist()
    return {
        "photos": len(images),
        "forward_to_transformers": round(median(forward_ratios), 3),
        "extraction_to_transformers_forward": round(median(to_theirs), 3),
        "extraction_to_own_forward": round(median(to_ours), 3),
        "largest_difference_of_class_logits": classes,
        "largest_difference_of_mask_logits": masks,
        "largest_difference_of_features": features,
        "photos_with_the_same_candidates": equal,
        "share_of_equal_masks": round(float(np.mean(equal_masks)), 4),
    }


def processor() -> str:
    """Return the processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.processor())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=100, help="use the first N photos")
    parser.add_argument("--extracted", type=int, default=24, help="extract the first N photos as well")
    parser.add_argument("--detector", choices=("mini", "swin-tiny"), action="append")
    parser.add_argument("--out", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    paths = sorted(path for path in options.folder.iterdir() if path.suffix.lower() in SUFFIXES)[: options.photos]
    if not paths:
        parser.error(f"{options.folder}: no photo in this folder (suffixes: {', '.join(sorted(SUFFIXES))})")
    images = [ImageRecord(path.stem, path) for path in paths]
    torch.set_num_threads(1)
    figures: dict[str, Any] = {"processor": processor(), "threads": 1, "torch": torch.__version__}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        for name in options.detector or ("mini", "swin-tiny"):
            path = name if name == "mini" else str(save_real_size_detector(scratch / "swin-tiny"))
            figures[name] = measure(path, images, options.extracted, scratch)
    text = json.dumps(figures, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
