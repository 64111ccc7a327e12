"""Measure what a trained grounder with `context: relations` reads of the second object that a phrase names.

    python benchmarks/second_objects.py GROUNDER DATA STORE [--dataset mojiref+] [--split val]

For the phrases of MojiRef with a relation, the script prints the mean weight (`Alignment.object_weights`) of the
candidates that stand for the object of the second noun, and that weight at random. For "left of" and "right of", it
mirrors the boxes of the candidates and prints how often the answer is then the one that the opposite phrase had before.
The features still say where an object was, so this falls short of 100% as far as the answer rests on them.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from relations import direction

from aligncat.datasets.config import DataConfig
from aligncat.datasets.lexicon import Lexicon
from aligncat.datasets.load import load_objects, load_split
from aligncat.datasets.split import Split
from aligncat.geometry import SAME_OBJECT_IOU, box_iou
from aligncat.grounder.batches import SplitTensors
from aligncat.grounder.grounder import Grounder
from aligncat.store.reader import Store
from aligncat.types import Expression

STARTS = ("next to", "left of", "right of", "above", "over", "below", "under", "beside", "near")
OPPOSITE = {"left": "right", "right": "left"}


def second_noun(text: str) -> str | None:
    """Return the part of a phrase after its relation, or None if it has none."""
    parts = [text.split(f" {start} ", 1)[1] for start in STARTS if f" {start} " in text]
    return min(parts, key=len) if parts else None


def align(
    grounder: Grounder, store: Store, split: Split, *, mirrored: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the choice and the weights of objects for each phrase, (E,) and (E, O)."""
    length = grounder.model.config.text.max_length
    tensors = SplitTensors(
        split, store, grounder.vocabulary, max_length=length, with_labels=False, columns=grounder.columns
    )
    choices, weights = [], []
    for batch in tensors.batches(256):
        images = batch.images
        if mirrored:
            left, top, right, bottom = images.boxes.unbind(dim=-1)
            images = images._replace(boxes=torch.stack([1 - right, top, 1 - left, bottom], dim=-1))
        with torch.inference_mode():
            aligned = grounder.model(images, batch.tokens)
        if aligned.object_weights is None:
            raise SystemExit("this grounder has no relations (alignment.context)")
        choices.append(aligned.choice)
        weights.append(aligned.object_weights)
    return torch.cat(choices), torch.cat(weights)


def opposite(expression: Expression) -> Expression:
    """Return the expression with "left of" for "right of", and the other way round."""
    words = expression.text.split()
    turned = [
        OPPOSITE.get(word, word) if after == "of" else word for word, after in zip(words, [*words[1:], ""], strict=True)
    ]
    return replace(expression, text=" ".join(turned))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("grounder", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("--dataset", default="mojiref+")
    parser.add_argument("--split", default="val")
    arguments = parser.parse_args()
    grounder, store = Grounder.from_pretrained(arguments.grounder), Store.open(arguments.store)
    data = DataConfig(arguments.data, arguments.dataset)
    whole = load_split(data, arguments.split, check_images=False)
    objects, lexicon = load_objects(data, whole), Lexicon.load()
    split = replace(whole, expressions=tuple(each for each in whole.expressions if second_noun(each.text)))
    choice, weights = align(grounder, store, split)
    found, chance = [], []
    for row, expression in enumerate(split.expressions):
        boxes, categories = objects[expression.image_id]
        named = lexicon.category(second_noun(expression.text) or "")
        if named not in categories:
            continue
        candidates = store.candidates(expression.image_id)
        its = box_iou(boxes[[category == named for category in categories]], candidates.boxes).max(axis=0)
        stands = its > SAME_OBJECT_IOU
        found.append(float(weights[row, : len(candidates)].numpy()[stands].sum()))
        chance.append(stands.mean())
    shares = f"{np.mean(found):.3f}, at random {np.mean(chance):.3f}"
    print(f"{len(found)} phrases: weight on the second noun's object {shares}")
    sided = [row for row, each in enumerate(split.expressions) if direction(each.text.split()) in OPPOSITE]
    part = replace(split, expressions=tuple(split.expressions[row] for row in sided))
    turned = replace(part, expressions=tuple(map(opposite, part.expressions)))
    mirrored, _ = align(grounder, store, part, mirrored=True)
    other, _ = align(grounder, store, turned)
    changed = other != choice[sided]
    print(
        f"{len(sided)} phrases with left or right of: mirrored, the answer is that of the opposite phrase in "
        f"{100 * (mirrored == other).float().mean():.1f}%; where the opposite phrase has another answer, in "
        f"{100 * (mirrored == other)[changed].float().mean():.1f}% of {int(changed.sum())}"
    )


if __name__ == "__main__":
    main()
