"""Every format, read back by the tool's own reader where a package has one."""

from __future__ import annotations

import csv
import importlib
import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import supervision
import yaml
from helpers.brush_reader import read_brush
from helpers.fabricate_groundings import HEIGHT, LABELS, LEFT, RIGHT, WIDTH, answer_set, blob, two_photos
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from aligncat.errors import ConfigError, WriteError
from aligncat.grounder.grounding import Grounding
from aligncat.grounder.writers.answer_set import PhotoRecord
from aligncat.grounder.writers.coco import write_dataset, write_results
from aligncat.grounder.writers.csv_table import write_csv
from aligncat.grounder.writers.formats import FORMATS, AnswerFormat, find_format
from aligncat.grounder.writers.jsonl import write_jsonl
from aligncat.grounder.writers.label_studio import write_tasks
from aligncat.grounder.writers.overlays import write_overlays
from aligncat.grounder.writers.yolo import write_yolo

PHRASES = ("both dogs", "cup", "a phrase without an answer")


def paint(folder: Path) -> None:
    for record in two_photos():
        path = folder / record.name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT), "grey").save(path)


class TestJsonLines:
    def test_a_line_is_slim_and_has_the_photo(self, tmp_path: Path) -> None:
        write_jsonl(answer_set(two_photos(), PHRASES), tmp_path / "out")
        first, second = map(json.loads, (tmp_path / "out").read_text().splitlines())
        assert (first["image"], first["width"], first["height"]) == ("a/1.jpg", WIDTH, HEIGHT)
        assert [each["box"] for each in first["answers"]] == [[*LEFT], [*RIGHT]]
        assert not {"candidates", "word_weights", "choice"} & {*first, *first["answers"][0]}
        assert second["expression"] == "cup" and second["warnings"] == ["Be careful.", "Look twice."]
        mask = coco_mask.decode({**second["mask"], "counts": second["mask"]["counts"].encode()})
        np.testing.assert_array_equal(mask, blob(RIGHT))

    def test_with_candidates_a_line_is_the_grounding(self, tmp_path: Path) -> None:
        records = two_photos()
        write_jsonl(answer_set(records, PHRASES, candidates=True), tmp_path / "out")
        for line, found in zip((tmp_path / "out").read_text().splitlines(), records[0].groundings, strict=True):
            plain = json.loads(line)
            assert [plain.pop(name) for name in ("image", "width", "height")] == ["a/1.jpg", WIDTH, HEIGHT]
            assert Grounding.from_dict(plain) == found


class TestCoco:
    @pytest.fixture
    def read(self, tmp_path: Path) -> COCO:
        write_dataset(answer_set(two_photos(), PHRASES), tmp_path / "instances.json")
        return COCO(str(tmp_path / "instances.json"))

    def test_pycocotools_reads_the_dataset(self, read: COCO) -> None:
        assert [(each["id"], each["file_name"]) for each in read.loadImgs(read.getImgIds())] == [
            (1, "a/1.jpg"),
            (3, "b.jpg"),
        ]
        assert {each["id"]: each["name"] for each in read.loadCats(read.getCatIds())} == dict(enumerate(PHRASES, 1))
        annotations = read.loadAnns(read.getAnnIds())
        assert [each["category_id"] for each in annotations] == [1, 1, 2]
        assert [each["bbox"] for each in annotations] == [[4, 2, 10, 10], [20, 5, 10, 15], [20, 5, 10, 15]]
        for each, box in zip(annotations, (LEFT, RIGHT, RIGHT), strict=True):
            np.testing.assert_array_equal(read.annToMask(each), blob(box))
            assert each["area"] == blob(box).sum() and each["image_id"] == 1
        assert annotations[2]["warnings"] == ["Be careful.", "Look twice."] and annotations[2]["expression"] == "cup"

    def test_pycocotools_loads_the_results_into_the_dataset(self, read: COCO, tmp_path: Path) -> None:
        write_results(answer_set(two_photos(), PHRASES), tmp_path / "results.json")
        loaded = read.loadRes(str(tmp_path / "results.json"))
        found = loaded.loadAnns(loaded.getAnnIds())
        assert [(each["image_id"], each["category_id"], each["score"]) for each in found] == [
            (1, 1, 0.5),
            (1, 1, 0.25),
            (1, 2, 0.5),
        ]
        np.testing.assert_array_equal(loaded.annToMask(found[1]), blob(RIGHT))

    def test_supervision_reads_the_dataset(self, read: COCO, tmp_path: Path) -> None:
        paint(tmp_path)
        dataset = supervision.DetectionDataset.from_coco(str(tmp_path), str(tmp_path / "instances.json"), True)
        [(_, _, found)] = [each for each in dataset if len(each[2])]
        assert [dataset.classes[number] for number in found.class_id] == ["both dogs", "both dogs", "cup"]
        np.testing.assert_array_equal(found.xyxy, [LEFT, RIGHT, RIGHT])
        np.testing.assert_array_equal(found.mask, [blob(LEFT), blob(RIGHT), blob(RIGHT)])

    def test_classes_can_be_the_detectors(self, tmp_path: Path) -> None:
        write_dataset(answer_set(two_photos(), PHRASES, classes="category"), tmp_path / "out")
        document = json.loads((tmp_path / "out").read_text())
        assert [each["name"] for each in document["categories"]] == [*LABELS]
        assert {each["category_id"] for each in document["annotations"]} == {2}  # dog

    def test_boxes_alone_have_the_area_of_the_box_and_no_segmentation(self, tmp_path: Path) -> None:
        write_dataset(answer_set(two_photos(masked=False), PHRASES), tmp_path / "out")
        annotations = json.loads((tmp_path / "out").read_text())["annotations"]
        assert [each["area"] for each in annotations] == [100, 150, 150]
        assert not any("segmentation" in each for each in annotations)


def test_supervision_reads_yolo(tmp_path: Path) -> None:
    write_yolo(answer_set(two_photos(), PHRASES), tmp_path)
    paint(tmp_path / "images" / "a")  # supervision looks for labels of one folder
    (tmp_path / "images" / "a" / "a" / "1.jpg").rename(tmp_path / "images" / "a" / "1.jpg")
    dataset = supervision.DetectionDataset.from_yolo(
        str(tmp_path / "images" / "a"), str(tmp_path / "labels" / "a"), str(tmp_path / "data.yaml")
    )
    assert dataset.classes == [*PHRASES]
    found = next(found for path, _, found in dataset if path.endswith("1.jpg"))
    assert found.class_id.tolist() == [0, 0, 1]
    np.testing.assert_allclose(found.xyxy, [LEFT, RIGHT, RIGHT], atol=1e-4)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in (tmp_path / "labels").rglob("*.txt")) == [
        "labels/a/1.txt",
        "labels/b.txt",
    ]
    assert (tmp_path / "labels" / "b.txt").read_text() == ""


class TestPolygons:
    def test_supervision_reads_those_of_yolo_and_coco(self, tmp_path: Path) -> None:
        answers = answer_set(two_photos(), PHRASES, polygons=True)
        write_yolo(answers, tmp_path)
        write_dataset(answers, tmp_path / "instances.json")
        paint(tmp_path)
        paint(tmp_path / "images")
        (tmp_path / "images" / "a" / "1.jpg").rename(tmp_path / "images" / "1.jpg")
        yolo = supervision.DetectionDataset.from_yolo(
            str(tmp_path / "images"), str(tmp_path / "labels" / "a"), str(tmp_path / "data.yaml"), force_masks=True
        )
        coco = supervision.DetectionDataset.from_coco(str(tmp_path), str(tmp_path / "instances.json"), True)
        for dataset in (yolo, coco):
            [found] = [found for _, _, found in dataset if len(found)]
            assert [dataset.classes[number] for number in found.class_id] == ["both dogs", "both dogs", "cup"]
            for mask, box in zip(found.mask, (LEFT, RIGHT, RIGHT), strict=True):
                whole = blob(box)
                whole[int(box[3]) - 2, int(box[2]) - 2] = True  # the hole is filled
                assert (mask & whole).sum() / (mask | whole).sum() > 0.7  # supervision draws the border thick

    def test_pycocotools_draws_those_of_coco_as_the_masks(self, tmp_path: Path) -> None:
        write_dataset(answer_set(two_photos(), PHRASES, polygons=True), tmp_path / "instances.json")
        read = COCO(str(tmp_path / "instances.json"))
        for each, box in zip(read.loadAnns(read.getAnnIds()), (LEFT, RIGHT, RIGHT), strict=True):
            whole = blob(box)
            assert each["area"] == whole.sum() and each["iscrowd"] == 0
            whole[int(box[3]) - 2, int(box[2]) - 2] = True
            np.testing.assert_array_equal(read.annToMask(each), whole)

    def test_boxes_alone_are_corners_in_yolo(self, tmp_path: Path) -> None:
        write_yolo(answer_set(two_photos(masked=False), PHRASES, polygons=True), tmp_path)
        first = (tmp_path / "labels" / "a" / "1.txt").read_text().splitlines()[0]
        assert first == "0 0.100000 0.100000 0.350000 0.100000 0.350000 0.600000 0.100000 0.600000"  # (4, 2, 14, 12)


def test_a_yaml_reader_finds_the_names_of_yolo(tmp_path: Path) -> None:
    names = ("🍎", "d\u00e9j\u00e0 vu", 'a "quoted" \\ud83c', "a\u2028b\u0085c\x7fd", "first\nsecond", "yes")
    write_yolo(answer_set([PhotoRecord("1.jpg", (WIDTH, HEIGHT), (), None)], names), tmp_path)
    assert yaml.safe_load((tmp_path / "data.yaml").read_text(encoding="utf-8"))["names"] == [*names]


def test_a_csv_file_has_a_row_for_each_object(tmp_path: Path) -> None:
    write_csv(answer_set(two_photos(), PHRASES), tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["image"], row["expression"], row["x1"]) for row in rows] == [
        ("a/1.jpg", "both dogs", "4.0"),
        ("a/1.jpg", "both dogs", "20.0"),
        ("a/1.jpg", "cup", "20.0"),
    ]
    assert rows[2]["warnings"] == "Be careful. Look twice." and rows[0]["warnings"] == rows[0]["match"] == ""
    mask = coco_mask.decode(
        {"size": [int(rows[2]["height"]), int(rows[2]["width"])], "counts": rows[2]["mask"].encode()}
    )
    np.testing.assert_array_equal(mask, blob(RIGHT))


def test_rows_of_one_phrase_have_its_match_and_each_its_own_object_match(tmp_path: Path) -> None:
    [photo, *_] = two_photos()
    both = photo.groundings[0]
    answers = tuple(replace(each, match=match) for each, match in zip(both.answers, (0.875, 0.125), strict=True))
    alone = replace(photo.groundings[1], match=0.25)
    record = replace(photo, groundings=(replace(both, match=0.75, answers=answers), alone))
    expected = [(0.75, 0.875, 0.5), (0.75, 0.125, 0.25), (0.25, None, 0.5)]
    write_csv(answer_set([record], PHRASES), tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = [[row[name] for name in ("match", "object_match", "probability")] for row in csv.DictReader(file)]
    assert [tuple(float(each) if each else None for each in row) for row in rows] == expected
    write_results(answer_set([record], PHRASES), tmp_path / "out.json")
    found = json.loads((tmp_path / "out.json").read_text())
    assert [(row["match"], row.get("object_match"), row["score"]) for row in found] == expected


class TestLabelStudio:
    def test_the_tasks_have_percent_boxes_brush_masks_scores_and_warnings(self, tmp_path: Path) -> None:
        write_tasks(answer_set(two_photos(), PHRASES), tmp_path)
        first, second = json.loads((tmp_path / "tasks.json").read_text())
        assert (first["data"], second["data"]) == (
            {"image": "/data/local-files/?d=a/1.jpg"},
            {"image": "/data/local-files/?d=b.jpg"},
        )
        [prediction] = first["predictions"]
        assert prediction["score"] == 0.25 and second["predictions"][0]["result"] == []
        regions = prediction["result"]
        boxes = [each for each in regions if each["type"] == "rectanglelabels"]
        assert [each["value"]["rectanglelabels"] for each in boxes] == [["both dogs"], ["both dogs"], ["cup"]]
        for each, (x1, y1, x2, y2) in zip(boxes, (LEFT, RIGHT, RIGHT), strict=True):
            value = each["value"]
            found = [value["x"] * WIDTH, value["y"] * HEIGHT, value["width"] * WIDTH, value["height"] * HEIGHT]
            assert found == pytest.approx([100 * x1, 100 * y1, 100 * (x2 - x1), 100 * (y2 - y1)])
        masks = [each for each in regions if each["type"] == "brushlabels"]
        for each, box in zip(masks, (LEFT, RIGHT, RIGHT), strict=True):
            drawn = read_brush(each["value"]["rle"], each["original_height"], each["original_width"])
            np.testing.assert_array_equal(drawn, 255 * blob(box))
        assert [each.get("meta") for each in regions[-2:]] == [{"text": ["Be careful.", "Look twice."]}] * 2
        assert len({each["id"] for each in regions}) == len(regions) == 6

    def test_the_configuration_has_the_controls_and_labels_that_the_tasks_use(self, tmp_path: Path) -> None:
        odd = ('a "quoted" <phrase> & more', "b")
        write_tasks(answer_set(two_photos()[2:], odd), tmp_path)
        root = ElementTree.parse(tmp_path / "config.xml").getroot()
        image, boxes, masks = root
        assert image.attrib["value"] == "$image"
        for control, name in ((boxes, "box"), (masks, "mask")):
            assert (control.attrib["name"], control.attrib["toName"]) == (name, image.attrib["name"])
            assert [label.attrib["value"] for label in control] == [*odd]

    def test_label_studios_converter_reads_the_brush(self, tmp_path: Path) -> None:
        """The SDK pins OpenCV below 4.13 and brings some 30 packages, so it is no dependency of the tests."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                brush = importlib.import_module("label_studio_sdk.converter.brush")
            except ImportError:
                pytest.skip("label-studio-sdk is not installed")
        write_tasks(answer_set(two_photos(), PHRASES), tmp_path)
        [prediction] = json.loads((tmp_path / "tasks.json").read_text())[0]["predictions"]
        # The converter takes the values out of a region before it reads the brush.
        regions = [{**each, **each["value"]} for each in prediction["result"] if each["type"] == "brushlabels"]
        layers = brush.decode_from_annotation("mask", regions)
        for layer, box in zip(layers.values(), (LEFT, RIGHT, RIGHT), strict=True):
            np.testing.assert_array_equal(layer, 255 * blob(box))


def test_overlays_are_pictures_of_the_photos_that_could_be_read(tmp_path: Path) -> None:
    paint(tmp_path / "photos")
    out = tmp_path / "out"
    out.mkdir()
    write_overlays(answer_set(two_photos(), PHRASES, folder=tmp_path / "photos"), out)
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png")) == ["a/1.png", "b.png"]
    with Image.open(out / "a" / "1.png") as drawn:
        assert np.asarray(drawn).std() > 1


class TestNames:
    @pytest.mark.parametrize(
        ("name", "out", "found"),
        [(None, "x.jsonl", "jsonl"), (None, "x.CSV", "csv"), ("coco", "x.json", "coco"), ("csv", "x", "csv")],
    )
    def test_the_format_is_named_or_told_by_the_suffix(self, name: str | None, out: str, found: str) -> None:
        assert find_format(name, Path(out)).name == found

    @pytest.mark.parametrize(
        ("name", "out", "said"),
        [
            ("coc", "x.json", "format 'coc' is not known; use one of jsonl, csv, coco"),
            (None, "x.json", "x.json: the name does not tell the format; give --format"),
            (None, "folder", "does not tell the format"),
        ],
    )
    def test_an_unknown_format_is_an_error_with_the_known_ones(self, name: str | None, out: str, said: str) -> None:
        with pytest.raises(ConfigError, match=said):
            find_format(name, Path(out))


@pytest.mark.parametrize("chosen", FORMATS, ids=lambda chosen: chosen.name)
def test_a_write_error_names_the_file(chosen: AnswerFormat, tmp_path: Path) -> None:
    paint(tmp_path / "photos")
    out = tmp_path / "file"
    out.write_text("a file where a folder must be") if chosen.folder else out.mkdir()
    with pytest.raises((WriteError, OSError), match=str(out)) as error:
        chosen.write(answer_set(two_photos(), PHRASES, folder=tmp_path / "photos"), out)
    assert isinstance(error.value, OSError)


@pytest.mark.parametrize("chosen", FORMATS, ids=lambda chosen: chosen.name)
def test_a_format_written_twice_has_the_same_bytes(chosen: AnswerFormat, tmp_path: Path) -> None:
    paint(tmp_path / "photos")
    answers = answer_set(two_photos(), PHRASES, folder=tmp_path / "photos")
    found: list[dict[str, bytes]] = []
    read: Callable[[Path], dict[str, bytes]] = lambda out: {  # noqa: E731
        path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()
    }
    for name in ("one", "two"):
        out = tmp_path / name
        if chosen.folder:
            out.mkdir()
        chosen.write(answers, out)
        found.append(read(out) if chosen.folder else {"": out.read_bytes()})
    assert found[0] == found[1] != {}
