"""Measure the presets aligncat and aligncat-plus on scenes that share no drawing with MojiRef.

    python benchmarks/second_domain.py OUT --backgrounds PHOTOS --detector DETECTOR [--scenes 3000] [--seeds 0 1 2]

DETECTOR is what own_detector.py left in its folder: trained on other scenes of the same kind. The scenes are
composed as there: shaded and patterned drawings of 30 categories that are not COCO's, on crops of the photos in PHOTOS.
Their phrases name no place in the photo, as RefCOCO+'s do not, but colour, size, and where another object lies. Every
phrase fits one object of its scene. Test scenes have other backgrounds than the training scenes. All rows train on the
same phrases with the same settings.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from own_detector import Thing, compose, timed
from PIL import Image

from aligncat import DataConfig, evaluate, extract, train
from aligncat.alignment.config import ALL_PRESETS
from aligncat.datasets.photos import photos_in
from aligncat.language.config import TextEncoderConfig
from aligncat.training.config import TrainingConfig

REPEAT = 0.6
"""The share of the objects that have the category of the one before."""

FAR = 15.0
"""By how many pixels a centre must lie farther to one side to count."""

LARGER = 1.6
"""How many times larger the big one is."""

PRESETS = ("aligncat", "aligncat+appearance", "aligncat+relations", "aligncat-plus")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--backgrounds", type=Path, required=True)
    parser.add_argument("--detector", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=3000)
    parser.add_argument("--tested", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    out: Path = given.out
    data = DataConfig(out, "own", format="jsonl", images=out / "photos")
    if not (out / "test.jsonl").exists():
        with timed("scenes"):
            for split, count in (("train", given.scenes), ("test", given.tested)):
                make_split(out, given.backgrounds, split, count)
    with timed("extraction"):
        extract(out=out / "store", data=data, detector=given.detector, appearance=True)
    for preset in PRESETS:
        for seed in given.seeds:
            folder = out / f"{preset}-{seed}"
            with timed(folder.name):
                if not folder.exists():
                    train(
                        data=data,
                        store=out / "store",
                        out=folder,
                        val_split=None,
                        alignment=replace(ALL_PRESETS[preset], dim=256, negatives_per_image=2),
                        text=TextEncoderConfig(word_dim=128, dim=256, feedforward=512),
                        training=TrainingConfig(
                            epochs=given.epochs, batch_size=64, learning_rate=5e-4, warmup_epochs=0.5, seed=seed
                        ),
                    )
            [answers] = evaluate(grounder=folder, data=data, store=out / "store", splits=("test",))
            metrics = answers.result.metrics
            by_kind = ", ".join(
                f"{kind} {each.rec:.1%} of {each.expressions}" for kind, each in metrics.by_kind.items()
            )
            print(
                f"{preset} seed {seed}: REC {metrics.rec:.1%}, oracle {metrics.oracle_rec:.1%}; {by_kind}", flush=True
            )


def make_split(out: Path, backgrounds: Path, split: str, count: int) -> None:
    """Write the scenes of a split and its phrases as JSON lines."""
    (out / "photos").mkdir(parents=True, exist_ok=True)
    photos = [record.path for record in photos_in(backgrounds)]
    own = photos[::5] if split == "test" else [each for place, each in enumerate(photos) if place % 5]
    rows = []
    for number in range(count):
        # No seed of own_detector.py has four numbers, so the detector has seen none of these scenes.
        rng = np.random.default_rng([0, 1, len(split), number])
        pixels, things = compose(rng, own, repeat=REPEAT)
        name = f"{split}-{number:05}.jpg"
        Image.fromarray(pixels).save(out / "photos" / name, quality=92)
        for thing in things:
            fitting = phrases_of(thing, things)
            if fitting:
                picked = [fitting[place] for place in rng.permutation(len(fitting))[:3]]
                row = {"image": name, "expression": [phrase for _, phrase in picked], "category": thing.category}
                kinds = [{"kind": kind} for kind, _ in picked]
                rows.append(json.dumps({**row, "kinds": kinds, "box": thing.box}) + "\n")
    (out / f"{split}.jsonl").write_text("".join(rows))


def middle(thing: Thing) -> tuple[float, float]:
    """Return the middle of an object's box."""
    x1, y1, x2, y2 = thing.box
    return (x1 + x2) / 2, (y1 + y2) / 2


SIDES: dict[str, Callable[[Thing, Thing], bool]] = {
    "left of": lambda one, other: middle(one)[0] < middle(other)[0] - FAR,
    "right of": lambda one, other: middle(one)[0] > middle(other)[0] + FAR,
    "above": lambda one, other: middle(one)[1] < middle(other)[1] - FAR,
    "below": lambda one, other: middle(one)[1] > middle(other)[1] + FAR,
}


def phrases_of(thing: Thing, things: list[Thing]) -> list[tuple[str, str]]:
    """Return the phrases that fit this object and no other, each with the kind of words that it needs.

    An object is at a side of another by the middles of their boxes. A phrase with a side is left out where an object of
    the same category is too near to call.
    """
    same = [each for each in things if each is not thing and each.category == thing.category]
    if not same:
        return [("category", thing.category), ("category", f"the {thing.category}")]
    fitting = []
    if thing.colour and all(each.colour not in (None, thing.colour) for each in same):
        fitting += [("colour", f"{thing.colour} {thing.category}"), ("colour", f"the {thing.colour} {thing.category}")]
    if all(thing.mask.sum() > LARGER * each.mask.sum() for each in same):
        fitting += [("size", f"big {thing.category}")]
    if all(thing.mask.sum() * LARGER < each.mask.sum() for each in same):
        fitting += [("size", f"small {thing.category}")]
    opposite = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
    for other in things:
        if other.category != thing.category and sum(each.category == other.category for each in things) == 1:
            for side, lies in SIDES.items():
                if lies(thing, other) and all(SIDES[opposite[side]](each, other) for each in same):
                    fitting += [("relation", f"{thing.category} {side} the {other.category}")]
    return fitting


if __name__ == "__main__":
    main()
