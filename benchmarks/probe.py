"""Probe what a linear classifier can read from the frozen query features on MojiRef.

    python benchmarks/probe.py MOJIREF STORE [--dataset mojiref2] [--features query colour levels query+colour+levels]

For every annotated object with a matching candidate (the one with the highest box IoU, if above 0.5), the probe
predicts the object's category, colour, texture (in version 2), place and size from the candidate's feature, with the
grammar's definitions.
One table is printed for each of `--features`: f_q ("query"), columns of the store, or several joined by "+".
The probe is supervised and tested on held-out images, so it is a ceiling for what a linear projection can learn from
phrases. The script prints the accuracy, and the accuracy of always naming the most common label.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn.functional import cross_entropy

from aligncat.errors import DataError
from aligncat.geometry import SAME_OBJECT_IOU, box_iou, xywh_to_xyxy
from aligncat.mojiref.attributes import Attribute, Item
from aligncat.store.reader import Store

QUESTIONS = {
    "left or right": [Attribute("place", "left"), Attribute("place", "right")],
    "top or bottom": [Attribute("place", "top"), Attribute("place", "bottom")],
    "big or small": [Attribute("size", "big"), Attribute("size", "small")],
}

HELD_OUT = 0.3
"""Share of the groups that are held out for testing."""

PENALTY = 1e-3
"""Weight of the squared norm. It keeps the weights finite where classes are separable."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mojiref", type=Path, help="the folder that `aligncat data mojiref` wrote")
    parser.add_argument("store", type=Path, help="the folder that `aligncat extract` wrote for it")
    parser.add_argument("--dataset", default="mojiref", help="whose annotations are read")
    parser.add_argument("--images", type=int, default=2000, help="use the first N images of the store")
    parser.add_argument("--seed", type=int, default=0, help="determines the held-out images")
    parser.add_argument("--features", nargs="+", default=["query"], help="what to read, such as query or query+colour")
    options = parser.parse_args()
    store = Store.open(options.store)
    examples: dict[str, list[tuple[dict[str, NDArray[np.float16]], str, str]]] = defaultdict(list)
    objects = found = 0
    for image_id, rows, names, size in annotated_images(
        options.mojiref / options.dataset / "instances.json", list(store.image_ids)[: options.images]
    ):
        candidates = store.candidates(image_id)
        overlap = box_iou(xywh_to_xyxy(np.array([row["bbox"] for row in rows], dtype=float)), candidates.boxes)
        objects += len(rows)
        for row, ious in zip(rows, overlap, strict=True):
            if not len(ious) or ious.max() <= SAME_OBJECT_IOU:
                continue
            found += 1
            for question, answer in answers(row, names[row["category_id"]], size):
                vectors = {"query": candidates.features, **candidates.columns}
                chosen = {name: each[ious.argmax()] for name, each in vectors.items()}
                examples[question].append((chosen, answer, image_id))
    for names in options.features:
        title = f"{names}: {found} of {objects} objects have a candidate"
        Console().print(probes_table(title, names.split("+"), examples, seed=options.seed))


def probes_table(
    title: str,
    names: Sequence[str],
    examples: Mapping[str, Sequence[tuple[Mapping[str, NDArray[np.float16]], str, str]]],
    *,
    seed: int,
) -> Table:
    """Return a table with a line per question.

    Args:
        title: the table's title.
        names: the features that the probes read: "query" and columns of the store.
        examples: for each question the features by name, the answer and the image of each object.
        seed: determines the held-out images.
    """
    table = Table(title=title)
    for heading in ("Question", "Answers", "Trained on", "Tested on", "Right %", "Commonest %"):
        table.add_column(heading, justify="left" if heading == "Question" else "right")
    for question, rows_of in examples.items():
        vectors, words, images = zip(*rows_of, strict=True)
        features = [np.concatenate([each[name] for name in names]) for each in vectors]
        classes, labels = np.unique(words, return_inverse=True)
        probe = linear_probe(
            torch.from_numpy(np.stack(features)),
            torch.from_numpy(labels),
            images,
            classes=len(classes),
            seed=seed,
        )
        counts = (str(len(classes)), str(probe.trained_on), str(probe.tested_on))
        table.add_row(question, *counts, f"{100 * probe.accuracy:.1f}", f"{100 * probe.majority:.1f}")
    return table


def annotated_images(
    path: Path, image_ids: list[str]
) -> Iterator[tuple[str, list[dict[str, Any]], dict[int, str], tuple[int, int]]]:
    """Yield id, annotations, category names and (width, height) of each image that has annotations."""
    instances = json.loads(path.read_text(encoding="utf-8"))
    names = {category["id"]: category["name"] for category in instances["categories"]}
    sizes = {str(image["id"]): (image["width"], image["height"]) for image in instances["images"]}
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in instances["annotations"]:
        rows[str(row["image_id"])].append(row)
    for image_id in image_ids:
        if rows[image_id]:
            yield image_id, rows[image_id], names, sizes[image_id]


def answers(row: dict[str, Any], category: str, size: tuple[int, int]) -> Iterator[tuple[str, str]]:
    """Yield the questions about an object with their answers; questions without a strictly true answer are left out."""
    color = row["attributes"]["color"]
    x, y, width, height = row["bbox"]
    item = Item(category, (), color, (x, y, x + width, y + height), size)
    yield "category", category
    if color is not None:
        yield "color", color
    if "texture" in row["attributes"]:
        yield "texture", row["attributes"]["texture"] or "plain"
    for question, attributes in QUESTIONS.items():
        true = [attribute.value for attribute in attributes if attribute.holds(item)]
        if true:
            yield question, true[0]


@dataclass(frozen=True, slots=True)
class Probe:
    """The result of a linear probe.

    Attributes:
        accuracy: share of the held-out examples that the probe labels correctly.
        majority: the same share for always naming the most common label of the training part.
        trained_on: number of training examples.
        tested_on: number of held-out examples.
    """

    accuracy: float
    majority: float
    trained_on: int
    tested_on: int


def linear_probe(features: Tensor, labels: Tensor, groups: Sequence[str], *, classes: int, seed: int) -> Probe:
    """Train multinomial logistic regression on 70% of the groups and test it on the others.

    Args:
        features: (n, d) float; standardised here with the mean and deviation of the training part.
        labels: (n,) int64 in [0, classes).
        groups: n names, such as image ids; all examples of a group are either for training or for testing.
        classes: number of different labels.
        seed: determines the held-out groups.

    Raises:
        DataError: if there are too few groups to hold one out.
    """
    held_out = torch.from_numpy(_held_out(groups, seed))
    train_x, test_x = features[~held_out].double(), features[held_out].double()
    train_y, test_y = labels[~held_out], labels[held_out]
    mean, deviation = train_x.mean(dim=0), train_x.std(dim=0, correction=0)
    # A constant feature carries no information; scale 1 avoids a division by zero.
    scale = torch.where(deviation > 0, deviation, torch.ones_like(deviation))
    weight, bias = _fit((train_x - mean) / scale, train_y, classes)
    predicted = ((test_x - mean) / scale @ weight + bias).argmax(dim=1)
    most_common = torch.bincount(train_y, minlength=classes).argmax()
    return Probe(
        accuracy=float((predicted == test_y).double().mean()),
        majority=float((test_y == most_common).double().mean()),
        trained_on=len(train_y),
        tested_on=len(test_y),
    )


def _held_out(groups: Sequence[str], seed: int) -> NDArray[np.bool_]:
    """Return (n,) bool, True for the examples of the held-out groups."""
    names = np.unique(np.array(groups, dtype=np.str_))
    count = round(HELD_OUT * len(names))
    if not 0 < count < len(names):
        raise DataError(f"{len(names)} groups are too few to hold out {HELD_OUT:.0%} of them; use more images")
    chosen = np.random.default_rng(seed).permutation(names)[:count]
    return np.isin(np.array(groups, dtype=np.str_), chosen)


def _fit(features: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Return the (d, classes) weight and (classes,) bias of L2-penalised multinomial logistic regression."""
    weight = torch.zeros(features.shape[1], classes, dtype=features.dtype, requires_grad=True)
    bias = torch.zeros(classes, dtype=features.dtype, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = cross_entropy(features @ weight + bias, labels) + PENALTY * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]  # torch has no types for this and the step below
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()


if __name__ == "__main__":
    main()
