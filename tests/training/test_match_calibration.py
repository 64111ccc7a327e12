"""The calibration of `match`: its fit, its pairs, and what it depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.tiny_run import World
from scipy.optimize import minimize

from aligncat.datasets.load import load_split
from aligncat.datasets.split import Split
from aligncat.grounder.distinct import one_of_each
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.matching import EVIDENCE, Calibration, Evidence, contradictions
from aligncat.language.colours import COLOURS
from aligncat.training.calibration import calibrate, make_pairs, reference_images, stored_images
from aligncat.training.match_regression import Pairs, fit_answer, fit_present, logistic_regression


@pytest.fixture(scope="module")
def grounder(trained: Path) -> Grounder:
    return Grounder.from_pretrained(trained)


def calibrated(grounder: Grounder, world: World, split: Split, seed: int = 0) -> Calibration | None:
    return calibrate(
        grounder.model, grounder.vocabulary, store=world.open(), split=split, references=list(split.images), seed=seed
    )


def with_texts(split: Split, texts: Sequence[str]) -> Split:
    pairs = zip(split.expressions, texts, strict=True)
    return replace(split, expressions=tuple(replace(expression, text=text) for expression, text in pairs))


def test_the_regression_minimises_the_weighted_penalised_loss() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(300, 3)) * [1, 5, 0.1] + [0, 2, -1]
    values = np.column_stack([values, np.ones(300)])  # a constant
    true = rng.random(300) < 1 / (1 + np.exp(-(values[:, 0] - 0.5 * values[:, 1])))
    weights = rng.random(300)
    weights /= weights.sum()
    coefficients, bias = logistic_regression(values, true, weights)
    mean = weights @ values[:, :3]
    scale = np.sqrt(weights @ (values[:, :3] - mean) ** 2)

    def loss(solution: np.ndarray) -> float:
        logits = values[:, :3] @ solution[:3] + solution[3]
        return float(weights @ (np.logaddexp(0, logits) - true * logits) + 0.5e-3 * ((solution[:3] * scale) ** 2).sum())

    best = minimize(loss, np.zeros(4), tol=1e-12).x
    assert coefficients[:3] == pytest.approx(best[:3], abs=1e-3) and coefficients[3] == 0
    assert bias == pytest.approx(best[3], abs=1e-3)


def test_a_separable_outcome_has_a_finite_fit() -> None:
    true = np.array([True] * 5 + [False] * 5)
    coefficients, bias = logistic_regression(np.where(true, 1.0, -1.0)[:, None], true, np.full(10, 0.1))
    assert 1 < coefficients[0] < 100 and abs(bias) < 1e-6


def test_pairs_count_by_their_weight_and_the_best_candidate_of_a_pair_decides() -> None:
    def pairs(score: float, weights: list[float]) -> Pairs:
        count = len(weights)
        values = np.zeros((count, 2, 4), np.float32)
        values[:, 1, 0] = score  # the choice is candidate 0, whose score is 0
        chosen = np.zeros(count, np.int64)
        return Pairs(Evidence(values, np.ones((count, 2), bool), chosen, chosen), np.array(weights))

    present, absent = pairs(5.0, [1.0] * 4), pairs(-1.0, [1.0, 0.5, 0.0])
    # A pair of weight 0 does not count, however much it looks like a present one.
    absent.evidence.values[2, 1, 0] = 9.0
    found = fit_present(present, [absent])
    assert found.weights[1:] == (0, 0, 0)
    best = [float(kind.evidence.probabilities(found).max(axis=1)[0]) for kind in (present, absent)]
    assert best[0] >= 0.5 >= best[1]


def test_other_objects_of_the_category_are_no_answers() -> None:
    """The chosen candidate is confident, the others are not; the score says nothing."""
    values = np.zeros((10, 3, 4), np.float32)
    values[:, 1:, 1] = -3.0
    chosen = np.zeros(10, np.int64)
    evidence = Evidence(values, np.ones((10, 3), bool), chosen, chosen)
    found = fit_answer(evidence, [(row, slot) for row in range(10) for slot in (1, 2)])
    assert found.weights[0] == found.weights[2] == found.weights[3] == 0
    right, wrong, _ = evidence.probabilities(found)[0].tolist()
    assert right > 0.9 and wrong < 0.1


def test_reference_images_have_each_object_once(world: World) -> None:
    store = world.open()
    ids = list(load_split(world.data, "train").images)
    references = reference_images(stored_images(store, ids, ()))
    for row, image_id in enumerate(ids):
        candidates = store.candidates(image_id)
        kept = one_of_each(candidates.boxes, range(len(candidates)))[:8]
        assert references.valid[row].sum() == len(kept)
        assert np.array_equal(references.features[row, : len(kept)], candidates.features[kept])
        assert references.categories[row, : len(kept)].tolist() == candidates.categories[kept].tolist()
        assert not references.features[row, len(kept) :].any()


def test_the_same_seed_gives_the_same_bits(grounder: Grounder, world: World) -> None:
    split = load_split(world.data, "train")
    first, again = calibrated(grounder, world, split), calibrated(grounder, world, split)
    assert first is not None and again is not None
    assert (first.present, first.answer, first.fitted) == (again.present, again.answer, again.fitted)
    assert np.array_equal(first.references.features, again.references.features)
    assert first.fitted["present"] == 48 and first.fitted["share_present"] == 0.5


def test_categories_and_referents_of_the_split_do_not_matter(grounder: Grounder, world: World) -> None:
    split = load_split(world.data, "train")
    bare = tuple(replace(e, referent_id="", category=None, needed=(), kind=None) for e in split.expressions)
    first, second = calibrated(grounder, world, split), calibrated(grounder, world, replace(split, expressions=bare))
    assert first is not None and second is not None and (first.present, first.answer) == (second.present, second.answer)


@pytest.mark.parametrize("swaps", [0, 3])
def test_few_or_no_near_misses_do_not_count(grounder: Grounder, world: World, swaps: int) -> None:
    """Otherwise a quarter of the weight would be that of a few pairs."""
    split = load_split(world.data, "train")
    word = next(word for word in COLOURS if contradictions(word, grounder.vocabulary))
    noun = next(word for word in grounder.labels if not grounder.vocabulary.unknown(word))
    texts = [f"{word} {noun}" if row < swaps else noun for row in range(len(split.expressions))]
    found = calibrated(grounder, world, with_texts(split, texts))
    assert found is not None and float(found.fitted["near_misses"]) <= swaps
    if not swaps:
        assert found.present.weights[EVIDENCE.index("contradiction")] == 0


def test_a_phrase_for_several_objects_is_read_like_that_for_one_and_has_no_wrong_objects(
    grounder: Grounder, world: World
) -> None:
    split = load_split(world.data, "train")
    one, several = (
        calibrated(grounder, world, with_texts(split, [text] * len(split.expressions))) for text in ("dog", "the dogs")
    )
    assert one is not None and several is not None
    assert one.present == several.present
    assert several.answer == several.present != one.answer


def test_pairs_in_images_without_candidates_do_not_count(grounder: Grounder, world: World) -> None:
    split = load_split(world.data, "train")
    *others, last = split.images
    images = stored_images(world.open(), [*others, last], ())
    images.valid[-1], images.categories[-1], images.confidences[-1] = False, -1, 0
    bank = reference_images(images)
    kinds, _ = make_pairs(grounder.model, grounder.vocabulary, images, split, bank, np.random.default_rng(0))
    gone = np.array([expression.image_id == last for expression in split.expressions])
    assert gone.any() and np.array_equal(kinds[0].weights, ~gone)
    for kind in kinds:
        assert not kind.weights[~kind.evidence.kept.any(axis=1)].any()


def test_without_a_reference_candidate_there_is_a_warning(
    grounder: Grounder, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    split = load_split(world.data, "train")
    found = calibrate(grounder.model, grounder.vocabulary, store=world.open(), split=split, references=[], seed=0)
    assert found is None and "no reference image has a candidate" in caplog.text


def test_a_small_split_gives_none_and_a_warning(
    grounder: Grounder, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    split = load_split(world.data, "val")
    assert calibrated(grounder, world, split) is None
    assert "not calibrated" in caplog.text
    [first, *_] = split.images
    one = replace(
        split,
        images={first: split.images[first]},
        expressions=tuple(e for e in split.expressions if e.image_id == first) * 20,
    )
    assert calibrated(grounder, world, one) is None


def test_expressions_without_a_word_to_swap_are_calibrated_without_near_misses(
    grounder: Grounder, world: World
) -> None:
    split = load_split(world.data, "train")
    plain = tuple(replace(each, text="the one there") for each in split.expressions)
    found = calibrated(grounder, world, replace(split, expressions=plain))
    assert found is not None and (found.fitted["present"], found.fitted["near_misses"]) == (48, 0.0)
