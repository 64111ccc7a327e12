"""COCO's annotations with a CSV of phrases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.fabricate import ReferFiles, things_of, write_refer_dataset

from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import load_objects, load_split, load_truth, split_names
from aligncat.errors import ConfigError, DataError, ImageError, MissingTruthError

GOOD = "5000,red person,train"


@pytest.fixture
def files(tmp_path: Path) -> ReferFiles:
    """REFER's files, with instances.json moved. Annotations 5000 and 5001 are in image 1000, and so on."""
    files = write_refer_dataset(tmp_path / "refer", image_folder="images")
    files.instances_path.rename(files.config.path / "instances.json")
    return files


def write(files: ReferFiles, *lines: str, header: str = "annotation_id,phrase,split") -> DataConfig:
    (files.config.path / "phrases.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return DataConfig(files.config.path, "own", format="coco-csv")


def test_phrases_of_one_annotation_share_a_referent(files: ReferFiles) -> None:
    config = write(files, GOOD, "5003,blue thing,val", '5000,"that one, there",train')
    split = load_split(config, "train")
    assert [(e.id, e.referent_id, e.image_id, e.text, e.category, e.derived) for e in split.expressions] == [
        ("5000:0", "5000", "1000", "red person", "person", False),
        ("5000:1", "5000", "1000", "that one, there", "person", False),
    ]
    assert split.images["1000"].path.is_file()
    assert split_names(config) == ("train", "val")


def test_truth_matches_the_drawn_rectangle(files: ReferFiles) -> None:
    config = write(files, GOOD, "5003,right thing,val", "5003,the same,val")
    [truth] = load_truth(config, "val").values()
    assert truth.box.tolist() == list(things_of(1)[1].box)
    assert truth.category == things_of(1)[1].category
    assert truth.mask is not None


def test_columns_can_be_in_any_order_and_include_ids(files: ReferFiles) -> None:
    config = write(files, " val , s7 ,blue dog,1001,5002", header="split,sentence_id,phrase,image_id,annotation_id")
    [expression] = load_split(config, "val").expressions
    assert (expression.id, expression.referent_id, expression.image_id) == ("s7", "5002", "1001")


def test_an_image_without_annotation_is_enough_for_training(files: ReferFiles) -> None:
    config = write(files, "1001,a dog there,train", "1001,a dog here,train", header="image_id,phrase,split")
    split = load_split(config, "train")
    found = [(e.referent_id, e.image_id, e.category, e.derived) for e in split.expressions]
    assert found == [("line:2", "1001", "dog", True), ("line:3", "1001", "dog", True)]
    with pytest.raises(MissingTruthError, match=r"phrases\.csv:2: no annotation_id"):
        load_truth(config, "train")


def test_a_split_is_the_same_without_boxes_and_masks(files: ReferFiles) -> None:
    config = write(files, GOOD)
    whole = load_split(config, "train")
    for annotation in files.instances["annotations"]:
        del annotation["bbox"], annotation["segmentation"]
    files.save()
    files.instances_path.replace(config.path / "instances.json")
    assert load_split(config, "train") == whole
    with pytest.raises(DataError, match=r"annotation 5000: key 'bbox' is missing"):
        load_truth(config, "train")


def test_the_other_objects_of_an_image_are_listed(files: ReferFiles) -> None:
    config = write(files, GOOD)
    boxes, names = load_objects(config, load_split(config, "train"))["1000"]
    assert boxes.tolist() == [list(thing.box) for thing in things_of(0)]
    assert names == [thing.category for thing in things_of(0)]


def test_a_byte_order_mark_and_windows_line_ends_are_harmless(files: ReferFiles) -> None:
    config = write(files)
    text = f"annotation_id,phrase,split\r\n\r\n{GOOD}\r\n"
    (config.path / "phrases.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert [e.text for e in load_split(config, "train").expressions] == ["red person"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("77,a dog,train", r"annotation_id 77 is not among the annotations of .*instances\.json"),
        ("5001, ?,train", r"empty expression '\?'"),
        ("5000,red person again,train,", "4 cells for 3 columns; a phrase with a comma needs quotes"),
        ("5001,a dog,", "the row needs a 'split', and an 'annotation_id' or an 'image_id'"),
        (",a dog,train", "the row needs a 'split'"),
        ('5001,"a "dog",train', "not CSV"),
    ],
)
def test_a_bad_line_is_an_error_with_file_and_line(files: ReferFiles, line: str, message: str) -> None:
    config = write(files, GOOD, line)
    with pytest.raises(DataError, match=r"phrases\.csv:3: .*" + message):
        load_split(config, "train")
    if message != "not CSV":
        assert len(load_split(config, "train", skip_bad_rows=True).expressions) == 1


def test_duplicated_sentence_ids_are_an_error(files: ReferFiles) -> None:
    config = write(files, f"{GOOD},1", "5002,blue dog,train,1", header="annotation_id,phrase,split,sentence_id")
    with pytest.raises(DataError, match=r"phrases\.csv:3: the id 1 was used before"):
        load_split(config, "train")


def test_an_image_other_than_the_annotations_is_an_error(files: ReferFiles) -> None:
    config = write(files, "5000,1001,a dog,train", header="annotation_id,image_id,phrase,split")
    with pytest.raises(DataError, match=r"phrases\.csv:2: image_id is 1001, but annotation 5000 belongs to image 1000"):
        load_split(config, "train")


def test_a_missing_image_is_an_error(files: ReferFiles) -> None:
    config = write(files, GOOD, "5002,blue dog,train")
    next(files.image_folder.glob("*1001.png")).unlink()
    with pytest.raises(ImageError, match=r"1001\.png: no such file"):
        load_split(config, "train")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("anotation_id,phrase,split", r"phrases\.csv:1: column 'anotation_id' is not known"),
        ("phrase,split", r"the header lacks annotation_id \(or image_id\)"),
        ("annotation_id,split", "the header lacks phrase"),
    ],
)
def test_a_bad_header_is_an_error(files: ReferFiles, header: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_split(write(files, GOOD, header=header), "train")


def test_a_file_in_latin_1_is_an_error(files: ReferFiles) -> None:
    config = write(files, GOOD)
    (config.path / "phrases.csv").write_bytes("annotation_id,phrase,split\n5000,café,train\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"phrases\.csv: cannot be read as UTF-8 text .*save it as UTF-8"):
        load_split(config, "train")


def test_a_missing_split_lists_the_existing_ones(files: ReferFiles) -> None:
    with pytest.raises(DataError, match=r"phrases\.csv: no split 'test'; it has train"):
        load_split(write(files, GOOD), "test")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dataset": "refcoco", "format": "coco"}, "format 'coco' is not known; use one of refer, simrec, hub"),
        (
            {"dataset": "jsonl", "format": "simrec"},
            "dataset jsonl is always in format jsonl, not in format simrec; name the dataset own",
        ),
    ],
)
def test_an_unknown_or_contradictory_format_is_an_error(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DataConfig(Path("data"), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["image_id", "category_id"])
def test_a_bad_id_is_blamed_on_the_file_that_has_it(files: ReferFiles, key: str) -> None:
    config = write(files, GOOD)
    files.instances["annotations"][0][key] = 1000.5
    (config.path / "instances.json").write_text(json.dumps(files.instances))
    for read in (load_split, load_truth):
        with pytest.raises(DataError, match=rf"instances\.json: annotation 5000: '{key}' must be .* not 1000\.5"):
            read(config, "train")
