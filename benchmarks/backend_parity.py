"""Measure what an exported detector changes, down to the chosen object.

    python benchmarks/backend_parity.py MOJIREF --grounder RUN ... --exported FOLDER ... [--scenes 300] [--out FILE]

The mini detector on torch and its exports run over the same scenes of MojiRef's val split. For each export the script
prints the share of images in which the (query, class) pairs of the candidates differ, and for each grounder the REC,
the oracle, and the share of expressions for which a candidate of another query is chosen.
The grounders are trained with candidates of torch. Figures are printed as JSON, REC and oracle in percent.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from backends import machine
from numpy.typing import NDArray

from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import load_objects, load_split, load_truth
from aligncat.datasets.split import Split
from aligncat.detectors.registry import open_detector
from aligncat.evaluation.outcomes import measure
from aligncat.evaluation.overlaps import Overlaps
from aligncat.grounder.grounder import Grounder
from aligncat.store.extract import extract_images
from aligncat.store.reader import Store


def first_scenes(split: Split, scenes: int) -> Split:
    """Return the expressions of a split's first images."""
    images = dict(list(split.images.items())[:scenes])
    kept = tuple(each for each in split.expressions if each.image_id in images)
    return replace(split, images=images, expressions=kept)


def changed_candidates(first: Store, second: Store) -> float:
    """Return the share of images whose (query, class) pairs are not the same ones in the same order."""
    changed = []
    for image_id in first.image_ids:
        one, other = first.candidates(image_id), second.candidates(image_id)
        same = np.array_equal(one.queries, other.queries) and np.array_equal(one.categories, other.categories)
        changed.append(not same)
    return float(np.mean(changed))


def chosen_queries(store: Store, split: Split, choice: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the index of the query that each expression's choice is made of."""
    queries = {image_id: store.candidates(image_id).queries for image_id in store.image_ids}
    return np.array([queries[each.image_id][slot] for each, slot in zip(split.expressions, choice, strict=True)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("mojiref", type=Path)
    parser.add_argument("--grounder", type=Path, nargs="+", required=True)
    parser.add_argument("--exported", type=Path, nargs="+", required=True)
    parser.add_argument("--scenes", type=int, default=300)
    parser.add_argument("--out", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    grounders = [Grounder.from_pretrained(path) for path in options.grounder]
    datasets = [str(each.provenance["data"]["dataset"]) for each in grounders]
    splits = {
        name: first_scenes(load_split(DataConfig(options.mojiref, name), "val"), options.scenes)
        for name in sorted(set(datasets))
    }
    images = {image_id: record for split in splits.values() for image_id, record in split.images.items()}
    figures: dict[str, Any] = {**machine(1), "scenes": len(images), "backends": {}}
    with tempfile.TemporaryDirectory() as scratch:
        expected: list[NDArray[np.int64]] = []
        reference: Store | None = None
        for number, name in enumerate(["mini", *map(str, options.exported)]):
            detector = open_detector(name, appearance=True)
            described = detector.description()
            store = extract_images(
                images=[images[key] for key in sorted(images)], detector=detector, out=Path(scratch, str(number))
            )
            reference = reference or store
            rows = []
            for index, (grounder, dataset) in enumerate(zip(grounders, datasets, strict=True)):
                split, data = splits[dataset], DataConfig(options.mojiref, dataset)
                overlaps = Overlaps.of(store, split, load_truth(data, "val"), objects=load_objects(data, split))
                choices = grounder.choose(store, split)
                metrics = measure(overlaps, choices.choice, choices.predicted)
                chosen = chosen_queries(store, split, choices.choice)
                if number == 0:
                    expected.append(chosen)
                rows.append(
                    {
                        "grounder": options.grounder[index].name,
                        "dataset": dataset,
                        "expressions": len(chosen),
                        "rec": round(100 * metrics.rec, 2),
                        "oracle": round(100 * metrics.oracle_rec, 2),
                        "changed_choices": round(float(np.mean(chosen != expected[index])), 5),
                    }
                )
            figures["backends"][f"{described.backend} {described.precision}"] = {
                "images_with_other_candidates": round(changed_candidates(reference, store), 4),
                "grounders": rows,
            }
    text = json.dumps(figures, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
