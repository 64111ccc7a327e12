"""Measure the time, memory and disk space of a RefCOCO run, on fabricated data of RefCOCO's size.

    python benchmarks/refcoco_rehearsal.py [--folder FOLDER]

The script fabricates REFER files with RefCOCO's exact counts (unc: 19,994 images, 50,000 referents, 142,210 sentences),
word vectors and a store of random features (O 20, 256-d); no photo is needed. It then measures five steps: opening the
dataset, checking it, one epoch of training at the paper's configuration, evaluation of val with every answer written,
and detection. Each step runs in its own process, so that each has its own peak of memory.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import pickle
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from real_size import save_detector
from rich.console import Console
from rich.table import Table

from aligncat.api.train import train
from aligncat.datasets.config import DataConfig
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.load import load_split
from aligncat.datasets.prepare.check import check_dataset
from aligncat.detectors.description import DetectorDescription
from aligncat.evaluation.answering import answer, save_answers
from aligncat.evaluation.questions import Questions
from aligncat.geometry import encode_mask
from aligncat.grounder.batches import SplitTensors
from aligncat.grounder.grounder import Grounder
from aligncat.language.vocabulary import Vocabulary
from aligncat.store.manifest import FORMAT, Manifest
from aligncat.store.reader import Store
from aligncat.store.writer import StoreWriter
from aligncat.training.data import OneSentencePerReferent
from aligncat.training.presets import load_preset
from aligncat.types import Candidates

# RefCOCO, split by unc: images, referents and sentences of each split.
COUNTS = {
    "train": (16_994, 42_404, 120_624),
    "val": (1_500, 3_811, 10_834),
    "testA": (750, 1_975, 5_657),
    "testB": (750, 1_810, 5_095),
}
OTHER_ANNOTATIONS = 7  # per image; the real file annotates every object of its images, 197,000 in total
CATEGORIES = 80
CANDIDATES, FEATURE_DIM, SHARD = 20, 256, 500
WIDTH, HEIGHT = 640, 480
VECTORS = "vectors.txt"
WORDS = 9_000  # vocabulary size; a few words make up most of the text
EPOCHS = 25
OPENING, EVALUATION, MEMORY, LOADING = 10, 180, 4, 0.1  # limits: seconds, seconds, GB, share of the epoch


def fabricate(folder: Path, share: float = 1.0) -> None:
    """Write refs(unc).p and instances.json with the real counts, or a share of them, word vectors, and the store."""
    rng = np.random.default_rng(0)
    words = max(int(share * WORDS), 100)
    home = folder / "refcoco"
    home.mkdir(parents=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    refs: list[dict[str, Any]] = []
    sent_id = 0
    for split, counts in COUNTS.items():
        image_count, referents, sentences = (max(int(share * count), 1) for count in counts)
        first = len(images)
        for number in range(first, first + image_count):
            name = f"COCO_train2014_{number:012d}.jpg"
            images.append({"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT})
            annotations += [_annotation(rng, len(annotations) + n, number) for n in range(OTHER_ANNOTATIONS)]
        for referent in range(referents):
            image = images[first + referent % image_count]
            annotation = _annotation(rng, len(annotations), image["id"])
            annotations.append(annotation)
            count = sentences // referents + (referent < sentences % referents)
            sentence_rows = [_sentence(rng, sent_id + n, words) for n in range(count)]
            sent_id += count
            refs.append(
                {
                    "ref_id": len(refs),
                    "ann_id": annotation["id"],
                    "image_id": image["id"],
                    "category_id": annotation["category_id"],
                    "file_name": f"COCO_train2014_{image['id']:012d}_{annotation['id']}.jpg",
                    "split": split,
                    "sent_ids": [each["sent_id"] for each in sentence_rows],
                    "sentences": sentence_rows,
                }
            )
    categories = [{"id": n + 1, "name": _label(n), "supercategory": "thing"} for n in range(CATEGORIES)]
    document = {"info": {}, "images": images, "annotations": annotations, "categories": categories, "licenses": []}
    (home / "instances.json").write_text(json.dumps(document))
    (home / "refs(unc).p").write_bytes(pickle.dumps(refs, protocol=2))
    vectors = rng.standard_normal((words, load_preset("refcoco").text.word_dim)).round(4)
    lines = (f"word{number} {' '.join(map(str, row))}\n" for number, row in enumerate(vectors.tolist()))
    (folder / VECTORS).write_text("".join(lines))
    _fabricate_store(rng, folder / "store", [str(image["id"]) for image in images])


def _annotation(rng: np.random.Generator, number: int, image_id: int) -> dict[str, Any]:
    x, y, width, height = (float(v) for v in rng.uniform((0, 0, 40, 40), (300, 200, 340, 280)))
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    polygon = np.stack([x + width * (1 + np.cos(angles)) / 2, y + height * (1 + np.sin(angles)) / 2], axis=1)
    return {
        "id": number,
        "image_id": image_id,
        "category_id": int(rng.integers(CATEGORIES)) + 1,
        "bbox": [round(v, 2) for v in (x, y, width, height)],
        "area": width * height * np.pi / 4,
        "iscrowd": 0,
        "segmentation": [[round(float(v), 2) for v in polygon.ravel()]],
    }


def _sentence(rng: np.random.Generator, sent_id: int, words: int) -> dict[str, Any]:
    tokens = [f"word{n % words}" for n in rng.zipf(1.3, size=rng.integers(1, 7))]
    return {"sent_id": sent_id, "sent": " ".join(tokens), "raw": " ".join(tokens), "tokens": tokens}


def _label(number: int) -> str:
    return f"category {number}"


def _fabricate_store(rng: np.random.Generator, folder: Path, image_ids: list[str]) -> None:
    masks = []
    for _ in range(400):
        x, y, width, height = rng.uniform((0, 0, 40, 40), (300, 200, 340, 280)).astype(int)
        mask = np.zeros((HEIGHT, WIDTH), bool)
        mask[y : y + height, x : x + width] = True
        masks.append(((x, y, x + width, y + height), encode_mask(mask)))
    manifest = Manifest(
        format=FORMAT,
        detector=DetectorDescription(
            name="random features",
            weights_sha256="",
            config_sha256="",
            architecture="none",
            image_size=416,
            preprocessing={},
            feature="random",
            confidence="random",
            candidates=CANDIDATES,
        ),
        labels=[_label(number) for number in range(CATEGORIES)],
        feature_dim=FEATURE_DIM,
        candidates=CANDIDATES,
        images=len(image_ids),
        image_ids_sha256=hashlib.sha256("\n".join(image_ids).encode()).hexdigest(),
        shard_size=SHARD,
        environment={},
    )
    writer = StoreWriter.open(folder, manifest)
    for shard in range(manifest.shards):
        rows = []
        for number in manifest.images_of(shard):
            chosen = rng.integers(len(masks), size=CANDIDATES)
            rows.append(
                Candidates(
                    image_id=image_ids[number],
                    width=WIDTH,
                    height=HEIGHT,
                    features=rng.standard_normal((CANDIDATES, FEATURE_DIM)).astype(np.float16),
                    queries=np.arange(CANDIDATES, dtype=np.int32),
                    categories=rng.integers(CATEGORIES, size=CANDIDATES).astype(np.int32),
                    confidences=np.sort(rng.random(CANDIDATES).astype(np.float32))[::-1].copy(),
                    boxes=np.array([masks[n][0] for n in chosen], np.float32),
                    masks=tuple(masks[n][1] for n in chosen),
                )
            )
        writer.write(shard, rows)
    writer.finish()


def open_dataset(folder: Path) -> dict[str, float]:
    """Load every split."""
    begun = time.perf_counter()
    with AnnotationFiles() as files:
        for split in COUNTS:
            load_split(_data(folder), split, check_images=False, files=files)
    return {"seconds": time.perf_counter() - begun}


def check(folder: Path) -> dict[str, float]:
    """Run `aligncat data check`: it reads every row and looks for every photo (all are missing)."""
    begun = time.perf_counter()
    report = check_dataset(_data(folder))
    if any(split.differs for split in report.splits):
        raise AssertionError("the fabricated counts are not the published ones")
    return {"seconds": time.perf_counter() - begun}


def train_one_epoch(folder: Path) -> dict[str, float]:
    """Train one epoch at the paper's configuration with validation; then time the gathering of its batches alone."""
    preset = load_preset("refcoco")
    begun = time.perf_counter()
    train(
        data=_data(folder),
        store=folder / "store",
        out=folder / "run",
        alignment=preset.alignment,
        text=preset.text,
        training=replace(preset.training, epochs=1, warmup_epochs=0),
        word_vectors=folder / VECTORS,
        progress=False,
    )
    whole = time.perf_counter() - begun
    split = load_split(_data(folder), "train", check_images=False)
    vocabulary = Vocabulary.from_expressions(e.text for e in split.expressions)
    store = Store.open(folder / "store")
    tensors = SplitTensors(split, store, vocabulary, max_length=preset.text.max_length, with_labels=True)
    rows, size = list(OneSentencePerReferent(split, 0)), preset.training.batch_size
    begun = time.perf_counter()
    for start in range(0, len(rows) - size + 1, size):
        tensors.gather(rows[start : start + size])
    return {"seconds": whole, "loading": time.perf_counter() - begun, "steps": len(rows) // size}


def evaluate_val(folder: Path) -> dict[str, float]:
    """Evaluate the grounder on every sentence of val and write every answer."""
    grounder = Grounder.from_pretrained(folder / "run")
    store = Store.open(folder / "store")
    begun = time.perf_counter()
    answers = answer(grounder, "rehearsal", Questions.load(_data(folder), store, "val"))
    save_answers(answers, folder / "answers", "rehearsal")
    return {"seconds": time.perf_counter() - begun, "sentences": answers.result.metrics.expressions}


def detect(folder: Path) -> dict[str, float]:
    """Return the seconds per image of a Mask2Former of real size (Swin-Tiny, 100 queries) at 416 px."""
    from aligncat.detectors.registry import open_detector

    detector = open_detector(str(save_detector(folder / "detector")), image_size=416)
    noise = np.random.default_rng(0).integers(0, 256, (4, HEIGHT, WIDTH, 3), np.uint8)
    pictures = [Image.fromarray(pixels) for pixels in noise]
    detector.detect(pictures[:1], ["0"])
    begun = time.perf_counter()
    for number, picture in enumerate(pictures):
        detector.detect([picture], [str(number)])
    return {"seconds": (time.perf_counter() - begun) / len(pictures)}


def _data(folder: Path) -> DataConfig:
    return DataConfig(path=folder, dataset="refcoco", images=folder)


def _phase(function: Callable[[Path], dict[str, float]], folder: Path, threads: int) -> dict[str, float]:
    torch.set_num_threads(threads)
    begun = time.process_time()
    found = function(folder)
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {**found, "processor": time.process_time() - begun, "gigabytes": gigabytes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--folder", type=Path, help="an empty folder for all files, which is kept; default: a temporary folder"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch) / "rehearsal"
        begun = time.perf_counter()
        fabricate(folder)
        console = Console()
        console.print(f"fabricated in {time.perf_counter() - begun:.0f} s")
        found: dict[str, dict[str, float]] = {}
        for function in (open_dataset, check, train_one_epoch, evaluate_val, detect):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                found[function.__name__] = pool.submit(_phase, function, folder, options.threads).result()
        console.print(_table(found, folder))
        epoch, image = found["train_one_epoch"], found["detect"]["seconds"]
        images, pairs = sum(counts[0] for counts in COUNTS.values()), COUNTS["train"][1]
        loading = epoch["loading"] / epoch["seconds"]
        within = {
            f"opening within {OPENING} s": found["open_dataset"]["seconds"] <= OPENING,
            f"evaluation within {EVALUATION} s": found["evaluate_val"]["seconds"] <= EVALUATION,
            f"memory under {MEMORY} GB": max(each["gigabytes"] for each in found.values()) < MEMORY,
            f"loading under {LOADING:.0%} of the epoch": loading < LOADING,
        }
        console.print("; ".join(f"{limit}: {'yes' if held else 'NO'}" for limit, held in within.items()))
        console.print(f"loading batches: {loading:.1%} of the epoch's time")
        console.print(f"{EPOCHS} epochs: {EPOCHS * epoch['seconds'] / 3600:.1f} h of training")
        console.print(f"detecting once: {images * image / 3600:.1f} h for {images:,} images")
        console.print(
            f"detecting at every step instead: {EPOCHS * pairs * image / 3600:.0f} h for {EPOCHS * pairs:,} passes"
        )
        console.print_json(json.dumps(found))


def _table(found: dict[str, dict[str, float]], folder: Path) -> Table:
    table = Table("step", "seconds", "processor, s", "peak memory, GB", "disk, MB")
    disk = {
        "open_dataset": ("refcoco", "store"),
        "train_one_epoch": ("run",),
        "evaluate_val": ("answers",),
        "detect": ("detector",),
    }
    for name, row in found.items():
        sizes = [f"{_bytes(folder / each) / 2**20:.0f} ({each}/)" for each in disk.get(name, ())]
        figures = (f"{row['seconds']:.1f}", f"{row['processor']:.1f}", f"{row['gigabytes']:.2f}")
        table.add_row(name.replace("_", " "), *figures, ", ".join(sizes) or "0")
    return table


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
