"""Measure the time of one training step, from tokens and stored candidates to gradients.

    python benchmarks/alignment.py [--threads N] [--negatives] [--out FILE]

Three kinds of whole step of the preset refcoco alternate, with Adam: a forward pass for each simulated GPU and plain
Adam, then what training does, in float32 and in bfloat16. The averaging of the weights and Lightning's own work are not
included. The details of the JSON have the parts of a step of two sizes.

--negatives measures the selection of negatives alone, for batches from 16 to 512 at 20 candidates and 512 dimensions:
its time against the product of all candidates that it needs, and the growth of the process against its one table,
(B O)^2 numbers. Each batch is measured in its own process.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from statistics import median

import torch
from floors import Product, operations
from measuring import Figure, add_out, alternated, peak_mb, write
from pytorch_lightning.utilities import move_data_to_device
from torch import Tensor

from aligncat.alignment.config import AlignmentConfig, Sizes
from aligncat.alignment.inputs import ImageTensors, Labels
from aligncat.alignment.model import AlignmentModel
from aligncat.alignment.negatives import select_negatives
from aligncat.grounder.batches import Batch
from aligncat.grounder.model import GroundingModel, ModelConfig
from aligncat.language.config import TextEncoderConfig
from aligncat.language.encoder import TextEncoder
from aligncat.training.config import Precision
from aligncat.training.module import GroundingModule
from aligncat.training.presets import Preset, load_preset

BATCH, SLOTS, LENGTH, WORDS = 64, 20, 15, 2000
NEGATIVES = (16, 32, 64, 128, 256, 512)  # batches
MOST_GROWTH = {256: 300}  # MB by batch
PLAIN, TOGETHER, HALF = "a forward pass for each part, plain Adam", "float32", "bfloat16"
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


def random_candidates(batch: int, sizes: Sizes) -> tuple[ImageTensors, Labels]:
    """Return the candidates of `batch` images, and labels: the categories of two of them, and no place in an order."""
    categories = torch.randint(0, sizes.classes, (batch, SLOTS))
    images = ImageTensors(
        features=torch.randn(batch, SLOTS, sizes.visual_dim),
        categories=categories,
        valid=torch.ones(batch, SLOTS, dtype=torch.bool),
        confidences=torch.rand(batch, SLOTS),
        boxes=torch.rand(batch, SLOTS, 4),
    )
    return images, Labels(categories[:, 0], categories[:, 1], torch.full((batch,), -1))


def measure(text: TextEncoderConfig, config: AlignmentConfig, sizes: Sizes) -> dict[str, float]:
    """Return the milliseconds of each part of a step, on random candidates and words."""
    torch.manual_seed(0)
    encoder, model = TextEncoder(text, WORDS).train(), AlignmentModel(config, sizes).train()
    tokens = torch.randint(3, WORDS, (BATCH, LENGTH)) * (torch.arange(LENGTH) < torch.randint(2, LENGTH, (BATCH, 1)))
    images, labels = random_candidates(BATCH, sizes)
    valid, image_index = images.valid, torch.arange(BATCH)
    encoded = encoder(tokens)
    alignment = model(images, *encoded, labels)
    scores = torch.einsum("bd,jod->bjo", alignment.global_texts, alignment.global_queries).detach()
    queries = alignment.global_queries.detach()

    def step() -> None:
        aligned = model(images, *encoder(tokens), labels)
        model.losses(aligned, valid, image_index, labels)["total"].backward()  # type: ignore[no-untyped-call]

    parts: dict[str, Callable[[], object]] = {
        "text encoder, forward": lambda: encoder(tokens),
        "alignment, forward": lambda: model(images, *encoded, labels),
        "negatives of one space": lambda: select_negatives(
            scores, queries, valid, image_index, config.negatives_per_image
        ),
        "losses, forward": lambda: model.losses(alignment, valid, image_index, labels),
        "whole step": step,
    }
    return {name: round(1000 * median(found), 2) for name, found in alternated(parts, 5).items()}


def training_steps(preset: Preset, device: str = "cpu") -> dict[str, Callable[[], None]]:
    """Return three kinds of step of a preset, on random candidates and words."""
    torch.manual_seed(0)
    size = preset.training.batch_size
    phrases = (1 + torch.poisson(torch.full((size, 1), 2.6))).clamp(max=preset.text.max_length)
    tokens = torch.randint(3, WORDS, (size, int(phrases.max()))) * (torch.arange(int(phrases.max())) < phrases)
    images, labels = random_candidates(size, Sizes(visual_dim=256, text_dim=preset.text.dim, classes=80))
    images, vectors = images._replace(features=images.features.half()), torch.randn(WORDS, preset.text.word_dim)
    batch = move_data_to_device(Batch(images, tokens, labels, torch.arange(size), torch.arange(size)), device)

    def step(precision: Precision, *, together: bool) -> Callable[[], None]:
        training = replace(preset.training, precision=precision, ranks=preset.training.ranks if together else 1)
        model = GroundingModel(
            ModelConfig(preset.alignment, preset.text), WORDS, feature_dim=256, classes=80, vectors=vectors
        )
        module = GroundingModule(model, training, 1000).train().to(device)
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

    return {
        PLAIN: step("float32", together=False),
        TOGETHER: step("float32", together=True),
        HALF: step("bfloat16", together=True),
    }


def whole_steps(rounds: int = 20) -> list[Figure]:
    """Return the time of a step, and its ratios to the other kinds."""
    steps = training_steps(load_preset("refcoco"))
    product = Product(1024)
    times = alternated({**steps, "product": product}, rounds, warm=2)
    floor = operations(steps[TOGETHER]) / product.rate(median(times["product"]))
    return [
        Figure.time(
            "training step of the preset refcoco",
            times[TOGETHER],
            "ms",
            limit=1000 * floor,
            limit_is="its operations at the rate of a matrix product",
        ),
        Figure.ratio("the same step", times[TOGETHER], times[PLAIN], f"times {PLAIN}"),
        Figure.ratio("the same step in bfloat16", times[HALF], times[TOGETHER], "times that in float32"),
    ]


def drawn(batch: int, device: str = "cpu") -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the arguments of `select_negatives` for a batch of different images, drawn at random."""
    torch.manual_seed(0)
    queries, texts = torch.randn(batch, SLOTS, 512) + torch.randn(512), torch.randn(batch, 512)
    scores = (texts @ queries.flatten(0, 1).T).view(batch, batch, SLOTS)
    valid, image_index = torch.ones(batch, SLOTS, dtype=torch.bool), torch.arange(batch)
    return scores.to(device), queries.to(device), valid.to(device), image_index.to(device)


def negatives(batch: int, threads: int, rounds: int = 3) -> list[Figure]:
    """Return the time of the selection of negatives, and the growth of the process."""
    torch.set_num_threads(threads)
    scores, queries, valid, image_index = drawn(batch)
    unit = torch.nn.functional.normalize(queries, dim=-1).flatten(0, 1)
    select_negatives(scores[:8, :8], queries[:8], valid[:8], image_index[:8], 4)  # loads the libraries
    before = peak_mb()
    select_negatives(scores, queries, valid, image_index, 4)
    growth = peak_mb() - before
    parts: dict[str, Callable[[], object]] = {
        "select": lambda: select_negatives(scores, queries, valid, image_index, 4),
        "product": lambda: unit @ unit.T,
    }
    times = alternated(parts, rounds)
    what = f"negatives of {batch} phrases"
    return [
        Figure.time(
            what, times["select"], "ms", limit=1000 * median(times["product"]), limit_is="the product of all candidates"
        ),
        Figure(
            f"memory for {what}",
            growth,
            "MB",
            limit=(batch * SLOTS) ** 2 * 4 / 1e6,
            limit_is="the table of that product",
            bar=MOST_GROWTH.get(batch),
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--negatives", action="store_true", help="only the selection of negatives, by batch")
    add_out(parser)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.negatives:
        figures: list[Figure] = []
        for batch in NEGATIVES:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                figures += pool.submit(negatives, batch, options.threads).result()
        write(figures, options, notes=[f"{SLOTS} candidates an image, 512 dimensions, 4 negatives an image"])
        return
    details = {name: measure(*setting) for name, setting in SETTINGS.items()}
    write(whole_steps(), options, details={"milliseconds by part": details})


if __name__ == "__main__":
    main()
