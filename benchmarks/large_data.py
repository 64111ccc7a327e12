"""Measure what data larger than memory costs: training, loading, opening, and answers of many expressions.

    python benchmarks/large_data.py WHAT [--images N] [--dim D] [--folder FOLDER]

WHAT is one of:

    fabricate    write a store of N images (1,000,000, d_v = 64) and their phrases, without a detector
    train        training steps with the candidates in memory and in a temporary file, alternating: their ratio
    limited      load and train under an address space of 2 GiB (RLIMIT_AS), which holds back all memory but none of
                 the disk's: steps and the most resident memory. Set ARROW_DEFAULT_MEMORY_POOL=system, because Arrow's
                 usual allocator reserves a part of the address space that it does not use
    load         `Store.tensors` against a plain read of the same columns with pyarrow, and the opening of the store
    lines        open JSON lines of 2 N phrases: processor time and the most resident memory
    answers      evaluate N expressions (100,000), save, load and report the answers: the most resident memory

Each runs in a process of its own. Times are processor times, figures are one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aligncat.datasets.categories import COCO_NAMES
from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import load_split
from aligncat.detectors.description import DetectorDescription
from aligncat.store.columns import IMAGE_FIELDS, encode_shard, encode_table
from aligncat.store.complete import COMPLETE, Complete, FileRecord
from aligncat.store.ids import ids_sha256
from aligncat.store.index import INDEX, SOURCES, index_file, sources_file
from aligncat.store.manifest import FORMAT, Manifest, shard_name
from aligncat.store.manifest_file import read_manifest
from aligncat.store.shard_file import identity
from aligncat.types import Candidates

KEPT, SHARD, DISTINCT = 20, 512, 64
WIDTH, HEIGHT = 640, 480
BATCH = 64
LIMIT = 2**31
WORDS = ("left", "right", "red", "blue", "small", "big", "near", "the", "wall", "standing", "behind", "round")


def names_of(images: int) -> list[str]:
    return [f"photos/{number:08d}.jpg" for number in range(images)]


def candidates(number: int, dim: int) -> Candidates:
    rng = np.random.default_rng(number)
    corners = rng.random((KEPT, 2), np.float32) * [WIDTH / 2, HEIGHT / 2]
    sides = 8 + rng.random((KEPT, 2), np.float32) * [WIDTH / 2 - 8, HEIGHT / 2 - 8]
    return Candidates(
        image_id="",
        width=WIDTH,
        height=HEIGHT,
        features=rng.normal(size=(KEPT, dim)).astype(np.float16),
        queries=np.arange(KEPT, dtype=np.int32),
        categories=rng.integers(0, len(COCO_NAMES), KEPT).astype(np.int32),
        confidences=np.sort(rng.random(KEPT, np.float32))[::-1].copy(),
        boxes=np.concatenate([corners, corners + sides], axis=1).astype(np.float32),
        masks=None,
    )


def write_store(folder: Path, images: int, dim: int) -> None:
    """Write a store in which the candidates of every image are those of one of 64.

    A shard is encoded from those of the 64, so a million images take minutes and not hours.
    """
    ids = names_of(images)
    manifest = Manifest(
        format=FORMAT + 1,  # boxes alone
        detector=DetectorDescription(
            name="fabricated",
            weights_sha256="",
            config_sha256="",
            architecture="none",
            image_size=416,
            preprocessing={},
            feature="none",
            confidence="none",
            candidates=KEPT,
            masks="none",
        ),
        labels=list(COCO_NAMES),
        feature_dim=dim,
        candidates=KEPT,
        images=images,
        image_ids_sha256=ids_sha256(ids),
        shard_size=SHARD,
        environment={},
    )
    folder.mkdir(parents=True)
    manifest.write(folder)
    manifest_sha256 = read_manifest(folder).sha256
    distinct = [candidates(number, dim) for number in range(DISTINCT)]
    content, _ = encode_shard([distinct[row % DISTINCT] for row in range(SHARD)], {}, manifest, {})
    usual = pq.read_table(pa.BufferReader(content))
    described = pa.table(
        {"image_id": ids, **{field.name: pa.nulls(images, field.type) for field in IMAGE_FIELDS[1:]}},
        schema=pa.schema(IMAGE_FIELDS),
    )
    records = []
    for shard in range(manifest.shards):
        rows = manifest.images_of(shard)
        own = pa.array(ids[rows.start : rows.stop], pa.string())
        table = usual.slice(0, len(rows)).set_column(0, IMAGE_FIELDS[0], own)
        content = encode_table(table, manifest, identity(manifest_sha256, shard))
        records.append(FileRecord.of(content))
        (folder / shard_name(shard)).write_bytes(content)
    index, sources = index_file(described), sources_file(described)
    (folder / INDEX).write_bytes(index)
    (folder / SOURCES).write_bytes(sources)
    complete = Complete(
        images=images,
        skipped=[],
        manifest_sha256=manifest_sha256,
        index=FileRecord.of(index),
        sources=FileRecord.of(sources),
        shards=records,
    )
    (folder / COMPLETE).write_bytes(complete.to_bytes())


def write_lines(path: Path, lines: int, images: int) -> None:
    rng = random.Random(0)
    phrases = [" ".join(rng.choices(WORDS, k=rng.randint(1, 6))) for _ in range(4096)]
    with path.open("w") as file:
        for number in range(lines):
            name = f"photos/{number * images // lines:08d}.jpg"
            category = COCO_NAMES[number % 80]
            row = {"image": name, "expression": f"{phrases[number % 4096]} {category}", "category": category}
            box = [10.25, 20.5, 300.0, 200.75]
            file.write(json.dumps({**row, "box": box, "width": WIDTH, "height": HEIGHT}) + "\n")


def fabricate(options: argparse.Namespace) -> dict[str, Any]:
    begun = time.process_time()
    write_store(options.folder / "store", options.images, options.dim)
    write_lines(options.folder / "train.jsonl", options.images, options.images)
    return {"images": options.images, "seconds": round(time.process_time() - begun, 1)}


def steps(folder: Path, memories: list[int | None]) -> list[Callable[[], None]]:
    """Return functions that train one step each, with each of some bounds of the memory for candidates."""
    import torch

    from aligncat.grounder.batches import SplitTensors
    from aligncat.grounder.model import GroundingModel, ModelConfig
    from aligncat.language.vocabulary import Vocabulary
    from aligncat.store.reader import Store
    from aligncat.training.data import OneSentencePerReferent

    split = load_split(DataConfig(folder, "jsonl"), "train", check_images=False)
    store = Store.open(folder / "store")
    vocabulary = Vocabulary.from_expressions(["a " + " ".join((*WORDS, *COCO_NAMES))])
    made: list[Callable[[], None]] = []
    for memory in memories:
        bounded = Store.open(folder / "store")
        bounded.rows = partial(store.rows, memory=memory)  # type: ignore[method-assign]
        tensors = SplitTensors(split, bounded, vocabulary, max_length=15, with_labels=True)
        torch.manual_seed(0)
        model = GroundingModel(
            ModelConfig(), len(vocabulary), feature_dim=store.manifest.feature_dim, classes=len(store.labels)
        )
        order = iter(OneSentencePerReferent(split, 0))

        made.append(partial(one_step, tensors, model, torch.optim.Adam(model.parameters(), lr=1e-4), order))
    return made


def one_step(tensors: Any, model: Any, optimizer: Any, order: Iterator[int]) -> None:
    batch = tensors.gather([next(order) for _ in range(BATCH)])
    found = model(batch.features, batch.categories, batch.valid, batch.tokens, batch.labels, boxes=batch.boxes)
    loss = model.alignment.losses(found, batch.valid, batch.image_index, batch.labels)["total"]
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def train(options: argparse.Namespace) -> dict[str, Any]:
    inside, outside = steps(options.folder, [2**62, 0])
    for work in (inside, outside):
        processor_seconds(work, 3)
    pairs = [(processor_seconds(inside, 5), processor_seconds(outside, 5)) for _ in range(options.runs)]
    ratio = statistics.median(memory / file for memory, file in pairs)
    inside_ms, outside_ms = (200 * statistics.median(column) for column in zip(*pairs, strict=True))
    return {"step_ms_memory": round(inside_ms, 2), "step_ms_file": round(outside_ms, 2), "rate": round(ratio, 3)}


def limited(options: argparse.Namespace) -> dict[str, Any]:
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
    begun = time.process_time()
    [step] = steps(options.folder, [None])
    loaded = time.process_time() - begun
    each = processor_seconds(step, 8) / 8
    return {"load_seconds": round(loaded, 1), "step_ms": round(1000 * each, 2), **peak()}


def load(options: argparse.Namespace) -> dict[str, Any]:
    from aligncat.store.reader import Store

    folder = options.folder / "store"
    opened = [processor_seconds(lambda: Store.open(folder), 1) for _ in range(5)]
    store = Store.open(folder)
    ids = store.image_ids[: options.some]
    shards = [folder / shard_name(shard) for shard in range(-(-len(ids) // SHARD))]
    columns = ["positions", "categories", "confidences", "features"]

    def plain() -> None:
        for path in shards:
            pq.read_table(path, columns=columns, use_threads=False)

    pairs = [
        (processor_seconds(plain, 1), processor_seconds(lambda: store.tensors(ids), 1)) for _ in range(options.runs)
    ]
    ratio = statistics.median(first / second for first, second in pairs)
    return {"open_seconds": round(min(opened), 3), "images": len(ids), "rate_of_plain_read": round(ratio, 3)}


def lines(options: argparse.Namespace) -> dict[str, Any]:
    path = options.folder / "lines" / "train.jsonl"
    if not path.exists():
        path.parent.mkdir(parents=True)
        write_lines(path, 2 * options.images, options.images // 2)
    begun = time.process_time()
    split = load_split(DataConfig(path.parent, "jsonl"), "train", check_images=False)
    seconds = time.process_time() - begun
    return {"lines": len(split.expressions), "photos": len(split.images), "seconds": round(seconds, 1), **peak()}


def answers(options: argparse.Namespace) -> dict[str, Any]:
    from aligncat.evaluation.answering import answer, save_answers
    from aligncat.evaluation.answers import Answers
    from aligncat.evaluation.questions import Questions
    from aligncat.grounder.training_free import TrainingFreeGrounder
    from aligncat.report.folder import write_folder
    from aligncat.store.reader import Store

    folder = options.folder / f"answers-{options.images}"
    if not folder.exists():
        write_store(folder / "store", options.images, options.dim)
        write_lines(folder / "val.jsonl", options.images, options.images)
    store, found = Store.open(folder / "store"), {"start": peak()["peak_mb"]}
    questions = Questions.load(DataConfig(folder, "jsonl"), store, "val")
    found["questions"] = peak()["peak_mb"]
    made = answer(TrainingFreeGrounder.of_store(store), "training-free", questions)
    found["answers"] = peak()["peak_mb"]
    path = save_answers(made, folder / "out", "training-free")
    found["saved"] = peak()["peak_mb"]
    table_mb = made.table.nbytes / 1e6
    del made, questions
    write_folder({path: Answers.load(path)}, folder / "report", figures=False)
    found["reported"] = peak()["peak_mb"]
    return {"expressions": options.images, "table_mb": round(table_mb), "peak_mb": found}


def processor_seconds(work: Callable[[], object], times: int) -> float:
    begun = time.process_time()
    for _ in range(times):
        work()
    return time.process_time() - begun


def peak() -> dict[str, int]:
    """Return the most memory that was resident so far, megabytes."""
    return {"peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)}


def main() -> None:
    works = {each.__name__: each for each in (fabricate, train, limited, load, lines, answers)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=works)
    parser.add_argument("--folder", type=Path, default=Path("large-data"))
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--some", type=int, default=20_000, help="the images that `load` reads")
    options = parser.parse_args()
    print(json.dumps(works[options.what](options)))


if __name__ == "__main__":
    main()
