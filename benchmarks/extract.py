"""Measure the cost of extraction on top of the detector's forward passes, and its memory.

    python benchmarks/extract.py PHOTOS_FOLDER [--detector NAME_OR_FOLDER] [--images N] [--appearance]

The script extracts block by block. Before each block it times the bare model on the same images, already decoded and
letterboxed, in the batches that extraction uses, so that both run under the same load. The last line of output is JSON.
Without --detector, the detector is a Mask2Former of real size (Swin-Tiny, 100 queries, 80 classes) with random weights.
Its masks are noise, which is the worst case for boxes and run lengths.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

from aligncat.detectors.preprocessing import normalize
from aligncat.detectors.query_detector import QueryDetector
from aligncat.detectors.registry import open_detector
from aligncat.files.images import read_image
from aligncat.geometry import letterbox_image
from aligncat.store.extract import extract_images
from aligncat.types import ImageRecord

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def save_real_size_detector(folder: Path) -> Path:
    """Write a Swin-Tiny Mask2Former with random weights and the configuration of COCO instance checkpoints."""
    torch.manual_seed(0)
    backbone = SwinConfig(  # type: ignore[call-arg]
        embed_dim=96,
        depths=[2, 2, 6, 2],
        num_heads=[3, 6, 12, 24],
        window_size=7,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = Mask2FormerConfig(backbone_config=backbone, num_queries=100, num_labels=80)  # type: ignore[call-arg]
    Mask2FormerForUniversalSegmentation(config).save_pretrained(folder)
    return folder


def seconds() -> NDArray[np.float64]:
    """Return (wall-clock time, processor time of all threads); a busy machine does not prolong the latter."""
    return np.array([time.perf_counter(), time.process_time()])


def bare_seconds(detector: QueryDetector, images: list[ImageRecord]) -> NDArray[np.float64]:
    """Return the wall-clock and processor time of the model's forward passes only."""
    total = np.zeros(2)
    for start in range(0, len(images), detector.batch_size):
        batch = images[start : start + detector.batch_size]
        pixels = normalize([letterbox_image(read_image(each.path), detector.preprocessing.size)[0] for each in batch])
        begun = seconds()
        detector.forward(pixels)
        total += seconds() - begun
    return total


def peak_megabytes() -> float:
    """Return the peak memory of the process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--detector")
    parser.add_argument("--images", type=int, help="use only the first N photos")
    parser.add_argument("--appearance", action="store_true", help="also extract the columns colour and levels")
    parser.add_argument("--block", type=int, default=10, help="images that each of the two sides processes in a row")
    options = parser.parse_args()
    paths = sorted(path for path in options.photos.iterdir() if path.suffix.lower() in SUFFIXES)
    images = [ImageRecord(path.stem, path) for path in paths[: options.images]]
    if not images:
        parser.error(f"{options.photos}: no photo in this folder (suffixes: {', '.join(sorted(SUFFIXES))})")
    with tempfile.TemporaryDirectory() as scratch:
        name = options.detector or str(save_real_size_detector(Path(scratch) / "detector"))
        detector = open_detector(name, appearance=options.appearance)
        bare_detector = open_detector(name)
        assert isinstance(bare_detector, QueryDetector)
        bare_seconds(bare_detector, images[:2])  # warm up
        bare_peak = peak_megabytes()
        bare, whole = np.zeros(2), np.zeros(2)
        for start in range(0, len(images), options.block):
            block = images[start : start + options.block]
            bare += bare_seconds(bare_detector, block)
            begun = seconds()
            extract_images(images=block, detector=detector, out=Path(scratch) / f"store-{start:05d}")
            whole += seconds() - begun
    figures = {
        "images": len(images),
        "bare_seconds_per_image": round(bare[0] / len(images), 4),
        "extract_seconds_per_image": round(whole[0] / len(images), 4),
        "ratio": round(whole[0] / bare[0], 3),
        "ratio_of_processor_time": round(whole[1] / bare[1], 3),
        "bare_peak_mb": round(bare_peak),
        "peak_mb": round(peak_megabytes()),
        "threads": torch.get_num_threads(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
