"""Saving and loading a grounder, its answers, and the inputs that it rejects."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.fabricate import CATEGORIES
from helpers.old_files import without_hashes
from helpers.tiny_detector import save_tiny_detector
from helpers.tiny_run import World, run
from PIL import ExifTags, Image
from safetensors.torch import load_file, save_file
from torch import Tensor

import aligncat
from aligncat.alignment.config import AlignmentConfig
from aligncat.datasets.load import load_split
from aligncat.detectors.protocol import Detector
from aligncat.errors import ConfigError, DataError, DetectorError, ImageError
from aligncat.geometry import box_iou, decode_mask
from aligncat.grounder.folder import SHIPPED
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.grounding import Grounding
from aligncat.types import Candidates

PHRASES = ["red person", "the dog on the left", "couch"]


@pytest.fixture(scope="module")
def grounder(trained: Path) -> Grounder:
    return Grounder.from_pretrained(trained)


@pytest.fixture(scope="module")
def photo(world: World) -> Path:
    return next(iter(load_split(world.data, "val").images.values())).path


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained grounder, to damage."""
    return Path(shutil.copytree(trained, tmp_path / "copy", ignore=shutil.ignore_patterns("run")))


class Counting:
    """A detector that counts its calls and images."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.images = 0
        self.passes = 0

    def detect(self, images: Sequence[Image.Image], ids: Sequence[str]) -> list[Candidates]:
        self.passes += 1
        self.images += len(images)
        return self.detector.detect(images, ids)


def edit(path: Path, **changes: Any) -> None:
    """Change a config.json of an earlier version, which has no hashes."""
    path.write_text(json.dumps({**without_hashes(path), **changes}))


def replace_with_another(path: Path) -> None:
    """Replace the weights or the vocabulary by valid ones that differ."""
    if path.suffix == ".json":
        path.write_text(path.read_text().replace('"red"', '"blue!"'))
    else:
        save_file({name: tensor + 1e-6 for name, tensor in load_file(path).items()}, path)


class TestSaveAndLoad:
    def test_a_round_trip_gives_the_same_scores_bit_for_bit(
        self, grounder: Grounder, photo: Path, tmp_path: Path
    ) -> None:
        grounder.save_pretrained(tmp_path / "again")
        again = Grounder.from_pretrained(tmp_path / "again")
        assert again.ground(photo, PHRASES) == grounder.ground(photo, PHRASES)
        assert (again.labels, again.vocabulary) == (grounder.labels, grounder.vocabulary)
        assert again.provenance == grounder.provenance
        assert again.detector_description == grounder.detector_description

    def test_train_returns_the_grounder_of_its_folder(self, world: World, photo: Path, tmp_path: Path) -> None:
        trained = run(world, tmp_path / "run", epochs=1)
        assert Grounder.from_pretrained(tmp_path / "run").ground(photo, PHRASES) == trained.ground(photo, PHRASES)

    def test_the_folder_records_how_the_grounder_was_trained(self, grounder: Grounder, world: World) -> None:
        provenance = grounder.provenance
        assert provenance["data"]["dataset"] == "refcoco" and provenance["data"]["split"] == "train"
        assert provenance["data"]["expressions"] == 48 and provenance["data"]["images"] == 12
        assert provenance["training"]["seed"] == 0 and provenance["training"]["epochs"] == 4
        assert provenance["store"] == json.loads((world.store / "manifest.json").read_text())["detector"]
        assert provenance["versions"]["torch"] == version("torch")

    def test_its_card_is_not_the_hubs_template(self, trained: Path) -> None:
        card = (trained / "README.md").read_text()
        assert "library_name: aligncat" in card and "license: apache-2.0" in card
        assert "pushed" not in card and "More Information" not in card

    def test_public_names_are_the_classes(self) -> None:
        assert aligncat.Grounder is Grounder and aligncat.Grounding is Grounding
        with pytest.raises(AttributeError, match="nonsense"):
            aligncat.nonsense  # noqa: B018

    @pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "vocabulary.json"])
    def test_a_missing_file_is_named(self, missing: str, folder: Path) -> None:
        (folder / missing).unlink()
        with pytest.raises(ConfigError, match=f"{missing} is missing"):
            Grounder.from_pretrained(folder)

    @pytest.mark.parametrize("damaged", ["config.json", "model.safetensors", "vocabulary.json"])
    def test_a_damaged_file_is_a_one_line_error(self, damaged: str, folder: Path) -> None:
        path = folder / damaged
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(ConfigError, match=rf"{damaged}: .*(damaged|not JSON).*train it again") as error:
            Grounder.from_pretrained(folder)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize(
        "changes",
        [
            {"format": 2},
            {"format": None},
            {"labels": ["person"]},
            {"text": {"word_dim": 16}},
            {"alignment": {"keep": 4, "bogus": 1}},
            {"alignment": None},
            {"provenance": [["data", None]]},
            {"provenance": ""},
        ],
    )
    def test_a_config_with_wrong_values_is_rejected(self, changes: dict[str, Any], folder: Path) -> None:
        edit(folder / "config.json", **changes)
        with pytest.raises(ConfigError):
            Grounder.from_pretrained(folder)

    def test_a_folder_with_sizes_among_its_settings_loads_with_one_warning(
        self, grounder: Grounder, photo: Path, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Earlier versions wrote such folders, without "feature_dim"."""
        config = without_hashes(folder / "config.json")
        assert config.pop("feature_dim") == 32
        config["alignment"] |= {"visual_dim": 32, "text_dim": 16, "classes": 3}
        (folder / "config.json").write_text(json.dumps(config))
        old = Grounder.from_pretrained(folder)
        assert [message.split(": ")[0] for message in caplog.messages] == [str(folder / "config.json")]
        assert old.ground(photo, PHRASES) == grounder.ground(photo, PHRASES)
        assert old.model.config == grounder.model.config

    def test_a_config_without_the_length_of_the_features_is_rejected(self, folder: Path) -> None:
        config = without_hashes(folder / "config.json")
        del config["feature_dim"]
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(ConfigError, match="not the config of a grounder"):
            Grounder.from_pretrained(folder)

    def test_the_shipped_grounder_loads_without_a_warning(self, caplog: pytest.LogCaptureFixture) -> None:
        shipped = Grounder.from_pretrained(SHIPPED)
        assert caplog.messages == [] and shipped.device == "cpu"

    def test_an_empty_config_is_rejected(self, folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        with pytest.raises(ConfigError, match="not the config of a grounder"):
            Grounder.from_pretrained(folder)

    @pytest.mark.parametrize("name", ["model.safetensors", "vocabulary.json"])
    def test_a_replaced_file_is_named(self, name: str, folder: Path) -> None:
        replace_with_another(folder / name)
        with pytest.raises(ConfigError, match=rf"{name}: damaged or replaced: its hash differs.*; restore"):
            Grounder.from_pretrained(folder)

    def test_an_edited_config_is_named(self, folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(path.read_text().replace('"keep": 4', '"keep": 5'))
        with pytest.raises(ConfigError, match=r"config\.json: damaged or edited"):
            Grounder.from_pretrained(folder)

    def test_a_config_of_other_white_space_and_order_is_the_same(self, folder: Path, grounder: Grounder) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()), sort_keys=True))
        assert Grounder.from_pretrained(folder).labels == grounder.labels

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            (lambda tensor: tensor[:3], r"has shape \(3,\) instead of \(16,\)"),
            (lambda tensor: tensor.half(), "has numbers of type float16 instead of float32"),
            (lambda tensor: tensor.double(), "has numbers of type float64 instead of float32"),
            (lambda tensor: tensor * float("nan"), "has values that are not finite"),
            (lambda tensor: tensor.index_fill(0, torch.tensor([7]), float("inf")), "has values that are not finite"),
            (None, "is missing"),
        ],
    )
    def test_weights_that_are_not_the_models_are_rejected_without_hashes_too(
        self, change: Callable[[Tensor], Tensor] | None, problem: str, folder: Path
    ) -> None:
        name = "alignment.global_text.bias"
        edit(folder / "config.json")
        weights = load_file(folder / "model.safetensors")
        tensor = weights.pop(name)
        save_file(weights if change is None else {**weights, name: change(tensor)}, folder / "model.safetensors")
        with pytest.raises(ConfigError, match=rf"model\.safetensors: the tensor '{name}' {problem}; restore"):
            Grounder.from_pretrained(folder)

    def test_a_tensor_too_many_is_rejected(self, folder: Path) -> None:
        edit(folder / "config.json")
        weights = load_file(folder / "model.safetensors")
        save_file({**weights, "extra": torch.zeros(3)}, folder / "model.safetensors")
        with pytest.raises(ConfigError, match="the tensor 'extra' is not part of the model"):
            Grounder.from_pretrained(folder)

    def test_two_missing_files_are_both_named(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"config\.json and model\.safetensors are missing"):
            Grounder.from_pretrained(tmp_path)

    @pytest.mark.parametrize("name", ["/no/such/place", Path("/no/such/place"), "./gone", "a/b/c", Path("~/gone")])
    def test_a_missing_path_is_not_looked_for_on_the_hub(self, name: str | Path) -> None:
        with pytest.raises(ConfigError, match="no such folder; give the folder that `aligncat train` wrote"):
            Grounder.from_pretrained(name)

    def test_a_file_in_place_of_the_folder_is_named(self, folder: Path) -> None:
        with pytest.raises(ConfigError, match=r"model\.safetensors: a file, not a folder"):
            Grounder.from_pretrained(folder / "model.safetensors")

    @pytest.mark.parametrize("name", ["model.bin", "pytorch_model.bin", "model.pt", "model.safetensors"])
    def test_pickled_weights_are_never_loaded(self, name: str, folder: Path) -> None:
        class Trap:
            def __reduce__(self) -> tuple[Any, ...]:
                return Path.touch, (folder / "sprung",)

        (folder / "model.safetensors").unlink()
        torch.save({"weights": Trap()}, folder / name)
        with pytest.raises(ConfigError):
            Grounder.from_pretrained(folder)
        assert not (folder / "sprung").exists()

    @pytest.mark.parametrize("name", ["no/such/folder/here", "no such name", ""])
    def test_a_name_of_no_grounder_is_an_error(self, name: str, tmp_path: Path, monkeypatch: Any) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ConfigError, match="aligncat train"):
            Grounder.from_pretrained(name)


class TestGround:
    def test_ground_and_choose_give_the_same_answers(self, world: World, grounder: Grounder) -> None:
        split, store = load_split(world.data, "val"), world.open()
        chosen = grounder.choose(store, split)
        choices, categories = chosen.choice, chosen.predicted
        assert categories is not None
        for image_id, record in split.images.items():
            rows = [row for row, each in enumerate(split.expressions) if each.image_id == image_id]
            found = grounder.ground(record.path, [split.expressions[row].text for row in rows])
            stored = store.candidates(image_id)
            for row, grounding in zip(rows, found, strict=True):
                assert grounding.choice == choices[row]
                assert grounding.predicted_category == categories[row]
                assert grounding.box == tuple(stored.boxes[choices[row]].tolist())
                assert grounding.mask == stored.masks[choices[row]]

    def test_the_detector_runs_once_for_all_phrases(self, trained: Path, photo: Path) -> None:
        grounder = Grounder.from_pretrained(trained)
        counting = Counting(grounder.detector)
        grounder._detector = counting  # type: ignore[assignment]
        grounder.ground(photo, PHRASES * 3)
        assert (counting.passes, counting.images) == (1, 1)

    def test_a_phrase_is_grounded_independently_of_the_others(self, grounder: Grounder, photo: Path) -> None:
        together = grounder.ground(photo, PHRASES)
        for phrase, expected in zip(PHRASES, together, strict=True):
            [alone] = grounder.ground(photo, [phrase])
            assert (alone.choice, alone.box, alone.mask) == (expected.choice, expected.box, expected.mask)
            assert alone.probability == pytest.approx(expected.probability, rel=1e-5)

    def test_a_grounding_has_scores_and_weights_that_explain_it(self, grounder: Grounder, photo: Path) -> None:
        with Image.open(photo) as image:
            size = image.size
        for phrase, found in zip(PHRASES, grounder.ground(photo, PHRASES), strict=True):
            assert found.expression == phrase
            words, word_weights = zip(*found.word_weights, strict=True)
            assert list(words) == phrase.split() and sum(word_weights) == pytest.approx(1, abs=1e-5)
            kept = [index for index, each in enumerate(found.candidates) if each.kept]
            fine = np.array([found.candidates[index].scores["fine"] for index in kept])
            assert found.choice == kept[int(fine.argmax())]
            shares = np.exp(fine - fine.max()) / np.exp(fine - fine.max()).sum()
            assert [found.candidates[index].probability for index in kept] == pytest.approx(shares, rel=1e-4)
            boxes = np.array([found.candidates[index].box for index in kept])
            same = box_iou(np.array([found.box]), boxes)[0] > 0.5
            assert found.probability == pytest.approx(shares[same].sum(), rel=1e-4)
            chosen = found.candidates[found.choice]
            assert (found.box, found.category) == (chosen.box, chosen.category)
            assert found.predicted_category in CATEGORIES.values()
            assert found.category_matched == (found.predicted_category in {each.category for each in found.candidates})
            assert decode_mask(found.mask).shape == size[::-1] and decode_mask(found.mask).any()
            assert set(chosen.scores) == {"class", "global", "coarse", "fine"}

    def test_the_probability_is_still_available_as_score(self, grounder: Grounder, photo: Path) -> None:
        [found] = grounder.ground(photo, ["red person"])
        with pytest.warns(DeprecationWarning, match="Grounding.probability"):
            assert found.score == found.probability
        plain = found.to_dict()
        assert plain["probability"] == found.probability and "score" not in plain

    def test_querymatch_has_no_category_and_no_word_weights(self, world: World, photo: Path, tmp_path: Path) -> None:
        config = AlignmentConfig.querymatch(dim=16, negatives_per_image=2)
        [found] = run(world, tmp_path / "run", alignment=config, epochs=1).ground(photo, ["red person"])
        assert (found.predicted_category, found.word_weights) == (None, ())
        assert set(found.candidates[0].scores) == {"global", "coarse"}

    def test_a_candidate_excluded_at_the_confidence_stage_has_a_null_score_in_json(
        self, world: World, photo: Path, tmp_path: Path
    ) -> None:
        config = AlignmentConfig.preset("category-at-confidence", dim=16, negatives_per_image=2)
        found = run(world, tmp_path / "run", alignment=config, epochs=1).ground(photo, PHRASES)
        plain = [grounding.to_dict() for grounding in found]
        json.dumps(plain, allow_nan=False)
        scores = [candidate["scores"]["fine"] for each in plain for candidate in each["candidates"]]
        assert None in scores and any(score is not None for score in scores)

    @pytest.mark.parametrize("kind", ["plain", "turned by EXIF", "transparent"])
    def test_a_pil_image_and_its_file_give_the_same_answers(
        self, kind: str, grounder: Grounder, photo: Path, tmp_path: Path
    ) -> None:
        saved = tmp_path / "photo.png"
        with Image.open(photo) as image:
            if kind == "transparent":
                image.putalpha(Image.linear_gradient("L").resize(image.size))
            exif = Image.Exif()
            exif[ExifTags.Base.Orientation] = 6 if kind == "turned by EXIF" else 1
            image.save(saved, exif=exif)
        with Image.open(saved) as image:
            assert grounder.ground(image, PHRASES) == grounder.ground(str(saved), PHRASES)

    def test_a_phrase_of_unknown_words_is_grounded(self, grounder: Grounder, photo: Path) -> None:
        first, second = grounder.ground(photo, ["zxqv wvut", "тест слова"])
        assert first.choice == second.choice  # both are two unknown words
        assert [word for word, _ in second.word_weights] == ["тест", "слова"]

    def test_unknown_words_are_in_the_answer(self, grounder: Grounder, photo: Path) -> None:
        first, second = grounder.ground(photo, ["red zxqv, the wvut;ZXQV", "red person"])
        assert (first.unknown_words, second.unknown_words) == (("zxqv", "wvut"), ())
        assert first.to_dict()["unknown_words"] == ["zxqv", "wvut"]

    def test_a_new_grounder_records_its_rule_for_words_and_an_old_one_keeps_its_own(
        self, grounder: Grounder, folder: Path, photo: Path
    ) -> None:
        phrases = ["red person;left", "red…person", "red person left"]
        config = without_hashes(folder / "config.json")
        assert config.pop("words") == 2
        third = grounder.ground(photo, phrases)[2]
        assert grounder.ground(photo, phrases)[0].word_weights == third.word_weights
        (folder / "config.json").write_text(json.dumps(config))  # as an earlier version wrote it
        old = Grounder.from_pretrained(folder)
        assert [[word for word, _ in each.word_weights] for each in old.ground(photo, phrases)] == [
            ["red", "personleft"],
            ["red…person"],
            ["red", "person", "left"],
        ]
        old.save_pretrained(folder)
        assert "words" not in json.loads((folder / "config.json").read_text())

    def test_words_beyond_the_limit_are_ignored(self, grounder: Grounder, photo: Path) -> None:
        long = "red person on the left of the dog " * 1250
        found, cut = grounder.ground(photo, [long, "red person on the left of the dog"])
        assert (found.choice, found.word_weights) == (cut.choice, cut.word_weights)
        assert len(found.word_weights) == 8

    @pytest.mark.parametrize("expressions", [[], [""], ["red person", "  "], ["?!"]])
    def test_an_expression_without_words_is_rejected_before_the_detector_runs(
        self, expressions: list[str], trained: Path, photo: Path
    ) -> None:
        grounder = Grounder.from_pretrained(trained)
        with pytest.raises(DataError, match=r"no words|no expression"):
            grounder.ground(photo, expressions)
        assert grounder._detector is None

    def test_an_image_that_cannot_be_read_is_rejected(self, grounder: Grounder, tmp_path: Path) -> None:
        (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot much of one")
        for image in (
            tmp_path / "broken.png",
            tmp_path / "nothing.png",
            Image.new("RGB", (0, 5)),
            Image.new("F", (5, 5)),
        ):
            with pytest.raises(ImageError):
                grounder.ground(image, PHRASES)

    def test_an_image_without_candidates_is_an_error(self, grounder: Grounder) -> None:
        nothing = Candidates(
            image_id="empty",
            width=10,
            height=10,
            features=np.zeros((0, 32), np.float16),
            queries=np.zeros(0, np.int32),
            categories=np.zeros(0, np.int32),
            confidences=np.zeros(0, np.float32),
            boxes=np.zeros((0, 4), np.float32),
            masks=(),
        )
        with pytest.raises(DetectorError, match="found nothing"):
            grounder.ground_candidates(nothing, ["cup"])


class TestDetector:
    def with_detector(self, grounder: Grounder, name: str, **changes: Any) -> Grounder:
        description = replace(grounder.detector_description, name=name, **changes)
        return Grounder(grounder.model, grounder.vocabulary, grounder.labels, description, {})

    def test_other_weights_are_named(self, grounder: Grounder, photo: Path, tmp_path: Path) -> None:
        other = save_tiny_detector(tmp_path / "other", labels=tuple(CATEGORIES.values()), seed=1)
        with pytest.raises(DetectorError, match="weights_sha256"):
            self.with_detector(grounder, str(other)).ground(photo, PHRASES)

    def test_other_settings_are_named(self, grounder: Grounder, world: World, photo: Path) -> None:
        changed = self.with_detector(grounder, str(world.detector), confidence="another rule")
        with pytest.raises(DetectorError, match="differs in confidence"):
            changed.ground(photo, PHRASES)

    def test_a_copy_under_another_name_is_accepted(
        self, trained: Path, grounder: Grounder, world: World, photo: Path, tmp_path: Path
    ) -> None:
        shutil.copytree(world.detector, tmp_path / "copy")
        elsewhere = Grounder.from_pretrained(trained, detector=str(tmp_path / "copy"))
        assert elsewhere.ground(photo, PHRASES) == grounder.ground(photo, PHRASES)
        assert elsewhere.detector.description().name == str(tmp_path / "copy")

    def test_a_missing_detector_is_named(self, grounder: Grounder, photo: Path, tmp_path: Path) -> None:
        with pytest.raises(DetectorError, match="gone"):
            self.with_detector(grounder, str(tmp_path / "gone")).ground(photo, PHRASES)

    def test_missing_fields_of_the_description_are_named(self, trained: Path, tmp_path: Path) -> None:
        folder = Path(shutil.copytree(trained, tmp_path / "bare"))
        config = without_hashes(folder / "config.json")
        del config["detector"]["candidates"], config["detector"]["image_size"]
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(ConfigError, match="the description of the detector lacks image_size, candidates"):
            Grounder.from_pretrained(folder)


def test_opening_a_grounder_draws_no_weights_and_imports_no_compiler() -> None:
    code = (
        "import sys, torch; from aligncat import Grounder; from aligncat.grounder.folder import SHIPPED\n"
        "before = torch.get_rng_state(); grounder = Grounder.from_pretrained(SHIPPED)\n"
        "assert torch.equal(before, torch.get_rng_state())\n"
        "assert not any(each.is_meta for each in grounder.model.state_dict().values())\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
