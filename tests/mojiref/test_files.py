"""The files that make_mojiref writes."""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import sys
import time
from _thread import interrupt_main
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from helpers.checker import FLAVOURS, SPLITS, MojiRefFiles
from PIL import Image
from pycocotools import mask as coco_mask

from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import load_split, load_truth
from aligncat.errors import ConfigError, DataError, WriteError
from aligncat.language.tokens import tokenize
from aligncat.mojiref.build import make_mojiref
from aligncat.mojiref.recipe import MojiRefConfig

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools

TINY = MojiRefConfig(train=3, val=1, test=1)
ANIMALS = {"bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"}


def digests(folder: Path) -> dict[str, str]:
    """Return path -> hash for every file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_gives_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from aligncat.mojiref.build import make_mojiref; "
        "from aligncat.mojiref.recipe import MojiRefConfig; "
        "make_mojiref(out=Path(sys.argv[1]), recipe=MojiRefConfig(train=3, val=1, test=1))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "42", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code, tmp_path / "there"], check=True, env=environment, capture_output=True)
    here = digests(make_mojiref(out=tmp_path / "here", recipe=TINY))
    assert len(here) == 6 + 4 * 2 + 1
    assert digests(tmp_path / "there") == here


def test_another_seed_gives_other_pictures_and_phrases(tmp_path: Path) -> None:
    one = digests(make_mojiref(out=tmp_path / "one", recipe=TINY))
    other = digests(make_mojiref(out=tmp_path / "other", recipe=MojiRefConfig(train=3, val=1, test=1, seed=1)))
    assert one.keys() == other.keys()
    assert {name for name in one if one[name] == other[name]} == {"ATTRIBUTION.txt"}


def test_more_scenes_do_not_change_the_first_ones(mojiref: Path, tmp_path: Path) -> None:
    few, many = digests(make_mojiref(out=tmp_path / "few", recipe=TINY)), digests(mojiref)
    assert all(many[name] == digest for name, digest in few.items() if name.startswith("images"))


def test_with_redundancy_0_no_attribute_is_redundant(tmp_path: Path) -> None:
    root = make_mojiref(out=tmp_path / "bare", recipe=MojiRefConfig(train=20, val=1, test=1, redundancy=0.0))
    for flavour in FLAVOURS:
        assert not any(sentence["redundant"] for _, sentence in MojiRefFiles(root, flavour).sentences())


def test_splits_refer_to_their_groups_of_categories(flavours: dict[str, MojiRefFiles]) -> None:
    for files in flavours.values():
        names = {row["id"]: row["name"] for row in files.instances["categories"]}
        referents = {split: {names[r["category_id"]] for r in files.refs if r["split"] == split} for split in SPLITS}
        assert referents["testA"] <= ANIMALS | {"person"}
        assert not referents["testB"] & (ANIMALS | {"person"})
        for split in ("train", "val"):
            assert "person" in referents[split] and referents[split] & ANIMALS and "car" in referents[split]


def test_splits_share_no_picture(mojiref: Path, flavours: dict[str, MojiRefFiles]) -> None:
    pictures = digests(mojiref / "images")
    assert len(pictures) == len(set(pictures.values())) == 250
    for files in flavours.values():
        images = {split: {ref["image_id"] for ref in files.refs if ref["split"] == split} for split in SPLITS}
        assert sum(map(len, images.values())) == len(set.union(*images.values()))


def test_referents_and_sentences_follow_the_recipe(flavours: dict[str, MojiRefFiles]) -> None:
    for files in flavours.values():
        referents = [ref["ann_id"] for ref in files.refs]
        assert len(referents) == len(set(referents))
        per_image = [ref["image_id"] for ref in files.refs]
        assert max(map(per_image.count, per_image)) == 3
        texts = [[sentence["sent"] for sentence in ref["sentences"]] for ref in files.refs]
        assert all(len(set(each)) == len(each) <= 3 for each in texts)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("split", SPLITS)
def test_the_readers_of_refcoco_read_it(
    mojiref: Path, flavours: dict[str, MojiRefFiles], flavour: str, split: str
) -> None:
    config = DataConfig(mojiref, flavour)  # type: ignore[arg-type]
    files = flavours[flavour]
    written = [(ref, sentence) for ref, sentence in files.sentences() if ref["split"] == split]
    read = load_split(config, split)
    assert len(files.instances["categories"]) == 64
    assert [e.text for e in read.expressions] == [sentence["sent"] for _, sentence in written]
    for expression, (_, sentence) in zip(read.expressions, written, strict=True):
        assert list(expression.needed) == sentence["needed"]
        assert list(expression.redundant) == sentence["redundant"]
        assert expression.kind == sentence["kind"] == ("+".join(sentence["needed"]) or "category")
    rows = {row["id"]: row for row in files.instances["annotations"]}
    truth = load_truth(config, split)
    assert set(truth) == {expression.referent_id for expression in read.expressions}
    for ref, _ in written:
        x, y, w, h = rows[ref["ann_id"]]["bbox"]
        assert truth[str(ref["ref_id"])].box.tolist() == [x, y, x + w, y + h]


def test_the_rules_for_words_split_every_sentence_alike(flavours: dict[str, MojiRefFiles]) -> None:
    for files in flavours.values():
        sentences = [sentence["sent"] for _, sentence in files.sentences()]
        assert len(sentences) > 100 and [tokenize(text, 1) for text in sentences] == [
            tokenize(text, 2) for text in sentences
        ]


def test_masks_are_the_visible_pixels(mojiref: Path, flavours: dict[str, MojiRefFiles]) -> None:
    instances = flavours["mojiref"].instances
    assert instances == flavours["mojiref+"].instances == flavours["mojirefg"].instances
    for image in instances["images"]:
        rows = [row for row in instances["annotations"] if row["image_id"] == image["id"]]
        masks = np.stack([coco_mask.decode(row["segmentation"]) for row in rows]).astype(bool)
        assert masks.shape[1:] == (image["height"], image["width"])
        assert masks.sum(axis=0).max() == 1, "two objects share a pixel"
        for row, mask in zip(rows, masks, strict=True):
            x, y, w, h = row["bbox"]
            inside = mask[y : y + h, x : x + w]
            assert inside.sum() == mask.sum() == row["area"] > 0
            assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any(), "loose box"
        # Backgrounds are light and OpenMoji's outlines are black, so black pixels belong to objects, and each has some.
        with Image.open(mojiref / "images" / image["file_name"]) as picture:
            darkness = np.asarray(picture).max(axis=-1)
        assert not (darkness[~masks.any(axis=0)] < 35).any(), "a black pixel belongs to no object"
        assert ((darkness < 60) & masks).any(axis=(1, 2)).all(), "an object without outline"


def test_the_attribution_is_written(mojiref: Path, flavours: dict[str, MojiRefFiles]) -> None:
    for text in ((mojiref / "ATTRIBUTION.txt").read_text(), flavours["mojiref"].instances["info"]["attribution"]):
        assert "OpenMoji" in text and "CC BY-SA 4.0" in text


def test_a_folder_that_is_not_empty_is_refused_and_unchanged(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    (tmp_path / "file").write_text("also")
    with pytest.raises(DataError, match=r"mine exists and is not empty; choose another folder"):
        make_mojiref(out=tmp_path / "mine", recipe=TINY)
    with pytest.raises(ConfigError, match=r"file: cannot be written, because .*file is a file; choose another folder"):
        make_mojiref(out=tmp_path / "file", recipe=TINY)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")} == {"mine", "mine/thesis.txt", "file"}
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


def test_an_empty_folder_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    make_mojiref(out=tmp_path / "empty", recipe=TINY)
    assert {path.name for path in (tmp_path / "empty").iterdir()} == {
        *FLAVOURS,
        "gmojiref",
        "images",
        "ATTRIBUTION.txt",
    }


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    def interrupt_after_the_first_image() -> None:
        while not list(tmp_path.glob(".out.unfinished-*/images/*.jpg")):
            time.sleep(0.01)
        interrupt_main()

    Thread(target=interrupt_after_the_first_image, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        make_mojiref(out=tmp_path / "out", recipe=MojiRefConfig(train=1_000))
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, limits[1]))  # bytes per file; an image has more
    try:
        with pytest.raises(WriteError, match=r"out: cannot be written \(File too large\); raise the limit"):
            make_mojiref(out=tmp_path / "out", recipe=TINY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())
