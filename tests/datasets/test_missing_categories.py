"""Categories that a detector lacks are told before it runs."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from helpers.fabricate import write_image, write_refer_dataset
from helpers.tiny_detector import save_tiny_detector

from aligncat.api.extract import extract
from aligncat.datasets.config import DataConfig
from aligncat.datasets.missing_categories import check_categories, missing_categories
from aligncat.errors import DetectorError


def test_what_is_missing_is_counted_and_spellings_do_not_matter() -> None:
    given = ["Dining_Table", "giraffe", None, "zebra", "giraffe", "Sofa"]
    assert missing_categories(given, ["dining table", "couch", "N/A", "N/A"]) == {"giraffe": 2, "zebra": 1}
    assert missing_categories([None], ["couch"]) == {}


def test_many_missing_categories_are_not_all_named() -> None:
    with pytest.raises(
        DetectorError, match=r"the detector d lacks 10 .* with 10 expressions: .*'c7' \(1\) and 2 more\. Use"
    ):
        check_categories([f"c{number}" for number in range(10)], ["a"], "d")


def test_extract_stops_before_the_detector_runs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = write_refer_dataset(tmp_path / "data", splits={"train": 2})
    detector = save_tiny_detector(tmp_path / "detector", labels=("person", "couch"))
    with pytest.raises(DetectorError, match=r"lacks 1 of the data's categories among its 2 labels.*'dog'"):
        extract(out=tmp_path / "store", data=files.config, detector=detector)
    assert not (tmp_path / "store" / "manifest.json").exists()
    with caplog.at_level(logging.WARNING):
        store = extract(out=tmp_path / "store", data=files.config, detector=detector, skip_bad_rows=True)
    assert len(store) == 2 and "'dog'" in caplog.text


def test_a_category_that_a_lexicon_derived_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    write_image(tmp_path / "mine" / "a.jpg", 0)
    row = {"image": "a.jpg", "expression": "the left giraffe"}
    (tmp_path / "mine" / "train.jsonl").write_text(json.dumps(row) + "\n")
    data = DataConfig(tmp_path / "mine", "mine", format="jsonl")
    detector = save_tiny_detector(tmp_path / "detector", labels=("person", "couch"))
    assert len(extract(out=tmp_path / "store", data=data, detector=detector)) == 1
    (tmp_path / "mine" / "train.jsonl").write_text(json.dumps({**row, "category": "giraffe"}) + "\n")
    with pytest.raises(DetectorError, match="lacks 1 of the data's categories"):
        extract(out=tmp_path / "other", data=data, detector=detector)
