"""REFER's layout, good and bad."""

from __future__ import annotations

import copy
import json
import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.fabricate import ReferFiles, things_of, write_refer_dataset

from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import load_split, load_truth
from aligncat.datasets.split import Split
from aligncat.errors import ConfigError, DataError, ImageError, UnsafePickleError
from aligncat.types import Expression

REAL_PHOTOS = Path(__file__).resolve().parents[3].parent / "shared" / "real" / "photos"


@pytest.fixture
def files(tmp_path: Path) -> ReferFiles:
    return write_refer_dataset(tmp_path)


def test_a_split_holds_its_sentences_in_the_files_order(files: ReferFiles) -> None:
    split = load_split(files.config, "val")
    assert (split.dataset, split.split, split.split_by) == ("refcoco", "val", "unc")
    first = things_of(4)[0]  # val begins at image 4
    assert split.expressions[0] == Expression(
        id="16",
        referent_id="8",
        image_id="1004",
        text=f"{first.colour} {first.category}",
        category=first.category,
    )
    assert [e.id for e in split.expressions] == [str(i) for i in range(16, 24)]
    assert list(split.images) == ["1004", "1005"]
    assert split.images["1004"].path == files.image_folder / "COCO_train2014_000000001004.png"
    assert {r: [e.id for e in group] for r, group in split.sentences_by_referent().items()} == {
        "8": ["16", "17"],
        "9": ["18", "19"],
        "10": ["20", "21"],
        "11": ["22", "23"],
    }


@pytest.mark.parametrize(
    ("dataset", "split_by", "splits"),
    [
        ("refcoco", "unc", ["train", "val", "testA", "testB"]),
        ("refcoco+", "unc", ["train", "val", "testA", "testB"]),
        ("refcocog", "umd", ["train", "val", "test"]),
        ("refcocog", "google", ["train", "val"]),
        ("mojiref+", "unc", ["train", "val", "testA", "testB"]),
    ],
)
def test_every_dataset_and_split_by_is_read_by_name(
    tmp_path: Path, dataset: Any, split_by: str, splits: list[str]
) -> None:
    files = write_refer_dataset(tmp_path, dataset, split_by, dict.fromkeys(splits, 1))
    for split in splits:
        assert len(load_split(files.config, split).expressions) == 4
        assert len(load_truth(files.config, split)) == 2


def test_sentence_kinds_pass_through(files: ReferFiles) -> None:
    files.refs[0]["sentences"][0] |= {"kind": "colour", "needed": ["colour"], "redundant": ["place", "size"]}
    files.save()
    first, second = load_split(files.config, "train").expressions[:2]
    assert (first.kind, first.needed, first.redundant) == ("colour", ("colour",), ("place", "size"))
    assert (second.kind, second.needed, second.redundant) == (None, (), ())


@pytest.mark.parametrize("place", ["images/mscoco/images/train2014", "images/refcoco", "images"])
def test_images_are_found_in_the_usual_places(tmp_path: Path, place: str) -> None:
    for other in ("images/mscoco/images/train2014", "images/refcoco"):
        (tmp_path / other).mkdir(parents=True)
    files = write_refer_dataset(tmp_path, image_folder=place)
    assert {r.path.parent for r in load_split(files.config, "train").images.values()} == {tmp_path / place}


def test_images_are_taken_from_the_folder_given(tmp_path: Path) -> None:
    files = write_refer_dataset(tmp_path, image_folder="elsewhere")
    config = DataConfig(tmp_path, "refcoco", images=tmp_path / "elsewhere")
    assert all(record.path.is_file() for record in load_split(config, "train").images.values())
    with pytest.raises(ImageError, match=r"none of its images .*train2014.*images.*`images`"):
        load_split(files.config, "train")
    with pytest.raises(ImageError, match=r"nowhere: the images folder does not exist"):
        load_split(DataConfig(tmp_path, "refcoco", images=tmp_path / "nowhere"), "train")


def strip_values(instances: dict[str, Any]) -> None:
    for annotation in instances["annotations"]:
        for key in ("bbox", "segmentation"):
            del annotation[key]


def strip_annotations(instances: dict[str, Any]) -> None:
    del instances["annotations"]


def strip_sizes_too(instances: dict[str, Any]) -> None:
    strip_annotations(instances)
    for image in instances["images"]:
        del image["width"], image["height"]


@pytest.mark.parametrize("strip", [strip_values, strip_annotations, strip_sizes_too])
def test_a_split_is_the_same_without_boxes_and_masks(
    files: ReferFiles, strip: Callable[[dict[str, Any]], None]
) -> None:
    whole: dict[str, Split] = {name: load_split(files.config, name) for name in ("train", "val", "testA")}
    strip(files.instances)
    files.save()
    for name, split in whole.items():
        assert load_split(files.config, name) == split
    with pytest.raises(DataError, match=r"instances\.json.*(bbox|annotations|width)"):
        load_truth(files.config, "train")


def test_images_can_be_missing_if_they_are_not_checked(files: ReferFiles) -> None:
    whole = load_split(files.config, "train")
    for record in whole.images.values():
        record.path.unlink()
    assert load_split(files.config, "train", check_images=False) == whole


def test_a_long_expression_is_read_completely(files: ReferFiles) -> None:
    text = "dog " * 10_000
    files.refs[0]["sentences"][0]["sent"] = text
    files.save()
    assert load_split(files.config, "train").expressions[0].text == text


Change = Callable[[ReferFiles], object]


def setting(key: str, value: object) -> Change:
    return lambda files: files.refs[1].update({key: value})


def setting_sentence(key: str, value: object) -> Change:
    return lambda files: files.refs[1]["sentences"][1].update({key: value})


def dropping(key: str) -> Change:
    return lambda files: files.refs[1].pop(key)


def dropping_sentence(key: str) -> Change:
    return lambda files: files.refs[1]["sentences"][1].pop(key)


ROW = r"refs\(unc\)\.p: row 1 \(ref_id 1\)"
SENTENCE = ROW + r", sentences\[1\]"

# Name -> (change that makes a row bad, pattern of the message, number of the 16 training sentences that are left).
BAD_ROWS: dict[str, tuple[Change, str, int]] = {
    "empty expression": (setting_sentence("sent", ""), SENTENCE + ": empty expression ''", 15),
    "blank expression": (setting_sentence("sent", " \t\n"), SENTENCE + ": empty expression", 15),
    "only punctuation": (setting_sentence("sent", "-/.,'!?\"()*#:;"), SENTENCE + ": empty expression", 15),
    "foreign punctuation": (setting_sentence("sent", "…«»。"), SENTENCE + ": empty expression", 15),
    "expression no string": (setting_sentence("sent", 7), SENTENCE + ".*must be a string, not 7", 15),
    "no sent": (dropping_sentence("sent"), SENTENCE + ": key 'sent' is missing", 15),
    "no sent_id": (dropping_sentence("sent_id"), SENTENCE + ": key 'sent_id' is missing", 15),
    "sent_id no id": (setting_sentence("sent_id", 1.5), SENTENCE + ": 'sent_id' must be an id", 15),
    "sent_id bool": (setting_sentence("sent_id", True), SENTENCE + ": 'sent_id' must be an id", 15),
    "duplicate sent_id": (setting_sentence("sent_id", 0), SENTENCE + ": the id 0 was used before", 15),
    "kind no string": (setting_sentence("kind", 3), SENTENCE + ": 'kind' must be a string", 15),
    "needed no list": (
        setting_sentence("needed", "colour"),
        SENTENCE + ": 'needed' must be a list of str",
        15,
    ),
    "sentence no mapping": (
        lambda f: f.refs[1]["sentences"].append("dog"),
        r"sentences\[2\]: must be a map",
        16,
    ),
    "no sentences": (dropping("sentences"), ROW + ": key 'sentences' is missing", 14),
    "sentences empty": (setting("sentences", []), ROW + ": 'sentences' is empty", 14),
    "sentences no list": (setting("sentences", "dog"), ROW + ": 'sentences' must be a list", 14),
    "no ref_id": (dropping("ref_id"), r"row 1 \(ref_id None\): key 'ref_id' is missing", 14),
    "duplicate ref_id": (setting("ref_id", 0), r"row 1 \(ref_id 0\): the id 0 was used before", 14),
    "huge ref_id": (setting("ref_id", 10**5000), r"row 1 \(ref_id int\): 'ref_id' must be an id", 14),
    "no category_id": (dropping("category_id"), ROW + ": key 'category_id' is missing", 14),
    "unknown category_id": (setting("category_id", 12), ROW + r": category_id 12 is not in .*1, 18, 63", 14),
    "category_id no number": (
        setting("category_id", "dog"),
        ROW + ": 'category_id' must be a whole number",
        14,
    ),
    "no image_id": (dropping("image_id"), ROW + ": key 'image_id' is missing", 14),
    "unknown image_id": (setting("image_id", 9), ROW + ": image_id 9 is not among the images of", 14),
    "no split": (dropping("split"), r"row 1: key 'split' is missing", 14),
    "row no mapping": (lambda f: f.refs.__setitem__(1, ["x"]), "row 1: must be a mapping .* not list", 14),
    "no file_name": (
        lambda f: f.instances["images"][1].pop("file_name"),
        r"instances\.json: image 1001: key 'file_name' is missing",
        12,
    ),
    "missing image": (
        lambda f: (f.image_folder / "COCO_train2014_000000001001.png").unlink(),
        r"1001\.png: no such file, but refcoco has expressions of image 1001",
        12,
    ),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_an_error_that_says_where(files: ReferFiles, name: str) -> None:
    change, message, _ = BAD_ROWS[name]
    change(files)
    files.save()
    with pytest.raises(DataError, match=message):
        load_split(files.config, "train")


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_can_be_skipped_with_a_warning(
    files: ReferFiles, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    change, _, left = BAD_ROWS[name]
    change(files)
    files.save()
    with caplog.at_level(logging.WARNING, logger="aligncat.datasets"):
        split = load_split(files.config, "train", skip_bad_rows=True)
    assert len(split.expressions) == left
    assert {expression.image_id for expression in split.expressions} == set(split.images)
    [warning] = caplog.messages
    assert f"bad rows, kept {left}: " in warning and "refs(unc).p" in warning


def test_the_warning_counts_all_bad_rows_and_shows_the_first(
    files: ReferFiles, caplog: pytest.LogCaptureFixture
) -> None:
    for ref in files.refs[:5]:
        ref["sentences"][0]["sent"] = "?"
    files.save()
    load_split(files.config, "train", skip_bad_rows=True)
    [warning] = caplog.messages
    assert "skipped 5 bad rows, kept 11" in warning
    assert warning.count("empty expression") == 3 and warning.endswith("and 2 more")


def test_there_is_no_warning_if_no_row_is_skipped(files: ReferFiles, caplog: pytest.LogCaptureFixture) -> None:
    load_split(files.config, "train", skip_bad_rows=True)
    load_truth(files.config, "train", skip_bad_rows=True)
    assert not caplog.messages


def test_a_split_of_bad_rows_only_is_an_error_even_when_skipping(files: ReferFiles) -> None:
    for ref in files.refs:
        ref["category_id"] = 99
    files.save()
    with pytest.raises(DataError, match=r"no usable row: .*category_id 99"):
        load_split(files.config, "val", skip_bad_rows=True)


def test_a_bad_row_of_another_split_does_not_matter(files: ReferFiles) -> None:
    files.refs[0]["sentences"][0]["sent"] = ""
    files.save()
    assert len(load_split(files.config, "val").expressions) == 8


@pytest.mark.parametrize("load", [load_split, load_truth])
def test_a_missing_split_lists_the_existing_ones(files: ReferFiles, load: Callable[..., object]) -> None:
    with pytest.raises(DataError, match=r"no split 'test'; it has testA, testB, train, val"):
        load(files.config, "test")


def test_a_missing_split_by_lists_the_existing_ones(tmp_path: Path) -> None:
    write_refer_dataset(tmp_path, "refcocog", "umd")
    with pytest.raises(DataError, match=r"refs\(unc\)\.p: no such file; .*refcocog has refs\(umd\)\.p; .*split_by"):
        load_split(DataConfig(tmp_path, "refcocog"), "train")


def test_a_missing_dataset_lists_the_existing_files(tmp_path: Path) -> None:
    write_refer_dataset(tmp_path)
    with pytest.raises(DataError, match=r"refcoco\+/instances\.json: no such file; .* has images, refcoco;"):
        load_split(DataConfig(tmp_path, "refcoco+"), "train")
    with pytest.raises(DataError, match="no such file"):
        load_split(DataConfig(tmp_path / "a" / "b", "refcoco"), "train")


def test_a_dataset_may_have_any_name(tmp_path: Path) -> None:
    files = write_refer_dataset(tmp_path, "stamps", image_folder="images/stamps")
    split = load_split(DataConfig(tmp_path, "stamps"), "val")
    assert (split.dataset, split.split_by, len(split.expressions)) == ("stamps", "unc", 8)
    assert all(record.path.parent == files.image_folder for record in split.images.values())
    assert files.config.division == "stamps"


def test_a_misspelt_dataset_is_a_missing_folder(tmp_path: Path) -> None:
    write_refer_dataset(tmp_path)
    with pytest.raises(DataError, match=r"refcok/instances.json: .* has images, refcoco; check `path`, `dataset` and"):
        load_split(DataConfig(tmp_path, "refcok"), "val")


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "C:\\data"])
def test_a_datasets_name_is_part_of_file_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"a dataset's name has at most 60 letters, digits and \. _ \+ -"):
        DataConfig(tmp_path, name)


@pytest.mark.parametrize("data", [{"refs": []}, ("a",), "text", None])
def test_refs_that_are_not_a_list_are_an_error(files: ReferFiles, data: object) -> None:
    files.refs_path.write_bytes(pickle.dumps(data))
    with pytest.raises(DataError, match=r"refs\(unc\)\.p: must hold a list of refs, not"):
        load_split(files.config, "train")


def test_a_hostile_or_truncated_refs_file_is_never_skipped(files: ReferFiles) -> None:
    whole = files.refs_path.read_bytes()
    files.refs_path.write_bytes(whole[:-100])
    with pytest.raises(DataError, match="truncated"):
        load_split(files.config, "train", skip_bad_rows=True)
    files.refs_path.write_bytes(b"cbuiltins\nprint\n(S'x'\ntR.")
    with pytest.raises(UnsafePickleError, match=r"builtins\.print"):
        load_split(files.config, "train", skip_bad_rows=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "must be a mapping"),
        ('{"categories": []}', "key 'images' is missing"),
        ('{"images": []}', "key 'categories' is missing"),
        ('{"images": {}, "categories": []}', "'images' must be a list"),
        ('{"images": [{"id": 1}, {"id": 1}], "categories": []}', r"images\[1\]: the id 1 was used before"),
        ('{"images": [{}], "categories": []}', r"images\[0\]: key 'id' is missing"),
        ('{"images": [], "categories": [{"id": 1}]}', r"categories\[0\]: key 'name' is missing"),
        ('{"images": [], "categories": [{"id": "a", "name": "b"}]}', "'id' must be a whole number"),
        ("[" * 100_000, "nested too deeply"),
        ('{"images": ' + "9" * 5000 + "}", "not JSON"),
    ],
)
def test_a_bad_instances_file_is_an_error_that_says_where(files: ReferFiles, text: str, message: str) -> None:
    files.instances_path.write_text(text)
    with pytest.raises(DataError, match=r"instances\.json.*" + message):
        load_split(files.config, "train", skip_bad_rows=True)


def test_instances_that_are_not_text_are_an_error(files: ReferFiles) -> None:
    files.instances_path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read as UTF-8"):
        load_split(files.config, "train")


def template_refs(instances: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a ref "the <category>" for each annotation that is the only one of its category in its photo."""
    names = {category["id"]: category["name"] for category in instances["categories"]}
    kinds = [(a["image_id"], a["category_id"]) for a in instances["annotations"]]
    refs = []
    for annotation in instances["annotations"]:
        if kinds.count((annotation["image_id"], annotation["category_id"])) == 1:
            number = len(refs)
            text = f"the {names[annotation['category_id']]}"
            refs.append(
                {
                    "ref_id": number,
                    "ann_id": annotation["id"],
                    "image_id": annotation["image_id"],
                    "category_id": annotation["category_id"],
                    "split": "val",
                    "sentences": [{"sent_id": number, "sent": text, "raw": text, "tokens": text.split()}],
                }
            )
    return refs


@pytest.mark.skipif(not REAL_PHOTOS.is_dir(), reason="the 100 COCO photos are not on this machine")
def test_real_coco_photos_are_read_in_refers_layout(tmp_path: Path) -> None:
    instances = json.loads((REAL_PHOTOS / "instances.json").read_text())
    config = DataConfig(tmp_path, "refcoco", images=REAL_PHOTOS / "images")
    files = ReferFiles(config, REAL_PHOTOS / "images", template_refs(instances), copy.deepcopy(instances)).save()
    split, truth = load_split(config, "val"), load_truth(config, "val")
    assert len(split.expressions) == len(files.refs) > 150
    assert set(truth) == set(split.sentences_by_referent())
    sizes = {str(image["id"]): [image["height"], image["width"]] for image in instances["images"]}
    for expression in split.expressions:
        mask = truth[expression.referent_id].mask
        assert mask is not None and mask["size"] == sizes[expression.image_id]
        assert expression.text == f"the {truth[expression.referent_id].category}"
