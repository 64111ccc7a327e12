"""The check of a dataset: counts against the published ones, bad rows with their place, missing photos."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.fabricate import (
    HEIGHT,
    WIDTH,
    ReferFiles,
    jsonl_rows,
    run_lengths_of,
    things_of,
    write_jsonl_dataset,
    write_refer_dataset,
)
from PIL import Image

from aligncat.cli import main
from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import load_truth, split_names
from aligncat.datasets.prepare.check import check_dataset
from aligncat.datasets.prepare.counts import Counts, published_counts
from aligncat.datasets.prepare.prepare import SETS
from aligncat.datasets.prepare.remarks import faults, remarks

FOUND = {"train": Counts(8, 16, 4), "val": Counts(4, 8, 2), "testA": Counts(2, 4, 1), "testB": Counts(2, 4, 1)}


@pytest.fixture
def files(tmp_path: Path) -> ReferFiles:
    return write_refer_dataset(tmp_path)


@pytest.fixture
def as_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the fabricated dataset's counts the published ones."""
    monkeypatch.setattr("aligncat.datasets.prepare.check.published_counts", lambda dataset, split_by: FOUND)


def test_a_dataset_as_published_passes(files: ReferFiles, as_published: None) -> None:
    report = check_dataset(files.config)
    assert {split.split: split.found for split in report.splits} == FOUND
    assert report.as_published and not report.problems and not report.missing
    assert (report.photos, report.photo_folder) == (8, files.image_folder)


@pytest.mark.parametrize(
    ("count", "train"),
    [
        ("sentence", Counts(8, 15, 4)),
        ("referent", Counts(7, 14, 4)),
        ("image", Counts(6, 12, 3)),
    ],
)
def test_a_count_that_differs_is_found(files: ReferFiles, as_published: None, count: str, train: Counts) -> None:
    if count == "sentence":
        files.refs[0]["sentences"].pop()
    else:
        del files.refs[: 1 if count == "referent" else 2]
    files.save()
    report = check_dataset(files.config)
    assert not report.as_published and not report.problems
    assert [(split.split, split.found) for split in report.splits if split.differs] == [("train", train)]


def test_a_missing_split_and_an_additional_one_are_reported(files: ReferFiles, as_published: None) -> None:
    for ref in files.refs:
        ref["split"] = ref["split"].replace("testB", "testC")
    files.save()
    report = check_dataset(files.config)
    assert [(split.split, split.found, split.published) for split in report.splits[-2:]] == [
        ("testB", None, Counts(2, 4, 1)),
        ("testC", Counts(2, 4, 1), None),
    ]
    assert report.splits[-2].differs and not report.splits[-1].differs
    assert report.splits[-2].missing and not report.splits[-1].missing
    assert not report.problems, "a missing split is no bad row"
    assert faults(report) == ["1 published split missing"]


def first_annotation(**values: object) -> Callable[[ReferFiles], object]:
    return lambda files: files.instances["annotations"][0].update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (first_annotation(id=4999), "ann_id 5000 is not among the annotations"),
        (first_annotation(segmentation=[[1, 2, 3, 4]]), "annotation 5000: a polygon must be a list of at least 6"),
        (
            first_annotation(segmentation={"size": [WIDTH, HEIGHT], "counts": [0, WIDTH * HEIGHT]}),
            "annotation 5000: the mask's size is [48, 40], but its image's",
        ),
        (
            first_annotation(segmentation=[{"size": [HEIGHT, WIDTH], "counts": [1, 2]}]),
            "annotation 5000: the mask's run lengths cover 3 pixels",
        ),
        (first_annotation(bbox=[WIDTH, 0, 5, 5]), "annotation 5000: the box [48, 0, 5, 5] is outside its image"),
        (lambda f: f.refs[0]["sentences"][1].update(sent_id=0), "sentences[1]: the id 0 was used before"),
        (lambda f: f.refs[1].update(ref_id=0), "(ref_id 0): the id 0 was used before"),
        (lambda f: f.refs[0]["sentences"][0].update(sent=" "), "empty expression"),
        (lambda f: f.refs[8].update(ref_id=3), ": referent 3 is in train and again in val"),
        (
            lambda f: f.refs[-1]["sentences"][0].update(sent_id=17),
            ": expression 17 is in val and again in testB",
        ),
        (lambda f: f.refs[0].update(split="../x"), "row 0: '../x' cannot be a split's name"),
    ],
)
def test_a_bad_row_is_named_once_with_its_place(
    files: ReferFiles, change: Callable[[ReferFiles], object], message: str
) -> None:
    change(files)
    files.save()
    [problem] = check_dataset(files.config).problems
    assert message in problem and str(files.config.path) in problem


def test_every_bad_row_is_named_not_only_the_first(files: ReferFiles) -> None:
    for annotation in files.instances["annotations"]:
        annotation["bbox"] = [0, 0, 0, 0]
    files.save()
    assert len(check_dataset(files.config).problems) == 16


def test_missing_and_empty_photos_are_listed(files: ReferFiles) -> None:
    photos = sorted(files.image_folder.iterdir())
    photos[5].write_bytes(b"")
    photos[2].unlink()
    report = check_dataset(files.config)
    assert report.missing == (photos[2].name, photos[5].name)
    assert (report.photos, report.photo_folder) == (8, files.image_folder)


def test_an_empty_default_folder_does_not_hide_the_photos_of_the_next(tmp_path: Path) -> None:
    (tmp_path / "images/mscoco/images/train2014").mkdir(parents=True)
    report = check_dataset(write_refer_dataset(tmp_path, image_folder="images").config)
    assert report.photo_folder == tmp_path / "images" and not report.missing


def test_without_photos_all_are_missing(files: ReferFiles) -> None:
    report = check_dataset(DataConfig(files.config.path, "refcoco", images=files.config.path / "nowhere"))
    assert len(report.missing) == report.photos == 8
    assert report.photo_folder == files.config.path / "nowhere"


def test_two_annotations_of_one_id_are_named(files: ReferFiles) -> None:
    files.instances["annotations"].append({**files.instances["annotations"][0], "bbox": [1, 1, 2, 2]})
    files.save()
    [problem] = check_dataset(files.config).problems
    assert problem.endswith("instances.json: annotations[16]: the id 5000 was used before; every id must occur once")


def latin1(files: ReferFiles) -> None:
    files.instances["categories"][0]["name"] = "café"
    files.instances_path.write_bytes(json.dumps(files.instances, ensure_ascii=False).encode("latin-1"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (latin1, "cannot be read as UTF-8"),
        (lambda f: f.instances_path.unlink(), "no such file"),
        (lambda f: f.instances_path.write_text("{"), "not JSON"),
        (lambda f: f.refs_path.unlink(), "no such file"),
        (lambda f: f.refs_path.write_bytes(f.refs_path.read_bytes()[:-9]), "truncated or damaged pickle"),
        (lambda f: f.refs_path.write_bytes(b"cbuiltins\nprint\n(S'x'\ntR."), "not plain data"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_problem(
    files: ReferFiles, as_published: None, change: Callable[[ReferFiles], object], message: str
) -> None:
    change(files)
    report = check_dataset(files.config)
    [problem] = report.problems
    assert message in problem
    assert all(split.found is None and split.differs for split in report.splits) and not report.as_published


def refclef(root: Path) -> ReferFiles:
    """Write a dataset like RefCLEF: its own splits, photos in subfolders, masks as lists of run lengths."""
    files = write_refer_dataset(root, "refclef", splits={"train": 2, "testAB": 1}, image_folder="images/saiapr_tc-12")
    for number, image in enumerate(files.instances["images"]):
        name = f"0{number}/images/{number}.png"
        (files.image_folder / name).parent.mkdir(parents=True)
        (files.image_folder / image["file_name"]).rename(files.image_folder / name)
        image["file_name"] = name
    for number, annotation in enumerate(files.instances["annotations"]):
        x1, y1, x2, y2 = things_of(number // 2)[number % 2].box
        middle = (x1 + x2) // 2
        annotation["segmentation"] = [run_lengths_of((x1, y1, middle, y2)), run_lengths_of((middle, y1, x2, y2))]
    return files.save()


def test_refclef_is_read_and_has_no_published_counts(tmp_path: Path) -> None:
    files = refclef(tmp_path)
    report = check_dataset(files.config)
    assert [(split.split, split.found, split.published) for split in report.splits] == [
        ("train", Counts(4, 8, 2), None),
        ("testAB", Counts(2, 4, 1), None),
    ]
    assert report.as_published and not report.missing and report.photo_folder == files.image_folder
    assert split_names(files.config) == ("train", "testAB")


def test_a_mask_of_several_run_lengths_is_their_union(tmp_path: Path) -> None:
    from pycocotools import mask as coco_mask

    for truth, thing in zip(load_truth(refclef(tmp_path).config, "testAB").values(), things_of(2), strict=True):
        x1, y1, x2, y2 = thing.box
        assert truth.mask is not None and coco_mask.area(truth.mask) == (x2 - x1) * (y2 - y1)


def test_own_data_is_checked_too(tmp_path: Path) -> None:
    unmeasured = [{key: row[key] for key in ("image", "expression")} for row in jsonl_rows(2)]
    good = write_jsonl_dataset(tmp_path / "good", {"train": unmeasured, "val": jsonl_rows(2)})
    report = check_dataset(good)
    assert (report.problems, report.missing, report.photos) == ((), (), 2)
    assert [(split.split, split.found) for split in report.splits] == [
        ("train", Counts(2, 4, 2)),
        ("val", Counts(2, 4, 2)),
    ]
    bad = write_jsonl_dataset(tmp_path / "bad", {"val": [*jsonl_rows(1), *unmeasured]})
    assert [re.sub(".*/", "", problem)[:35] for problem in check_dataset(bad).problems] == [
        "val.jsonl:2: neither 'box' nor 'mas",
        "val.jsonl:3: neither 'box' nor 'mas",
    ]


@pytest.mark.parametrize(("size", "message"), [((HEIGHT, WIDTH), "EXIF"), ((2 * WIDTH, 2 * HEIGHT), "resized")])
def test_a_photo_of_another_size_than_its_annotations_is_a_problem(
    tmp_path: Path, size: tuple[int, int], message: str
) -> None:
    files = write_refer_dataset(tmp_path)
    files.save()
    name = files.instances["images"][4]["file_name"]
    Image.new("RGB", size).save(files.image_folder / name)
    [problem] = check_dataset(files.config).problems
    expected = f"{name}: the annotations are for 48 x 40 pixels, but the photo has {size[0]} x {size[1]}, .*{message}"
    assert re.search(expected, problem)


@pytest.mark.parametrize("name", SETS)
def test_published_counts_add_up(name: Any) -> None:
    """The sums are the published totals, such as 142,210 sentences for 50,000 objects in RefCOCO."""
    totals = {
        "refcoco": (50_000, 142_210),
        "refcoco+": (49_856, 141_564),
        "refcocog-umd": (49_822, 95_010),
        "refcocog-google": (49_822, 95_010),
        "refclef": (0, 0),
    }
    counts = published_counts(*SETS[name]).values()
    assert (sum(each.referents for each in counts), sum(each.sentences for each in counts)) == totals[name]


def many_faults(root: Path) -> DataConfig:
    """Write JSON lines with faults of every kind."""
    good = jsonl_rows(3)
    train = [
        *good[:3],
        {**good[2], "category": "gnu", "expression": "the gnu"},
        {**good[0], "expression": "that one there", "category": None},
        {**good[0], "expression": "THAT  one there", "category": None},
        {**good[0], "expression": " "},
        {**good[0], "colour": "red"},
    ]
    val = [
        {**good[1], "box": [500, 5, 520, 9]},
        {**good[1], "box": [0.1, 0.2, 0.3, 0.4]},
        {key: good[1][key] for key in ("image", "expression")},
        {**good[2], "width": WIDTH + 1, "height": HEIGHT, "mask": None},
        {**good[2], "image": "photos/gone.png", "mask": None},
        *({**good[1], "expression": ""} for _ in range(5)),
    ]
    return write_jsonl_dataset(root, {"train": train, "val": val})


KINDS = {"row": 7, "box": 2, "truth": 1, "size": 1, "image": 1, "category": 1, "uncategorised": 2}


def test_every_kind_of_fault_is_counted_with_its_file_and_line(tmp_path: Path) -> None:
    report = check_dataset(many_faults(tmp_path), labels=["person", "dog", "couch"])
    found = {each.kind.name: each.messages for each in report.findings}
    assert {kind: len(messages) for kind, messages in found.items()} == {**KINDS, "duplicate": len(found["duplicate"])}
    where = {kind: [*dict.fromkeys(re.findall(r"(\w+\.jsonl:\d+): ", " ".join(m)))] for kind, m in found.items()}
    assert where["row"] == ["train.jsonl:7", "train.jsonl:8", *(f"val.jsonl:{n}" for n in range(6, 11))]
    assert where["box"] == ["val.jsonl:1", "val.jsonl:2"]
    assert where["truth"] == ["val.jsonl:3"]
    assert where["image"] == ["val.jsonl:5"]
    assert where["category"] == ["train.jsonl:4"] and "no category 'gnu'" in found["category"][0]
    assert where["uncategorised"] == ["train.jsonl:5", "train.jsonl:6"]
    assert any("train.jsonl:6: 'THAT  one there' is there for its photo already" in each for each in found["duplicate"])
    assert "49 x 40 pixels, but the photo has 48 x 40" in found["size"][0]
    assert report.missing == ("photos/gone.png",)
    lines = remarks(report)
    assert lines[lines.index("7 bad rows:") + 4] == "  and 4 more"
    assert "2 phrases without a category (no fault):" in lines
    assert "2 phrases without a category" not in faults(report)


def test_without_a_detector_no_category_is_unknown(tmp_path: Path) -> None:
    assert "category" not in {each.kind.name for each in check_dataset(many_faults(tmp_path)).findings}


def test_notes_alone_are_no_fault(tmp_path: Path) -> None:
    row = {**jsonl_rows(1)[0], "expression": "that one there", "category": None}
    report = check_dataset(write_jsonl_dataset(tmp_path, {"train": [row, row]}))
    assert [each.kind.name for each in report.findings] == ["uncategorised", "duplicate"]
    assert faults(report) == [] and report.as_published


def test_the_verb_writes_json_and_ends_with_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = many_faults(tmp_path / "data")
    words = ["data", "check", "--data.path", str(config.path), "--data.dataset", "jsonl", "--detector", "mini"]
    assert main([*words, "--out", str(tmp_path / "report.json")]) == 1
    printed = capsys.readouterr()
    content = json.loads((tmp_path / "report.json").read_text())
    assert {kind: each["count"] for kind, each in content["findings"].items() if kind in KINDS} == KINDS
    assert all(each["count"] == len(each["messages"]) for each in content["findings"].values())
    assert content["splits"]["train"]["found"] == {"referents": 6, "sentences": 9, "images": 3}
    assert content["missing_photos"] == ["photos/gone.png"]
    assert ", ".join(content["faults"]) in printed.err
    assert "7 bad rows:" in printed.out and "  and 4 more" in printed.out


def test_the_json_of_a_good_dataset_has_no_fault(tmp_path: Path) -> None:
    config = write_jsonl_dataset(tmp_path / "data", {"val": jsonl_rows(2)})
    words = ["data", "check", "--data.path", str(config.path), "--data.dataset", "jsonl"]
    assert main([*words, "--out", str(tmp_path / "report.json")]) == 0
    assert json.loads((tmp_path / "report.json").read_text())["faults"] == []
    assert main([*words, "--out", str(tmp_path / "nowhere" / "report.json")]) == 1


def test_a_detectors_own_categories_are_known_in_phrases(tmp_path: Path) -> None:
    rows = jsonl_rows(2)
    for row in rows:
        del row["category"]
        row["expression"] = ["left pallets", "2nd from right pallet"]
    config = write_jsonl_dataset(tmp_path, {"train": rows})
    assert "uncategorised" in {each.kind.name for each in check_dataset(config).findings}
    assert "uncategorised" not in {each.kind.name for each in check_dataset(config, labels=["pallet"]).findings}
