"""Measure grounders on words that training lacked: trained from scratch, with GloVe and with MiniLM.

    python benchmarks/unseen_words.py --data MOJIREF --store STORE --out RUNS

The script trains one grounder per encoder and seed. It then asks twice for the same objects of the val split: with
MojiRef's own words, and with synonyms that the training split lacks. Only expressions with such a word are measured, so
both columns describe the same objects. Existing runs are not repeated.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from aligncat.api.train import train
from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import load_objects, load_split, load_truth
from aligncat.datasets.split import Split
from aligncat.evaluation.metrics import Metrics
from aligncat.evaluation.outcomes import measure
from aligncat.evaluation.overlaps import Overlaps
from aligncat.grounder.grounder import Grounder
from aligncat.language.config import TextEncoderConfig
from aligncat.language.tokens import tokenize
from aligncat.language.vectors import GLOVE_50D
from aligncat.store.reader import Store
from aligncat.training.presets import load_preset
from aligncat.wording import percent

# Synonyms of MojiRef's words. The first synonym whose words are all missing from training is used. MojiRef says both
# "couch" and "sofa", for instance, so both become "settee".
NOUNS = {
    "couch": ("sofa", "settee"),
    "sofa": ("settee",),
    "car": ("automobile",),
    "bicycle": ("cycle",),
    "bike": ("cycle",),
    "motorcycle": ("moped",),
    "motorbike": ("moped",),
    "airplane": ("aircraft",),
    "plane": ("aircraft",),
    "bus": ("coach",),
    "train": ("locomotive",),
    "truck": ("lorry",),
    "boat": ("vessel",),
    "canoe": ("kayak",),
    "traffic light": ("stoplight",),
    "cat": ("feline", "kitten"),
    "kitty": ("kitten", "feline"),
    "dog": ("hound",),
    "puppy": ("hound",),
    "horse": ("steed", "pony"),
    "sheep": ("lamb",),
    "cow": ("cattle",),
    "backpack": ("rucksack",),
    "umbrella": ("parasol",),
    "handbag": ("pocketbook", "clutch"),
    "purse": ("pocketbook", "clutch"),
    "suitcase": ("briefcase",),
    "luggage": ("baggage",),
    "frisbee": ("disc",),
    "bottle": ("flask",),
    "wine glass": ("goblet",),
    "cup": ("mug",),
    "knife": ("dagger",),
    "spoon": ("ladle",),
    "bowl": ("dish",),
    "orange fruit": ("mandarin",),
    "tangerine": ("mandarin",),
    "hot dog": ("frankfurter",),
    "donut": ("doughnut",),
    "chair": ("seat",),
    "potted plant": ("houseplant", "shrub"),
    "plant": ("shrub",),
    "bed": ("mattress",),
    "toilet": ("lavatory",),
    "tv": ("television",),
    "screen": ("monitor",),
    "laptop": ("notebook",),
    "computer": ("pc",),
    "cell phone": ("smartphone",),
    "phone": ("telephone",),
    "book": ("novel",),
    "clock": ("timepiece", "watch"),
    "vase": ("urn",),
    "scissors": ("shears",),
    "teddy bear": ("stuffed toy",),
    "teddy": ("stuffed toy",),
    "man": ("gentleman",),
    "guy": ("fellow",),
    "woman": ("female",),
    "lady": ("female",),
    "boy": ("lad",),
    "girl": ("schoolgirl",),
    "baby": ("infant",),
    "child": ("toddler",),
    "kid": ("youngster",),
    "person": ("human",),
    "police officer": ("cop",),
    "policeman": ("cop",),
    "doctor": ("physician",),
    "construction worker": ("builder",),
}
COLOURS = {
    "red": ("crimson", "scarlet"),
    "orange": ("tangerine", "amber"),
    "yellow": ("golden", "lemon"),
    "green": ("emerald", "olive"),
    "blue": ("azure", "navy"),
    "purple": ("violet", "lilac"),
    "pink": ("rosy", "magenta"),
    "brown": ("chestnut", "tan"),
    "white": ("ivory",),
    "black": ("ebony",),
    "gray": ("grey", "silver"),
}
SIZES = {
    "big": ("huge", "giant"),
    "large": ("huge", "giant"),
    "small": ("tiny", "miniature"),
    "little": ("tiny", "miniature"),
}
WORDS: dict[str, Mapping[str, tuple[str, ...]]] = {
    "nouns": NOUNS,
    "colours": COLOURS,
    "sizes": SIZES,
    "all three": {**NOUNS, **COLOURS, **SIZES},
}

NAMES = {tuple(words.split()) for words in WORDS["all three"]}


@dataclass(frozen=True)
class Encoder:
    """A text encoder and the word vectors that it starts from."""

    text: TextEncoderConfig
    vectors: Path | None = None


def encoders(text: TextEncoderConfig) -> dict[str, Encoder]:
    glove = replace(text, word_dim=50, freeze_vectors=True, vector_words=50_000, unknown_rate=0.0)
    return {
        "scratch": Encoder(text),
        "glove": Encoder(glove, GLOVE_50D),
        "minilm": Encoder(replace(text, encoder="minilm")),
    }


def unseen(table: Mapping[str, tuple[str, ...]], known: set[str]) -> dict[tuple[str, ...], str]:
    """Return, for each name in a table, the first synonym whose words are all missing from training."""
    found = {}
    for words, synonyms in table.items():
        fresh = next((synonym for synonym in synonyms if known.isdisjoint(tokenize(synonym))), None)
        if fresh is not None:
            found[tuple(words.split())] = fresh
    return found


def reworded(text: str, synonyms: Mapping[tuple[str, ...], str]) -> str:
    """Replace the words of a phrase by synonyms. Names of two words stay together: "orange fruit" has no colour."""
    words, new, place = tokenize(text), [], 0
    while place < len(words):
        length = 2 if tuple(words[place : place + 2]) in NAMES else 1
        name = tuple(words[place : place + length])
        new.append(synonyms.get(name, " ".join(name)))
        place += length
    return " ".join(new)


def metrics_on(grounder: Grounder, data: DataConfig, store: Store, split: Split) -> Metrics:
    overlaps = Overlaps.of(store, split, load_truth(data, split.split), objects=load_objects(data, split))
    choices = grounder.choose(store, split)
    return measure(overlaps, choices.choice, choices.predicted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--flavour", default="mojiref")
    parser.add_argument("--alignment", default="aligncat")
    parser.add_argument("--encoders", nargs="+", default=["scratch", "glove", "minilm"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    data, store = DataConfig(arguments.data, arguments.flavour), Store.open(arguments.store)
    split = load_split(data, "val", check_images=False)
    known = {w for e in load_split(data, "train", check_images=False).expressions for w in tokenize(e.text)}
    pairs = {name: _pair(split, unseen(table, known)) for name, table in WORDS.items()}

    console = Console(width=120)
    swaps = unseen(WORDS["all three"], known)
    console.print("; ".join(f"{' '.join(words)}: {synonym}" for words, synonym in swaps.items()), highlight=False)
    table = Table("reads with", "words", "expressions", "right as they are", "right with unseen words", "category read")
    for name in arguments.encoders:
        scores: dict[str, list[tuple[Metrics, Metrics]]] = {words: [] for words in pairs}
        for seed in arguments.seeds:
            preset = load_preset("mojiref", seed=seed, epochs=arguments.epochs)
            encoder = encoders(preset.text)[name]
            grounder = train(
                data=data,
                store=arguments.store,
                out=arguments.out / f"{name}-{arguments.flavour}-seed{seed}",
                alignment=preset.alignment.with_stages(arguments.alignment),
                text=encoder.text,
                training=preset.training,
                word_vectors=encoder.vectors,
                progress=False,
            )
            for words, (usual, changed) in pairs.items():
                sides = metrics_on(grounder, data, store, usual), metrics_on(grounder, data, store, changed)
                scores[words].append(sides)
        for words, found in scores.items():
            cells = [_cell([s.rec for s in side]) for side in zip(*found, strict=True)]
            read = [_cell([s.category_accuracy or 0.0 for s in side]) for side in zip(*found, strict=True)]
            table.add_row(name, words, str(len(pairs[words][0].expressions)), *cells, " -> ".join(read))
    console.print(table)


def _pair(split: Split, synonyms: Mapping[tuple[str, ...], str]) -> tuple[Split, Split]:
    """Return the expressions that have a word with a synonym, once unchanged and once with the synonyms."""
    usual = tuple(e for e in split.expressions if reworded(e.text, synonyms) != " ".join(tokenize(e.text)))
    changed = tuple(replace(e, text=reworded(e.text, synonyms)) for e in usual)
    return replace(split, expressions=usual), replace(split, expressions=changed)


def _cell(values: list[float]) -> str:
    mean = sum(values) / len(values)
    deviation = (sum((v - mean) ** 2 for v in values) / (len(values) - 1)) ** 0.5 if len(values) > 1 else None
    return percent(mean, deviation, plus_minus=" ± ")


if __name__ == "__main__":
    main()
