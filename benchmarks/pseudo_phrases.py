"""Measure grounders that learn from pseudo-phrases, from phrases of the data, and from one before the other.

    python benchmarks/pseudo_phrases.py --data MOJIREF --store STORE --out RUNS

The script makes phrases from the training images' candidates, which reads no phrase of the data, and trains a grounder
on them. Then, for each share of the training referents, it trains grounders on the data's own phrases: one from random
weights, one from the weights of the first grounder and, if there are few referents, one from these with a tenth of the
learning rate. All take the same number of steps and keep the last epoch, so no box of a referent decides anything.
Existing runs are not repeated.

For the sizes of the quickstart, give its folders: --data aligncat-quickstart/mojiref --store STORE, where STORE is an
extraction of the same data that has colours.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from aligncat.api.phrases import make_phrases
from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import load_split
from aligncat.datasets.made import MADE_DATASET
from aligncat.datasets.split import Split
from aligncat.evaluation.answering import answer
from aligncat.evaluation.questions import Questions
from aligncat.grounder.grounder import Grounder
from aligncat.phrases.recipe import PhraseRecipe
from aligncat.store.reader import Store
from aligncat.studies.subsets import share_of_referents
from aligncat.training.config import TrainingConfig
from aligncat.training.fit import fit
from aligncat.training.initial import Initial
from aligncat.training.presets import Preset, load_preset
from aligncat.wording import percent

KINDS = ("category", "color", "size", "place", "relation")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--flavour", default="mojiref")
    parser.add_argument("--splits", nargs="+", default=["val", "testA", "testB"])
    parser.add_argument("--shares", type=float, nargs="+", default=[0.01, 0.1, 1.0])
    parser.add_argument("--preset", default="mojiref")
    parser.add_argument("--epochs", type=int, default=10, help="of a training on all referents; decides the steps")
    parser.add_argument("--part", type=float, default=0.5, help="share of these steps for rows with fewer referents")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    data, store = DataConfig(arguments.data, arguments.flavour), Store.open(arguments.store)
    preset = load_preset(arguments.preset, seed=arguments.seed, epochs=arguments.epochs)
    rate = preset.training.learning_rate / 10
    gentle = replace(preset, training=replace(preset.training, learning_rate=rate))
    human = load_split(data, "train", check_images=False)
    steps = steps_of(human, preset.training) * arguments.epochs

    made = arguments.out / "phrases"
    if not made.exists():
        make_phrases(store=arguments.store, out=made, data=data, recipe=PhraseRecipe(val=0.0, seed=arguments.seed))
    pseudo = load_split(DataConfig(made, MADE_DATASET), "train", check_images=False)
    first = arguments.out / "pseudo"
    train(pseudo, store, first, preset, steps)
    rows = {"pseudo-phrases alone": first}
    for share in arguments.shares:
        part = share_of_referents(human, share, arguments.seed)
        count = f"{share:.0%} of the phrases ({len(part.sentences_by_referent()):,} referents)"
        some = steps if share == 1 else round(arguments.part * steps)
        rows[count] = arguments.out / f"human-{share:g}"
        train(part, store, rows[count], preset, some)
        rows[f"{count}, after pseudo-phrases"] = arguments.out / f"both-{share:g}"
        train(part, store, arguments.out / f"both-{share:g}", preset, some, Initial.read(first))
        if share < 1:
            rows[f"{count}, after pseudo-phrases, a tenth of the rate"] = arguments.out / f"gentle-{share:g}"
            train(part, store, arguments.out / f"gentle-{share:g}", gentle, some, Initial.read(first))

    questions = [Questions.load(data, store, split) for split in arguments.splits]
    console = Console(width=140)
    shown = Table("learned from", *arguments.splits, *(f"{arguments.splits[0]}, {kind}" for kind in KINDS))
    for name, folder in rows.items():
        grounder = Grounder.from_pretrained(folder)
        metrics = [answer(grounder, name, each).result.metrics for each in questions]
        kinds = [metrics[0].by_kind.get(kind) for kind in KINDS]
        recs = [*(each.rec for each in metrics), *(None if each is None else each.rec for each in kinds)]
        shown.add_row(name, *map(percent, recs))
    console.print(shown)
    console.print(
        f"REC, percent; {arguments.flavour}, {len(human.images):,} training images, {steps:,} steps "
        f"({round(arguments.part * steps):,} with fewer referents), seed {arguments.seed}; the last epoch; "
        f"{len(pseudo.expressions):,} pseudo-phrases of {len(pseudo.sentences_by_referent()):,} objects",
        highlight=False,
    )


def steps_of(split: Split, training: TrainingConfig) -> int:
    return len(split.sentences_by_referent()) // training.batch_size


def repeated(split: Split, times: int) -> Split:
    """Repeat all referents under new ids, so that an epoch of few referents has as many steps as one of all."""
    if times == 1:
        return split
    copies = [
        replace(each, id=f"{each.id} {number}", referent_id=f"{each.referent_id} {number}")
        for number in range(times)
        for each in split.expressions
    ]
    return replace(split, expressions=tuple(copies))


def train(split: Split, store: Store, out: Path, preset: Preset, steps: int, initial: Initial | None = None) -> None:
    """Train for about `steps` steps."""
    training = preset.training
    per_epoch = steps / training.epochs
    split = repeated(split, max(1, round(per_epoch * training.batch_size / len(split.sentences_by_referent()))))
    training = replace(training, epochs=max(1, round(steps / steps_of(split, training))))
    fit(
        train=split,
        validation=None,
        store=store,
        out=out,
        alignment=preset.alignment,
        text=preset.text,
        training=training,
        initial=initial,
        progress=False,
    )


if __name__ == "__main__":
    main()
