"""Measure the mini detector on scenes that it has not seen: recall of boxes, and accuracy of their classes.

    python benchmarks/mini_detector.py [DETECTOR] [--scenes 500] [--version 2]

For every object of MojiRef's val scenes, the script takes the candidate with the highest box IoU (the most confident
one if several share a mask) and checks whether it passes 0.5 and, if so, whether its class is right.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from PIL import Image

from aligncat.detectors.registry import open_detector
from aligncat.geometry import box_iou
from aligncat.mojiref import scenes as first
from aligncat.mojiref.version2 import scenes as second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("detector", nargs="?", default="mini")
    parser.add_argument("--scenes", type=int, default=500)
    parser.add_argument("--candidates", type=int, default=20)
    parser.add_argument("--version", type=int, default=1, choices=(1, 2), help="MojiRef's version")
    arguments = parser.parse_args()
    detector = open_detector(arguments.detector, candidates=arguments.candidates)
    found, right, any_right, seconds = [], [], [], 0.0
    for index in range(arguments.scenes):
        scene = (first if arguments.version == 1 else second).compose(0, "val", index)
        started = time.perf_counter()
        [candidates] = detector.detect([Image.fromarray(scene.pixels)], [str(index)])
        seconds += time.perf_counter() - started
        for entry in scene.objects:
            y, x = np.nonzero(entry.mask)
            box = np.array([[x.min(), y.min(), x.max() + 1, y.max() + 1]], float)
            overlap = box_iou(box, candidates.boxes)[0]
            best = int(overlap.argmax())
            labels = [detector.labels[category] for category in candidates.categories]
            found.append(overlap[best] > 0.5)
            if found[-1]:
                right.append(labels[best] == entry.category.name)
                passing = [label for label, value in zip(labels, overlap, strict=True) if value > 0.5]
                any_right.append(entry.category.name in passing)
    print(f"{len(found)} objects of {arguments.scenes} val scenes, O = {arguments.candidates}")
    print(f"best candidate passes box IoU 0.5: {np.mean(found):.1%} of objects")
    print(f"and has the right class:           {np.mean(right):.1%} of those")
    print(f"a passing candidate has it:        {np.mean(any_right):.1%} of those")
    print(f"{1000 * seconds / arguments.scenes:.0f} ms an image, one at a time")


if __name__ == "__main__":
    main()
