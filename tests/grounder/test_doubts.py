"""The sentences that say why an answer should not be trusted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.fabricate_groundings import grounding
from helpers.tiny_run import World
from hypothesis import given
from hypothesis import strategies as st

from aligncat.datasets.load import load_split
from aligncat.grounder.doubts import Thresholds, doubts
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.grounding import Grounding

UNKNOWN = "Words that the grounder does not know: "


@pytest.mark.parametrize(
    ("match", "category", "found", "unknown", "guessed", "expected"),
    [
        (None, "cup", True, (), False, []),
        (0.5, None, True, (), False, []),
        (0.49, "cup", True, (), False, ["The photo may not show this: match is 0.49."]),
        (
            0.9,
            "donut",
            False,
            (),
            False,
            ["The phrase was read as one for the category donut, and nothing in the photo was found as one."],
        ),
        (None, "cup", True, ("old",), False, [UNKNOWN + "old."]),
        (
            None,
            "cup",
            True,
            ("stein",),
            True,
            ["The grounder does not know the noun of the phrase, so the category cup is a guess.", UNKNOWN + "stein."],
        ),
        (None, None, True, ("stein",), True, [UNKNOWN + "stein."]),  # the grounder reads no category
        (
            0.1,
            "person",
            False,
            ("red", "beret"),
            True,
            [
                "The photo may not show this: match is 0.10.",
                "The grounder does not know the noun of the phrase, so the category person is a guess; nothing in the "
                "photo was found as one.",
                UNKNOWN + "red, beret.",
            ],
        ),
    ],
)
def test_each_doubt_is_a_sentence(
    match: float | None,
    category: str | None,
    found: bool,
    unknown: tuple[str, ...],
    guessed: bool,
    expected: list[str],
) -> None:
    further = "The photo is strange."
    said = doubts(match=match, category=category, found=found, unknown=unknown, guessed=guessed, further=(further,))
    assert said == (*expected, further)


def test_a_grounders_answers_carry_them(calibrated: Path, world: World) -> None:
    grounder = Grounder.from_pretrained(calibrated)
    photo = next(iter(load_split(world.data, "val").images.values())).path
    phrases = ["red person", "person with xylophone", "blue couch", "the xylophone on the left"]
    for found in grounder.ground(photo, phrases):
        assert found.match is not None
        guessed = found.expression == phrases[-1]
        wanted = [found.match < 0.5, guessed, not found.category_matched, bool(found.unknown_words)]
        said = ["match is", "is a guess", "nothing in the photo was found", "Words that the grounder does not know: "]
        assert [any(text in each for each in found.warnings) for text in said] == wanted
        assert all(str(found.predicted_category) in each for each in found.warnings if "the category" in each)
        assert not found.warnings or "warnings" in repr(found)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("phrase", ["the xylophones on the left", "both xylophones", "the xylophone's hat"])
def test_a_guess_from_a_plural_or_a_genitive_says_so(
    calibrated: Path, world: World, phrase: str, several: bool
) -> None:
    store = world.open()
    grounder = Grounder.from_pretrained(calibrated)
    [found] = grounder.ground_candidates(store.candidates(store.image_ids[0]), phrase, several=several)
    guess = f"The grounder does not know the noun of the phrase, so the category {found.predicted_category} is a guess"
    assert any(each.startswith(guess) for each in found.warnings)


class TestThresholds:
    def test_the_objects_of_a_phrase_for_several_need_the_probability_together(self) -> None:
        several = grounding("both dogs", both=True)  # 0.5 and 0.25
        assert Thresholds(probability=0.75).kept(several, top=False) == several
        assert Thresholds(probability=0.76).kept(several, top=False) is None
        left = Thresholds(probability=0.3).kept(several, top=True)
        assert left is not None and [each.probability for each in left.answers] == [0.5]
        assert Thresholds(probability=0.6).kept(several, top=True) is None

    def test_if_the_first_of_the_best_candidates_is_left_out_the_answer_is_the_next(self) -> None:
        found = grounding("dog", both=True)
        first, second = found.answers
        found = found.with_answers((replace(first, probability=0.3), replace(second, probability=0.7, category="cup")))
        left = Thresholds(probability=0.5).kept(found, top=True)
        assert left is not None
        assert (left.box, left.mask, left.choice) == (second.box, second.mask, second.choice)
        assert (left.probability, left.category, len(left.answers)) == (0.7, "cup", 1)

    def test_without_a_match_nothing_passes_a_threshold_for_it(self) -> None:
        assert Thresholds(match=0.1).kept(replace(grounding("dog"), match=None), top=False) is None
        assert Thresholds(match=0.75).kept(grounding("dog"), top=False) == grounding("dog")


@given(st.text(max_size=20), st.booleans(), st.booleans(), st.floats(0, 1) | st.none())
def test_a_grounding_is_read_back_from_its_json_values(
    text: str, both: bool, masked: bool, match: float | None
) -> None:
    found = replace(grounding(text, both=both, masked=masked, warnings=("Hm.",)), match=match)
    assert Grounding.from_dict(found.to_dict()) == found


def test_objects_are_the_answers_one_by_one() -> None:
    several = grounding("both dogs", both=True)
    assert [each.box for each in several.objects] == list(several.boxes)
    assert [each.mask for each in several.objects] == list(several.masks)
    assert [each.answers for each in several.objects] == [(each,) for each in several.answers]
    assert {each.expression for each in several.objects} == {"both dogs"}
    assert grounding("dog").objects == (grounding("dog"),)
    assert grounding("dog", masked=False).masks == ()
