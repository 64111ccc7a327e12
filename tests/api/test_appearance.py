"""`alignment.features: query+appearance`, from extraction to the answer, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.tiny_run import ALIGNMENT, CANDIDATES, World, logged, run, weights

from aligncat.alignment.config import AlignmentConfig
from aligncat.api.evaluate import evaluate
from aligncat.api.extract import extract
from aligncat.datasets.load import load_split
from aligncat.detectors.colour import COLOUR, colour_statistics
from aligncat.detectors.registry import load_detector
from aligncat.errors import ConfigError, DetectorError, StoreError
from aligncat.files.images import read_image
from aligncat.geometry import decode_mask
from aligncat.grounder.batches import SplitTensors
from aligncat.grounder.features import columns_of, found_features
from aligncat.grounder.grounder import Grounder
from aligncat.store import arrays
from aligncat.store.reader import Store
from aligncat.store.rows import RowsInMemory
from aligncat.training.initial import Initial
from aligncat.types import FeatureColumn

WITH_APPEARANCE = replace(ALIGNMENT, features="query+appearance")


@pytest.fixture(scope="module")
def seeing(world: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The tiny world with appearance in its store."""
    folder = tmp_path_factory.mktemp("appearance") / "store"
    extract(out=folder, data=world.data, detector=str(world.detector), candidates=CANDIDATES, appearance=True)
    return replace(world, store=folder)


@pytest.fixture(scope="module")
def grounder(seeing: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grounders") / "plus"
    run(seeing, folder, alignment=WITH_APPEARANCE, epochs=2)
    return folder


def a_photo(world: World) -> tuple[str, Path]:
    image = world.files.instances["images"][0]
    return str(image["id"]), next(world.files.config.path.rglob(image["file_name"]))


class TestStore:
    def test_everything_else_in_the_store_is_as_without_appearance(self, world: World, seeing: World) -> None:
        plain, more = world.open(), seeing.open()
        assert plain.manifest.columns == () and COLOUR in more.manifest.columns
        assert plain.manifest.detector == more.manifest.detector
        for image_id in plain.image_ids:
            first, second = plain.candidates(image_id), more.candidates(image_id)
            assert first.masks == second.masks
            for name in ("features", "queries", "categories", "confidences", "boxes"):
                np.testing.assert_array_equal(getattr(first, name), getattr(second, name))

    def test_the_colours_are_those_under_the_masks(self, seeing: World) -> None:
        image_id, path = a_photo(seeing)
        found = seeing.open().candidates(image_id)
        photo = np.asarray(read_image(path))
        for colours, mask in zip(found.columns["colour"], found.masks, strict=True):
            expected = colour_statistics(photo, decode_mask(mask).astype(bool))
            np.testing.assert_array_equal(colours, expected.astype(np.float16))

    def test_a_finished_store_says_whether_it_has_appearance(self, world: World, seeing: World) -> None:
        def again(store: Path, appearance: bool) -> Store:
            return extract(
                out=store,
                data=world.data,
                detector=str(world.detector),
                candidates=CANDIDATES,
                appearance=appearance,
            )

        again(seeing.store, True)
        with pytest.raises(StoreError, match=r"different store.*columns.colour: the store has null"):
            again(world.store, True)
        with pytest.raises(StoreError, match=r"different store.*columns.colour: the store has \{"):
            again(seeing.store, False)

    def test_a_store_opens_with_the_detector_of_a_grounder_without_appearance(
        self, seeing: World, trained: Path
    ) -> None:
        description = Grounder.from_pretrained(trained).detector_description
        assert COLOUR in Store.open(seeing.store, expect=description).manifest.columns

    def test_a_grounder_without_appearance_is_the_same_from_either_store(
        self, seeing: World, trained: Path, tmp_path: Path
    ) -> None:
        run(seeing, tmp_path / "query")
        assert weights(tmp_path / "query") == weights(trained)
        assert (tmp_path / "query" / "config.json").read_bytes() == (trained / "config.json").read_bytes()


class TestGrounder:
    def test_training_reads_the_columns_and_records_them(self, seeing: World, grounder: Path) -> None:
        config = json.loads((grounder / "config.json").read_text())
        store = seeing.open()
        columns = [{"name": c["name"], "version": c["version"], "dim": c["dim"]} for c in config["columns"]]
        assert columns == [{"name": c.name, "version": c.version, "dim": c.dim} for c in store.manifest.columns]
        assert config["feature_dim"] == store.manifest.feature_dim + sum(c["dim"] for c in columns)
        assert config["alignment"]["features"] == "query+appearance"
        assert len(logged(grounder, "val/rec")) == 2

    def test_a_batch_has_the_features_of_single_images_and_shares_those_of_the_store(
        self, seeing: World, grounder: Path
    ) -> None:
        loaded, store, split = Grounder.from_pretrained(grounder), seeing.open(), load_split(seeing.data, "train")
        assert store.share(list(split.images))
        tensors = SplitTensors(split, store, loaded.vocabulary, max_length=8, with_labels=False, columns=loaded.columns)
        rows = [0, len(split.expressions) - 1]
        for row, features in zip(rows, tensors.gather(rows).images.features, strict=True):
            candidates = store.candidates(split.expressions[row].image_id)
            expected = found_features(candidates, loaded.columns)
            assert np.array_equal(features[: len(candidates)], expected) and not features[len(candidates) :].any()
        assert isinstance(tensors._candidates, RowsInMemory)
        held = tensors._candidates._tensors
        assert len(held) == len((*arrays.CANDIDATES, arrays.RELATIVE_BOXES, *loaded.columns))
        # The relative boxes are computed anew.
        assert [name for name, tensor in held.items() if not tensor.is_shared()] == ["relative_boxes"]

    def test_from_a_store_and_from_the_photo_it_answers_alike(self, seeing: World, grounder: Path) -> None:
        loaded = Grounder.from_pretrained(grounder)
        image_id, path = a_photo(seeing)
        [live] = loaded.ground(path, "red cat")
        [stored] = loaded.ground_candidates(seeing.open().candidates(image_id), "red cat")
        assert live.choice == stored.choice and live.box == stored.box
        assert live.probability == pytest.approx(stored.probability, abs=1e-4)

    def test_the_colours_decide(self, seeing: World, grounder: Path) -> None:
        loaded = Grounder.from_pretrained(grounder)
        candidates = seeing.open().candidates(a_photo(seeing)[0])
        faded = replace(candidates, columns={**candidates.columns, "colour": 0 * candidates.columns["colour"]})
        [first], [second] = (loaded.ground_candidates(each, "red cat") for each in (candidates, faded))
        assert first.candidates[0].scores["global"] != second.candidates[0].scores["global"]

    def test_results_answers_and_card_state_the_features(self, seeing: World, grounder: Path, tmp_path: Path) -> None:
        [answers] = evaluate(
            grounder=grounder,
            data=seeing.data,
            store=seeing.store,
            splits=("val",),
            out=tmp_path / "results",
            model_card=True,
        )
        assert answers.result.features == "query+appearance"
        assert answers.provenance["alignment"]["features"] == "query+appearance"
        [result] = (path for path in (tmp_path / "results").glob("*.json") if "errors" not in path.name)
        assert json.loads(result.read_text())["features"] == "query+appearance"
        card = (grounder / "README.md").read_text()
        assert "columns of the store: colour (version 1)" in card and "| query+appearance |" in card

    def test_a_resumed_run_must_read_the_same_columns(
        self, world: World, seeing: World, grounder: Path, tmp_path: Path
    ) -> None:
        run(world, tmp_path / "run", epochs=1)
        with pytest.raises(ConfigError, match=r"alignment.features was 'query' and is 'query\+appearance'"):
            run(seeing, tmp_path / "run", alignment=WITH_APPEARANCE, epochs=1)


class TestRefused:
    def test_another_value_of_features(self) -> None:
        with pytest.raises(ConfigError, match=r"alignment.features is 'colour'; it must be one of query, query\+"):
            AlignmentConfig(features="colour")  # type: ignore[arg-type]

    def test_training_on_a_store_without_appearance(self, world: World, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="the store has no appearance; extract into another folder with --appear"):
            run(world, tmp_path / "run", alignment=WITH_APPEARANCE)
        assert not (tmp_path / "run" / "config.json").exists()

    def test_evaluation_on_a_store_without_appearance(self, world: World, grounder: Path) -> None:
        with pytest.raises(StoreError, match=r"no column 'colour' \(it has: none\); extract into another folder with"):
            evaluate(grounder=grounder, data=world.data, store=world.store, splits=("val",))

    def test_candidates_without_appearance(self, world: World, grounder: Path) -> None:
        loaded = Grounder.from_pretrained(grounder)
        candidates = world.open().candidates(a_photo(world)[0])
        with pytest.raises(StoreError, match=r"lack colour \(version 1, length \d+\), which the grounder reads; take"):
            loaded.ground_candidates(candidates, "red cat")

    @pytest.mark.parametrize("change", ["version", "dim"])
    def test_another_version(self, seeing: World, grounder: Path, tmp_path: Path, change: str) -> None:
        other = replace(COLOUR, **{change: getattr(COLOUR, change) + 1})
        manifest = replace(seeing.open().manifest, columns=(other,))
        with pytest.raises(StoreError, match=r"column 'colour' has version .* are needed; extract again"):
            manifest.check_column(COLOUR, seeing.store)

    def test_a_new_grounder_on_a_store_with_another_version(self, seeing: World) -> None:
        store = seeing.open()
        store.manifest = replace(store.manifest, columns=(replace(COLOUR, version=2), *store.manifest.columns[1:]))
        with pytest.raises(StoreError, match=r"column 'colour' has version 2 and length 17, but version 1 and length"):
            columns_of(store, WITH_APPEARANCE)

    def test_training_from_a_grounder_that_reads_another_version(self, seeing: World, grounder: Path) -> None:
        """The lengths are equal, so the shapes of the weights would not tell."""
        initial, manifest = Initial.read(grounder), seeing.open().manifest
        columns, config = initial.contents.columns, initial.contents.model.config
        initial.check(config, manifest, columns)
        newer = (replace(columns[0], column=replace(COLOUR, version=2)), *columns[1:])
        with pytest.raises(
            ConfigError, match=r"because it differs: it reads colour \(version 1.*not colour \(version 2"
        ):
            initial.check(config, manifest, newer)

    def test_a_detector_that_does_not_give_a_column(self, seeing: World) -> None:
        description = seeing.open().manifest.detector
        wanted = FeatureColumn("depth", 1, 8)
        with pytest.raises(DetectorError, match=r"does not give depth \(version 1, length 8\), but colour \(version 1"):
            load_detector(description, columns=[COLOUR, wanted])
        assert load_detector(description).columns == ()

    @pytest.mark.parametrize(
        "columns", [[{"name": "colour"}], "colour", [{"name": "colour", "version": 1, "dim": 17, "scale": "2"}]]
    )
    def test_a_damaged_config(self, grounder: Path, tmp_path: Path, columns: object) -> None:
        config = json.loads((grounder / "config.json").read_text())
        config.pop("config_sha256", None)
        for name in ("model.safetensors", "vocabulary.json"):
            (tmp_path / name).write_bytes((grounder / name).read_bytes())
        unsealed = {key: value for key, value in config.items() if not key.endswith("sha256")}
        (tmp_path / "config.json").write_text(json.dumps({**unsealed, "columns": columns}))
        with pytest.raises(ConfigError, match="damaged or written by another version"):
            Grounder.from_pretrained(tmp_path)
