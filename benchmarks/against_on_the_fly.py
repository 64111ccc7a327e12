"""Compare training from a store with training that runs the detector in the loop, as QueryMatch's release does.

    python benchmarks/against_on_the_fly.py [--rounds N] [--swin] [--out FILE]

Both ways take the same step of the preset mojiref on batches of MojiRef scenes. In the loop, each step also reads and
letterboxes its photos, runs the mini detector, enlarges the masks of all queries to the detector's input, and selects
the candidates; their boxes and run lengths, which a step does not need, are left out. The other way gathers what
extraction has stored. The steps alternate, and the figures are processor time.

Over 25 epochs, each way is counted at RefCOCO's numbers: 42,404 referents an epoch, 16,994 images to extract once, with
extraction measured whole (reading, boxes, run lengths, writing). --swin measures one forward pass of a Swin-Base
Mask2Former with random weights at 800 px, and projects the same count with it: the detector's time is replaced, and
everything else stays as measured. That takes half a minute of processor time, and 5 GB of memory.

The last table compares the selection of negatives with the published procedure, written plainly: one table of cosine
similarities per text, (B - 1) O by (B - 1) O, and loops over texts, rounds, images and candidates. Both must give the
same negatives. The published code is not part of this project, so its own time may differ.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from floors import Product, operations
from measuring import Figure, add_out, alternated, seconds, write
from PIL import Image
from real_size import BACKBONES, random_mask2former
from torch import Tensor

from aligncat.alignment.inputs import ImageTensors, Labels
from aligncat.alignment.negatives import select_negatives
from aligncat.detectors.known import MINI
from aligncat.detectors.preprocessing import normalize
from aligncat.detectors.query_detector import QueryDetector
from aligncat.detectors.registry import open_detector
from aligncat.files.images import read_image
from aligncat.grounder.batches import Batch
from aligncat.grounder.model import GroundingModel, ModelConfig
from aligncat.mojiref.scenes import compose
from aligncat.store.arrays import CandidateTensors
from aligncat.store.extract import extract_images
from aligncat.training.module import GroundingModule
from aligncat.training.presets import load_preset
from aligncat.types import ImageRecord

EPOCHS, REFERENTS, IMAGES = 25, 42_404, 16_994  # RefCOCO's training split
CANDIDATES, WORDS, LENGTH = 20, 500, 8
TEXTS, DIM, NEGATIVES = 14, 512, 4  # the paper's batch per GPU


def write_scenes(folder: Path, count: int) -> list[ImageRecord]:
    records = []
    for index in range(count):
        path = folder / f"{index}.png"
        Image.fromarray(compose(0, "train", index).pixels).save(path)
        records.append(ImageRecord(str(index), path))
    return records


def detect_in_the_loop(detector: QueryDetector, images: Sequence[ImageRecord]) -> CandidateTensors:
    """Return the candidates of a batch as QueryMatch's step finds them, with the masks of all queries enlarged."""
    size = detector.preprocessing.size
    parts: list[tuple[Tensor, ...]] = []
    for start in range(0, len(images), detector.batch_size):
        photos = [read_image(each.path) for each in images[start : start + detector.batch_size]]
        squares = [detector.preprocessing.square(photo)[0] for photo in photos]
        output = detector.forward(normalize(squares, detector.preprocessing.mean, detector.preprocessing.std))
        assert output.mask_logits is not None
        masks = F.interpolate(torch.from_numpy(output.mask_logits), (size, size), mode="bilinear").flatten(2)
        inside = (masks > 0).float()
        means = (masks.sigmoid() * inside).sum(dim=2) / inside.sum(dim=2).clamp(min=1)
        classes = torch.from_numpy(output.class_logits).softmax(dim=-1)[..., :-1]
        confidences, pairs = (classes * means[..., None]).flatten(1).topk(CANDIDATES)
        queries = (pairs // classes.shape[2])[..., None].expand(-1, -1, output.features.shape[2])
        features = torch.from_numpy(output.features).gather(1, queries).half()
        parts.append((features, pairs % classes.shape[2], confidences, confidences > 0))
    return CandidateTensors(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def steps(rounds: int, folder: Path) -> dict[str, Any]:
    """Return the seconds of a step in both ways, of extraction per image, and the least that the latter two can take.

    The keys: "loop" and "store", the seconds of each round; "extract", seconds an image; "step floor" and
    "extract floor", their operations at the rate of a matrix product; "batch", referents per step.
    """
    torch.manual_seed(0)
    preset = load_preset("mojiref")
    size = preset.training.batch_size
    records = write_scenes(folder, size)
    detector = open_detector(MINI, candidates=CANDIDATES)
    assert isinstance(detector, QueryDetector)
    detect_in_the_loop(detector, records[:8])  # warm up
    extract = partial(extract_images, images=records, detector=detector, out=folder / "store")
    extracting = seconds(extract) / size
    store = extract()
    stored = store.tensors(store.image_ids)
    tokens = torch.randint(3, WORDS, (size, LENGTH)) * (torch.arange(LENGTH) < torch.randint(2, LENGTH, (size, 1)))
    model = GroundingModel(
        ModelConfig(preset.alignment, preset.text),
        WORDS,
        feature_dim=detector.feature_dim,
        classes=len(detector.labels),
    )
    module = GroundingModule(model, preset.training, 1000).train()
    module.log_dict = lambda *_, **__: None  # type: ignore[method-assign]  # there is no trainer
    optimizer = module.configure_optimizers()["optimizer"]

    def learn(found: CandidateTensors) -> None:
        rows = torch.arange(size)
        boxes = torch.zeros(size, CANDIDATES, 4)
        images = ImageTensors(found.features, found.categories, found.valid, found.confidences, boxes).rows(rows)
        labels = Labels(found.categories[:, 0], found.categories[:, 1], torch.full((size,), -1))
        batch = Batch(images, tokens, labels, image_index=rows, rows=rows)
        optimizer.zero_grad()
        module.training_step(batch, 0).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(module.parameters(), preset.training.clip_norm)
        optimizer.step()

    product = Product(1024)
    ways = {"loop": lambda: learn(detect_in_the_loop(detector, records)), "store": lambda: learn(stored)}
    times = alternated({**ways, "product": product}, rounds)
    rate = product.rate(median(times.pop("product")))
    side = detector.preprocessing.size
    detector._model.requires_grad_(False)  # type: ignore[attr-defined]  # so that its operations can be counted
    pixels = torch.zeros(detector.batch_size, 3, side, side).numpy()
    return {
        **times,
        "extract": extracting,
        "step floor": operations(ways["store"]) / rate,
        "extract floor": operations(lambda: detector.forward(pixels)) / rate / detector.batch_size,
        "batch": size,
    }


def epochs(loop: float, ours: float, extract: float, batch: float) -> tuple[float, float]:
    """Return the seconds of 25 epochs in both ways.

    Args:
        loop: seconds of a step with the detector in the loop.
        ours: seconds of a step from a store.
        extract: seconds of the extraction of an image.
        batch: referents per step.
    """
    count = EPOCHS * (REFERENTS // batch)
    return count * loop, IMAGES * extract + count * ours


def swin_seconds() -> float:
    """Return the processor time of a forward pass of Swin-Base Mask2Former at 800 px, with all masks enlarged."""
    model = random_mask2former(BACKBONES["swin-base"])
    pixels = torch.rand(1, 3, 800, 800)

    def run() -> None:
        with torch.inference_mode():
            F.interpolate(model(pixel_values=pixels).masks_queries_logits, (800, 800), mode="bilinear").sigmoid()

    run()
    return seconds(run)


def published_negatives(scores: Tensor, queries: Tensor, count: int) -> Tensor:
    """Return the negatives of the published procedure, (B, B, M) int64, for samples of different images; -1 for none.

    Args:
        scores: (B, B, O), sim of each text with each candidate of each sample.
        queries: (B, O, d).
        count: M.
    """
    batch, slots, _ = queries.shape
    unit = F.normalize(queries, dim=-1)
    others = torch.stack([torch.cat([unit[:b], unit[b + 1 :]]) for b in range(batch)])  # (B, B - 1, O, d)
    alike = torch.einsum("bjod,bkpd->bjokp", others, others).clamp(-1, 1)
    found = torch.full((batch, batch, count), -1)
    for b in range(batch):
        samples = [j for j in range(batch) if j != b]
        low, high = scores[b].amin(dim=1, keepdim=True), scores[b].amax(dim=1, keepdim=True)
        hard = (scores[b] - low) / (high - low)
        unique = torch.ones(batch - 1, slots)
        for m in range(count):
            picked = []
            for place, j in enumerate(samples):
                best, highest = -1, -1.0
                for o in range(slots):
                    value = float(hard[j, o] * unique[place, o])
                    if o not in found[b, j, :m] and value > highest:
                        best, highest = o, value
                found[b, j, m] = best
                picked.append(best)
            for place in range(batch - 1):
                for o in range(slots):
                    for other, pick in enumerate(picked):
                        unique[place, o] = torch.minimum(unique[place, o], (1 - alike[b, place, o, other, pick]) / 2)
    return found


def negatives() -> list[Figure]:
    """Return the ratios of the times and of the tables of similarities of both selections."""
    torch.manual_seed(0)
    queries, texts = torch.randn(TEXTS, CANDIDATES, DIM) + torch.randn(DIM), torch.randn(TEXTS, DIM)
    scores = (texts @ queries.flatten(0, 1).T).view(TEXTS, TEXTS, CANDIDATES)
    valid, images = torch.ones(TEXTS, CANDIDATES, dtype=torch.bool), torch.arange(TEXTS)
    unit = F.normalize(queries, dim=-1).flatten(0, 1)
    ours = select_negatives(scores, queries, valid, images, NEGATIVES)
    found: list[Tensor] = []
    published = seconds(lambda: found.append(published_negatives(scores, queries, NEGATIVES)))
    assert torch.equal(torch.where(ours.mask, ours.indices, -1), found[0]), "the negatives differ"
    times = alternated(
        {
            "ours": lambda: select_negatives(scores, queries, valid, images, NEGATIVES),
            "product": lambda: unit @ unit.T,
        },
        20,
    )
    what = f"the published selection of negatives, written plainly, for {TEXTS} phrases"
    return [
        Figure.ratio(
            what,
            [published] * 20,
            times["ours"],
            "times ours",
            limit=published / median(times["product"]),
            limit_is="the product of all candidates instead of our selection",
            bar=500.0,
            more_is_better=True,
        ),
        Figure(
            f"our table of similarities for {TEXTS} phrases",
            (TEXTS * CANDIDATES) ** 2 / (TEXTS * ((TEXTS - 1) * CANDIDATES) ** 2),
            "times the published table",
            bar=0.01,
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--swin", action="store_true", help="project Swin-Base at 800 px")
    add_out(parser)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        found = steps(options.rounds, Path(scratch))
    batch, store, extract = found["batch"], median(found["store"]), found["extract"]
    loop, ours = epochs(median(found["loop"]), store, extract, batch)
    _, least = epochs(0, found["step floor"], found["extract floor"], batch)
    figures = [
        Figure.ratio(
            "a step with the detector in the loop",
            found["loop"],
            found["store"],
            "times one from a store",
            limit=median(found["loop"]) / found["step floor"],
            limit_is="a step of ours that takes its operations at the rate of a matrix product",
            bar=40.0,
            more_is_better=True,
        ),
        Figure(
            f"{EPOCHS} epochs with the detector in the loop",
            loop / ours,
            "times one extraction and epochs from the store",
            limit=loop / least,
            limit_is="extraction and steps of ours that take their operations at the rate of a matrix product",
            bar=28.0,
            more_is_better=True,
        ),
    ]
    notes = [
        f"Epochs are counted at RefCOCO's numbers: {REFERENTS:,} referents, {IMAGES:,} images. In the loop "
        f"{loop / 3600:.1f} h, from a store {ours / 3600:.1f} h; extraction {1000 * extract:.1f} ms an image."
    ]
    if options.swin:
        swin = swin_seconds()
        loop, ours = epochs(store + batch * swin, store, swin, batch)
        figures.append(
            Figure(
                f"{EPOCHS} epochs with a Swin-Base at 800 px in the loop, projected",
                loop / ours,
                "times one extraction and epochs from the store",
            )
        )
        notes.append(
            f"The projection: a pass of Swin-Base takes {swin:.2f} s, so a step in the loop {store:.3f} + {batch} x "
            f"{swin:.2f} s, and {EPOCHS} x {REFERENTS // batch} of them {loop / 3600:,.0f} h; {IMAGES:,} x {swin:.2f} "
            f"s and the steps from a store take {ours / 3600:,.0f} h."
        )
    write([*figures, *negatives()], options, notes=notes)


if __name__ == "__main__":
    main()
