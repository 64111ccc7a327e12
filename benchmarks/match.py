"""Measure how well a grounder tells present objects from absent ones, and finds all objects of a plural phrase.

    python benchmarks/match.py DATA STORE GROUNDER [GROUNDER ...] [--dataset mojiref+] [--splits testA testB]

DATA is MojiRef's folder. From its annotations the script makes phrases whose truth it knows:

- present: the phrases of the split.
- random: each phrase of the split on another image, which has no object of the phrase's category.
- near: phrases of an object that was changed on paper (another colour, mirrored, larger or smaller) and that fit no
  object of the image, even leniently. An object of the category is there.
- several: phrases in the plural ("both dogs", "red cars") that fit two or more objects of the image.

It prints the share of random and near ones refused at the threshold of `match` that keeps 95% of the present ones, and
at a threshold of 0.5; the expected calibration error of `match` where half of the phrases are present, a quarter random
and a quarter near; and how many answers to the plural phrases have F1 = 1, which means that they are the objects of the
truth, no more and no fewer. "Possible" is the share of plural phrases whose objects all have a candidate.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import load_split
from aligncat.datasets.split import Split
from aligncat.evaluation.calibration import reliability
from aligncat.geometry import SAME_OBJECT_IOU, box_iou
from aligncat.grounder.grounder import Grounder
from aligncat.mojiref.attributes import SLACK, Attribute, Item, attributes_of
from aligncat.mojiref.grammar import PREFERENCE, Flavour, describe
from aligncat.mojiref.raster import TINTS
from aligncat.store.reader import Store
from aligncat.types import Expression

KEPT = 0.95
_PLURALS = {"person": "people", "child": "children", "bus": "buses", "sheep": "sheep", "broccoli": "broccoli"}
_PERSONS = {"person", "child", "man", "woman", "guy", "lady", "boy", "girl", "kid", "baby", "old man", "old woman"}
_PLACES = {"left": "on the left", "right": "on the right", "top": "at the top", "bottom": "at the bottom"}
_NUMBERS = {2: "two", 3: "three", 4: "four"}


@dataclass(frozen=True)
class Made:
    """A phrase whose truth is known.

    Attributes:
        image_id: the image.
        text: the phrase.
        kind: what would have to be noticed: for near misses the kinds of attribute, for plurals "category" or a kind.
        boxes: (n, 4) xyxy pixels, the objects that it fits.
    """

    image_id: str
    text: str
    kind: str
    boxes: NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("grounder", type=Path, nargs="+")
    parser.add_argument("--dataset", default="mojiref", choices=list(PREFERENCE))
    parser.add_argument("--splits", nargs="+", default=["testA", "testB"])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    store = Store.open(arguments.store)
    refused = Table(
        "grounder", "split", "phrases", f"random at {KEPT:.0%}", f"near at {KEPT:.0%}", *_KINDS, "kept at .5"
    )
    for name in ("random at .5", "near at .5", "ECE"):
        refused.add_column(name)
    several = Table("grounder", "split", "plural phrases", "F1 = 1", "possible", "category", "attribute")
    for folder in arguments.grounder:
        grounder = Grounder.from_pretrained(folder)
        for name in arguments.splits:
            split = load_split(DataConfig(arguments.data, arguments.dataset), name, check_images=False)
            scenes = read_scenes(arguments.data / arguments.dataset / "instances.json", split)
            refused.add_row(folder.name, name, *refusals(grounder, store, split, scenes, arguments.seed))
            several.add_row(folder.name, name, *plurals(grounder, store, split, scenes, arguments.seed))
    for table in (refused, several):
        Console(width=160).print(table)


_KINDS = ("color", "place", "size", "relation")


def refusals(grounder: Grounder, store: Store, split: Split, scenes: dict[str, list[Item]], seed: int) -> Iterator[str]:
    """Yield the cells of a row: how many absent phrases are refused, by kind, and the calibration error."""
    rng = np.random.default_rng(seed)
    near = list(near_misses(rng, split, scenes))
    present = matches(grounder, store, split)
    other = matches(grounder, store, with_phrases(split, list(mismatches(rng, split, scenes))))
    close = matches(grounder, store, with_phrases(split, near))
    yield f"{len(present)} + {len(other)} + {len(close)}"
    threshold = np.quantile(present, 1 - KEPT)
    yield percent(other < threshold)
    yield percent(close < threshold)
    kinds = np.array([made.kind for made in near])
    for kind in _KINDS:
        yield f"{percent(close[kinds == kind] < threshold)} ({(kinds == kind).sum()})"
    yield percent(present >= 0.5)
    yield percent(other < 0.5)
    yield percent(close < 0.5)
    # Equal numbers of random and near, and as many present ones as both together.
    half = min(len(other), len(close), len(present) // 2)
    parts = [rng.permutation(part)[:count] for part, count in ((present, 2 * half), (other, half), (close, half))]
    right = np.repeat([True, False, False], [2 * half, half, half])
    yield f"{100 * reliability(np.concatenate(parts), right).error:.1f}%"


def plurals(grounder: Grounder, store: Store, split: Split, scenes: dict[str, list[Item]], seed: int) -> Iterator[str]:
    """Yield the cells of a row: how many plural phrases are answered with F1 = 1."""
    made = list(several(np.random.default_rng(seed), split, scenes))
    choices = grounder.choose(store, with_phrases(split, made))
    assert choices.several is not None, "the grounder is calibrated"
    right, possible = [], []
    for row, phrase in enumerate(made):
        boxes = store.candidates(phrase.image_id).boxes
        found = boxes[choices.several[row, : len(boxes)]]
        right.append(len(found) == len(phrase.boxes) and paired(phrase.boxes, found))
        possible.append(paired(phrase.boxes, boxes))
    outcome, whole = np.array(right), np.array([phrase.kind == "category" for phrase in made])
    yield str(len(made))
    yield percent(outcome)
    yield percent(np.array(possible))
    yield percent(outcome[whole])
    yield percent(outcome[~whole])


def percent(outcomes: NDArray[np.bool_]) -> str:
    return f"{100 * outcomes.mean():.1f}%" if len(outcomes) else "-"


def paired(truth: NDArray[np.float64], found: NDArray[np.float32]) -> bool:
    """Return whether each true box has a found box of its own. IoU above 0.5 leaves at most one true box for each."""
    from scipy.optimize import linear_sum_assignment

    same = box_iou(truth, found) > SAME_OBJECT_IOU
    rows, columns = linear_sum_assignment(same, maximize=True)
    return bool(same[rows, columns].sum() == len(truth))


def matches(grounder: Grounder, store: Store, split: Split) -> NDArray[np.float32]:
    match = grounder.choose(store, split).match
    assert match is not None, "the grounder is calibrated"
    return match


def read_scenes(path: Path, split: Split) -> dict[str, list[Item]]:
    """Return the objects of each image of a split."""
    content: dict[str, Any] = json.loads(path.read_text())
    names = {category["id"]: category["name"] for category in content["categories"]}
    sizes = {str(image["id"]): (image["width"], image["height"]) for image in content["images"]}
    scenes: dict[str, list[Item]] = {image_id: [] for image_id in split.images}
    for row in content["annotations"]:
        if (image_id := str(row["image_id"])) in scenes:
            x, y, width, height = row["bbox"]
            nouns, color = row["attributes"]["nouns"], row["attributes"]["color"]
            box = (x, y, x + width, y + height)
            scenes[image_id].append(Item(names[row["category_id"]], tuple(nouns), color, box, sizes[image_id]))
    return scenes


def with_phrases(split: Split, made: Sequence[Made]) -> Split:
    """Return a split with other phrases."""
    expressions = [Expression(str(row), str(row), each.image_id, each.text) for row, each in enumerate(made)]
    return replace(split, expressions=tuple(expressions))


def mismatches(rng: np.random.Generator, split: Split, scenes: dict[str, list[Item]]) -> Iterator[Made]:
    """Yield each phrase of a split with another image, which has no object of the phrase's category."""
    ids = list(scenes)
    for expression in split.expressions:
        for place in rng.permutation(len(ids)):
            if expression.category not in {item.category for item in scenes[ids[place]]}:
                yield Made(ids[place], expression.text, "category", np.zeros((0, 4)))
                break


def near_misses(rng: np.random.Generator, split: Split, scenes: dict[str, list[Item]]) -> Iterator[Made]:
    """Yield phrases of changed objects, which fit no object of their image although its category is there."""
    flavour: Flavour = split.dataset  # type: ignore[assignment]
    for image_id, items in scenes.items():
        for item in items:
            for changed in changes(rng, item):
                phrase = describe(rng, flavour, changed, items)
                if phrase is not None:
                    yield Made(image_id, phrase.text, phrase.kind, np.zeros((0, 4)))


def changes(rng: np.random.Generator, item: Item) -> Iterator[Item]:
    """Yield an object in another colour, at a mirrored place, and of another size."""
    if item.color is not None:
        yield replace(item, color=str(rng.choice([color for color in TINTS if color != item.color])))
    (width, height), (x1, y1, x2, y2) = item.image_size, item.box
    if rng.random() < 0.5:
        yield replace(item, box=(width - x2, y1, width - x1, y2))
    else:
        yield replace(item, box=(x1, height - y2, x2, height - y1))
    factor = (0.2 if item.extent > 0.33 else 0.48) / item.extent  # well inside "small" or "big" (attributes.py)
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    half_width, half_height = factor * (x2 - x1) / 2, factor * (y2 - y1) / 2
    yield replace(item, box=(x - half_width, y - half_height, x + half_width, y + half_height))


def several(rng: np.random.Generator, split: Split, scenes: dict[str, list[Item]]) -> Iterator[Made]:
    """Yield plural phrases that fit two or more objects, and no other object even leniently."""
    kinds = PREFERENCE[split.dataset]  # type: ignore[index]
    for image_id, items in scenes.items():
        for category in dict.fromkeys(item.category for item in items):
            group = [item for item in items if item.category == category]
            choices: list[tuple[Attribute | None, list[Item]]] = [(None, group)]
            for attribute in dict.fromkeys(a for item in group for a in attributes_of(item, ()) if a.kind in kinds):
                chosen = [item for item in group if attribute.holds(item)]
                if len(chosen) == sum(attribute.holds(item, slack=SLACK) for item in group):
                    choices.append((attribute, chosen))
            for said, chosen in choices:
                nouns = [noun for noun in chosen[0].nouns if all(noun in item.nouns for item in chosen)]
                nouns = [noun for noun in nouns if noun not in ("shirt and tie", "skis", "scissors", "luggage")]
                if len(chosen) > 1 and nouns and (said is None or said.value in _WORDS):
                    text = plural_phrase(rng, str(rng.choice(nouns)), said, chosen, group)
                    kind = "category" if said is None else said.kind
                    yield Made(image_id, text, kind, np.array([item.box for item in chosen], float))


_WORDS = {*TINTS, *_PLACES, "big", "small"}


def plural_phrase(
    rng: np.random.Generator, noun: str, said: Attribute | None, chosen: list[Item], group: list[Item]
) -> str:
    """Return a plural phrase with at most one attribute, such as "both dogs" or "the three red cars"."""
    *first, last = noun.split()
    many = " ".join([*first, _plural(last)])
    if said is not None and said.kind != "place":
        many = f"{many} in {said.value}" if noun in _PERSONS and said.kind == "color" else f"{said.value} {many}"
    number = _NUMBERS.get(len(chosen), "all the")
    starts = ["the ", "all the ", f"{number} "] if noun == many else ["the ", "", "all the ", f"{number} "]
    if len(chosen) == len(group) == 2:
        starts.append("both ")
    start = str(rng.choice(starts if noun not in ("sheep",) else [f"{number} ", "all the "]))
    return f"{start}{many}" + (f" {_PLACES[said.value]}" if said is not None and said.kind == "place" else "")


def _plural(noun: str) -> str:
    if noun in _PLURALS:
        return _PLURALS[noun]
    if noun.endswith("man"):
        return f"{noun[:-3]}men"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return noun + ("es" if noun.endswith(("ch", "sh", "s", "x")) else "s")


if __name__ == "__main__":
    main()
