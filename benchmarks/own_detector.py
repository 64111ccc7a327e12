"""Train a detector on 30 categories that are not COCO's from the shipped mini detector; measure it before and after.

    python benchmarks/own_detector.py OUT --backgrounds PHOTOS [--scenes 600] [--held_out 100] [--epochs 30]

The scenes are made of OpenMoji drawings that MojiRef does not use, in another style than MojiRef's (no white edge,
shaded, often with a pattern, on a shadow), on crops of the photos in the folder PHOTOS. OUT receives the scenes, COCO's
instances.json for training and for the held-out scenes, and phrases as JSON lines. The held-out scenes are not used
in training, neither to learn from nor to choose the best weights. Then a grounder is trained and evaluated with it.

Found: the best of the 20 candidates, by box IoU, passes 0.5. Right: that candidate has the right class. Before the
training no class can be right, since the shipped detector has none of these categories. Processor time is that of all
threads and of the processes that read examples.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from aligncat import DataConfig, DetectorRecipe, evaluate, extract, train, train_detector
from aligncat.datasets.labelled import read_labelled
from aligncat.datasets.photos import photos_in
from aligncat.detectors.registry import open_detector
from aligncat.detectors.training.labelled import LabelledPhoto
from aligncat.detectors.training.scores import Scores, score_candidates
from aligncat.files.images import read_image
from aligncat.geometry import encode_mask
from aligncat.language.config import TextEncoderConfig
from aligncat.mojiref.raster import TINTS, render, replace_fills, svg_text
from aligncat.training.config import TrainingConfig

CATEGORIES = {
    **{"rocket": ("1F680",), "helicopter": ("1F681",), "lobster": ("1F99E",), "squid": ("1F991",)},
    **{"spider": ("1F577",), "dolphin": ("1F42C",), "whale": ("1F433", "1F40B"), "crocodile": ("1F40A",)},
    **{"snake": ("1F40D",), "camel": ("1F42A", "1F42B"), "kangaroo": ("1F998",), "rabbit": ("1F407",)},
    **{"violin": ("1F3BB",), "trumpet": ("1F3BA",), "saxophone": ("1F3B7",), "accordion": ("1FA97",)},
    **{"crown": ("1F451",), "hammer": ("1F528",), "axe": ("1FA93",), "lantern": ("1F3EE",)},
    **{"telescope": ("1F52D",), "sock": ("1F9E6",), "boot": ("1F97E", "1F462"), "hat": ("1F3A9", "1F452")},
    **{"pineapple": ("1F34D",), "grapes": ("1F347",), "watermelon": ("1F349",), "robot": ("1F916",)},
    **{"castle": ("1F3F0", "1F3EF"), "globe": ("1F30D", "1F30E", "1F30F")},
}
SIDES = (224, 352)  # pixels of a scene
SCALES = (0.16, 0.46)  # an object's longer side over the scene's shorter side
OBJECTS = (3, 8)
TINT_RATE, PATTERN_RATE, SHADE = 0.6, 0.6, 0.35
LEAST_VISIBLE = 0.75


@dataclass
class Thing:
    """An object of a scene.

    Attributes:
        category: its category.
        colour: the word for its tint, or None.
        mask: (H, W) bool, its visible pixels.
        area: the number of its pixels, with the hidden ones.
    """

    category: str
    colour: str | None
    mask: NDArray[np.bool_]
    area: int

    @property
    def box(self) -> list[int]:
        """x1, y1, x2, y2 of its visible pixels."""
        y, x = np.nonzero(self.mask)
        return [int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--backgrounds", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=600)
    parser.add_argument("--held_out", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=DetectorRecipe.epochs)
    parser.add_argument("--grounder_epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    out: Path = given.out
    with timed("scenes"):
        make_scenes(out, given.backgrounds, given.scenes, given.held_out, given.seed)
    held_out = read_labelled(out / "held-out.json", out / "photos")
    print("before:", measure("mini", held_out.photos, held_out.labels))
    with timed("training of the detector"):
        detector = train_detector(
            data=out / "train.json",
            images=out / "photos",
            out=out / "detector",
            recipe=DetectorRecipe(epochs=given.epochs, seed=given.seed),
        )
    print("after: ", measure(str(detector), held_out.photos, held_out.labels))
    data = DataConfig(out, "own", format="jsonl", images=out / "photos")
    with timed("extraction"):
        extract(out=out / "store", data=data, detector=detector, appearance=True)
    with timed("training of the grounder"):
        train(
            data=data,
            store=out / "store",
            out=out / "grounder",
            text=TextEncoderConfig(word_dim=64, dim=128, feedforward=256),
            training=TrainingConfig(epochs=given.grounder_epochs, batch_size=64, learning_rate=4e-4, warmup_epochs=1),
        )
    for answers in evaluate(grounder=out / "grounder", data=data, store=out / "store", splits=("test",)):
        metrics, seen = answers.result.metrics, answers.result.seen
        print(
            f"grounder on {metrics.expressions} phrases: REC {metrics.rec:.1%}, oracle {metrics.oracle_rec:.1%}; "
            f"the photos are {seen} for the detector"
        )


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long a block took, in minutes of the clock and of the processor."""
    started, before = time.perf_counter(), processor_seconds()
    yield
    clock, processor = time.perf_counter() - started, processor_seconds() - before
    print(f"{what}: {clock / 60:.1f} min, of which {processor / 60:.1f} min of one core", flush=True)


def processor_seconds() -> float:
    """Return the processor time of this process and of its ended children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def measure(name: str, photos: tuple[LabelledPhoto, ...], labels: tuple[str, ...]) -> Scores:
    """Measure a detector on the held-out scenes through the public `open_detector`."""
    detector = open_detector(name)
    found = []
    for photo in photos:
        [one] = detector.detect([read_image(photo.path)], [photo.name])
        index = {label: number for number, label in enumerate(labels)}
        of_data = np.array([index.get(label, -1) for label in detector.labels], np.int32)
        one.categories[:] = of_data[one.categories]
        found.append(one)
    return score_candidates(photos, found, labels=len(labels))


def make_scenes(out: Path, backgrounds: Path, train_count: int, held_out_count: int, seed: int) -> None:
    """Write the scenes, instances.json of both parts, and the phrases of train, val and test."""
    (out / "photos").mkdir(parents=True, exist_ok=True)
    photos = [record.path for record in photos_in(backgrounds)]
    names = list(CATEGORIES)
    phrases: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for part, count in (("train", train_count), ("held-out", held_out_count)):
        images: list[dict[str, object]] = []
        annotations: list[dict[str, object]] = []
        for number in range(count):
            rng = np.random.default_rng([seed, len(part), number])
            # The two parts have different backgrounds.
            own = photos[::5] if part == "held-out" else [each for place, each in enumerate(photos) if place % 5]
            pixels, things = compose(rng, own)
            name = f"{part}-{number:04}.jpg"
            Image.fromarray(pixels).save(out / "photos" / name, quality=92)
            height, width = pixels.shape[:2]
            images.append({"id": f"{part}-{number}", "file_name": name, "width": width, "height": height})
            for thing in things:
                x1, y1, x2, y2 = thing.box
                mask = encode_mask(thing.mask)
                rle = {"size": mask["size"], "counts": mask["counts"].decode()}
                annotation = {"id": len(annotations) + 1, "image_id": f"{part}-{number}", "segmentation": rle}
                place = {"category_id": names.index(thing.category) + 1, "bbox": [x1, y1, x2 - x1, y2 - y1]}
                annotations.append({**annotation, **place, "iscrowd": 0, "area": int(thing.mask.sum())})
            split = "train" if part == "train" else ("val", "test")[number % 2]
            phrases[split] += rows_of(rng, name, things)
        categories = [{"id": number, "name": each} for number, each in enumerate(names, 1)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (out / f"{part}.json").write_text(json.dumps(content))
    for split, rows in phrases.items():
        (out / f"{split}.jsonl").write_text("".join(rows))


def compose(
    rng: np.random.Generator, backgrounds: list[Path], repeat: float = 1 / 3
) -> tuple[NDArray[np.uint8], list[Thing]]:
    """Compose a scene: drawings on a crop of a photo.

    A share `repeat` of the objects has the category of the one before, so that phrases need more than the category.
    """
    width, height = (int(rng.integers(SIDES[0], SIDES[1] + 1)) for _ in range(2))
    photo = read_image(backgrounds[rng.integers(len(backgrounds))])
    share = rng.uniform(0.4, 0.9) * min(photo.width / width, photo.height / height)
    wide, high = int(width * share), int(height * share)
    left, top = int(rng.integers(photo.width - wide + 1)), int(rng.integers(photo.height - high + 1))
    scene = photo.crop((left, top, left + wide, top + high)).resize((width, height), Image.Resampling.BILINEAR)
    things: list[Thing] = []
    names = list(CATEGORIES)
    category = names[rng.integers(len(names))]
    for _ in range(rng.integers(OBJECTS[0], OBJECTS[1] + 1)):
        if rng.random() > repeat:
            category = names[rng.integers(len(names))]
        drawing, colour = draw(rng, category, round(rng.uniform(*SCALES) * min(width, height)))
        placed = place(rng, (width, height), drawing, things)
        if placed is None:
            continue
        x, y, mask = placed
        shadow = Image.new("RGBA", drawing.size, (20, 20, 30, 0))
        shadow.putalpha(drawing.getchannel("A").point(lambda a: a // 2).filter(ImageFilter.GaussianBlur(2)))
        scene.paste(shadow, (x + 3, y + 4), shadow)
        scene.paste(drawing, (x, y), drawing)
        for thing in things:
            thing.mask &= ~mask
        things.append(Thing(category, colour, mask, int(mask.sum())))
    noise = rng.normal(0, rng.uniform(0, 6), (height, width, 3))
    return np.clip(np.asarray(scene) + noise, 0, 255).astype(np.uint8), things


def draw(rng: np.random.Generator, category: str, longer: int) -> tuple[Image.Image, str | None]:
    """Return a drawing without an edge, shaded from one side and often with a pattern, and the word for its tint."""
    codes = CATEGORIES[category]
    svg, colour = svg_text(codes[rng.integers(len(codes))]), None
    if rng.random() < TINT_RATE:
        colour = list(TINTS)[rng.integers(len(TINTS))]
        svg = replace_fills(svg, TINTS[colour])
    image = Image.fromarray(render(svg))
    scale = longer / max(image.size)
    image = image.resize(
        (max(round(image.width * scale), 4), max(round(image.height * scale), 4)), Image.Resampling.LANCZOS
    )
    image = image.rotate(rng.uniform(-25, 25), Image.Resampling.BICUBIC, expand=True)
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    pixels = np.asarray(image).astype(np.float64)
    y, x = np.mgrid[0 : image.height, 0 : image.width].astype(np.float64)
    angle = rng.uniform(0, 2 * np.pi)
    along = (np.cos(angle) * x + np.sin(angle) * y) / longer
    shade = 1 + SHADE * (along - along.mean())
    if rng.random() < PATTERN_RATE:
        period, turn = rng.uniform(0.12, 0.25) * longer, rng.uniform(0, np.pi)
        across, down = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
        stripes = np.sin(2 * np.pi * across / period)
        weave = stripes if rng.random() < 0.5 else stripes * np.sin(2 * np.pi * down / period)
        shade *= 1 + 0.3 * np.tanh(3 * weave)
    pixels[..., :3] = np.clip(pixels[..., :3] * shade[..., None], 0, 255)
    return Image.fromarray(pixels.astype(np.uint8)), colour


def place(
    rng: np.random.Generator, size: tuple[int, int], drawing: Image.Image, things: list[Thing]
) -> tuple[int, int, NDArray[np.bool_]] | None:
    """Return a random place that leaves every earlier object visible enough, and the mask there, or None."""
    width, height = size
    if drawing.width > width or drawing.height > height:
        return None
    opaque = np.asarray(drawing)[..., 3] > 127
    for _ in range(20):
        x, y = int(rng.integers(width - drawing.width + 1)), int(rng.integers(height - drawing.height + 1))
        mask = np.zeros((height, width), dtype=bool)
        mask[y : y + drawing.height, x : x + drawing.width] = opaque
        if all((each.mask & ~mask).sum() >= LEAST_VISIBLE * each.area for each in things):
            return x, y, mask
    return None


def rows_of(rng: np.random.Generator, image: str, things: list[Thing]) -> list[str]:
    """Return a line for each object that a phrase of category, colour, side or size tells from the others."""
    rows = []
    for thing in things:
        x1, y1, x2, y2 = thing.box
        others = [each for each in things if each is not thing and each.category == thing.category]
        middle = (x1 + x2) / 2
        middles = [(each.box[0] + each.box[2]) / 2 for each in others]
        fitting = [] if others else [f"the {thing.category}", thing.category]
        if thing.colour and all(each.colour not in (None, thing.colour) for each in others):
            fitting += [f"{thing.colour} {thing.category}", f"the {thing.colour} {thing.category}"]
        side = "left" if middle < thing.mask.shape[1] / 2 else "right"
        if not others or all(middle < each - 15 if side == "left" else middle > each + 15 for each in middles):
            fitting += [f"{side} {thing.category}", f"the {thing.category} on the {side}"]
        if others and all(thing.mask.sum() > 1.6 * each.mask.sum() for each in others):
            fitting += [f"big {thing.category}"]
        if fitting:
            picked = [fitting[number] for number in rng.permutation(len(fitting))[:3]]
            row = {"image": image, "expression": picked, "category": thing.category, "box": [x1, y1, x2, y2]}
            rows.append(json.dumps(row) + "\n")
    return rows


if __name__ == "__main__":
    main()
