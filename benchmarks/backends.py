"""Measure the backends of a detector against the forward pass of transformers.

    python benchmarks/backends.py [--detector mini] [--rounds 5] [--threads 1] [--images FOLDER] [--out FILE]

Without --detector, the detector is a Mask2Former of real size (Swin-Tiny, 100 queries, 80 classes, 416 px) with random
weights, of `benchmarks/real_size.py`. It is exported for each backend and precision. Then passes over one square
alternate: transformers' own forward pass (eager, not changed), aligncat's on torch, and those of the exports. Each
figure is the median over the rounds of a ratio of processor times to the pass of transformers in the same round; wall
time is given beside it, which means something on a quiet machine alone. Squares are made of the photos of --images, or
of random colours, which also calibrate int8. It prints the figures as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from aligncat.detectors.exported import Precision
    from aligncat.export.detector import Runtime

BARS = {"openvino fp32": 0.60, "openvino bf16": 0.42, "openvino int8": 0.38}
"""The most that a pass may cost for Swin-Tiny at 416 px, as a share of transformers' own."""
EXPORTS: tuple[tuple[Runtime, Precision], ...] = (
    ("onnx", "fp32"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
    ("openvino", "int8"),
    ("torch", "bf16"),
)
SWIN_TINY = "swin-tiny"

Pass: TypeAlias = Callable[[NDArray[np.float32]], object]


def machine(threads: int) -> dict[str, Any]:
    """Return the processor, the threads and the versions, as a result records them."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    name = next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.processor())
    flags = next((line.split(": ")[1].split() for line in lines if line.startswith("flags")), [])
    packages = ("torch", "transformers", "onnxruntime", "openvino", "nncf")
    return {
        "processor": name,
        "has": [
            flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8") if flag in flags
        ],
        "threads": threads,
        "versions": {package: version(package) for package in packages},
    }


def made_up_photos(folder: Path, count: int) -> Path:
    """Write photos of random colours, coarse and fine."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(generator.integers(0, 256, (9, 12, 3), np.uint8)).resize((640, 480))
        fine = Image.fromarray(generator.integers(0, 256, (480, 640, 3), np.uint8))
        Image.blend(coarse, fine, 0.2).save(folder / f"{number}.png")
    return folder


def seconds(work: Pass, pixels: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the (processor, wall) time of a pass."""
    processor, wall = time.process_time(), time.perf_counter()
    work(pixels)
    return np.array([time.process_time() - processor, time.perf_counter() - wall])


def of_each_backend(options: argparse.Namespace, scratch: Path) -> tuple[dict[str, Pass], list[NDArray[np.float32]]]:
    """Export the detector for each backend, and return the passes by name, and the input of each round."""
    from real_size import pass_of_transformers, save_detector

    from aligncat.detectors.mask2former import Mask2FormerDetector
    from aligncat.detectors.preprocessing import normalize
    from aligncat.detectors.query_detector import QueryDetector
    from aligncat.detectors.registry import open_detector
    from aligncat.export.detector import export_detector
    from aligncat.files.images import read_image

    source, images = options.detector, options.images
    if source == SWIN_TINY:
        source = str(save_detector(scratch / SWIN_TINY))
    if images is None:
        images = made_up_photos(scratch / "photos", options.photos)
    original = open_detector(source)
    assert isinstance(original, Mask2FormerDetector)
    passes: dict[str, Pass] = {
        "transformers": lambda pixels: pass_of_transformers(original._model, pixels),
        "torch fp32": original.forward,
    }
    for runtime, precision in EXPORTS:
        if options.only and f"{runtime}-{precision}" not in options.only:
            continue
        out = (options.exports or scratch / "exports") / f"{Path(options.detector).name}-{runtime}-{precision}"
        if not out.exists():
            photos = images if precision == "int8" else None
            export_detector(source, out, to=runtime, precision=precision, images=photos)
        opened = open_detector(out)
        assert isinstance(opened, QueryDetector)
        passes[f"{runtime} {precision}"] = opened.forward
    fit = original.preprocessing
    squares = [fit.square(read_image(path))[0] for path in sorted(images.iterdir())[: options.photos]]
    rounds = []
    for number in range(options.rounds + 1):  # the first one warms up
        taken = [squares[(number * options.batch + each) % len(squares)] for each in range(options.batch)]
        rounds.append(normalize(taken))
    return passes, rounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--detector", default=SWIN_TINY, help="mini or a folder; by default Swin-Tiny, random weights")
    parser.add_argument("--photos", type=int, default=8, help="squares, of which each round takes the next one")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1, help="squares in a pass")
    parser.add_argument("--images", type=Path, help="a folder of photos")
    parser.add_argument("--exports", type=Path, help="keep the exported detectors here, and take those that are there")
    parser.add_argument("--only", nargs="+", metavar="RUNTIME-PRECISION", help="such as openvino-int8")
    parser.add_argument("--out", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # the exported detectors read it
    import torch

    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        passes, rounds = of_each_backend(options, Path(folder))
        times: dict[str, list[NDArray[np.float64]]] = {each: [] for each in passes}
        for pixels in rounds:
            for each, work in passes.items():
                times[each].append(seconds(work, pixels))
    figures: dict[str, Any] = {
        **machine(options.threads),
        "detector": options.detector,
        "image_size": rounds[0].shape[-1],
        "batch": options.batch,
        "rounds": options.rounds,
        "to_transformers": {},
    }
    for each, took in times.items():
        ratios = np.array(took[1:]) / np.array(times["transformers"][1:])
        processor, wall = np.median(ratios, axis=0).round(3).tolist()
        figures["to_transformers"][each] = {"processor_time": processor, "wall_time": wall}
        if options.detector == SWIN_TINY and each in BARS:
            figures["to_transformers"][each]["bar"] = BARS[each]
    figures["transformers_seconds"] = round(float(np.median([each[0] for each in times["transformers"][1:]])), 3)
    text = json.dumps(figures, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
