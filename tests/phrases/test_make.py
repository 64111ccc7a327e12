"""`aligncat data phrases`: its files, what is left out, and training on them without a box or a phrase of people."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.fabricate import write_refer_dataset
from helpers.phrase_store import BLUE, RED, Thing, write_store
from helpers.tiny_run import ALIGNMENT, TEXT, TRAINING, World
from PIL import Image

from aligncat.api.evaluate import evaluate
from aligncat.api.phrases import make_phrases
from aligncat.api.train import train
from aligncat.cli import main
from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import load_split, split_names
from aligncat.datasets.prepare.check import check_dataset
from aligncat.datasets.prepare.remarks import faults
from aligncat.errors import ConfigError, DataError, MissingTruthError, StoreError
from aligncat.files.hashes import file_sha256
from aligncat.grounder.model_card import write_model_card
from aligncat.phrases.make import ALIKE, NOTHING, UNSURE
from aligncat.phrases.recipe import PhraseRecipe

IMAGES: Mapping[str, list[Thing]] = {
    **{
        f"photos/{number}.jpg": [
            Thing("dog", (5, 10 + number, 30, 40), RED),
            Thing("dog", (70, 10, 95, 40), BLUE, confidence=0.9),
            Thing(("cat", "cup", "bus")[number % 3], (20, 60, 80, 95), BLUE),
        ]
        for number in range(10)
    },
    "photos/alike.jpg": [Thing("cup", (40, 40, 50, 60)), Thing("cup", (51, 40, 61, 60))],
    "photos/empty.jpg": [],
    "photos/unsure.jpg": [Thing("cup", (40, 40, 50, 60), confidence=0.5)],
}
BYTES = ("train.jsonl", "val.jsonl", "phrases.json", "left-out.txt")
COLOUR_WORDS = {"red", "blue"}


def photos_of(folder: Path, names: Mapping[str, object] = IMAGES) -> Path:
    """Write one plain photo for each name, and return their folder."""
    (folder / "photos").mkdir(parents=True)
    for name in names:
        Image.new("RGB", (100, 100)).save(folder / name)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A store and the folder of its photos."""
    root = tmp_path_factory.mktemp("phrases")
    return write_store(root / "store", IMAGES), photos_of(root / "images")


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def words(folder: Path) -> set[str]:
    """Return all words of a folder's training phrases."""
    return {word for row in rows(folder / "train.jsonl") for text in row["expression"] for word in text.split()}


RECIPE = PhraseRecipe(val=0.2)


class TestFiles:
    def test_the_counts_and_the_reasons_are_those_of_the_files(
        self, folders: tuple[Path, Path], tmp_path: Path
    ) -> None:
        store, images = folders
        made = make_phrases(store=store, images=images, out=tmp_path / "made", recipe=RECIPE)
        assert made.images == {"train": 8, "val": 2} and made.objects == {"train": 24, "val": 6}
        for name in ("train", "val"):
            found = rows(tmp_path / "made" / f"{name}.jsonl")
            assert made.objects[name] == len(found)
            assert made.phrases[name] == sum(len(row["expression"]) for row in found)
        assert made.left_out == {ALIKE: 1, NOTHING: 1, UNSURE: 1}
        assert (tmp_path / "made" / "left-out.txt").read_text().splitlines() == [
            f"photos/alike.jpg\t{ALIKE}",
            f"photos/empty.jpg\t{NOTHING}",
            f"photos/unsure.jpg\t{UNSURE}",
        ]

    def test_a_row_has_no_box_and_the_detectors_category(self, folders: tuple[Path, Path], tmp_path: Path) -> None:
        store, images = folders
        make_phrases(store=store, images=images, out=tmp_path / "made", recipe=RECIPE)
        found = [row for name in ("train", "val") for row in rows(tmp_path / "made" / f"{name}.jsonl")]
        assert {key for row in found for key in row} == {"image", "expression", "category", "kinds"}
        assert {row["category"] for row in found} == {"dog", "cat", "cup", "bus"}
        dogs = [kind for row in found if row["category"] == "dog" for kind in row["kinds"]]
        assert dogs and all(kind["needed"] for kind in dogs)  # there are always two
        assert all("needed" not in kind for row in found if row["category"] != "dog" for kind in row["kinds"])
        assert all(len(set(row["expression"])) == len(row["expression"]) <= 3 for row in found)

    def test_the_same_inputs_give_the_same_bytes_and_another_seed_gives_others(
        self, folders: tuple[Path, Path], tmp_path: Path
    ) -> None:
        store, images = folders
        for name, seed in (("one", 0), ("two", 0), ("other", 1)):
            make_phrases(store=store, images=images, out=tmp_path / name, recipe=replace(RECIPE, seed=seed))
        for file in BYTES:
            assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
        assert (tmp_path / "one/train.jsonl").read_bytes() != (tmp_path / "other/train.jsonl").read_bytes()

    def test_the_phrases_of_an_image_do_not_depend_on_the_others(
        self, folders: tuple[Path, Path], tmp_path: Path
    ) -> None:
        store, images = folders
        some = photos_of(tmp_path / "some", dict.fromkeys(list(IMAGES)[:4]))
        recipe = PhraseRecipe(val=0.0)
        make_phrases(store=store, images=images, out=tmp_path / "all", recipe=recipe)
        make_phrases(store=store, images=some, out=tmp_path / "few", recipe=recipe)
        everything, few = (rows(tmp_path / name / "train.jsonl") for name in ("all", "few"))
        assert len(few) == 12 and few == [row for row in everything if row["image"] in {each["image"] for each in few}]

    def test_the_record_names_the_store_the_recipe_and_the_grammar(
        self, folders: tuple[Path, Path], tmp_path: Path
    ) -> None:
        store, images = folders
        make_phrases(store=store, images=images, out=tmp_path / "made", recipe=RECIPE)
        record = json.loads((tmp_path / "made/phrases.json").read_text())
        assert record["store_sha256"] == file_sha256(store / "complete.json")
        assert (record["grammar"], record["detector"], record["colours"]) == (1, "hand", True)
        assert record["recipe"]["val"] == 0.2 and record["categories"] == "the detector's"

    def test_data_check_finds_no_fault_and_names_missing_photos(
        self, folders: tuple[Path, Path], tmp_path: Path
    ) -> None:
        store, images = folders
        made = make_phrases(store=store, images=images, out=tmp_path / "made", recipe=RECIPE)
        assert faults(check_dataset(made.data)) == []
        found = check_dataset(replace(made.data, images=tmp_path / "elsewhere"))
        assert len(found.missing) == 10

    def test_a_val_split_without_boxes_is_still_a_fault_in_phrases_of_people(
        self, folders: tuple[Path, Path], tmp_path: Path
    ) -> None:
        store, images = folders
        made = make_phrases(store=store, images=images, out=tmp_path / "made", recipe=RECIPE)
        (tmp_path / "made/phrases.json").unlink()
        assert len(check_dataset(made.data).problems) == made.objects["val"]


class TestColours:
    def test_phrases_name_the_colours_of_the_store(self, folders: tuple[Path, Path], tmp_path: Path) -> None:
        store, images = folders
        assert make_phrases(store=store, images=images, out=tmp_path / "made").colours
        assert words(tmp_path / "made") >= COLOUR_WORDS

    def test_a_store_without_colours_gives_phrases_without_and_says_so_once(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = write_store(tmp_path / "store", IMAGES, colours=False)
        images = photos_of(tmp_path / "images")
        with caplog.at_level(logging.WARNING):
            made = make_phrases(store=store, images=images, out=tmp_path / "made")
        assert [record.message for record in caplog.records] == [
            f"{store}: the store has no colours that aligncat can read, so no phrase names a colour; extract into "
            "another folder with --appearance true, or give --recipe.colours none"
        ]
        assert not made.colours and not words(tmp_path / "made") & COLOUR_WORDS
        assert json.loads((tmp_path / "made/phrases.json").read_text())["colours"] is False

    def test_required_colours_that_the_store_lacks_are_an_error(self, tmp_path: Path) -> None:
        store = write_store(tmp_path / "store", IMAGES, colours=False)
        with pytest.raises(StoreError, match="has no column 'colour'"):
            make_phrases(
                store=store,
                images=photos_of(tmp_path / "images"),
                out=tmp_path / "made",
                recipe=PhraseRecipe(colours="required"),
            )
        assert not (tmp_path / "made").exists()

    def test_colours_can_be_left_out(
        self, folders: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        store, images = folders
        make_phrases(store=store, images=images, out=tmp_path / "made", recipe=PhraseRecipe(colours="none"))
        assert not words(tmp_path / "made") & COLOUR_WORDS and not caplog.records


class TestBadInput:
    @pytest.mark.parametrize(
        ("images", "why"),
        [
            ({"photos/a.jpg": [], "photos/b.jpg": []}, f"none of the 2 images gives a phrase \\({NOTHING}: 2\\)"),
            ({"photos/a.jpg": IMAGES["photos/unsure.jpg"]}, f"none of the 1 images gives a phrase \\({UNSURE}: 1\\)"),
        ],
        ids=["no candidates", "no confident object"],
    )
    def test_a_store_without_an_object_to_describe(
        self, images: Mapping[str, list[Thing]], why: str, tmp_path: Path
    ) -> None:
        store = write_store(tmp_path / "store", images)
        with pytest.raises(DataError, match=why):
            make_phrases(store=store, images=photos_of(tmp_path / "images", images), out=tmp_path / "made")
        assert not (tmp_path / "made").exists()

    def test_a_photo_that_the_store_lacks(self, folders: tuple[Path, Path], tmp_path: Path) -> None:
        images = photos_of(tmp_path / "images", {"photos/new.jpg": None})
        with pytest.raises(StoreError, match=r"image .photos/new\.jpg. is not in the store; extract it first"):
            make_phrases(store=folders[0], images=images, out=tmp_path / "made")

    def test_a_folder_that_is_not_empty(self, folders: tuple[Path, Path], tmp_path: Path) -> None:
        (tmp_path / "mine.txt").write_text("mine")
        with pytest.raises(DataError, match="exists and is not empty"):
            make_phrases(store=folders[0], images=folders[1], out=tmp_path)

    def test_neither_data_nor_photos(self, folders: tuple[Path, Path], tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="give either a dataset"):
            make_phrases(store=folders[0], out=tmp_path / "made")

    @pytest.mark.parametrize(
        "changes",
        [
            {"referents": 0},
            {"sentences": 0},
            {"over_specification": -0.1},
            {"over_specification": float("nan")},
            {"confidence": 0.2},  # below `doubtful`
            {"confidence": 1.1},
            {"val": 1.0},
            {"seed": -1},
        ],
    )
    def test_a_recipe_out_of_range(self, changes: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match=f"recipe.{next(iter(changes))}"):
            PhraseRecipe(**changes)

    def test_a_damaged_record(self, folders: tuple[Path, Path], tmp_path: Path) -> None:
        made = make_phrases(store=folders[0], images=folders[1], out=tmp_path / "made")
        (tmp_path / "made/phrases.json").write_text('{"by": "me"}')
        with pytest.raises(DataError, match="make the phrases again"):
            load_split(made.data, "train")

    def test_an_unknown_split(self, world: World, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="trian"):
            make_phrases(store=world.store, data=world.data, splits=("trian",), out=tmp_path / "made")


ANY = PhraseRecipe(confidence=0.0, doubtful=0.0, val=0.25)  # the tiny detector is sure of nothing


class TestTraining:
    def test_no_phrase_and_no_box_of_people_is_read(self, world: World, tmp_path: Path) -> None:
        """The same photos with other phrases and boxes, and no photo on disk, give the same bytes."""
        make_phrases(store=world.store, data=world.data, out=tmp_path / "made", recipe=ANY)
        files = write_refer_dataset(tmp_path / "data", splits={"train": 12, "val": 4, "testA": 2, "testB": 2})
        for ref in files.refs:
            for sentence in ref["sentences"]:
                sentence["sent"] = sentence["raw"] = "something else"
        for annotation in files.instances["annotations"]:
            annotation["bbox"] = [0, 0, 1, 1]
        files.save()
        for path in list((tmp_path / "data").rglob("*.jpg")):
            path.unlink()
        make_phrases(store=world.store, data=files.config, out=tmp_path / "again", recipe=ANY)
        for file in BYTES:
            assert (tmp_path / "made" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()

    def test_only_images_of_the_training_split_are_described(self, world: World, tmp_path: Path) -> None:
        made = make_phrases(store=world.store, data=world.data, out=tmp_path / "made", recipe=ANY)
        described = {image for name in split_names(made.data) for image in load_split(made.data, name).images}
        assert described <= set(load_split(world.data, "train").images)

    def test_a_grounder_learns_from_them_and_its_settings_and_card_say_so(
        self, world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        made = make_phrases(store=world.store, data=world.data, out=tmp_path / "made", recipe=ANY)
        with caplog.at_level(logging.INFO):
            train(
                data=made.data,
                store=world.store,
                out=tmp_path / "run",
                alignment=ALIGNMENT,
                text=TEXT,
                training=replace(TRAINING, epochs=1, batch_size=2),
                progress=False,
            )
        assert "No person wrote the phrases of val, which have no boxes, so the last epoch is kept" in caplog.text
        settings = json.loads((tmp_path / "run/run/settings.json").read_text())
        assert settings["data"]["dataset"] == "pseudo" and settings["val_split"] is None
        assert settings["data"]["made"] == json.loads((tmp_path / "made/phrases.json").read_text())
        card = write_model_card(tmp_path / "run").read_text()
        assert "on pseudo-phrases" in card
        assert "no person wrote a phrase, named a category or drew a box" in card
        with pytest.raises(MissingTruthError, match="neither 'box' nor 'mask'"):
            evaluate(grounder=tmp_path / "run", data=made.data, store=world.store, splits=("val",))

    def test_the_verb_prints_the_counts_and_the_next_command(
        self, folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        store, images = folders
        out = tmp_path / "made"
        assert main(["data", "phrases", "--store", str(store), "--images", str(images), "--out", str(out)]) == 0
        shown = capsys.readouterr()
        assert f"1 image has no phrase: {ALIKE}" in shown.out and "per image" in shown.out
        assert f"aligncat train --data.path {out} --data.dataset pseudo" in shown.err


def test_the_dataset_pseudo_is_jsonl() -> None:
    assert DataConfig("made", "pseudo").file_format == "jsonl"
    with pytest.raises(ConfigError, match="dataset pseudo is always in format jsonl"):
        DataConfig("made", "pseudo", format="refer")
