"""Measure what data larger than memory costs: training, loading, opening, and answers of many expressions.

    python benchmarks/large_data.py WHAT [--images N] [--dim D] [--folder FOLDER] [--out FILE]

WHAT is one of:

    fabricate    write a store of N images (1,000,000, d_v = 64) and their phrases, without a detector
    train        training steps with the candidates in memory and in a temporary file, alternating: their ratio
    limited      load and train under an address space of 2 GiB (RLIMIT_AS), which holds back all memory but none of
                 the disk's: steps and the most resident memory. Set ARROW_DEFAULT_MEMORY_POOL=system, because Arrow's
                 usual allocator reserves a part of the address space that it does not use
    load         `Store.tensors` against a plain read of the same columns with pyarrow, and the opening of the store
    lines        open JSON lines of 2 N phrases: processor time and the most resident memory
    answers      evaluate expressions (100,000, and a fifth of them), save, load and report the answers: the most memory

Each runs in a process of its own; start with `fabricate`. Times are processor times.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measuring import Figure, add_out, alternated, peak_mb, seconds, write

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


def fabricate(options: argparse.Namespace) -> list[Figure]:
    write_store(options.folder / "store", options.images, options.dim)
    write_lines(options.folder / "train.jsonl", options.images, options.images)
    return []


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
    found = model(batch.images, batch.tokens, batch.labels)
    loss = model.alignment.losses(found, batch.images.valid, batch.image_index, batch.labels)["total"]
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def train(options: argparse.Namespace) -> list[Figure]:
    inside, outside = steps(options.folder, [2**62, 0])
    times = alternated({"memory": partial(repeat, inside, 5), "file": partial(repeat, outside, 5)}, options.runs)
    return [
        Figure.ratio(
            f"training from a file of {options.images:,} images",
            times["memory"],
            times["file"],
            "times the rate from memory",
            limit=1.0,
            limit_is="the rate from memory",
            bar=0.9,
            more_is_better=True,
        )
    ]


def limited(options: argparse.Namespace) -> list[Figure]:
    import aligncat.training.fit  # noqa: F401  # torch and the other libraries, which the limit counts

    libraries = peak_mb()
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
    [step] = steps(options.folder, [None])
    repeat(step, 8)
    return [
        Figure(
            f"most memory of training on {options.images:,} images under RLIMIT_AS of 2 GiB",
            peak_mb(),
            "MB",
            limit=libraries,
            limit_is="the libraries alone",
            bar=2000.0,
        )
    ]


def load(options: argparse.Namespace) -> list[Figure]:
    from aligncat.store.reader import Store

    folder = options.folder / "store"
    store = Store.open(folder)
    ids = store.image_ids[: options.some]
    shards = [folder / shard_name(shard) for shard in range(store.manifest.shards)]
    columns = ["positions", "categories", "confidences", "features"]

    def plain() -> None:
        for path in shards[: -(-len(ids) // SHARD)]:
            pq.read_table(path, columns=columns, use_threads=False)

    def look() -> None:
        pq.read_table(folder / INDEX, use_threads=False)
        for path in shards:
            path.stat()

    parts = {"plain": plain, "ours": lambda: store.tensors(ids), "open": lambda: Store.open(folder), "look": look}
    times = alternated(parts, options.runs)
    return [
        Figure.ratio(
            f"tensors of {len(ids):,} images",
            times["plain"],
            times["ours"],
            "times the rate of a plain read with pyarrow",
            limit=1.0,
            limit_is="the plain read",
            bar=0.8,
            more_is_better=True,
        ),
        Figure.time(
            f"opening a store of {options.images:,} images",
            times["open"],
            limit=median(times["look"]),
            limit_is="pyarrow reads the index, and the size of each shard is asked for",
        ),
    ]


def lines(options: argparse.Namespace) -> list[Figure]:
    path = options.folder / "lines" / "train.jsonl"
    if not path.exists():
        path.parent.mkdir(parents=True)
        write_lines(path, 2 * options.images, options.images // 2)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        least_seconds, least_mb = pool.submit(arrow_lines, path).result()
    data = DataConfig(path.parent, "jsonl")
    spent = seconds(lambda: load_split(data, "train", check_images=False))
    what = f"opening {2 * options.images:,} JSON lines"
    by_arrow = "pyarrow reads the file as a table"
    return [
        Figure(what, spent, "s", limit=least_seconds, limit_is=by_arrow, bar=15.0),
        Figure(f"most memory of {what}", peak_mb(), "MB", limit=least_mb, limit_is=by_arrow, bar=800.0),
    ]


def arrow_lines(path: Path) -> tuple[float, float]:
    """Return the processor time and the most memory of reading JSON lines with pyarrow alone."""
    from pyarrow import json as arrow_json

    serial = arrow_json.ReadOptions(use_threads=False)
    return seconds(lambda: arrow_json.read_json(path, read_options=serial)), peak_mb()


def answers(options: argparse.Namespace) -> list[Figure]:
    peaks = {}
    for count in (options.expressions // 5, options.expressions):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            peaks[count] = pool.submit(answers_mb, options.folder / f"answers-{count}", count, options.dim).result()
    few, many = peaks.values()
    return [
        Figure(
            f"most memory of evaluating, saving and reporting {options.expressions:,} expressions",
            many["reported"],
            "MB",
            limit=few["reported"],
            limit_is="the same of a fifth of the expressions",
        ),
        *(Figure(f"the same {stage}", many[stage], "MB", limit=few[stage]) for stage in few),
    ]


def answers_mb(folder: Path, count: int, dim: int) -> dict[str, float]:
    """Return the most memory so far after each stage of an evaluation."""
    from aligncat.evaluation.answering import answer, save_answers
    from aligncat.evaluation.answers import Answers
    from aligncat.evaluation.questions import Questions
    from aligncat.grounder.training_free import TrainingFreeGrounder
    from aligncat.report.folder import write_folder
    from aligncat.store.reader import Store

    if not folder.exists():
        write_store(folder / "store", count, dim)
        write_lines(folder / "val.jsonl", count, count)
    store, found = Store.open(folder / "store"), {"start": peak_mb()}
    questions = Questions.load(DataConfig(folder, "jsonl"), store, "val")
    found["questions"] = peak_mb()
    made = answer(TrainingFreeGrounder.of_store(store), "training-free", questions)
    found["answers"] = peak_mb()
    path = save_answers(made, folder / "out", "training-free")
    found["saved"] = peak_mb()
    del made, questions
    write_folder({path: Answers.load(path)}, folder / "report", figures=False)
    found["reported"] = peak_mb()
    return found


def repeat(work: Callable[[], object], times: int) -> None:
    for _ in range(times):
        work()


def main() -> None:
    works = {each.__name__: each for each in (fabricate, train, limited, load, lines, answers)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=works)
    parser.add_argument("--folder", type=Path, default=Path("large-data"))
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--expressions", type=int, default=100_000, help="the expressions of `answers`")
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--some", type=int, default=20_000, help="the images that `load` reads")
    add_out(parser)
    options = parser.parse_args()
    write(works[options.what](options), options)


if __name__ == "__main__":
    main()
