"""Make a few scenes, ground their phrases with the shipped grounder, and compare the boxes with the truth.

`make wheel-check` runs this in an environment that has only the wheel. It uses only the command line.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

# Percent of the phrases that must be right (IoU > 0.5). The shipped grounder reaches about 85% on MojiRef's val.
NEEDED = 60


def main() -> int:
    """Print how many phrases were grounded correctly.

    Returns:
        The exit status: 1 if too few are right.
    """
    with tempfile.TemporaryDirectory() as folder:
        aligncat("data", "mojiref", "--out", folder, "--recipe.train=0", "--recipe.val=4", "--recipe.test=0")
        right = [found for referents in phrases(Path(folder)) for found in grounded(Path(folder), *referents)]
    print(f"{sum(right)} of {len(right)} phrases are grounded correctly")
    return 0 if len(right) > 10 and 100 * sum(right) >= NEEDED * len(right) else 1


def aligncat(*words: str) -> str:
    """Run the command line and return what it prints."""
    command = [sys.executable, "-m", "aligncat", *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def phrases(data: Path) -> list[tuple[str, dict[str, list[float]]]]:
    """Return each image's file name, and the true box (x1, y1, x2, y2, in pixels) of each of its phrases."""
    folder = data / "mojiref"
    refs = pickle.loads((folder / "refs(unc).p").read_bytes())
    boxes = {row["id"]: row["bbox"] for row in json.loads((folder / "instances.json").read_text())["annotations"]}
    found: dict[str, dict[str, list[float]]] = {}
    for ref in refs:
        x, y, width, height = boxes[ref["ann_id"]]
        for sentence in ref["sentences"]:
            found.setdefault(ref["file_name"], {})[sentence["sent"]] = [x, y, x + width, y + height]
    return list(found.items())


def grounded(data: Path, image: str, truth: dict[str, list[float]]) -> list[bool]:
    """Ground the phrases of one image, and return whether each box overlaps the true one with IoU > 0.5."""
    [path] = data.rglob(image)
    answers = json.loads(aligncat("ground", str(path), *truth))
    return [iou(answer["box"], truth[answer["expression"]]) > 0.5 for answer in answers]


def iou(one: list[float], other: list[float]) -> float:
    """Return the intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    inside = max(width, 0.0) * max(height, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return inside / (sum(areas) - inside)


if __name__ == "__main__":
    sys.exit(main())
