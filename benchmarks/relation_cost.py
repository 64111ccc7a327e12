"""Measure what the context "relations" costs: a training step, its memory at a batch of 256, and an answer.

python benchmarks/relation_cost.py

Each ratio is that of AlignCAT with relations to AlignCAT without, measured in turns in one run on random inputs. The
answer leaves out the detector: it starts from the candidates of one photo and the tokens of one phrase.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from alignment import BATCH, LENGTH, SETTINGS, SLOTS, WORDS

from aligncat.alignment.config import AlignmentConfig, Sizes
from aligncat.alignment.inputs import ImageTensors, Labels
from aligncat.alignment.orders import ORDERS
from aligncat.grounder.model import GroundingModel, ModelConfig
from aligncat.language.config import TextEncoderConfig

LARGE = 256


def random_inputs(batch: int, sizes: Sizes) -> tuple[ImageTensors, torch.Tensor, Labels]:
    """Return the inputs of the model for `batch` phrases of 1 to `LENGTH` words with `SLOTS` candidates each."""
    torch.manual_seed(0)
    low = torch.rand(batch, SLOTS, 2) * 0.7
    categories = torch.randint(0, sizes.classes, (batch, SLOTS))
    words = torch.arange(LENGTH) < torch.randint(2, LENGTH, (batch, 1))
    images = ImageTensors(
        features=torch.randn(batch, SLOTS, sizes.visual_dim),
        categories=categories,
        valid=torch.ones(batch, SLOTS, dtype=torch.bool),
        confidences=torch.rand(batch, SLOTS).sort(dim=1, descending=True).values,
        boxes=torch.cat([low, low + 0.05 + 0.25 * torch.rand(batch, SLOTS, 2)], dim=-1),
    )
    tokens = torch.randint(3, WORDS, (batch, LENGTH)) * words
    return images, tokens, Labels(categories[:, 0], categories[:, 1], torch.randint(-1, ORDERS, (batch,)))


def step(text: TextEncoderConfig, config: AlignmentConfig, sizes: Sizes, batch: int) -> Callable[[], None]:
    """Return a function that runs one training step, from tokens to gradients."""
    model = GroundingModel(ModelConfig(config, text), WORDS, feature_dim=sizes.visual_dim, classes=sizes.classes)
    model.train()
    images, tokens, labels = random_inputs(batch, sizes)

    def run() -> None:
        aligned = model(images, tokens, labels)
        losses = model.alignment.losses(aligned, images.valid, torch.arange(batch), labels)
        losses["total"].backward()  # type: ignore[no-untyped-call]

    return run


def answer(text: TextEncoderConfig, config: AlignmentConfig, sizes: Sizes) -> Callable[[], None]:
    """Return a function that aligns one phrase with the candidates of one photo."""
    model = GroundingModel(ModelConfig(config, text), WORDS, feature_dim=sizes.visual_dim, classes=sizes.classes)
    images, tokens, _ = random_inputs(1, sizes)
    model.eval()

    def run() -> None:
        with torch.inference_mode():
            model(images, tokens)

    return run


def fastest(parts: list[Callable[[], None]], repeats: int) -> list[float]:
    """Return the shortest processor time of each part in milliseconds, of several runs in turns after a warm-up."""
    best = [float("inf")] * len(parts)
    for turn in range(repeats + 1):
        for place, part in enumerate(parts):
            start = time.process_time()
            part()
            if turn > 0:
                best[place] = min(best[place], (time.process_time() - start) * 1000)
    return best


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(1)
    for name, (text, config, sizes) in SETTINGS.items():
        plain, related = (config, replace(config, context="relations"))
        print(name)
        for what, parts, repeats in (
            (f"step, batch {BATCH}", [step(text, each, sizes, BATCH) for each in (plain, related)], 5),
            ("answer", [answer(text, each, sizes) for each in (plain, related)], 20),
        ):
            without, with_relations = fastest(parts, repeats)
            print(f"  {what:<16}{without:8.1f} ms{with_relations:8.1f} ms, ratio {with_relations / without:.2f}")
    text, config, sizes = SETTINGS["MojiRef (d_v 128, dims 256)"]
    for each in (config, replace(config, context="relations")):
        step(text, each, sizes, LARGE)()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"peak memory of the process so far, a step of batch {LARGE}, context {each.context!r}: {peak:.0f} MB")


if __name__ == "__main__":
    main()
