"""Measure the step that finishes a store: its memory and its time for each photo.

    python benchmarks/scale.py [PHOTOS]

The receipts are fabricated and the shards are empty files, so neither a detector nor photos are needed.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import pyarrow as pa

from aligncat.detectors.description import DetectorDescription
from aligncat.store.columns import IMAGE_FIELDS
from aligncat.store.complete import FileRecord
from aligncat.store.extract import SHARD_SIZE
from aligncat.store.ids import ids_sha256
from aligncat.store.manifest import FORMAT, Manifest, shard_name
from aligncat.store.receipt import Receipt
from aligncat.store.writer import StoreWriter

PHOTOS = 200_000


def measure(photos: int) -> dict[str, float]:
    """Finish a store of fabricated receipts.

    Returns:
        Bytes of memory and microseconds of processor time for each photo.
    """
    ids = [f"folder {number % 1000:03d}/photo {number:09d}.jpg" for number in range(photos)]
    detector = DetectorDescription("none", "0", "0", "none", 416, {}, "none", "none", 20)
    manifest = Manifest(FORMAT, detector, ["thing"], 256, 20, photos, ids_sha256(ids), SHARD_SIZE, {})
    with tempfile.TemporaryDirectory() as folder:
        writer = StoreWriter.open(Path(folder), manifest)
        for shard in range(manifest.shards):
            (Path(folder) / shard_name(shard)).touch()
        before, start = _peak(), time.process_time()
        for shard in range(manifest.shards):
            own = [ids[number] for number in manifest.images_of(shard)]
            count = len(own)
            columns = [own, [None] * count, [10**5] * count, [10**18] * count, [bytes(32)] * count]
            table = pa.table(columns, schema=pa.schema(IMAGE_FIELDS))
            writer.accept(Receipt(shard, FileRecord.of(b""), table))
        writer.finish()
        used, seconds = _peak() - before, time.process_time() - start
    return {"bytes": used / photos, "microseconds": 1e6 * seconds / photos}


def _peak() -> int:
    """Return the most memory that this process has had, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="?", type=int, default=PHOTOS)
    print(json.dumps({name: round(value, 1) for name, value in measure(parser.parse_args().photos).items()}))
