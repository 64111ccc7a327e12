"""Compare a store with one of the first format: bytes, and the processor time of reading and opening.

    python benchmarks/store.py STORE [--open IMAGES]

The script writes the candidates of STORE in both formats, so both hold the same. Each figure of time is the least of
several runs. With --open, it also measures the opening of a store with that many images, whose shards are empty. The
last line of output is JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aligncat.detectors.description import DetectorDescription
from aligncat.store.columns import IMAGE_FIELDS
from aligncat.store.complete import COMPLETE, Complete, FileRecord
from aligncat.store.ids import ids_sha256
from aligncat.store.index import INDEX, SOURCES, index_file, sources_file
from aligncat.store.manifest import FIRST_FORMAT, FORMAT, Manifest, shard_name
from aligncat.store.manifest_file import read_manifest
from aligncat.store.reader import Store
from aligncat.store.writer import StoreWriter
from aligncat.types import Candidates

RUNS = 7
DESCRIPTION = DetectorDescription(
    name="none",
    weights_sha256="",
    config_sha256="",
    architecture="none",
    image_size=416,
    preprocessing={},
    feature="none",
    confidence="none",
    candidates=20,
)


def first_table(images: Sequence[Candidates], manifest: Manifest) -> pa.Table:
    """Return a shard of the first format: every candidate in full, padded to O."""
    kept = manifest.candidates

    def padded(name: str, length: int, kind: type[np.generic], fill: int = 0) -> pa.FixedSizeListArray:
        values = np.full((len(images), kept, length), fill, kind)
        for row, each in enumerate(images):
            values[row, : len(each)] = getattr(each, name).reshape(len(each), length)
        return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), kept * length)

    return pa.table(
        {
            "image_id": pa.array([each.image_id for each in images], pa.string()),
            "width": pa.array([each.width for each in images], pa.int32()),
            "height": pa.array([each.height for each in images], pa.int32()),
            "count": pa.array([len(each) for each in images], pa.int32()),
            "queries": padded("queries", 1, np.int32, -1),
            "categories": padded("categories", 1, np.int32, -1),
            "confidences": padded("confidences", 1, np.float32),
            "boxes": padded("boxes", 4, np.float32),
            "features": padded("features", manifest.feature_dim, np.float16),
            "masks": pa.array(
                [[mask["counts"] for mask in each.masks or ()] for each in images], pa.list_(pa.binary())
            ),
        }
    )


def write_both(store: Store, old: Path, new: Path) -> None:
    """Write the candidates of a store in the first format and in this one."""
    ids = store.image_ids
    images = [store.candidates(image_id) for image_id in ids]
    manifest = replace(
        store.manifest, format=FORMAT, images=len(ids), image_ids_sha256=ids_sha256(ids), shard_size=64, columns=()
    )
    old.mkdir()
    replace(manifest, format=FIRST_FORMAT).write(old)
    (old / COMPLETE).write_text(json.dumps({"images": len(ids), "skipped": []}))
    writer = StoreWriter.open(new, manifest)
    for shard in range(manifest.shards):
        rows = [images[number] for number in manifest.images_of(shard)]
        writer.write(shard, rows)
        pq.write_table(
            first_table(rows, manifest),
            old / shard_name(shard),
            compression="zstd",
            use_dictionary=False,
            write_statistics=False,
        )
    writer.finish()


def write_empty(folder: Path, images: int) -> None:
    """Write a store of many images whose shards are empty files, which is enough to open it."""
    ids = [f"COCO_train2014_{number:012d}.jpg" for number in range(images)]
    template = Manifest(
        format=FORMAT,
        detector=DESCRIPTION,
        labels=["object"],
        feature_dim=256,
        candidates=20,
        images=images,
        image_ids_sha256=ids_sha256(ids),
        shard_size=64,
        environment={},
    )
    folder.mkdir()
    template.write(folder)
    described = pa.table(
        {
            "image_id": ids,
            **{field.name: pa.nulls(images, field.type) for field in IMAGE_FIELDS[1:]},
        },
        schema=pa.schema(IMAGE_FIELDS),
    )
    index, sources = index_file(described), sources_file(described)
    (folder / INDEX).write_bytes(index)
    (folder / SOURCES).write_bytes(sources)
    for shard in range(template.shards):
        (folder / shard_name(shard)).touch()
    complete = Complete(
        images=images,
        skipped=[],
        manifest_sha256=read_manifest(folder).sha256,
        index=FileRecord.of(index),
        sources=FileRecord.of(sources),
        shards=[FileRecord.of(b"")] * template.shards,
    )
    (folder / COMPLETE).write_bytes(complete.to_bytes())


def processor_seconds(work: Callable[[], object]) -> float:
    """Return the least processor time of several runs."""
    found = []
    for _ in range(RUNS):
        begun = time.process_time()
        work()
        found.append(time.process_time() - begun)
    return min(found)


def folder_bytes(folder: Path) -> int:
    """Return the bytes of a folder's files."""
    return sum(path.stat().st_size for path in folder.iterdir())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--open", type=int, default=0, help="measure the opening of a store of this many images too")
    options = parser.parse_args()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        old, new = Path(scratch) / "old", Path(scratch) / "new"
        write_both(Store.open(options.store), old, new)
        first, second = Store.open(old), Store.open(new)
        ids = second.image_ids
        distinct = [len(set(second.candidates(each).queries.tolist())) for each in ids]
        figures["images"] = len(ids)
        figures["distinct_queries"] = round(float(np.mean(distinct)), 2)
        figures["bytes_per_image_first_format"] = round(folder_bytes(old) / len(ids))
        figures["bytes_per_image"] = round(folder_bytes(new) / len(ids))
        figures["ratio_of_bytes"] = round(folder_bytes(new) / folder_bytes(old), 3)
        for name, of_old, of_new in (
            ("tensors", lambda: first.tensors(ids), lambda: second.tensors(ids)),
            ("boxes", lambda: first.boxes(ids), lambda: second.boxes(ids)),
            ("open", lambda: Store.open(old), lambda: Store.open(new)),
        ):
            figures[f"{name}_ms_first_format"] = round(1000 * processor_seconds(of_old), 2)
            figures[f"{name}_ms"] = round(1000 * processor_seconds(of_new), 2)
        if options.open:
            write_empty(Path(scratch) / "empty", options.open)
            opened = processor_seconds(lambda: Store.open(Path(scratch) / "empty"))
            looked_up = processor_seconds(lambda: "nobody" in Store.open(Path(scratch) / "empty"))
            figures["open_many_seconds"] = round(opened, 4)
            figures["open_many_and_look_up_seconds"] = round(looked_up, 4)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
