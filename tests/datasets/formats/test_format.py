"""Adding a format takes one module and one row, shown with a tiny format."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from helpers.tiny_run import World

import aligncat
from aligncat.cli import main
from aligncat.datasets.config import DataConfig
from aligncat.datasets.convert.convert import convert_dataset
from aligncat.datasets.formats import FORMATS
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.formats.format import Format, find_format
from aligncat.datasets.load import load_objects, load_split, load_truth, split_names
from aligncat.errors import ConfigError, DataError
from aligncat.evaluation.questions import Questions

SOURCE = Path(aligncat.__file__).parent


@pytest.fixture
def tsv(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataConfig:
    """The tiny world's dataset, converted to the new format."""
    monkeypatch.setitem(FORMATS, "tsv", "helpers.tsv_format:TSV")
    return convert_dataset(data=world.data, to="tsv", out=tmp_path / "tsv")


def test_the_new_format_is_read(world: World, tsv: DataConfig) -> None:
    assert (tsv.file_format, tsv.dataset) == ("tsv", "refcoco")
    assert (tsv.path / "val.tsv").read_text().splitlines()[0].startswith("referent\timage\t")
    assert set(split_names(tsv)) == set(split_names(world.data))
    for name in split_names(tsv):
        assert load_split(tsv, name).expressions == load_split(world.data, name).expressions
        expected = load_truth(world.data, name)
        assert {key: truth.box.tolist() for key, truth in load_truth(tsv, name).items()} == {
            key: truth.box.tolist() for key, truth in expected.items()
        }


def test_the_new_format_is_evaluated(world: World, tsv: DataConfig) -> None:
    assert load_objects(tsv, load_split(tsv, "val")) == {}
    store = world.open()
    found, expected = (Questions.load(data, store, "val").overlaps for data in (tsv, world.data))
    assert np.array_equal(found.box_iou, expected.box_iou) and (found.box_iou > 0.5).any()


def test_the_new_format_is_converted_back(world: World, tsv: DataConfig, tmp_path: Path) -> None:
    back = convert_dataset(data=tsv, to="refer", out=tmp_path / "back")
    assert load_split(back, "val").expressions == load_split(world.data, "val").expressions
    assert load_truth(back, "val").keys() == load_truth(world.data, "val").keys()


def test_errors_of_bad_rows_of_the_new_format_are_raised_logged_or_collected(
    tsv: DataConfig, caplog: pytest.LogCaptureFixture
) -> None:
    path = tsv.path / "val.tsv"
    first = path.read_text().splitlines()[1].split("\t")[0]
    path.write_text(path.read_text() + f"{first}\t9999\tother.png\t\t\ta dog\t\t\t\t\n")
    with pytest.raises(DataError, match=rf"val\.tsv:18: referent {first} has category None and image 9999 here"):
        load_split(tsv, "val")
    kept = len(load_split(tsv, "val", skip_bad_rows=True).expressions)
    assert kept == 16 and "skipped 1 bad rows, kept 16" in caplog.text
    caplog.clear()
    errors: list[DataError] = []
    assert len(load_split(tsv, "val", collect_bad_rows=errors).expressions) == kept
    assert len(errors) == 1 and not caplog.text


def test_the_verb_takes_the_new_format(tsv: DataConfig, tmp_path: Path) -> None:
    words = ["data", "convert", "--data.path", str(tsv.path), "--data.dataset", "stamps", "--data.format", "tsv"]
    assert main([*words, "--to", "jsonl", "--out", str(tmp_path / "out"), "--data.images", str(tsv.images)]) == 0
    assert (tmp_path / "out/train.jsonl").is_file()


@pytest.mark.parametrize("name", FORMATS)
def test_every_row_names_a_format_record(name: str) -> None:
    assert isinstance(find_format(name), Format)


def test_writing_an_unknown_or_read_only_format_is_an_error(world: World, tmp_path: Path) -> None:
    expected = "format hub can only be read, not written; use one of refer, simrec, coco-csv, jsonl"
    with pytest.raises(ConfigError, match=expected):
        convert_dataset(data=world.data, to="hub", out=tmp_path / "out")
    with pytest.raises(ConfigError, match="format 'csv' is not known; use one of refer, simrec, hub, coco-csv, jsonl"):
        convert_dataset(data=world.data, to="csv", out=tmp_path / "out")


def test_no_module_compares_the_name_of_a_format() -> None:
    named = [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Compare | ast.MatchValue)
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and part.value in FORMATS
    ]
    assert not named


def test_the_object_lister_and_the_truth_reader_share_the_parsed_instances(world: World) -> None:
    with AnnotationFiles() as files:
        split = load_split(world.data, "val", files=files)
        load_truth(world.data, "val", files=files)
        path = world.files.instances_path
        content = path.read_bytes()
        path.write_bytes(b"")
        try:
            assert set(load_objects(world.data, split, files=files)) == set(split.images)
        finally:
            path.write_bytes(content)
