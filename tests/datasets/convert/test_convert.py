"""`aligncat data convert`: the converted dataset has the same content."""

from __future__ import annotations

import itertools
import json
import pickle
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.fabricate import (
    CATEGORIES,
    jsonl_rows,
    polygons_of,
    things_of,
    write_image,
    write_jsonl_dataset,
    write_refer_dataset,
)
from helpers.fabricate_hub import PHOTO, answers_row, refers_row, write_parquet
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from aligncat.cli import main
from aligncat.commands.closing import closing_line
from aligncat.datasets.config import DataConfig
from aligncat.datasets.convert.convert import convert_dataset
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.formats.as_written import AsWritten
from aligncat.datasets.formats.format import find_format
from aligncat.datasets.formats.refer_truth import refer_as_written
from aligncat.datasets.load import load_split, load_truth, split_names
from aligncat.errors import DataError, ImageError, MissingTruthError
from aligncat.files.new_folder import resumed_folder
from aligncat.files.pickles import load_plain_pickle
from aligncat.mojiref.build import make_mojiref
from aligncat.mojiref.recipe import MojiRefConfig

TARGETS = ("refer", "simrec", "jsonl")  # those that keep every id


@pytest.fixture(scope="module")
def mojiref(tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    out = tmp_path_factory.mktemp("mojiref") / "mojiref"
    return DataConfig(make_mojiref(out=out, recipe=MojiRefConfig(train=3, val=2, test=2)), "mojiref+")


def content(config: DataConfig) -> dict[str, Any]:
    """Return everything that a dataset holds, by split: sentences, photos, boxes, categories and masks as pixels."""
    found: dict[str, Any] = {}
    for name in split_names(config):
        split, truth = load_split(config, name), load_truth(config, name)
        found[name] = {
            "expressions": split.expressions,
            "photos": {key: record.path.resolve() for key, record in split.images.items()},
            "boxes": {key: value.box.round(9).tolist() for key, value in truth.items()},
            "categories": {key: value.category for key, value in truth.items()},
            "masks": {key: None if t.mask is None else coco_mask.decode(t.mask).tobytes() for key, t in truth.items()},
        }
    return found


def convert(config: DataConfig, to: str, out: Path) -> DataConfig:
    return convert_dataset(data=config, to=to, out=out)


@pytest.mark.parametrize("target", TARGETS)
def test_mojiref_is_converted_without_loss(mojiref: DataConfig, tmp_path: Path, target: str) -> None:
    before = content(mojiref)
    assert any(e.needed and e.redundant for e in before["train"]["expressions"]), "otherwise kinds are not tested"
    written = convert(mojiref, target, tmp_path / "out")
    assert (written.dataset, written.file_format) == ("mojiref+", target)
    assert content(written) == before


@pytest.mark.parametrize(("first", "second"), list(permutations(TARGETS, 2)))
def test_mojiref_is_converted_to_two_formats_and_back_without_loss(
    mojiref: DataConfig, tmp_path: Path, first: str, second: str
) -> None:
    there = convert(convert(mojiref, first, tmp_path / "one"), second, tmp_path / "two")
    back = convert(there, "refer", tmp_path / "back")
    assert content(back) == content(mojiref)
    ids = json.loads((tmp_path / "back/mojiref+/instances.json").read_text())["categories"]
    known = json.loads((mojiref.path / "mojiref+/instances.json").read_text())["categories"]
    names = {row["id"]: row["name"] for row in known}
    assert all(names[row["id"]] == row["name"] for row in ids)


@pytest.mark.parametrize("target", TARGETS)
def test_own_data_with_unusual_ids_and_names_and_without_masks_is_converted(tmp_path: Path, target: str) -> None:
    rows = jsonl_rows(3)
    rows[0] |= {"id": "mug-007", "expression_ids": ["a", 12], "category": "forklift", "expression": ["Ça, là!", "“it”"]}
    rows[1] |= {"image_id": "second", "box": [1.25, 2.5, 30.125, 20.0]}
    del rows[1]["mask"]
    rows[2] |= {"kinds": [{"kind": "color+place", "needed": ["color", "place"]}, {"redundant": ["size"]}]}
    config = write_jsonl_dataset(tmp_path / "own", {"train": rows, "val": jsonl_rows(2)})
    written = convert(config, target, tmp_path / "out")
    assert (written.dataset, written.images) == ("own", tmp_path / "own")
    assert content(written) == content(config)
    assert content(convert(written, "jsonl", tmp_path / "again")) == content(config)


@pytest.mark.parametrize("target", ["simrec", "jsonl"])
def test_a_derived_category_is_not_written(tmp_path: Path, target: str) -> None:
    config = write_jsonl_dataset(tmp_path, {"train": [{**jsonl_rows(1)[0], "category": None}]})
    written = convert(config, target, tmp_path / "out")
    assert {(e.category, e.derived) for e in load_split(written, "train").expressions} == {("person", True)}
    assert load_truth(written, "train")["train:1"].category is None


def test_a_derived_category_is_written_to_refers_layout_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = write_jsonl_dataset(tmp_path, {"train": [{**jsonl_rows(1)[0], "category": None}]})
    written = convert(config, "refer", tmp_path / "out")
    assert {e.category for e in load_split(written, "train").expressions} == {"person"}
    assert any("1 referents without a category got the one" in message for message in caplog.messages)


def test_a_missing_category_is_an_error_in_refers_layout_and_leaves_no_files(tmp_path: Path) -> None:
    rows = [{**jsonl_rows(1)[0], "category": None, "expression": "that one there"}]
    config = write_jsonl_dataset(tmp_path / "own", {"train": rows})
    with pytest.raises(DataError, match=r"split train, referent train:1: no category.* convert to jsonl or simrec"):
        convert(config, "refer", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


@pytest.mark.parametrize("target", TARGETS)
def test_data_without_truth_is_converted_without_truth(tmp_path: Path, target: str) -> None:
    rows = [{key: row[key] for key in ("image", "expression", "category")} for row in jsonl_rows(3)]
    config = write_jsonl_dataset(tmp_path / "own", {"train": rows})
    written = convert(config, target, tmp_path / "out")
    assert load_split(written, "train").expressions == load_split(config, "train").expressions
    with pytest.raises(DataError if target == "refer" else MissingTruthError):
        load_truth(written, "train")


SOUNDS = ("", "é", "“", "“—”", "狗", "\\", '"', ",", "\t", "🙂", "A-b/C.")


def random_rows(seed: int) -> list[dict[str, Any]]:
    """Return rows of JSON lines, each with a random subset of the optional keys."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for number in range(int(rng.integers(1, 12))):
        photo = int(rng.integers(3))
        texts = [f"it {number}{sound}" for sound in rng.choice(SOUNDS, int(rng.integers(1, 4)))]
        x1, y1 = rng.uniform(0, 20, 2)
        row: dict[str, Any] = {
            "image": f"photos/{photo}.png",
            "expression": texts,
            "box": [x1, y1, x1 + rng.uniform(1, 20), y1 + rng.uniform(1, 19)],
            "category": str(rng.choice(["dog", "Tennis Racquet", "forklift", "tv"])),
        }
        optional = {
            "mask": polygons_of(things_of(photo)[int(rng.integers(2))].box),
            "id": [number * 7, f"r{number}", str(number)][int(rng.integers(3))] if seed % 2 else number,
            "expression_ids": [f"{number}-{k}" for k in range(len(texts))],
            "kinds": [{"kind": "size", "needed": ["size"]} if k else {} for k in range(len(texts))],
        }
        rows.append(row | {key: value for key, value in optional.items() if rng.random() < 0.6})
    return rows


@pytest.mark.parametrize("seed", range(8))
def test_random_data_is_converted_through_random_formats_without_loss(tmp_path: Path, seed: int) -> None:
    before = write_jsonl_dataset(tmp_path / "0", {"train": random_rows(seed), "val": random_rows(100 + seed)})
    config = before
    for step, target in enumerate(np.random.default_rng(seed).choice(TARGETS, 3), start=1):
        config = convert(config, str(target), tmp_path / str(step))  # type: ignore[arg-type]
        assert content(config) == content(before)


def test_the_hubs_rows_are_converted_without_loss(tmp_path: Path) -> None:
    for number in range(5):
        write_image(tmp_path / "images" / PHOTO.format(number), number)
    write_parquet(tmp_path / "train-0.parquet", refers_row(0), refers_row(1))
    for number, split in enumerate(("val", "testA", "testB"), start=2):
        write_parquet(tmp_path / f"{split}-0.parquet", refers_row(number, split))
    config = DataConfig(tmp_path, "refcoco", format="hub")
    for target in TARGETS:
        assert content(convert(config, target, tmp_path / target)) == content(config)
    write_parquet(tmp_path / "lmms/val-0.parquet", answers_row(0), answers_row(1, segmentation=[]))
    answers = DataConfig(tmp_path / "lmms", "refcoco", images=tmp_path / "images", format="hub")
    assert content(convert(answers, "simrec", tmp_path / "answers")) == content(answers)


def test_cocos_annotations_with_a_csv_are_converted_to_refers_layout(tmp_path: Path) -> None:
    files = write_refer_dataset(tmp_path / "refer", image_folder="images")
    files.instances_path.replace(tmp_path / "refer/instances.json")
    rows = ["annotation_id,image_id,phrase,split", "5000,,red person,train", "5003,,blue one,val", "5000,,he,train"]
    (tmp_path / "refer/phrases.csv").write_text("\n".join(rows))
    config = DataConfig(tmp_path / "refer", "own", format="coco-csv")
    written = convert(config, "refer", tmp_path / "out")
    assert content(written) == content(config)
    refs = load_plain_pickle(tmp_path / "out/own/refs(unc).p")
    assert isinstance(refs, list) and [ref["ann_id"] for ref in refs] == [5000, 5003]
    objects = (tmp_path / "out/own/instances.json").read_bytes()
    assert objects == (tmp_path / "refer/instances.json").read_bytes()
    (tmp_path / "refer/phrases.csv").write_text("\n".join([*rows, ",1001,a dog,train"]))
    again = convert(config, "refer", tmp_path / "again")
    assert [e.category for e in load_split(again, "train").expressions] == ["person", "person", "dog"]
    with pytest.raises(DataError, match="ann_id -1"):
        load_truth(again, "train")


def test_bad_truth_is_an_error(tmp_path: Path) -> None:
    rows = jsonl_rows(2)
    rows[1]["mask"] = [[1.0, 1.0, 5.0, 5.0]]
    config = write_jsonl_dataset(tmp_path / "own", {"train": rows})
    with pytest.raises(DataError, match=r"train\.jsonl:2: a polygon must be"):
        convert(config, "simrec", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_refers_layout_keeps_objects_that_no_expression_refers_to(tmp_path: Path) -> None:
    files = write_refer_dataset(tmp_path / "refer")
    files.instances["annotations"].append({**files.instances["annotations"][0], "id": 99, "iscrowd": 1})
    files.save()
    convert(files.config, "refer", tmp_path / "out")
    again = tmp_path / "out/refcoco"
    assert (again / "instances.json").read_bytes() == files.instances_path.read_bytes()
    assert load_plain_pickle(again / "refs(unc).p") == files.refs  # raw text and REFER's own file names, too


KEPT = ("segmentation", "bbox", "category_id", "image_id")


def written_annotations(config: DataConfig) -> dict[int, dict[str, Any]]:
    """Return each referent's annotation by the referent's id, read from the files without aligncat's readers."""
    folder = config.path / config.dataset
    refs = pickle.loads((folder / f"refs({config.split_by}).p").read_bytes())
    rows = {row["id"]: row for row in json.loads((folder / "instances.json").read_text())["annotations"]}
    return {ref["ref_id"]: rows[ref["ann_id"]] for ref in refs}


def test_masks_are_unchanged_from_refer_to_json_lines_and_back(mojiref: DataConfig, tmp_path: Path) -> None:
    fabricated = write_refer_dataset(tmp_path / "fabricated").config
    forms = set()
    for number, config in enumerate((mojiref, fabricated)):
        there = convert(config, "jsonl", tmp_path / f"{number}-there")
        back = written_annotations(convert(there, "refer", tmp_path / f"{number}-back"))
        before = written_annotations(config)
        assert all(
            {key: back[ref][key] for key in KEPT} == {key: row[key] for key in KEPT} for ref, row in before.items()
        )
        assert len(back) == len(before)
        forms |= {type(row["segmentation"]) for row in before.values()}
    assert forms == {list, dict}, "otherwise polygons and run lengths are not both tested"


def test_annotations_and_raw_text_from_the_hub_are_written_unchanged(tmp_path: Path) -> None:
    row = refers_row(0)
    annotation = json.loads(row["raw_anns"]) | {"iscrowd": 1, "area": 123.5, "image_id": 0, "category_id": 1}
    second = refers_row(0, "val", ref_id=77, raw_anns=json.dumps(annotation))
    for number, sentence in enumerate(second["sentences"]):
        sentence["sent_id"] = 100 + number
    write_parquet(tmp_path / "train-0.parquet", refers_row(0, raw_anns=json.dumps(annotation)), second, refers_row(1))
    written = convert(DataConfig(tmp_path, "refcoco", format="hub"), "refer", tmp_path / "out")
    document = json.loads((tmp_path / "out/refcoco/instances.json").read_text())
    first, other = document["annotations"]  # two referents are one object
    assert first == annotation
    assert (other["id"], other["iscrowd"]) == (71, 0)
    assert other["segmentation"] == json.loads(refers_row(1)["raw_anns"])["segmentation"]
    refs = load_plain_pickle(written.path / "refcoco/refs(unc).p")
    assert isinstance(refs, list) and [ref["ann_id"] for ref in refs] == [70, 71, 70]
    assert refs[0]["sentences"] == row["sentences"] and refs[0]["sentences"][0]["raw"] == "RED THING"


def test_an_annotation_id_of_two_objects_is_an_error(tmp_path: Path) -> None:
    clash = refers_row(1, raw_anns=refers_row(0)["raw_anns"])
    write_parquet(tmp_path / "train-0.parquet", refers_row(0), clash)
    with pytest.raises(DataError, match="referent 31 has annotation 70, which an earlier object has too"):
        convert(DataConfig(tmp_path, "refcoco", format="hub"), "refer", tmp_path / "out")


def test_simrecs_files_match_the_output_of_its_own_script(tmp_path: Path) -> None:
    """The reference is its data_process.py: training rows are referents, val rows sentences, masks are by ref_id."""
    files = write_refer_dataset(tmp_path / "refer")
    convert(files.config, "simrec", tmp_path / "out")
    rows = json.loads((tmp_path / "out/anns/refcoco.json").read_text())
    assert {split: len(found) for split, found in rows.items()} == {"train": 8, "val": 8, "testA": 4, "testB": 4}
    left = things_of(0)[0]
    x1, y1, x2, y2 = left.box
    assert rows["train"][0] == {
        "iid": 1000,
        "file_name": "COCO_train2014_000000001000.png",  # SimREC assumes .jpg
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "cat_id": 0,
        "mask_id": 0,
        "refs": [f"red {left.category}", f"the {left.category} on the left"],
        "sent_ids": [0, 1],
    }
    assert [row["mask_id"] for row in rows["val"]] == [8, 8, 9, 9, 10, 10, 11, 11]
    assert [len(row["refs"]) for row in rows["val"]] == [1] * 8
    couch = next(row for row in rows["train"] if "couch" in row["refs"][0])
    assert couch["cat_id"] == 57  # the 58th of COCO's 80
    mask = np.load(tmp_path / "out/masks/refcoco/0.npy")
    assert (mask.dtype, mask.shape) == (np.uint8, (40, 48))
    assert mask.sum() == (x2 - x1) * (y2 - y1) == mask[y1:y2, x1:x2].sum()


def test_coco_photos_need_no_file_name_in_simrecs_format(tmp_path: Path) -> None:
    files = write_refer_dataset(tmp_path / "refer")
    for image in files.instances["images"]:
        (files.image_folder / image["file_name"]).rename(files.image_folder / f"COCO_train2014_{image['id']:012d}.jpg")
        image["file_name"] = f"COCO_train2014_{image['id']:012d}.jpg"
    files.save()
    written = convert(files.config, "simrec", tmp_path / "out")
    rows = json.loads((tmp_path / "out/anns/refcoco.json").read_text())
    assert not any("file_name" in row for found in rows.values() for row in found)
    assert content(written) == content(files.config)


def test_only_the_named_splits_are_written(mojiref: DataConfig, tmp_path: Path) -> None:
    convert_dataset(data=mojiref, to="jsonl", out=tmp_path / "out", splits=("val",))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["val.jsonl"]


def test_photos_are_only_needed_if_nothing_else_gives_their_size(tmp_path: Path) -> None:
    files = write_refer_dataset(tmp_path / "refer")
    for path in files.image_folder.iterdir():
        path.unlink()
    written = convert(files.config, "simrec", tmp_path / "out")
    assert len(load_truth(written, "val")) == 4
    boxes = [{**row, "mask": None} for row in jsonl_rows(1)]
    own = convert(write_jsonl_dataset(tmp_path / "own", {"train": boxes}), "simrec", tmp_path / "boxes")
    with pytest.raises(ImageError, match=r"0\.png"):
        convert(replace(own, images=tmp_path / "gone"), "refer", tmp_path / "never")


def test_a_folder_that_is_not_empty_is_left_unchanged(mojiref: DataConfig, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(DataError, match="not empty"):
        convert(mojiref, "jsonl", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_reader_lists_only_the_splits_that_were_written(mojiref: DataConfig, tmp_path: Path) -> None:
    written = convert_dataset(data=mojiref, to="refer", out=tmp_path / "out", splits=("val", "testB"))
    assert split_names(written) == ("val", "testB")
    assert content(written) == {name: part for name, part in content(mojiref).items() if name in ("val", "testB")}


@pytest.mark.parametrize("to", ["refer", "simrec", "jsonl"])
@pytest.mark.parametrize("split_by", ["google", None])
def test_the_division_of_refcocog_is_kept_and_printed(tmp_path: Path, to: str, split_by: str | None) -> None:
    umd = write_refer_dataset(tmp_path / "refer", "refcocog", "umd", {"train": 1, "val": 1}).config
    simrec = convert(umd, "simrec", tmp_path / "simrec")
    assert load_split(simrec, "val").split_by == "umd"
    written = convert(replace(simrec, split_by=split_by), to, tmp_path / "out")
    line = closing_line("data convert", {}, written)
    assert (f" --data.split_by {written.split_by} " in line) == (to == "refer" or split_by is not None)
    assert load_split(written, "val").split_by == (split_by or "unknown")


def plain(config: DataConfig) -> dict[str, list[tuple[Any, ...]]]:
    """Return what COCO with a CSV can hold of a dataset: its sentences by split, each with its photo and its object."""
    found = {}
    for name, part in content(config).items():
        found[name] = sorted(
            (
                e.id,
                " ".join(e.text.split()),
                part["photos"][e.image_id],
                str(part["boxes"].get(e.referent_id)),
                part["categories"].get(e.referent_id),
                str(part["masks"].get(e.referent_id)),
            )
            for e in part["expressions"]
        )
    return found


def test_mojiref_is_written_as_coco_with_a_csv(mojiref: DataConfig, tmp_path: Path) -> None:
    written = convert(mojiref, "coco-csv", tmp_path / "out")
    assert plain(written) == plain(mojiref)
    copied = (tmp_path / "out/instances.json").read_bytes()
    assert copied == (mojiref.path / "mojiref+/instances.json").read_bytes(), "objects without a phrase are lost"
    assert plain(convert(written, "jsonl", tmp_path / "again")) == plain(mojiref)


def test_coco_with_a_csv_keeps_phrases_without_a_box(tmp_path: Path) -> None:
    rows = jsonl_rows(3)
    for key in ("box", "mask", "category"):
        del rows[1][key]
    config = write_jsonl_dataset(tmp_path / "own", {"train": rows})
    written = convert(config, "coco-csv", tmp_path / "out")
    kept = [(e.id, e.text, e.image_id) for e in load_split(written, "train").expressions]
    assert kept == [(e.id, e.text, e.image_id) for e in load_split(config, "train").expressions]
    lines = (tmp_path / "out/phrases.csv").read_text().splitlines()
    assert lines[0] == "image_id,annotation_id,phrase,split,sentence_id"
    assert [line.split(",")[1] for line in lines[1:]] == ["1", "1", "", "", "2", "2"]


@pytest.mark.parametrize("to", ["refer", "coco-csv"])
def test_a_default_category_stands_in_for_a_missing_one(tmp_path: Path, to: str) -> None:
    rows = [{**jsonl_rows(1)[0], "category": None, "expression": "that one there"}, jsonl_rows(2)[1]]
    config = write_jsonl_dataset(tmp_path / "own", {"train": rows})
    with pytest.raises(DataError, match=r"no category.* give --default_category"):
        convert(config, to, tmp_path / "out")
    written = convert_dataset(data=config, to=to, out=tmp_path / "out", default_category="thing")
    assert [e.category for e in load_split(written, "train").expressions] == ["thing", "dog", "dog"]


def bad_rows(root: Path) -> DataConfig:
    rows = [*jsonl_rows(3), {**jsonl_rows(1)[0], "expression": ""}, {**jsonl_rows(1)[0], "box": [90, 1, 99, 2]}]
    return write_jsonl_dataset(root, {"train": rows})


@pytest.mark.parametrize("to", [*TARGETS, "coco-csv"])
def test_bad_rows_are_left_out_where_asked(tmp_path: Path, to: str, caplog: pytest.LogCaptureFixture) -> None:
    config = bad_rows(tmp_path / "own")
    with pytest.raises(DataError, match=r"train\.jsonl:4: empty expression"):
        convert(config, to, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["own"]
    written = convert_dataset(data=config, to=to, out=tmp_path / "out", skip_bad_rows=True)
    assert "skipped 1 bad rows, kept 8" in caplog.text
    assert "left out bad boxes and masks of 1 rows" in caplog.text and "train.jsonl:5: the box [90" in caplog.text
    assert len(load_split(written, "train").expressions) == 8
    errors: list[DataError] = []
    assert len(load_truth(written, "train", collect_bad_rows=errors)) == 3
    assert len(errors) == (2 if to == "coco-csv" else 1)


def test_files_of_other_tools_are_converted(tmp_path: Path) -> None:
    write_image(tmp_path / "in" / "0.png", 0)
    box = list(things_of(0)[0].box)
    row = {"img_path": "0.png", "expression": "the dog", "bbox": box, "width": 48, "height": 40}
    (tmp_path / "in" / "REC_val.jsonl").write_text(json.dumps(row) + "\n")
    config = DataConfig(tmp_path / "in", "own", format="shikra")
    for to in (*TARGETS, "coco-csv"):
        written = convert(config, to, tmp_path / to)
        assert (written.boxes, written.fields) == (None, None)
        [truth] = load_truth(written, "val").values()
        assert (truth.box.tolist(), truth.size) == (box, (48, 40))
        assert [e.text for e in load_split(written, "val").expressions] == ["the dog"]


NAMES = st.sampled_from(["dog", "Tennis Racquet", "forklift", "tv", "person"])
WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1, max_size=8)
PHRASES = st.lists(WORDS, max_size=3).map(lambda words: " ".join(["it", *words]))


@st.composite
def any_rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows of JSON lines with any subset of the optional keys, where each object has a category and a box."""
    rows: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, 4))):
        x1, y1 = draw(st.floats(0, 20)), draw(st.floats(0, 15))
        row: dict[str, Any] = {
            "image": f"photos/{draw(st.integers(0, 2))}.png",
            "expression": draw(st.lists(PHRASES, min_size=1, max_size=3)),
            "category": draw(NAMES),
            "box": [x1, y1, x1 + draw(st.floats(2, 25)), y1 + draw(st.floats(2, 20))],
            "id": draw(st.sampled_from([number * 7, f"r{number}"])),
        }
        if draw(st.booleans()):
            row["mask"] = polygons_of(things_of(0)[draw(st.integers(0, 1))].box)
        if draw(st.booleans()):
            row |= {"width": 48, "height": 40}
        rows.append(row)
    return rows


@settings(max_examples=12, deadline=None)
@given(train=any_rows(), val=any_rows(), to=st.sampled_from([*TARGETS, "coco-csv"]))
def test_what_goes_in_comes_out_of_every_writer(
    train: list[dict[str, Any]], val: list[dict[str, Any]], to: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("any")
    for row in val:
        row["id"] = f"v{row['id']}"
    config = write_jsonl_dataset(root / "own", {"train": train, "val": val})
    written = convert(config, to, root / "out")
    back = convert(written, "jsonl", root / "back")
    if to == "coco-csv":
        assert plain(written) == plain(config) == plain(back)
    else:
        assert content(written) == content(config) == content(back)


@pytest.mark.parametrize("to", ["simrec", "jsonl", "refer", "coco-csv"])
def test_an_interrupted_conversion_continues(tmp_path: Path, mojiref: DataConfig, to: str) -> None:
    expected = convert(mojiref, to, tmp_path / "whole")
    count = itertools.count()

    def stop_late(config: DataConfig, name: str, files: AnnotationFiles) -> dict[str, AsWritten]:
        if next(count):
            raise KeyboardInterrupt
        return refer_as_written(config, name, files)

    stopping = replace(find_format("refer"), as_written=stop_late)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aligncat.datasets.formats.refer.REFER", stopping)
        with pytest.raises(KeyboardInterrupt):
            convert(mojiref, to, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    unfinished = tmp_path / ".out.unfinished"
    kept = {path: path.stat().st_mtime_ns for path in unfinished.rglob("*") if path.suffix in (".npy", ".jsonl")}
    assert bool(kept) == (to in ("simrec", "jsonl"))
    if to == "simrec":
        last = max(kept)
        last.write_bytes(last.read_bytes()[:-5])  # as if it had been killed while it wrote
        del kept[last]
    convert(mojiref, to, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    for path, written in kept.items():
        assert (tmp_path / "out" / path.relative_to(unfinished)).stat().st_mtime_ns == written, "it was written again"
    assert files_of(tmp_path / "out") == files_of(expected.path)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_interrupted_conversion_of_other_data_starts_over(tmp_path: Path) -> None:
    config = write_jsonl_dataset(tmp_path / "own", {"train": jsonl_rows(2), "val": jsonl_rows(1)})
    with pytest.raises(KeyboardInterrupt), resumed_folder(tmp_path / "out", "something else") as folder:
        (folder / "train.jsonl").write_text("{}")
        raise KeyboardInterrupt
    written = convert(config, "jsonl", tmp_path / "out")
    assert content(written) == content(config)


def test_the_verb_writes_the_dataset_and_says_how_to_read_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = write_refer_dataset(tmp_path / "refer")
    words = ["data", "convert", "--data.path", str(tmp_path / "refer"), "--data.dataset", "refcoco"]
    assert main([*words, "--to", "jsonl", "--out", str(tmp_path / "out")]) == 0
    logged = capsys.readouterr().err.splitlines()[-1]
    assert (
        f"--data.dataset refcoco --data.format jsonl --data.split_by unc --data.images {files.image_folder}" in logged
    )
    line = json.loads((tmp_path / "out/train.jsonl").read_text().splitlines()[0])
    assert line["image"] == "COCO_train2014_000000001000.png"
    assert line["box"] == list(things_of(0)[0].box)
    assert line["mask"] == polygons_of(things_of(0)[0].box)
    assert set(CATEGORIES.values()) >= {line["category"]}
