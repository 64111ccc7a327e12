"""`match` and the answers to phrases for several objects: evidence, folder, and what an uncalibrated grounder says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.old_files import without_hashes
from helpers.tiny_run import ALIGNMENT, TEXT, World
from safetensors.torch import load_file, save_file

from aligncat.alignment.config import Order, RelationPart
from aligncat.alignment.inputs import ImageTensors
from aligncat.datasets.load import load_split
from aligncat.datasets.split import Split
from aligncat.errors import ConfigError, DetectorError
from aligncat.geometry import SAME_OBJECT_IOU, box_iou
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.images import Images
from aligncat.grounder.matcher import Matcher, answer_slots
from aligncat.grounder.matching import Logistic, contradictions, gather_evidence
from aligncat.grounder.model import GroundingModel, ModelConfig
from aligncat.grounder.torch_scorer import TorchScorer
from aligncat.language.vocabulary import Vocabulary
from aligncat.training.calibration import stored_images

BOXES = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10], [40, 0, 50, 10]], np.float32)


@pytest.fixture(scope="module")
def split(world: World) -> Split:
    return load_split(world.data, "train")


@pytest.fixture(scope="module")
def grounder(calibrated: Path) -> Grounder:
    return Grounder.from_pretrained(calibrated)


@pytest.mark.parametrize(
    ("phrase", "match", "slots"),
    [
        ("the dog", [0.1, 0.2, 0.9, 0.9], [0]),
        ("the dogs", [0.9, 0.95, 0.6, 0.4], [1, 2]),  # candidates 0 and 1 are one object
        ("the dogs", [0.1, 0.2, 0.3, 0.0], [2]),
        ("both dogs", [0.9, 0.8, 0.3, 0.2], [0, 2]),
        ("both dogs", [0.9, 0.8, 0.0, 0.0], [0]),
        ("three dogs", [0.9, 0.8, 0.3, 0.2], [0, 2, 3]),
        ("the dogs", [0.0, 0.0, 0.0, 0.0], [0]),
    ],
)
def test_the_answers_of_a_phrase(phrase: str, match: list[float], slots: list[int]) -> None:
    assert answer_slots(phrase, 0, np.array(match, np.float32), BOXES) == slots


def test_one_candidate_is_one_answer() -> None:
    assert answer_slots("both dogs", 0, np.array([0.25], np.float32), BOXES[:1]) == [0]


def test_evidence_is_the_formula_in_numpy(grounder: Grounder, world: World, split: Split) -> None:
    expressions = [e for e in split.expressions if contradictions(e.text, grounder.vocabulary)][:3]
    assert expressions and grounder.calibration is not None
    store, texts = world.open(), [e.text for e in expressions]
    images = stored_images(store, [e.image_id for e in expressions], ())
    bank = grounder.calibration.references
    found = gather_evidence(grounder.scorer, grounder.vocabulary, images, texts, 8)

    def relative(row: int, text: str) -> np.ndarray:
        """Return the fine scores of a text less their scale over the reference candidates."""
        one = ImageTensors(*map(torch.from_numpy, images.rows(np.array([row]))))
        known = torch.from_numpy(bank.features[bank.valid][None])
        with torch.inference_mode():
            tokens = grounder.vocabulary.encode([text], 8)
            scores = grounder.model(one, tokens).fine_scores[0].numpy()
            size = torch.ones(1, known.shape[1], dtype=torch.bool)
            reference = ImageTensors(known, size.long(), size, size.float(), torch.zeros(*size.shape, 4))
            others = grounder.model(reference, tokens).fine_scores
        return scores - np.log(np.mean(np.exp(others[0].double().numpy())))

    for row, text in enumerate(texts):
        kept = found.kept[row]
        score = relative(row, text)
        against = np.max([relative(row, other) for other in contradictions(text, grounder.vocabulary)], axis=0)
        values = found.values[row][kept]
        assert values[:, 0] == pytest.approx(score[kept], abs=1e-4)
        assert values[:, 1] == pytest.approx(np.log(images.confidences[row][kept]), abs=1e-5)
        assert values[:, 3] == pytest.approx(np.clip(score - against, -6, 3)[kept], abs=1e-4)
        assert not found.values[row][~kept].any()


def test_a_noun_alone_is_answered_with_all_that_are_there(grounder: Grounder, world: World, split: Split) -> None:
    sure, unsure = Logistic((0.0, 0.0, 0.0, 0.0), 2.0), Logistic((0.0, 0.0, 0.0, 0.0), -2.0)
    matcher = Matcher(sure, unsure, grounder.scorer, grounder.vocabulary, 8)
    phrases = ["all the dogs", "the red dogs", "the dog"]
    images = stored_images(world.open(), [split.expressions[0].image_id] * len(phrases), ())
    found = matcher.match(images, phrases)
    kept = found.answers > 0
    for row, probability in enumerate([0.880797, 0.119203, 0.119203]):  # 1 / (1 + exp(-2)), 1 / (1 + exp(2))
        assert kept[row].any() and found.answers[row][kept[row]] == pytest.approx(probability, abs=1e-6)
    assert found.present == pytest.approx([0.880797] * 3, abs=1e-6)


@pytest.mark.parametrize(
    ("phrase", "several", "passes"),
    [
        ("dog", False, [True]),
        ("red dog", False, [True, True]),  # the second one has the colours that contradict it
        ("both dogs", True, [True]),
        ("both dogs", False, [False, True]),  # of the phrase, and of its singular
    ],
)
def test_the_choice_and_match_share_a_forward_pass(
    grounder: Grounder,
    world: World,
    split: Split,
    monkeypatch: pytest.MonkeyPatch,
    phrase: str,
    several: bool,
    passes: list[bool],
) -> None:
    candidates = world.open().candidates(next(iter(split.images)))
    images = Images.of([candidates], grounder.columns)
    assert grounder.matcher is not None
    alone = grounder.matcher.match(images, [phrase])
    score, seen = TorchScorer.score, []

    def noted(self: TorchScorer, *arguments: Any, relative: bool = False) -> Any:
        seen.append(relative)
        return score(self, *arguments, relative=relative)

    monkeypatch.setattr(TorchScorer, "score", noted)
    [found] = grounder.ground_candidates(candidates, phrase, several=several)
    assert seen == passes
    assert found.match == alone.present[0]


@pytest.mark.parametrize(
    ("order", "without"),
    [("coarse", None), ("coarse-fine", None), ("coarse-fine", "fine"), ("coarse-fine", "global")],
)
def test_the_score_compares_equal_terms_of_image_and_references(order: Order, without: RelationPart | None) -> None:
    """An image that is its own reference: the mean of exp(score) over its candidates is 1 in every config."""
    alignment = replace(ALIGNMENT, order=order, context="relations", context_without=without, keep=5)
    vocabulary = Vocabulary.from_expressions(["dog left of the bus"], 2)
    torch.manual_seed(0)
    model = GroundingModel(ModelConfig(alignment, TEXT), len(vocabulary), feature_dim=8, classes=3).eval()
    for parameter in model.parameters():
        parameter.data.normal_(std=0.5)
    corners = torch.rand(1, 5, 2)
    images = Images(
        torch.randn(1, 5, 8).numpy(),
        np.zeros((1, 5), np.int64),
        np.array([[True] * 4 + [False]]),
        torch.rand(1, 5).numpy(),
        torch.cat([corners * 0.7, corners * 0.7 + 0.2], dim=-1).numpy(),
    )
    scorer = TorchScorer(model, vocabulary, images)
    found = gather_evidence(scorer, vocabulary, images, ["dog left of the bus"], TEXT.max_length)
    scores = found.values[found.kept][:, 0]
    assert len(scores) == 4 and float(np.exp(scores).mean()) == pytest.approx(1, abs=1e-4)


def test_a_contradiction_with_an_unknown_word_is_none(grounder: Grounder) -> None:
    known = contradictions("red person", grounder.vocabulary)
    assert known and all(grounder.vocabulary.unknown(text) == () for text in known)


def test_a_fallback_from_the_category_lowers_match(grounder: Grounder, world: World, split: Split) -> None:
    candidates = world.open().candidates(next(iter(split.images)))
    [found] = grounder.ground_candidates(candidates, "dog")
    dog = grounder.labels.index(str(found.predicted_category))
    there = replace(candidates, categories=np.full(len(candidates), dog, np.int32))
    gone = replace(candidates, categories=np.full(len(candidates), (dog + 1) % len(grounder.labels), np.int32))
    assert grounder.calibration is not None
    fixed = replace(grounder.calibration, present=Logistic((1.0, 1.0, 2.0, 1.0), -1.0))  # the tiny world's may be 0
    ours = Grounder(
        grounder.model, grounder.vocabulary, grounder.labels, grounder.detector_description, {}, calibration=fixed
    )
    [with_it], [without] = ours.ground_candidates(there, "dog"), ours.ground_candidates(gone, "dog")
    assert with_it.category_matched and not without.category_matched
    assert with_it.match is not None and without.match is not None
    odds = [match / (1 - match) for match in (with_it.match, without.match)]
    assert odds[0] / odds[1] == pytest.approx(np.exp(2), rel=1e-2)


class TestAnswers:
    def test_choices_have_match_and_answers(self, grounder: Grounder, world: World, split: Split) -> None:
        store = world.open()
        plural = replace(split, expressions=tuple(replace(e, text="the dogs") for e in split.expressions[:5]))
        for questions in (split, plural):
            choices = grounder.choose(store, questions)
            assert choices.match is not None and choices.several is not None
            assert choices.match.dtype == np.float32 and choices.several.shape == choices.kept.shape
            assert (choices.match >= 0).all() and (choices.match <= 1).all()
            for row, expression in enumerate(questions.expressions):
                [one] = grounder.ground_candidates(store.candidates(expression.image_id), expression.text, several=True)
                assert [answer.choice for answer in one.answers] == sorted(
                    np.flatnonzero(choices.several[row]),
                    key=lambda slot: (
                        -one.answers[0].match
                        if slot == one.choice
                        else -next(answer.match for answer in one.answers if answer.choice == slot)
                    ),
                )
                assert one.match == pytest.approx(choices.match[row], abs=1e-5)
                boxes = np.array(one.boxes)
                assert (box_iou(boxes, boxes) > SAME_OBJECT_IOU).sum() == len(boxes)
                assert one.box == one.boxes[0] and one.mask == one.masks[0] and one.choice == one.answers[0].choice

    def test_the_choice_of_a_calibrated_grounder_is_the_same(
        self, grounder: Grounder, trained: Path, world: World, split: Split
    ) -> None:
        store = world.open()
        ours, bare = grounder.choose(store, split), Grounder.from_pretrained(trained).choose(store, split)
        assert np.array_equal(ours.choice, bare.choice) and np.array_equal(ours.probabilities, bare.probabilities)
        assert bare.match is None and bare.several is None

    def test_no_answers_without_asking(self, grounder: Grounder, world: World, split: Split) -> None:
        candidates = world.open().candidates(next(iter(split.images)))
        [found] = grounder.ground_candidates(candidates, "both dogs")
        assert found.answers == () and found.match is not None
        [alone] = grounder.ground_candidates(first_candidate(candidates), "both dogs", several=True)
        assert len(alone.answers) == 1 and alone.unknown_words == ()

    def test_an_image_without_candidates_is_one_error(self, grounder: Grounder, world: World, split: Split) -> None:
        candidates = first_candidate(world.open().candidates(next(iter(split.images))), count=0)
        with pytest.raises(DetectorError, match="the detector found nothing in the image"):
            grounder.ground_candidates(candidates, "both dogs", several=True)


def first_candidate(candidates, count: int = 1):  # type: ignore[no-untyped-def]
    names = ("features", "queries", "categories", "confidences", "boxes", "masks")
    return replace(candidates, **{name: getattr(candidates, name)[:count] for name in names})


class TestWithoutCalibration:
    def test_match_is_none_and_several_is_refused(self, trained: Path, world: World, split: Split) -> None:
        bare = Grounder.from_pretrained(trained)
        candidates = world.open().candidates(next(iter(split.images)))
        assert bare.ground_candidates(candidates, "dog")[0].match is None
        with pytest.raises(ConfigError, match=r"not calibrated, so it has no match.*--val_split"):
            bare.ground_candidates(candidates, "both dogs", several=True)
        with pytest.raises(ConfigError, match="not calibrated"):
            bare.ground(next(iter(split.images.values())).path, "both dogs", several=True)


class TestFolder:
    def test_a_round_trip_keeps_match_to_the_bit(
        self, grounder: Grounder, world: World, split: Split, tmp_path: Path
    ) -> None:
        grounder.save_pretrained(tmp_path / "again")
        again = Grounder.from_pretrained(tmp_path / "again")
        store = world.open()
        first, second = grounder.choose(store, split), again.choose(store, split)
        assert first.match is not None and second.match is not None and np.array_equal(first.match, second.match)
        assert (tmp_path / "again" / "match.safetensors").is_file()

    @pytest.fixture
    def copy(self, grounder: Grounder, tmp_path: Path) -> Path:
        grounder.save_pretrained(tmp_path / "copy")
        return tmp_path / "copy"

    def test_a_missing_or_replaced_file_is_named(self, copy: Path) -> None:
        path = copy / "match.safetensors"
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(ConfigError, match=r"match\.safetensors: damaged or replaced: its hash differs"):
            Grounder.from_pretrained(copy)
        path.unlink()
        with pytest.raises(ConfigError, match=r"match\.safetensors is missing"):
            Grounder.from_pretrained(copy)

    @pytest.mark.parametrize(
        ("name", "change", "problem"),
        [
            ("features", lambda tensor: tensor[..., :3].contiguous(), "features of length 32"),
            ("features", lambda tensor: tensor.float(), "in their types"),
            ("features", lambda tensor: tensor * float("nan"), "not finite"),
            ("valid", lambda tensor: tensor[:2], "not of reference images"),
            ("valid", torch.zeros_like, "no reference candidate"),
            ("confidences", None, "does not have the tensors"),
        ],
    )
    def test_reference_images_that_do_not_fit_are_named(self, name, change, problem: str, copy: Path) -> None:  # type: ignore[no-untyped-def]
        path = copy / "match.safetensors"
        tensors = load_file(path)
        tensors |= {name: change(tensors[name])} if change is not None else {}
        save_file({key: value for key, value in tensors.items() if change is not None or key != name}, path)
        (copy / "config.json").write_text(json.dumps(without_hashes(copy / "config.json")))
        with pytest.raises(ConfigError, match=problem) as error:
            Grounder.from_pretrained(copy)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize(
        "change",
        [
            {"present": {"bias": "much"}},
            {"answer": {"weights": {"score": 1}, "bias": 0}},
            {"answer": None},
            {"fitted": None},
        ],
    )
    def test_numbers_that_are_none_are_rejected(self, change: dict[str, object], copy: Path) -> None:
        config = without_hashes(copy / "config.json")
        config["match"] |= change
        (copy / "config.json").write_text(json.dumps(config))
        with pytest.raises(ConfigError):
            Grounder.from_pretrained(copy)
