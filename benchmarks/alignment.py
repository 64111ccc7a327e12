"""Measure the time of one training step by part, from tokens and stored candidates to gradients.

python benchmarks/alignment.py [--threads N] [--negatives]

The last table compares whole steps of the preset refcoco, with Adam, and gives the ratio of each to the first: a
forward pass for each simulated GPU and plain Adam, then what training does, in float32 and in bfloat16. Their steps
alternate. The averaging of the weights and Lightning's own work are not included.

--negatives gives the selection of negatives alone, for batches from 16 to 512 at 20 candidates and 512 dimensions: its
processor time, the growth of the process, and the size of its one table, (B O)^2 numbers. Each batch is measured in its
own process.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from aligncat.alignment.config import AlignmentConfig, Sizes
from aligncat.alignment.model import AlignmentModel
from aligncat.alignment.negatives import select_negatives
from aligncat.grounder.batches import Batch
from aligncat.grounder.model import GroundingModel, ModelConfig
from aligncat.language.config import TextEncoderConfig
from aligncat.language.encoder import TextEncoder
from aligncat.training.config import Precision
from aligncat.training.module import GroundingModule
from aligncat.training.presets import load_preset

BATCH, SLOTS, LENGTH, WORDS = 64, 20, 15, 2000
NEGATIVES = (16, 32, 64, 128, 256, 512)  # batches
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


def whole_steps(rounds: int = 20) -> dict[str, float]:
    """Return the median milliseconds of three kinds of step of the preset refcoco, which alternate."""
    preset = load_preset("refcoco")
    size = preset.training.batch_size
    phrases = (1 + torch.poisson(torch.full((size, 1), 2.6))).clamp(max=preset.text.max_length)
    tokens = torch.randint(3, WORDS, (size, int(phrases.max()))) * (torch.arange(int(phrases.max())) < phrases)
    categories, vectors = torch.randint(0, 80, (size, SLOTS)), torch.randn(WORDS, preset.text.word_dim)
    batch = Batch(
        features=torch.randn(size, SLOTS, 256).half(),
        categories=categories,
        valid=torch.ones(size, SLOTS, dtype=torch.bool),
        tokens=tokens,
        labels=categories[:, 0],
        image_index=torch.arange(size),
        rows=torch.arange(size),
        boxes=torch.rand(size, SLOTS, 4),
        confidences=torch.rand(size, SLOTS),
        second_labels=categories[:, 1],
    )

    def step(precision: Precision, *, together: bool) -> Callable[[], None]:
        training = replace(preset.training, precision=precision, ranks=preset.training.ranks if together else 1)
        model = GroundingModel(
            ModelConfig(preset.alignment, preset.text), WORDS, feature_dim=256, classes=80, vectors=vectors
        )
        module = GroundingModule(model, training, 1000).train()
        module.log_dict = lambda *_, **__: None  # type: ignore[method-assign]  # there is no trainer
        optimizer = module.configure_optimizers()["optimizer"]
        if not together:
            optimizer = torch.optim.Adam(module.parameters(), betas=training.betas, eps=training.eps)

        def run() -> None:
            optimizer.zero_grad()
            parts = [batch] if together else batch.chunks(preset.training.ranks)
            torch.stack([module.training_step(part, 0) for part in parts]).mean().backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(module.parameters(), training.clip_norm)
            optimizer.step()

        return run

    steps = {
        "forward per part, plain Adam": step("float32", together=False),
        "float32": step("float32", together=True),
        "bfloat16": step("bfloat16", together=True),
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 2):
        for name, run in steps.items():
            start = time.process_time()
            run()
            if number >= 2:
                times[name].append(time.process_time() - start)
    return {name: statistics.median(values) * 1000 for name, values in times.items()}


def peak_mb() -> float:
    """Return the largest memory of this process so far in MB (on Linux; getrusage counts that of the parent too)."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def negatives(batch: int, threads: int, repeats: int = 3) -> tuple[float, float]:
    """Return the median milliseconds of the selection of negatives, and the growth of the process in MB."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    queries, texts = torch.randn(batch, SLOTS, 512) + torch.randn(512), torch.randn(batch, 512)
    scores = (texts @ queries.flatten(0, 1).T).view(batch, batch, SLOTS)
    valid, image_index = torch.ones(batch, SLOTS, dtype=torch.bool), torch.arange(batch)
    select_negatives(scores[:8, :8], queries[:8], valid[:8], image_index[:8], 4)  # loads the libraries
    before, times = peak_mb(), []
    for _ in range(repeats):
        start = time.process_time()
        select_negatives(scores, queries, valid, image_index, 4)
        times.append(time.process_time() - start)
    return statistics.median(times) * 1000, peak_mb() - before


def print_negatives(threads: int) -> None:
    print(f"negatives, {SLOTS} candidates, 512 dimensions, {threads} thread(s)")
    print(f"  {'batch':>5}{'ms':>10}{'ms per text':>14}{'growth, MB':>13}{'table, MB':>12}")
    for batch in NEGATIVES:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            spent, growth = pool.submit(negatives, batch, threads).result()
        table = (batch * SLOTS) ** 2 * 4 / 2**20
        print(f"  {batch:>5}{spent:>10.1f}{spent / batch:>14.2f}{growth:>13.1f}{table:>12.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--negatives", action="store_true", help="only the selection of negatives, by batch")
    options = parser.parse_args()
    if options.negatives:
        print_negatives(options.threads)
        return
    torch.set_num_threads(options.threads)
    print(f"batch {BATCH}, {SLOTS} candidates, {torch.get_num_threads()} thread(s), milliseconds")
    for name, setting in SETTINGS.items():
        print(name)
        for part, value in measure(*setting).items():
            print(f"  {part:<24}{value:8.1f}")
    print("steps of the preset refcoco")
    found = whole_steps()
    for name, value in found.items():
        print(f"  {name:<30}{value:8.1f}{value / next(iter(found.values())):8.2f}")


if __name__ == "__main__":
    main()
