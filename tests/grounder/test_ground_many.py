"""Many photos: the answers of `ground`, in order, while photos are read ahead; bad photos, stores and thresholds."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.tiny_run import CANDIDATES, World
from PIL import Image

from aligncat.api.extract import extract
from aligncat.datasets.load import load_split
from aligncat.detectors.protocol import Detector
from aligncat.errors import ConfigError, DataError, DetectorError, ImageError, StoreError
from aligncat.grounder.ground_many import Answering, Pair, ground_photos
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.grounding import Grounding
from aligncat.grounder.trained_grounder import PHRASES_AT_ONCE
from aligncat.types import Candidates

PHRASES = ["red person", "the dog on the left"]
FIRST = Path(__file__).resolve().parents[1] / "fixtures" / "first-layout"


class Watched:
    """A detector that counts the images of each call."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.batch_size = 3
        self.calls: list[int] = []

    def detect(self, images: Sequence[Image.Image], ids: Sequence[str]) -> list[Candidates]:
        self.calls.append(len(images))
        return [each for image in images for each in self.detector.detect([image], ["image"])]


@pytest.fixture(scope="module")
def photos(world: World) -> list[Path]:
    return [image.path for image in load_split(world.data, "train").images.values()]


@pytest.fixture
def grounder(trained: Path) -> Grounder:
    return Grounder.from_pretrained(trained)


@pytest.fixture
def watched(grounder: Grounder) -> Watched:
    grounder._detector = found = Watched(grounder.detector)  # type: ignore[assignment]
    return found


def test_the_answers_are_those_of_ground_in_order_in_batches_of_the_detector(
    grounder: Grounder, photos: list[Path], watched: Watched
) -> None:
    answers = list(grounder.ground_many((photo, PHRASES) for photo in photos[:7]))
    assert [answer.image for answer in answers] == photos[:7]
    assert watched.calls == [3, 3, 1]
    for answer, photo in zip(answers, photos, strict=False):
        assert list(answer.groundings) == grounder.ground(photo, PHRASES)
        assert answer.error is None and answer.size == (48, 40) and answer.stamp is not None
        assert answer.stamp.size == photo.stat().st_size


def test_an_image_may_be_anything_that_ground_takes(grounder: Grounder, photos: list[Path]) -> None:
    content = photos[0].read_bytes()
    with Image.open(photos[0]) as image:
        array = np.asarray(image.convert("RGB"))
    found = list(grounder.ground_many([(photos[0], "dog"), (content, "dog"), (array, "dog")], batch_size=1))
    assert found[0].groundings == found[1].groundings == found[2].groundings
    assert [answer.stamp is None for answer in found] == [False, True, True]


def test_nothing_is_taken_from_the_pairs_before_the_first_answer_is_wanted_and_little_after_it(
    grounder: Grounder, photos: list[Path], watched: Watched
) -> None:
    taken = []

    def pairs() -> Iterator[Pair]:
        for number in range(1000):
            taken.append(number)
            yield photos[number % len(photos)], "dog"

    answers = grounder.ground_many(pairs())
    assert taken == []
    next(answers)
    assert len(taken) == 9  # three batches of three
    before = threading.active_count()
    answers.close()  # type: ignore[attr-defined]
    assert len(taken) == 9 and threading.active_count() < before


def test_the_photo_of_the_pair_before_is_not_detected_again(
    grounder: Grounder, photos: list[Path], watched: Watched
) -> None:
    pairs = [(photos[0], "dog"), (str(photos[0]), "couch"), (photos[1], "dog"), (photos[0], "dog")]
    answers = list(grounder.ground_many(pairs, batch_size=2))
    assert sum(watched.calls) == 3
    assert [answer.groundings[0].expression for answer in answers] == ["dog", "couch", "dog", "dog"]
    assert answers[0].groundings == answers[3].groundings
    assert answers[1].groundings == tuple(grounder.ground(photos[0], "couch"))


class TestBadPhotos:
    @pytest.fixture
    def mixed(self, photos: list[Path], tmp_path: Path) -> list[Path]:
        (tmp_path / "cut.png").write_bytes(photos[1].read_bytes()[:100])
        return [photos[0], tmp_path / "cut.png", tmp_path / "gone.png", photos[2]]

    def test_an_error_comes_at_its_place(self, grounder: Grounder, mixed: list[Path]) -> None:
        answers = grounder.ground_many((photo, "dog") for photo in mixed)
        assert next(answers).image == mixed[0]
        with pytest.raises(ImageError, match=r"cut\.png"):
            next(answers)

    def test_a_bad_photo_is_passed_over_where_asked(self, grounder: Grounder, mixed: list[Path]) -> None:
        pairs = [(photo, text) for photo in mixed for text in ("dog", "couch")]
        answers = list(grounder.ground_many(pairs, skip_bad_images=True))
        assert [answer.error is not None for answer in answers] == [False, False, True, True, True, True, False, False]
        assert "cut.png" in str(answers[2].error) and "no such image file" in str(answers[4].error)
        assert answers[2].groundings == answers[3].groundings == ()
        [found], [alone] = answers[-1].groundings, grounder.ground(mixed[-1], "couch")
        assert (found.choice, found.box, found.mask) == (alone.choice, alone.box, alone.mask)
        # The detector's class logits of a batch differ in their last bits from those of one photo.
        assert found.probability == pytest.approx(alone.probability, abs=1e-6)

    def test_a_photo_in_which_nothing_is_found_is_one_too(self, grounder: Grounder, photos: list[Path]) -> None:
        class Blind(Watched):
            def detect(self, images: Sequence[Image.Image], ids: Sequence[str]) -> list[Candidates]:
                [found] = self.detector.detect(images, ids)
                none = {
                    name: getattr(found, name)[:0] for name in ("features", "queries", "categories", "boxes", "masks")
                }
                return [replace(found, confidences=found.confidences[:0], **none)]

        grounder._detector = Blind(grounder.detector)  # type: ignore[assignment]
        [answer] = grounder.ground_many([(photos[0], "dog")], batch_size=1, skip_bad_images=True)
        assert isinstance(answer.error, DetectorError) and f"{photos[0]}: the detector found nothing" in str(
            answer.error
        )
        with pytest.raises(DetectorError, match="found nothing"):
            grounder.ground(photos[0], "dog")

    def test_a_phrase_without_words_is_an_error_also_there(self, grounder: Grounder, photos: list[Path]) -> None:
        with pytest.raises(DataError, match="no words"):
            list(grounder.ground_many([(photos[0], ["dog", "..."])], skip_bad_images=True))


class TestStore:
    def test_photos_of_a_store_need_no_detector_and_no_names(
        self, grounder: Grounder, world: World, photos: list[Path], tmp_path: Path
    ) -> None:
        expected = [grounder.ground(photo, PHRASES) for photo in photos[:3]]
        copies = [tmp_path / f"{number}.png" for number in range(3)]
        for copy, photo in zip(copies, photos, strict=False):
            copy.write_bytes(photo.read_bytes())
        fresh = Grounder(*grounder.contents())
        answers = list(fresh.ground_many([(copy, PHRASES) for copy in copies], store=world.open()))
        assert fresh._detector is None
        for answer, found in zip(answers, expected, strict=True):
            assert [each.expression for each in answer.groundings] == PHRASES
            for one, other in zip(answer.groundings, found, strict=True):
                assert one.box == pytest.approx(other.box, abs=1e-3) and one.category == other.category

    def test_a_photo_that_the_store_lacks_is_detected(
        self, grounder: Grounder, world: World, photos: list[Path], watched: Watched, tmp_path: Path
    ) -> None:
        Image.new("RGB", (50, 30), "red").save(tmp_path / "new.png")
        pairs = [(photos[0], "dog"), (tmp_path / "new.png", "dog"), (photos[1], "dog")]
        answers = list(grounder.ground_many(pairs, store=world.open()))
        assert watched.calls == [1] and [answer.size for answer in answers] == [(48, 40), (50, 30), (48, 40)]

    def test_a_store_of_another_detector_or_of_the_first_format_is_refused(
        self, grounder: Grounder, world: World, tmp_path: Path
    ) -> None:
        other = extract(out=tmp_path / "s", images=world.files.image_folder, detector=str(world.detector), candidates=2)
        assert CANDIDATES != 2
        with pytest.raises(StoreError):
            grounder.ground_many([], store=other)
        old = Grounder.from_pretrained(FIRST / "grounder")
        from aligncat import Store

        with pytest.raises(StoreError, match="extract again"):
            old.ground_many([], store=Store.open(FIRST / "store"))


class TestTop:
    def test_the_best_candidates_are_distinct_objects_best_first(self, grounder: Grounder, photos: list[Path]) -> None:
        [best] = grounder.ground(photos[0], "dog")
        [found] = grounder.ground(photos[0], "dog", top=3)
        assert replace(found, answers=()) == best
        assert 1 <= len(found.answers) <= 3 and found.answers[0].choice == best.choice
        chosen = [found.candidates[each.choice] for each in found.answers]
        assert all(each.kept and each.probability > 0 for each in chosen)
        assert [each.probability for each in chosen[1:]] == sorted((e.probability for e in chosen[1:]), reverse=True)
        assert [each.box for each in found.answers] == [each.box for each in chosen]
        for one in range(len(chosen)):
            for other in range(one):
                assert iou(chosen[one].box, chosen[other].box) <= 0.5

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"top": 0}, "--top is 0"),
            ({"top": 2, "several": True}, "contradict each other"),
            ({"several": True}, "not calibrated"),
            ({"min_match": 0.5}, "not calibrated"),
            ({"min_match": 1.5}, "--min_match is 1.5"),
            ({"min_probability": -1.0}, "--min_probability is -1.0"),
            ({"batch_size": 0}, "batch_size is 0"),
        ],
    )
    def test_an_impossible_setting_is_an_error_at_once(
        self, wrong: dict[str, object], said: str, trained: Path
    ) -> None:
        with pytest.raises(ConfigError, match=said):
            Grounder.from_pretrained(trained).ground_many([], **wrong)  # type: ignore[arg-type]


class TestThresholds:
    def test_answers_below_are_left_out_and_kept_apart(self, calibrated: Path, photos: list[Path]) -> None:
        grounder = Grounder.from_pretrained(calibrated)
        whole = grounder.ground(photos[0], PHRASES)
        for name, values in (
            ("min_match", [each.match or 0.0 for each in whole]),
            ("min_probability", [each.probability for each in whole]),
        ):
            least = max(values)
            [answer] = grounder.ground_many([(photos[0], PHRASES)], **{name: least})  # type: ignore[arg-type]
            assert list(answer.groundings) == [one for one, value in zip(whole, values, strict=True) if value >= least]
            assert list(answer.left_out) == [one for one, value in zip(whole, values, strict=True) if value < least]

    def test_of_the_best_candidates_each_needs_the_probability(self, grounder: Grounder, photos: list[Path]) -> None:
        [found] = grounder.ground(photos[0], "dog", top=5)
        least = found.answers[0].probability
        [answer] = grounder.ground_many([(photos[0], "dog")], top=5, min_probability=least)
        expected = [each for each in found.answers if each.probability >= least]
        assert [*answer.groundings[0].answers] == expected


def test_the_memory_of_a_pass_does_not_depend_on_the_number_of_phrases(grounder: Grounder, photos: list[Path]) -> None:
    [candidates] = grounder.detector.detect([Image.open(photos[0]).convert("RGB")], ["image"])
    passes = []
    hook = grounder.model.register_forward_pre_hook(lambda _, inputs: passes.append(len(inputs[1])))
    many = [f"dog {number}" for number in range(2 * PHRASES_AT_ONCE + 5)]
    found = grounder.ground_candidates(candidates, many)
    hook.remove()
    assert passes == [PHRASES_AT_ONCE, PHRASES_AT_ONCE, 5]
    assert [each.expression for each in found] == many


def cut(candidates: Candidates, count: int) -> Candidates:
    names = ("features", "queries", "categories", "confidences", "boxes", "masks")
    return replace(candidates, **{name: getattr(candidates, name)[:count] for name in names})


def assert_alike(found: Sequence[Grounding], expected: Sequence[Grounding]) -> None:
    """Check that groundings are the same but for the last bits of their numbers."""

    def numbers(of: Grounding) -> list[float]:
        own = [of.probability, of.match or 0.0, *(weight for _, weight in of.word_weights)]
        own += [value for each in of.answers for value in (each.match or 0.0, each.probability)]
        return [*own, *(each.probability for each in of.candidates)]

    for one, other in zip(found, expected, strict=True):
        for name in ("expression", "box", "mask", "category", "choice", "unknown_words", "warnings"):
            assert getattr(one, name) == getattr(other, name), name
        assert [each.choice for each in one.answers] == [each.choice for each in other.answers]
        assert numbers(one) == pytest.approx(numbers(other), abs=1e-5)


def test_several_images_are_grounded_in_one_pass_as_each_alone(calibrated: Path, world: World) -> None:
    grounder, store = Grounder.from_pretrained(calibrated), world.open()
    whole = [store.candidates(name) for name in store.image_ids[:4]]
    most = min(map(len, whole))
    one, two = (cut(each, most) for each in whole[:2])
    three, four = (cut(each, most - 1) for each in whole[2:])
    asked = [(one, PHRASES), (two, ["both dogs"]), (three, PHRASES), (four, ["a unicorn"]), (one, PHRASES)]
    passes = []
    hook = grounder.model.register_forward_pre_hook(lambda _, inputs: passes.append(inputs[0].valid.shape[:2]))
    found = grounder.ground_images(asked)
    hook.remove()
    assert passes[0] == (3, most) and {(3, most - 1), (2, most)} < {*passes}
    for several in (False, True):
        found = grounder.ground_images(asked, several=several)
        assert len(found) == len(asked)
        for answers, each in zip(found, asked, strict=True):
            assert_alike(answers, grounder.ground_candidates(*each, several=several))
    assert grounder.ground_images([]) == []
    with pytest.raises(DetectorError, match="found nothing"):
        grounder.ground_images([(one, PHRASES), (cut(two, 0), PHRASES)])
    with pytest.raises(ConfigError, match="contradict"):
        grounder.ground_images([], several=True, top=2)


def test_a_batch_that_is_scored_at_once_has_the_answers_and_errors_of_each(
    grounder: Grounder, photos: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no photo")
    pairs: list[Pair] = [
        (photos[0], PHRASES),
        (tmp_path / "broken.png", ["dog"]),
        (photos[1], ["dog"]),
        (photos[1], PHRASES),
        (photos[2], ["couch"]),
    ]
    answering = Answering(together=True)
    found = list(ground_photos(grounder, pairs, answering=answering, batch_size=3, skip_bad_images=True))
    assert [answer.error is None for answer in found] == [True, False, True, True, True]
    for answer, (photo, phrases) in zip(found, pairs, strict=True):
        assert answer.image == photo
        if answer.error is None:
            assert_alike(answer.groundings, grounder.ground(photo, phrases))


def test_the_memory_of_many_pairs_is_flat(grounder: Grounder, photos: list[Path]) -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        for _ in grounder.ground_many((photos[0], ["dog"] * 8) for _ in range(count)):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(5)
    assert peak(80) < 1.5 * peak(20)


def iou(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = [(each[2] - each[0]) * (each[3] - each[1]) for each in (one, other)]
    return shared / (sum(areas) - shared)
