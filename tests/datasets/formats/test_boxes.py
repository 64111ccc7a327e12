"""What the numbers of a box mean: pixels, fractions or thousandths, corners or sides."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.fabricate import HEIGHT, WIDTH, ReferFiles, jsonl_rows, things_of, write_jsonl_dataset, write_refer_dataset
from PIL import Image

from aligncat.datasets.config import DataConfig
from aligncat.datasets.convert.convert import convert_dataset
from aligncat.datasets.load import load_objects, load_split, load_truth
from aligncat.errors import ConfigError, DataError

# The left thing of image 0, (2, 5, 14, 30) in a photo of 48 x 40, as each form has it.
X1, Y1, X2, Y2 = 2, 5, 14, 30
FORMS: dict[str, list[float]] = {
    "xyxy": [2, 5, 14, 30],
    "xywh": [2, 5, 12, 25],
    "fraction": [2 / 48, 0.125, 14 / 48, 0.75],
    "thousandths": [2000 / 48, 125, 14000 / 48, 750],
}


def jsonl(root: Path, box: object, boxes: Any = None) -> DataConfig:
    row = {**jsonl_rows(1)[0], "box": box, "mask": None}
    return replace(write_jsonl_dataset(root, {"val": [row]}), boxes=boxes)


def coco_csv(root: Path, box: object, boxes: Any = None) -> DataConfig:
    files = write_refer_dataset(root, image_folder="images")
    files.instances["annotations"][0] |= {"bbox": box, "segmentation": None}
    # The other thing of the image is in the same form, as in one file.
    files.instances["annotations"][1] |= {"bbox": box, "segmentation": None}
    (root / "instances.json").write_text(json.dumps(files.instances))
    (root / "phrases.csv").write_text("annotation_id,phrase,split\n5000,the red person,val\n")
    return DataConfig(root, "own", format="coco-csv", boxes=boxes)


WRITERS = {"jsonl": (jsonl, "xyxy"), "coco-csv": (coco_csv, "xywh")}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", WRITERS)
def test_every_form_gives_the_drawn_rectangle(tmp_path: Path, name: str, form: str) -> None:
    write, usual = WRITERS[name]
    assert things_of(0)[0].box == (X1, Y1, X2, Y2)
    for boxes in (form, None) if form == usual else (form,):
        config = write(tmp_path / str(boxes), FORMS[form], boxes)
        [truth] = load_truth(config, "val").values()
        assert truth.box.tolist() == pytest.approx([X1, Y1, X2, Y2])
        assert truth.size == (WIDTH, HEIGHT)


@pytest.mark.parametrize("form", FORMS)
def test_all_annotated_objects_are_read_in_the_same_form(tmp_path: Path, form: Any) -> None:
    config = coco_csv(tmp_path, FORMS[form], form)
    [(boxes, names)] = load_objects(config, load_split(config, "val")).values()
    assert boxes.tolist() == [pytest.approx([X1, Y1, X2, Y2])] * 2
    assert names == [thing.category for thing in things_of(0)]


# The written numbers, the form in which they are read, and what the error says about them.
WRONG: list[tuple[list[float], str, str, tuple[str, ...]]] = [
    (FORMS["fraction"], "xyxy", "only numbers between 0 and 1, which look like fractions", ("fraction",)),
    (FORMS["fraction"], "xywh", "only numbers between 0 and 1, which look like fractions", ("fraction",)),
    (FORMS["fraction"], "thousandths", "only numbers between 0 and 1, which look like fractions", ("fraction",)),
    ([0, 0, 1, 1], "thousandths", "only numbers between 0 and 1", ("fraction",)),
    (FORMS["thousandths"], "xyxy", "leaves its image of 48 x 40 pixels|is outside", ("thousandths",)),
    (FORMS["thousandths"], "xywh", "leaves its image of 48 x 40 pixels|is outside", ("thousandths",)),
    (FORMS["thousandths"], "fraction", "is outside its image", ("thousandths",)),
    (FORMS["xyxy"], "fraction", "is outside its image", ("xyxy",)),
    ([20, 10, 12, 25], "xyxy", "has no area", ("xywh",)),
    ([20, 10, 40, 35], "xywh", "leaves its image of 48 x 40 pixels", ("xyxy",)),
]


@pytest.mark.parametrize(("box", "form", "fault", "fitting"), WRONG)
def test_numbers_of_another_form_are_an_error_that_names_the_option(
    tmp_path: Path, box: list[float], form: Any, fault: str, fitting: tuple[str, ...]
) -> None:
    with pytest.raises(DataError, match=rf"val\.jsonl:1: the box .* ({fault})") as caught:
        load_truth(jsonl(tmp_path, box, form), "val")
    for option in fitting:
        assert f"(--data.boxes {option})" in str(caught.value)


def test_the_option_that_the_error_names_reads_the_box(tmp_path: Path) -> None:
    for box, form, _, fitting in WRONG:
        config = jsonl(tmp_path / form, box, form)
        for option in fitting:
            assert len(load_truth(replace(config, boxes=option), "val")) == 1


@pytest.mark.parametrize(
    ("box", "form", "fits"),
    [
        ([-1, -1, 49, 41], None, True),  # by a pixel: rounding
        ([0, 0, 49.1, 40], None, False),
        ([0, 0, 48, 41.1], None, False),
        ([-1.1, 0, 48, 40], None, False),
        ([0, -1.1, 48, 40], None, False),
        ([0, 0, 1, 1], None, False),  # the whole photo in fractions, more likely than its first pixel
        ([0, 0, 1, 1], "xyxy", True),
        ([0, 0, 1, 1], "fraction", True),
        ([0, 0, 0.5, 1], "xyxy", False),  # half a pixel is no object, whatever the option says
        ([0, 0, 1000, 1000], "thousandths", True),
        ([0, 0, 1001, 1000], "thousandths", True),
        ([0, 0, 1030, 1000], "thousandths", False),
    ],
)
def test_a_box_may_leave_its_image_by_a_pixel_at_most(tmp_path: Path, box: list[float], form: Any, fits: bool) -> None:
    config = jsonl(tmp_path, box, form)
    if fits:
        assert len(load_truth(config, "val")) == 1
    else:
        with pytest.raises(DataError, match=r"val\.jsonl:1: the box"):
            load_truth(config, "val")


def test_a_box_on_a_photo_that_exif_turns_is_an_error_that_says_so(tmp_path: Path) -> None:
    config = jsonl(tmp_path, [5, 2, 47, 30])
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "photos" / "0.jpg", exif=exif)
    (tmp_path / "val.jsonl").write_text((tmp_path / "val.jsonl").read_text().replace("0.png", "0.jpg"))
    with pytest.raises(DataError, match=r"val\.jsonl:1: .*leaves its image of 40 x 48 .*48 x 40 pixels: if EXIF turns"):
        load_truth(config, "val")


def test_a_format_with_boxes_of_its_own_takes_no_option(tmp_path: Path) -> None:
    for name in ("refer", "simrec", "hub"):
        with pytest.raises(
            ConfigError, match=rf"boxes 'xyxy': format {name} .* for the formats coco-csv, jsonl, .*ofa"
        ):
            DataConfig(tmp_path, "refcoco", format=name, boxes="xyxy")


def test_refers_boxes_in_fractions_are_refused(tmp_path: Path) -> None:
    files: ReferFiles = write_refer_dataset(tmp_path)
    files.instances["annotations"][0]["bbox"] = FORMS["fraction"]
    files.save()
    with pytest.raises(DataError, match=r"annotation 5000: .*between 0 and 1.* this format has only one form of boxes"):
        load_truth(files.config, "train")


def test_a_converted_dataset_is_in_pixels(tmp_path: Path) -> None:
    config = jsonl(tmp_path / "data", FORMS["thousandths"], "thousandths")
    for to in ("jsonl", "simrec"):
        written = convert_dataset(data=config, to=to, out=tmp_path / to)
        [truth] = load_truth(written, "val").values()
        assert truth.box.tolist() == pytest.approx([X1, Y1, X2, Y2])


@pytest.mark.parametrize(
    ("side", "largest", "count", "boxes", "warned"),
    [
        (3000, 999, 10, None, True),
        (3000, 1200, 10, None, False),
        (3000, 999, 9, None, False),
        (1400, 999, 10, None, False),
        (3000, 999, 10, "xyxy", False),
        (3000, 999, 10, "thousandths", False),
    ],
)
def test_boxes_all_in_the_corner_of_large_photos_lead_to_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, side: int, largest: int, count: int, boxes: Any, warned: bool
) -> None:
    Image.new("1", (side, side)).save(tmp_path / "large.png")
    rows = [{"image": "large.png", "expression": f"thing {n}", "box": [10, 20, 500, largest]} for n in range(count)]
    (tmp_path / "val.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with caplog.at_level(logging.WARNING, logger="aligncat.datasets"):
        load_truth(DataConfig(tmp_path, "jsonl", boxes=boxes), "val")
    assert ["--data.boxes thousandths" in message for message in caplog.messages] == [True] * warned
