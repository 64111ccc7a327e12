"""Measure the time of one training step by part, from tokens and stored candidates to gradients.

python benchmarks/alignment.py [--threads N]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch

from aligncat.alignment.config import AlignmentConfig, Sizes
from aligncat.alignment.model import AlignmentModel
from aligncat.alignment.negatives import select_negatives
from aligncat.language.config import TextEncoderConfig
from aligncat.language.encoder import TextEncoder

BATCH, SLOTS, LENGTH, WORDS = 64, 20, 15, 2000
SETTINGS = {
    "MojiRef (d_v 128, dims 256)": (
        TextEncoderConfig(dim=256, feedforward=1024),
        AlignmentConfig(dim=256),
        Sizes(visual_dim=128, text_dim=256, classes=80),
    ),
    "paper (d_v 256, dims 512)": (
        TextEncoderConfig(),
        AlignmentConfig(),
        Sizes(visual_dim=256, text_dim=512, classes=80),
    ),
}


def milliseconds(part: Callable[[], Any], repeats: int = 5) -> float:
    """Return the processor time of the fastest of several runs, after one warm-up run."""
    part()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        part()
        times.append(time.process_time() - start)
    return min(times) * 1000


def measure(text: TextEncoderConfig, config: AlignmentConfig, sizes: Sizes) -> dict[str, float]:
    """Return the milliseconds of each part of a step, on random candidates and words."""
    torch.manual_seed(0)
    encoder, model = TextEncoder(text, WORDS).train(), AlignmentModel(config, sizes).train()
    tokens = torch.randint(3, WORDS, (BATCH, LENGTH)) * (torch.arange(LENGTH) < torch.randint(2, LENGTH, (BATCH, 1)))
    features, valid = torch.randn(BATCH, SLOTS, sizes.visual_dim), torch.ones(BATCH, SLOTS, dtype=torch.bool)
    categories = torch.randint(0, sizes.classes, (BATCH, SLOTS))
    labels, image_index = categories[:, 0], torch.arange(BATCH)
    encoded = encoder(tokens)
    alignment = model(features, categories, valid, *encoded, labels)
    scores = torch.einsum("bd,jod->bjo", alignment.global_texts, alignment.global_queries).detach()
    queries = alignment.global_queries.detach()

    def step() -> None:
        aligned = model(features, categories, valid, *encoder(tokens), labels)
        model.losses(aligned, valid, image_index, labels)["total"].backward()  # type: ignore[no-untyped-call]

    return {
        "text encoder, forward": milliseconds(lambda: encoder(tokens)),
        "alignment, forward": milliseconds(lambda: model(features, categories, valid, *encoded, labels)),
        "negatives of one space": milliseconds(
            lambda: select_negatives(scores, queries, valid, image_index, config.negatives_per_image)
        ),
        "losses, forward": milliseconds(lambda: model.losses(alignment, valid, image_index, labels)),
        "whole step": milliseconds(step),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    torch.set_num_threads(parser.parse_args().threads)
    print(f"batch {BATCH}, {SLOTS} candidates, {torch.get_num_threads()} thread(s), milliseconds")
    for name, setting in SETTINGS.items():
        print(name)
        for part, value in measure(*setting).items():
            print(f"  {part:<24}{value:8.1f}")


if __name__ == "__main__":
    main()
