"""Files of other tools are read under the name of their format, and recognised without it."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from helpers.fabricate import write_image
from hypothesis import given, settings
from hypothesis import strategies as st

from aligncat.datasets.config import DataConfig
from aligncat.datasets.formats import FORMATS, BoxForm
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.formats.bad_rows import BadRows
from aligncat.datasets.formats.dialect_rows import referent_rows
from aligncat.datasets.formats.dialects import DIALECTS
from aligncat.datasets.formats.line_files import MAX_LINE_BYTES
from aligncat.datasets.formats.markup import marked, phrase_of
from aligncat.datasets.load import load_split, load_truth, split_names
from aligncat.errors import BoxError, ConfigError, DataError, ImageError

BOX = [2, 5, 14, 30]  # of a photo of 48 x 40
SECOND = [26, 10, 38, 22]
SHARES = [2 / 48, 5 / 40, 14 / 48, 30 / 40]
# The photo lies in the middle of a square of 48 x 48, so 4 rows are above it.
PADDED = [2 / 48, 9 / 48, 14 / 48, 34 / 48]
THOUSANDTHS = [1000 * each for each in SHARES]
SIZE = {"width": 48, "height": 40}


def turn(question: str, answer: str, *, image: Any = "0.png") -> dict[str, Any]:
    said = [{"from": "human", "value": f"<image>\n{question}"}, {"from": "gpt", "value": answer}]
    return {"id": 0, "conversations": said} | ({} if image is None else {"image": image})


def messages(question: str, answer: str, **objects: Any) -> dict[str, Any]:
    said = [
        {"role": "system", "content": "You see [0, 0, 1, 1]."},
        {"role": "user", "content": f"<image>{question}"},
        {"role": "assistant", "content": answer},
    ]
    return {"messages": said, "images": ["0.png"]} | ({"objects": objects} if objects else {})


# A row as the tool writes it, its format, and --data.boxes.
ROWS: dict[str, tuple[dict[str, Any], str, BoxForm | None]] = {
    "shikra": ({"img_path": "0.png", "expression": "it", "bbox": BOX, "dataset_name": "x", **SIZE}, "shikra", None),
    "qwen": ({"image": "0.png", "sent": "it", "bbox": BOX, **SIZE}, "qwen", None),
    "qwen, chat": (
        turn(
            "Picture 1: <img>0.png</img>\nframe it",
            f"<ref>it</ref><box>({THOUSANDTHS[0]},125),(291.7,750)</box>",
            image=None,
        ),
        "qwen",
        None,
    ),
    "vlm-r1": (
        {"image": "0.png", "problem": "?", "normal_caption": "it", "solution": BOX, "normalized_solution": [], **SIZE},
        "vlm-r1",
        None,
    ),
    "ms-swift": (messages("find <ref-object>", "<bbox>", ref=["it"], bbox=[BOX]), "ms-swift", None),
    "ms-swift, fractions": (
        messages("find <ref-object>", "<bbox>", ref=["it"], bbox=[SHARES], bbox_type="norm1"),
        "ms-swift",
        None,
    ),
    "ms-swift, markup": (
        messages("find <|object_ref_start|>it<|object_ref_end|>", "<|box_start|>(41.7,125),(291.7,750)<|box_end|>"),
        "ms-swift",
        "thousandths",
    ),
    "llava": (turn("Where is this region: it.", str(SHARES)), "llava", "fraction"),
    "llava, whole question": (turn("it?", str(SHARES)), "llava", "fraction"),
    "llava, padded": (turn("Box what it describes: it", str(PADDED)), "llava", "padded"),
    "llava, box in the question": (turn(f"Describe the region: {SHARES}", "It."), "llava", "fraction"),
    "llava, InternVL's markup": (
        turn("Find <ref>it</ref>", f"<ref>it</ref><box>[{THOUSANDTHS}]</box>"),
        "llava",
        "thousandths",
    ),
    "llava, Qwen2.5-VL's JSON": (turn("Locate it", json.dumps([{"bbox_2d": BOX, "label": "it"}])), "llava", "xyxy"),
    "llava, a fenced object": (turn("Say where: it", f'```json\n{{"bbox_2d": {BOX}}}\n```'), "llava", "xyxy"),
}


def write(root: Path, *rows: Any, name: str = "val.jsonl", photo: bool = True) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    if photo:
        write_image(root / "0.png", 0)
    (root / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_a_row_of_another_tool_is_read_under_its_name(tmp_path: Path, name: str, suffix: str) -> None:
    row, form, boxes = ROWS[name]
    write(tmp_path, row if suffix == ".jsonl" else [row], name=f"my_val{suffix}")
    config = DataConfig(tmp_path, "own", format=form, boxes=boxes)
    assert split_names(config) == ("val",)
    [expression] = load_split(config, "val").expressions
    assert (expression.text.lower(), expression.image_id) == ("it", "0.png")
    [truth] = load_truth(config, "val").values()
    assert truth.box.tolist() == pytest.approx(BOX, abs=0.01)
    assert truth.size == (48, 40)


@pytest.mark.parametrize("name", ROWS)
def test_without_the_name_the_row_is_recognised_and_the_option_named(tmp_path: Path, name: str) -> None:
    row, form, _ = ROWS[name]
    config = DataConfig(write(tmp_path, row), "jsonl")
    for read in (load_split, load_truth):
        with pytest.raises(DataError, match=rf"val\.jsonl:1: looks like .*; read it with --data\.format {form}\b"):
            read(config, "val")


@pytest.mark.parametrize("name", ROWS)
def test_a_wrong_name_is_an_error_that_names_the_right_one(tmp_path: Path, name: str) -> None:
    row, form, _ = ROWS[name]
    write(tmp_path, row)
    for other in {each.name for each in DIALECTS.values() if ".jsonl" in each.suffixes} - {
        form,
        "jsonl",
        "qwen",
        "llava",
    }:
        with pytest.raises(DataError, match=rf"val\.jsonl:1: .* It looks like .*--data\.format {form}\b"):
            load_split(DataConfig(tmp_path, "own", format=other), "val")


def test_two_dialects_in_one_file_are_named_with_the_line(tmp_path: Path) -> None:
    write(tmp_path, ROWS["shikra"][0], ROWS["qwen"][0])
    with pytest.raises(DataError, match=r"val\.jsonl:2: key 'img_path' is missing.*looks like Qwen-VL.*one form"):
        load_split(DataConfig(tmp_path, "own", format="shikra"), "val")
    kept = load_split(DataConfig(tmp_path, "own", format="shikra"), "val", skip_bad_rows=True)
    assert len(kept.expressions) == 1


def test_a_conversation_has_several_phrases_and_boxes(tmp_path: Path) -> None:
    a, b = ("({},{}),({},{})".format(*each) for each in (BOX, SECOND))
    row = turn("Describe it", f"<ref>a dog</ref><box>{a}</box> and <ref>two cats</ref><box>{b}</box><box>{a}</box>")
    row["conversations"] += [
        *turn("Any text?", "None.")["conversations"],
        *turn("Box this: a mug.", str(SECOND))["conversations"],
    ]
    config = DataConfig(write(tmp_path, row, ROWS["llava"][0]), "own", format="llava", boxes="xyxy")
    found = {each.id: each.text for each in load_split(config, "val", skip_bad_rows=True).expressions}
    assert found == {"val:1:0": "a dog", "val:1.2:0": "two cats", "val:1.3:0": "a mug", "val:2:0": "it"}
    errors: list[DataError] = []
    truths = load_truth(config, "val", collect_bad_rows=errors)
    assert {key: truth.boxes.tolist() for key, truth in truths.items()} == {
        "val:1": [BOX],
        "val:1.2": [SECOND, BOX],
        "val:1.3": [SECOND],
    }
    assert len(errors) == 1 and "fraction" in str(errors[0])


@pytest.mark.parametrize(
    ("objects", "answer", "expected"),
    [
        (
            {"ref": ["a", "b"], "bbox": [BOX, SECOND]},
            "<ref-object><bbox> <ref-object><bbox>",
            {"a": [BOX], "b": [SECOND]},
        ),
        ({"ref": ["a"], "bbox": [BOX, SECOND]}, "<bbox><bbox>", {"a": [BOX, SECOND]}),
        (
            {"ref": ["a", "b"], "bbox": [BOX, SECOND, BOX]},
            "<ref-object><bbox><bbox> <ref-object><bbox>",
            {"a": [BOX, SECOND], "b": [BOX]},
        ),
        ({"ref": ["a", "a"], "bbox": [BOX, SECOND]}, "<ref-object><bbox> <ref-object><bbox>", {"a": [BOX, SECOND]}),
    ],
)
def test_ms_swifts_phrases_and_boxes_are_paired(
    tmp_path: Path, objects: dict[str, Any], answer: str, expected: dict[str, Any]
) -> None:
    config = DataConfig(write(tmp_path, messages("find", answer, **objects)), "own", format="ms-swift")
    texts = {each.referent_id: each.text for each in load_split(config, "val").expressions}
    assert {texts[key]: truth.boxes.tolist() for key, truth in load_truth(config, "val").items()} == expected


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (messages("find", "<bbox>", ref=["a", "b"], bbox=[BOX, BOX, BOX]), "2 phrases and 3 boxes in 'objects'"),
        (messages("click", "<bbox>", ref=[], bbox=[[1, 2]]), "0 phrases and 1 boxes"),
        (messages("find", "<bbox>", ref=["a"], bbox=[BOX], bbox_type="norm2"), "bbox_type is 'norm2'"),
        (messages("find", "<bbox>", ref="a", bbox=[BOX]), "'ref' must be a list"),
        (messages("What is it?", "A dog."), "no phrase"),
        ({**messages("find", "<bbox>", ref=["a"], bbox=[BOX]), "images": ["0.png", "1.png"]}, "2 photos; a phrase is"),
        ({**messages("find", "<bbox>", ref=["a"], bbox=[BOX]), "images": []}, "0 photos"),
        ({**messages("find", "<bbox>", ref=["a"], bbox=[BOX]), "images": ["/elsewhere/0.png"]}, "must be relative"),
        ({"messages": [3], "images": ["0.png"]}, r"messages\[0\]: must be a mapping"),
        ({"messages": [{"role": "user", "content": 3}], "images": ["0.png"]}, r"messages\[0\]: must have a text"),
    ],
)
def test_a_bad_row_of_ms_swift_is_named(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=rf"val\.jsonl:1.*{message}"):
        load_split(DataConfig(write(tmp_path, row), "own", format="ms-swift"), "val")


@pytest.mark.parametrize(
    ("name", "boxes", "message"),
    [
        ("shikra", "fraction", "leaves its image|is outside its image"),
        ("qwen", "xywh", "only numbers|leaves its image|no area"),
        ("llava", "xyxy", "look like fractions of the photo"),
    ],
)
def test_a_form_that_contradicts_the_numbers_is_an_error(
    tmp_path: Path, name: str, boxes: BoxForm, message: str
) -> None:
    row, form, _ = ROWS[name]
    text = json.dumps(row).replace(str(BOX), str([20, 20, 40, 39]))
    (write(tmp_path) / "val.jsonl").write_text(text)
    with pytest.raises(BoxError, match=rf"val\.jsonl:1: the box .*({message})"):
        load_truth(DataConfig(tmp_path, "own", format=form, boxes=boxes), "val")


@pytest.mark.parametrize("name", ["ms-swift", "ms-swift, fractions"])
@pytest.mark.parametrize("boxes", ["xyxy", "fraction", "thousandths"])
def test_objects_of_ms_swift_are_what_they_say_beside_messages_of_another_form(
    tmp_path: Path, name: str, boxes: BoxForm
) -> None:
    row, form, _ = ROWS[name]
    [truth] = load_truth(DataConfig(write(tmp_path, row), "own", format=form, boxes=boxes), "val").values()
    assert truth.box.tolist() == pytest.approx(BOX, abs=0.01)


def test_boxes_in_other_brackets_of_a_conversation_with_qwen_must_be_named(tmp_path: Path) -> None:
    write(tmp_path, turn("Picture 1: <img>0.png</img>\nLocate it", f'{{"bbox_2d": {THOUSANDTHS}}}', image=None))
    config = DataConfig(tmp_path, "own", format="qwen")
    with pytest.raises(ConfigError, match=r"does not say .*--data\.boxes.*thousandths for Qwen2-VL and Qwen3-VL"):
        load_truth(config, "val")
    [truth] = load_truth(replace(config, boxes="thousandths"), "val").values()
    assert truth.box.tolist() == pytest.approx(BOX, abs=0.01)


@pytest.mark.parametrize("name", ["llava", "ms-swift, markup"])
def test_boxes_of_an_unsaid_form_are_never_guessed(tmp_path: Path, name: str) -> None:
    row, form, _ = ROWS[name]
    config = DataConfig(write(tmp_path, row), "own", format=form)
    assert len(load_split(config, "val").expressions) == 1  # training needs no boxes
    with pytest.raises(ConfigError, match=rf"format {form} does not say .* --data\.boxes xyxy, .*padded"):
        load_truth(config, "val")


def test_boxes_need_no_photo_if_the_row_has_its_size(tmp_path: Path) -> None:
    for name in ("shikra", "qwen", "vlm-r1"):
        row, form, _ = ROWS[name]
        config = DataConfig(write(tmp_path / name, row, photo=False), "own", format=form)
        [truth] = load_truth(config, "val").values()
        assert (truth.box.tolist(), truth.size) == (BOX, (48, 40))
    own = {"image": "0.png", "expression": "it", "box": SHARES, **SIZE}
    config = DataConfig(write(tmp_path / "own", own, photo=False), "jsonl", boxes="fraction")
    assert [truth.box.tolist() for truth in load_truth(config, "val").values()] == [pytest.approx(BOX)]
    with pytest.raises(ImageError, match="no such file"):
        load_split(config, "val")


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ({"width": 48}, "'height' is missing"),
        ({"width": 0, "height": 40}, "at least 1"),
        ({"width": "x", "height": 1}, "whole"),
    ],
)
def test_a_bad_size_in_a_row_is_an_error(tmp_path: Path, size: dict[str, Any], message: str) -> None:
    config = DataConfig(write(tmp_path, {"image": "0.png", "expression": "it", "box": BOX, **size}), "jsonl")
    with pytest.raises(DataError, match=rf"val\.jsonl:1: .*{message}"):
        load_truth(config, "val")


def test_an_absolute_path_below_the_folder_of_the_photos_is_read(tmp_path: Path) -> None:
    row = messages("find", "<bbox>", ref=["it"], bbox=[BOX]) | {"images": [str(tmp_path / "photos" / "0.png")]}
    write(tmp_path, row, photo=False)
    write_image(tmp_path / "photos" / "0.png", 0)
    config = DataConfig(tmp_path, "own", format="ms-swift", images=tmp_path / "photos")
    assert [*load_split(config, "val").images] == ["0.png"]


MDETR = {
    "images": [
        {"file_name": "0.png", "id": n, "original_id": 9, "caption": text, "dataset_name": "refcoco", **SIZE}
        for n, text in enumerate(("it", "the thing"))
    ],
    "annotations": [
        {"bbox": [2, 5, 12, 25], "image_id": n, "category_id": 18, "id": n, "tokens_positive": [[0, 2]]} for n in (0, 1)
    ],
    "categories": [{"id": 18, "name": "dog"}],
}


def test_mdetrs_json_is_read(tmp_path: Path) -> None:
    (write(tmp_path) / "val.jsonl").unlink()
    (tmp_path / "finetune_refcoco_val.json").write_text(json.dumps(MDETR))
    config = DataConfig(tmp_path, "refcoco", format="mdetr", images=tmp_path)
    assert split_names(config) == ("val",)
    split = load_split(config, "val")
    assert [(e.text, e.image_id, e.category) for e in split.expressions] == [
        ("it", "9", "dog"),
        ("the thing", "9", "dog"),
    ]
    assert [truth.box.tolist() for truth in load_truth(config, "val").values()] == [BOX, BOX]


def test_mdetrs_phrases_within_a_caption_are_refused(tmp_path: Path) -> None:
    write(tmp_path)
    annotations = [{**MDETR["annotations"][0], "tokens_positive": [[n, 2]]} for n in (0, 1)]
    (tmp_path / "val.json").write_text(json.dumps({**MDETR, "annotations": annotations}))
    with pytest.raises(DataError, match=r"val\.json: images\[0\]: its annotations belong to different words"):
        load_split(DataConfig(tmp_path, "own", format="mdetr"), "val")


def ofa_line(photo: bool = True, **changes: str) -> str:
    content = base64.urlsafe_b64encode(Path("0.png").read_bytes()).decode() if photo else None
    cells = {"uniq-id": "79_1", "image-id": "7", "text": "it", "region": "2,5,14,30"} | changes
    return "\t".join([*cells.values(), *([content] if content else [])])


def test_ofas_tsv_is_read_and_holds_the_size_of_its_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write(tmp_path / "photos"))
    (tmp_path / "refcoco_val.tsv").write_text(f"{ofa_line()}\n{ofa_line(**{'uniq-id': '80', 'text': 'that'})}\n")
    config = DataConfig(tmp_path, "refcoco", format="ofa")
    split = load_split(config, "val", check_images=False)
    assert [(e.referent_id, e.text, e.image_id) for e in split.expressions] == [
        ("79_1", "it", "7"),
        ("80", "that", "7"),
    ]
    assert split.images["7"].path.name == "COCO_train2014_000000000007.jpg"
    assert [(t.box.tolist(), t.size) for t in load_truth(config, "val").values()] == [(BOX, (48, 40))] * 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1\t2\tit", "3 columns; OFA's files have 5: uniq-id, image-id, text, region-coord, photo"),
        ("1\t2\tit\t1,2,3,4\tx\ty", "6 columns"),
        ("1\t2\tit\t1,2,three,4\t", "the region '1,2,three,4' must be x1,y1,x2,y2"),
        ("1\t2\tit\tnan,2,3,4\t", "the box must be four finite numbers"),
        ("1\t2\tit\tinf,2,3,4\t", "the box must be four finite numbers"),
        ("1\t2\tit\t1,2,3\t", "the box must be four finite numbers"),
        ("1\t2\tit\t1,2,3,4\t!!", "the photo is not base64"),
        ("1\t2\tit\t1,2,3,4\tAAAA", "not an image|cannot be|no image"),
    ],
)
def test_a_bad_line_of_ofas_is_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "val.tsv").write_text(line + "\n")
    for name in (2,):
        write_image(tmp_path / f"{name}.png", 0)
    if not line.endswith(("!!", "AAAA")):
        (tmp_path / "0.png").unlink(missing_ok=True)
        write_image(tmp_path / "COCO_train2014_000000000002.jpg", 0)
    with pytest.raises(DataError, match=rf"val\.tsv:1: .*({message})"):
        load_truth(DataConfig(tmp_path, "own", format="ofa"), "val")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", '"5"', "true", "null"])
@pytest.mark.parametrize("name", ["shikra", "ms-swift", "vlm-r1"])
def test_a_number_that_is_not_finite_is_an_error(tmp_path: Path, name: str, number: str) -> None:
    row, form, _ = ROWS[name]
    text = json.dumps(row).replace("[2, 5, 14, 30]", f"[{number}, 5, 14, 30]")
    (write(tmp_path) / "val.jsonl").write_text(text)
    with pytest.raises(DataError, match=r"val\.jsonl:1: the box must be four finite numbers"):
        load_truth(DataConfig(tmp_path, "own", format=form), "val")


def test_a_huge_line_is_one_bad_row(tmp_path: Path) -> None:
    path = write(tmp_path) / "val.jsonl"
    row = json.dumps({"image": "0.png", "expression": "it"}).encode()
    with path.open("wb") as file:
        file.write(row + b"\n")
        for _ in range(MAX_LINE_BYTES // 2**22 + 1):
            file.write(b" " * 2**22)
        file.write(b"\n" + row)
    with pytest.raises(DataError, match=r"val\.jsonl:2: the line has more than 67,108,864 bytes"):
        load_split(DataConfig(tmp_path, "jsonl"), "val")
    kept = load_split(DataConfig(tmp_path, "jsonl"), "val", skip_bad_rows=True)
    assert [each.referent_id for each in kept.expressions] == ["val:1", "val:3"]


OWN = {"file": {"name": "0.png"}, "query": "it", "boxes_px": [BOX], "when": 3, **SIZE}


def test_keys_of_your_own_are_named_with_fields(tmp_path: Path) -> None:
    fields = ("image=file.name", "expression=query", "box=boxes_px.0")
    config = DataConfig(write(tmp_path, OWN), "jsonl", fields=fields)
    assert config == DataConfig(tmp_path, "jsonl", fields=dict(each.split("=") for each in fields))
    assert [each.text for each in load_split(config, "val").expressions] == ["it"]
    assert [truth.box.tolist() for truth in load_truth(config, "val").values()] == [BOX]


def test_a_field_of_a_dialect_can_be_another_key(tmp_path: Path) -> None:
    row = ROWS["vlm-r1"][0] | {"normalized_solution": THOUSANDTHS}
    write(tmp_path, row)
    config = DataConfig(tmp_path, "own", format="vlm-r1", fields=("box=normalized_solution",), boxes="thousandths")
    assert [truth.box.tolist() for truth in load_truth(config, "val").values()] == [pytest.approx(BOX)]


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (
            "expression=question",
            r"val\.jsonl: no row has the key 'question', .* for 'expression'; its rows have 'file', 'query'",
        ),
        (
            "box=corners",
            r"val\.jsonl: no row has the key 'corners', which --data\.fields names for 'box'; .*'boxes_px'",
        ),
        ("category=label", r"no row has the key 'label', which --data\.fields names for 'category'"),
    ],
)
def test_a_field_that_names_an_absent_key_is_an_error(tmp_path: Path, field: str, message: str) -> None:
    fields = {"image": "file.name", "expression": "query"} | dict([field.split("=")])
    config = DataConfig(write(tmp_path, OWN), "jsonl", fields=fields)
    with pytest.raises(DataError, match=message):
        load_truth(config, "val")


@pytest.mark.parametrize(
    ("form", "fields", "message"),
    [
        ("jsonl", ("expression",), "write aligncat's key, =, and the key in your file"),
        ("jsonl", ("=x",), "write aligncat's key"),
        ("jsonl", ("expresion=x",), "aligncat has no key 'expresion'.*did you mean.*expression"),
        ("jsonl", ("box=x", "box=y"), "'box' is there twice"),
        ("refer", ("box=x",), "format refer has no keys to choose.* jsonl, shikra, qwen, vlm-r1"),
        ("mdetr", ("box=x",), "format mdetr has no keys to choose"),
    ],
)
def test_bad_fields_are_refused(tmp_path: Path, form: str, fields: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DataConfig(tmp_path, "own", format=form, fields=fields)


def test_two_files_of_one_split_are_refused(tmp_path: Path) -> None:
    for name in ("refcoco_val.jsonl", "refcocog_val.jsonl"):
        write(tmp_path, ROWS["shikra"][0], name=name)
    with pytest.raises(DataError, match=r"refcoco_val\.jsonl and refcocog_val\.jsonl are both the split val"):
        split_names(DataConfig(tmp_path, "own", format="shikra"))
    with pytest.raises(DataError, match=r"are both the split val"):
        load_split(DataConfig(tmp_path, "own", format="shikra"), "val")


def test_a_missing_split_names_those_that_are_there(tmp_path: Path) -> None:
    write(tmp_path, ROWS["shikra"][0], name="REC_val.jsonl")
    with pytest.raises(DataError, match=r"no file of the split 'test'; .*REC_val\.jsonl.*the splits val"):
        load_split(DataConfig(tmp_path, "own", format="shikra"), "test")


GREFCOCO = [{"ref_id": 2, "ann_id": [-1], "image_id": 9, "no_target": True, "sentences": [{"sent": "the unicorn"}]}]


def test_files_are_recognised_by_their_beginning(tmp_path: Path) -> None:
    for content, name, expected in (
        (json.dumps(MDETR), "finetune_refcoco_val.json", "MDETR's JSON; read it with --data.format mdetr"),
        (json.dumps([ROWS["llava"][0]]), "x.json", "--data.format llava, and name the form of its boxes"),
        ("1\t2\tit\t1,2,3,4\tAAAA\n", "x.tsv", "OFA's TSV; read it with --data.format ofa"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_text(content)
        others = [DataConfig(folder, "refcoco"), DataConfig(folder, "own", format="simrec")]
        for config in (DataConfig(folder, "jsonl"), DataConfig(folder, "own", format="coco-csv"), *others):
            with pytest.raises(DataError) as caught:
                split_names(config)
            assert f"{name} looks like" in str(caught.value) and expected in str(caught.value)


def test_grefcoco_and_cocos_key_are_named(tmp_path: Path) -> None:
    (tmp_path / "grefcoco").mkdir()
    (tmp_path / "grefcoco" / "grefs(unc).json").write_text(json.dumps(GREFCOCO))
    with pytest.raises(DataError, match=r"looks like gRefCOCO's .* read with --data\.dataset grefcoco"):
        load_split(DataConfig(tmp_path, "grefcoco"), "val")
    row = {"image": "0.png", "expression": "it", "bbox": [2, 5, 12, 25]}
    with pytest.raises(
        DataError, match=r"COCO's key bbox; read it with --data\.fields box=bbox, and --data\.boxes xywh"
    ):
        load_split(DataConfig(write(tmp_path / "coco", row), "jsonl"), "val")
    config = DataConfig(tmp_path / "coco", "jsonl", fields={"box": "bbox"}, boxes="xywh")
    assert [truth.box.tolist() for truth in load_truth(config, "val").values()] == [BOX]


def test_other_json_files_are_not_named(tmp_path: Path) -> None:
    (tmp_path / "notes.json").write_text('{"images": [], "annotations": [], "categories": []}')
    with pytest.raises(DataError) as caught:
        split_names(DataConfig(tmp_path, "jsonl"))
    assert "looks like" not in str(caught.value)


def test_each_dialect_is_a_format_and_documented_with_its_source() -> None:
    page = (Path(__file__).parents[3] / "docs" / "formats.md").read_text()
    for name, dialect in DIALECTS.items():
        assert name in FORMATS
        assert f"`{name}`" in page and (dialect.source in page or name == "jsonl")


KEYS = sorted({"image", "images", "expression", "sent", "bbox", "objects", "messages", "conversations", "img_path"})
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.sampled_from(["a", "<ref>", "", "[1,2,3,4]"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["ref", "bbox", "from", "value", "role", "content", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(sorted(DIALECTS)), rows=st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES), max_size=3)
)
def test_no_row_leads_to_another_error_than_ours(
    name: str, rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("rows")
    (root / "val.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = DataConfig(root, "own", format=name, boxes="xyxy")
    bad_rows = BadRows(root, skip=True)
    if ".jsonl" in DIALECTS[name].suffixes:
        assert len([*referent_rows(config, "val", bad_rows, AnnotationFiles(), truth=True)]) <= 20
        assert all(isinstance(error, DataError) for error in bad_rows.errors)
        load_truth(config, "val", collect_bad_rows=[])
        load_split(config, "val", collect_bad_rows=[])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a dog", "two cats", "x"]),
            st.lists(st.tuples(*[st.integers(0, 999)] * 4), min_size=1, max_size=3),
        ),
        max_size=4,
    ),
    st.booleans(),
)
def test_markup_gives_back_what_was_written(pairs: list[tuple[str, list[tuple[int, ...]]]], corners: bool) -> None:
    form = "<box>({},{}),({},{})</box>" if corners else "<box>[{}, {}, {}, {}]</box>"
    text = " and ".join(f"<ref>{phrase}</ref>" + "".join(form.format(*box) for box in boxes) for phrase, boxes in pairs)
    expected: dict[str, list[list[float]]] = {}
    for phrase, boxes in pairs:
        expected.setdefault(phrase, []).extend([*map(float, box)] for box in boxes)
    found = marked(text)
    assert (found.named, found.unnamed) == (expected, [])
    assert found.corners == (corners and bool(pairs))


@given(st.text(alphabet='<>[](){}refbox|_,. 0123\n"', max_size=400))
def test_any_text_is_read_without_an_error(text: str) -> None:
    marked(text)
    phrase_of(text)


def test_long_texts_take_linear_time() -> None:
    for piece in ("[", "[1,", "(1,2)", "<ref>", "[ ", "1", "<", "(1,2) "):
        marked(piece * 100_000)
        phrase_of(piece * 100_000)


def test_cases_that_people_have_are_all_dialects() -> None:
    assert {"shikra", "qwen", "vlm-r1", "ms-swift", "llava", "mdetr", "ofa"} <= {*DIALECTS} <= {*FORMATS}
    assert cast("Any", DIALECTS["llava"]).advice


def test_json_lines_and_json_lists_side_by_side_are_splits_alike(tmp_path: Path) -> None:
    row = {"img_path": "0.png", "expression": "it", "bbox": BOX}
    write(tmp_path, row, name="train.jsonl")
    write(tmp_path, [{**row, "expression": "that"}], name="my_val.json")
    (tmp_path / "test.json").write_text('\ufeff\n[{"img_path": "0.png", "expression": "this"}]', encoding="utf-8")
    (tmp_path / "instances.json").write_text('{"images": []}', encoding="utf-8")
    data = DataConfig(tmp_path, "own", format="shikra")
    assert split_names(data) == ("train", "test", "val")
    found = {name: [each.text for each in load_split(data, name).expressions] for name in split_names(data)}
    assert found == {"train": ["it"], "test": ["this"], "val": ["that"]}


def test_one_split_as_json_lines_and_as_a_json_list_is_an_error(tmp_path: Path) -> None:
    row = {"img_path": "0.png", "expression": "it", "bbox": BOX}
    write(tmp_path, row, name="val.jsonl")
    write(tmp_path, [row], name="val.json")
    with pytest.raises(DataError, match=r"val\.json.* are both the split val; remove one if they are the same data"):
        split_names(DataConfig(tmp_path, "own", format="shikra"))


def test_a_json_file_that_is_no_list_is_named_if_it_is_the_only_one(tmp_path: Path) -> None:
    (tmp_path / "val.json").write_text('{"images": []}', encoding="utf-8")
    with pytest.raises(DataError, match="must be a list of rows, not a mapping"):
        load_split(DataConfig(tmp_path, "own", format="shikra"), "val")


@pytest.mark.parametrize(
    ("category_id", "category"), [(18, "dog"), (18.0, "dog"), ("18", "dog"), (3, None), (None, None), ([18], DataError)]
)
def test_a_category_of_mdetr_is_that_of_its_id_however_it_is_written(
    tmp_path: Path, category_id: Any, category: Any
) -> None:
    image = {"id": 1, "original_id": 9, "file_name": "0.png", "caption": "it", **SIZE}
    row = {"image_id": 1, "category_id": category_id, "bbox": [2, 5, 12, 25], "tokens_positive": []}
    document = {"images": [image], "annotations": [row], "categories": [{"id": 18, "name": "dog"}]}
    write(tmp_path, document, name="val.json")
    data = DataConfig(tmp_path, "own", format="mdetr")
    if category is DataError:
        with pytest.raises(DataError, match="'category_id' must be an id"):
            load_truth(data, "val")
    else:
        assert [truth.category for truth in load_truth(data, "val").values()] == [category]
