"""Programs that know nothing of aligncat read a store: DuckDB and Hugging Face's datasets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.hand_store import DIM, IMAGES, write


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("stores") / "made"
    write(made).finish()
    return made


def test_duckdb_reads_a_store(folder: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    shards = f"read_parquet('{folder}/shard-*.parquet')"
    found = duckdb.sql(f"SELECT image_id, width, len(categories), confidences, boxes FROM {shards} ORDER BY image_id")
    rows = found.fetchall()
    assert [row[:3] for row in rows] == [(each.image_id, each.width, len(each)) for each in IMAGES]
    for row, each in zip(rows, IMAGES, strict=True):
        np.testing.assert_array_equal(np.array(row[3], np.float32), each.confidences)
        np.testing.assert_array_equal(np.array(row[4], np.float32), each.boxes.ravel())


def test_the_query_of_the_documentation_counts_candidates(folder: Path) -> None:
    """The category of each candidate, and the share of the photo that its box takes."""
    duckdb = pytest.importorskip("duckdb")
    page = Path(__file__).resolve().parents[2] / "docs" / "store.md"
    query = page.read_text(encoding="utf-8").split("```sql\n")[1].split("```")[0]
    rows = duckdb.sql(query.replace("STORE", str(folder))).fetchall()
    expected: dict[int, list[float]] = {}
    for each in IMAGES:
        for category, box in zip(each.categories.tolist(), each.boxes.astype(float), strict=True):
            share = (box[2] - box[0]) * (box[3] - box[1]) / (each.width * each.height)
            expected.setdefault(category, []).append(share)
    assert {row[0]: row[1] for row in rows} == {category: len(shares) for category, shares in expected.items()}
    for category, _, share in rows:
        np.testing.assert_allclose(share, np.mean(expected[category]), rtol=1e-4)


def test_hugging_face_datasets_reads_a_store(folder: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    files = sorted(map(str, folder.glob("shard-*.parquet")))
    read = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path))
    assert read["image_id"][:] == [each.image_id for each in IMAGES]
    features = np.frombuffer(b"".join(read[3]["features"]), "<f2").reshape(-1, DIM)[read[3]["positions"]]
    np.testing.assert_array_equal(features, IMAGES[3].features)
