"""Labelling configurations: what is read in them, and what a wrong one is told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.fabricate_groundings import grounding
from hypothesis import given
from hypothesis import strategies as st

from aligncat.serving.label_studio.project import EXAMPLE, Project
from aligncat.serving.refusals import Refusal

FULL = """<View>
  <Header value="Which one?"/>
  <Text name="asked" value="$text"/>
  <Image name="img" value="$photo" zoom="true"/>
  <RectangleLabels name="rect" toName="img"><Label value="cat"/><Label value="red mug"/></RectangleLabels>
  <BrushLabels name="brush" toName="img"><Label value="cat"/><Label value="red mug"/></BrushLabels>
  <Choices name="c" toName="img"><Choice value="blurred"/></Choices>
</View>"""


def test_a_configuration_is_read() -> None:
    project = Project.of(FULL)
    assert (project.photo, project.phrase, project.labels) == ("photo", "text", ("cat", "red mug"))
    assert (project.controls.image, project.controls.boxes, project.controls.masks) == ("img", "rect", "brush")
    small = Project.of(EXAMPLE)
    assert (small.controls.boxes, small.controls.masks, small.labels) == ("box", None, ("object",))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<View>", "<View", "not XML"),
        ("<View>", '<!DOCTYPE a [<!ENTITY b "c">]><View>', "document type or an entity"),
        ("<View>", '<View><Image name="b" value="$other"/>', "2 <Image>"),
        ('value="$photo"', 'value="photo.jpg"', "0 <Image>"),
        ('<Text name="asked" value="$text"/>', "", "0 <Text>"),
        ('toName="img"', 'toName="other"', "no <RectangleLabels> or <BrushLabels> has toName='img'"),
        ("<Label", "<Other", "no <Label value"),
        ('<Label value="cat"/>', "", "different labels"),
    ],
)
def test_a_wrong_configuration_is_told(old: str, new: str, said: str) -> None:
    config = FULL.replace(old, new, 1 if said == "different labels" else -1)
    with pytest.raises(Refusal, match=said) as raised:
        Project.of(config)
    assert (raised.value.status, raised.value.code) == (422, "wrong_project") and EXAMPLE in str(raised.value)


@given(st.text() | st.binary().map(lambda content: content.decode("latin-1")))
def test_any_text_is_read_or_refused(config: str) -> None:
    with pytest.raises(Refusal):
        Project.of(config)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("red mug", ["red mug"]), ("red mug\n\n the cat \r\n", ["red mug", "the cat"]), (["a", " ", 3, "b"], ["a", "b"])],
)
def test_the_phrases_of_a_task(value: object, expected: list[str]) -> None:
    assert Project.of(FULL).phrases({"text": value}) == expected


@pytest.mark.parametrize("data", [{}, {"text": ""}, {"text": [" "]}, {"text": None}, {"text": {"a": "b"}}])
def test_a_task_without_phrases_is_told(data: dict[str, object]) -> None:
    with pytest.raises(Refusal, match="has no phrase under 'text'"):
        Project.of(FULL).phrases(data)


def test_the_label_is_the_phrase_the_category_or_the_first() -> None:
    project = Project.of(FULL)
    assert project.label(replace(grounding("Red Mug"), category="dog")) == "red mug"
    assert project.label(replace(grounding("the left one"), category="cat")) == "cat"
    assert project.label(replace(grounding("the left one"), category="dog")) == "cat"
