"""Measure what extraction costs on top of the detector's forward passes, and its memory.

    python benchmarks/extract.py PHOTOS [--detector NAME_OR_FOLDER] [--count N] [--appearance] [--out FILE]

The script extracts block by block. Before each block it runs the bare model on the same images, already decoded and
letterboxed, in the batches that extraction uses, and for a Mask2Former also the forward pass of transformers. Without
--detector, the detector is a Mask2Former of real size (Swin-Tiny, 100 queries, 80 classes) with random weights.
Its masks are noise, which is the worst case for boxes and run lengths.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from measuring import Figure, add_out, peak_mb, seconds, write
from numpy.typing import NDArray
from real_size import pass_of_transformers, photos_of, save_detector

from aligncat.detectors.mask2former import Mask2FormerDetector
from aligncat.detectors.preprocessing import normalize
from aligncat.detectors.query_detector import QueryDetector
from aligncat.detectors.registry import open_detector
from aligncat.files.images import read_image
from aligncat.geometry import letterbox_image
from aligncat.store.extract import extract_images
from aligncat.types import ImageRecord

BARS = {"mini": 1.45}  # times its own forward pass
APPEARANCE = {"time": 1.08, "bytes": 1.5}  # of an extraction and its store without appearance


def batches_of(detector: QueryDetector, images: list[ImageRecord]) -> list[NDArray[np.float32]]:
    """Return the model's input for some images, in the batches of extraction."""
    squares = [letterbox_image(read_image(each.path), detector.preprocessing.size)[0] for each in images]
    starts = range(0, len(squares), detector.batch_size)
    return [normalize(squares[start : start + detector.batch_size]) for start in starts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--detector")
    parser.add_argument("--count", type=int, help="use only the first N photos")
    parser.add_argument("--appearance", action="store_true", help="also extract the columns colour and levels")
    parser.add_argument("--block", type=int, default=8, help="images that each of the sides processes in a row")
    parser.add_argument("--threads", type=int, default=1)
    add_out(parser)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    images = photos_of(options.photos, options.count)
    name = options.detector or "swin-tiny with random weights"
    times: dict[str, list[float]] = {"theirs": [], "bare": [], "whole": [], "plain": []}
    sizes: dict[str, list[float]] = {"whole": [], "plain": []}
    with tempfile.TemporaryDirectory() as scratch:
        path = options.detector or str(save_detector(Path(scratch) / "detector"))
        detector, bare = (open_detector(path, appearance=each) for each in (options.appearance, False))
        assert isinstance(bare, QueryDetector)
        for pixels in batches_of(bare, images[:2]):  # warm up
            bare.forward(pixels)
        peaks = [peak_mb()]
        extract_images(images=images[:2], detector=detector, out=Path(scratch) / "warm-up")
        for start in range(0, len(images), options.block):
            block = images[start : start + options.block]
            inputs = batches_of(bare, block)
            if isinstance(bare, Mask2FormerDetector):
                times["theirs"].append(
                    sum(seconds(partial(pass_of_transformers, bare._model, each)) for each in inputs)
                )
            times["bare"].append(sum(seconds(partial(bare.forward, each)) for each in inputs))
            for side, which in {"whole": detector, **({"plain": bare} if options.appearance else {})}.items():
                out = Path(scratch) / f"{side}-{start:05d}"
                times[side].append(seconds(partial(extract_images, images=block, detector=which, out=out)))
                sizes[side].append(sum(path.stat().st_size for path in out.glob("shard-*")))
        peaks.append(peak_mb())
    figures = [
        Figure.ratio(
            f"extraction with {name}",
            times["whole"],
            times["bare"],
            "times its own forward pass",
            limit=1.0,
            limit_is="the forward pass alone",
            bar=BARS.get(name),
        )
    ]
    if times["theirs"]:
        figures.append(
            Figure.ratio(f"extraction with {name}", times["whole"], times["theirs"], "times the pass of transformers")
        )
    if options.appearance:
        figures += [
            Figure.ratio(
                "extraction with appearance",
                times["whole"],
                times["plain"],
                "times one without",
                bar=APPEARANCE["time"],
            ),
            Figure.ratio(
                "store with appearance", sizes["whole"], sizes["plain"], "times one without", bar=APPEARANCE["bytes"]
            ),
        ]
    figures.append(
        Figure(
            f"most memory of extraction with {name}",
            peaks[1],
            "MB",
            limit=peaks[0],
            limit_is="the model and two forward passes",
        )
    )
    write(figures, options, notes=[f"{len(images)} photos, {options.block} in a row"])


if __name__ == "__main__":
    main()
