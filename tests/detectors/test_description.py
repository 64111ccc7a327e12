"""Detector descriptions: reading files of this and older versions, and comparing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from helpers.descriptions import detector_description

from aligncat.detectors.description import DetectorDescription
from aligncat.errors import DetectorError
from aligncat.files.differences import Difference
from aligncat.grounder.folder import SHIPPED


def shipped(*keys: str) -> dict[str, Any]:
    """Return an object from the config.json of the grounder that the package ships."""
    content: dict[str, Any] = json.loads((SHIPPED / "config.json").read_text(encoding="utf-8"))
    for key in keys:
        content = content[key]
    return content


@pytest.mark.parametrize("keys", [("detector",), ("provenance", "store")])
def test_the_description_of_the_shipped_grounder_is_written_back_unchanged(keys: tuple[str, ...]) -> None:
    content = shipped(*keys)
    description = DetectorDescription.from_json(content)
    assert json.dumps(description.to_json()) == json.dumps(content)
    assert (description.name, description.image_size, description.candidates) == ("mini", 160, 20)
    assert (description.every_query, description.unknown) == (False, {})


def test_an_older_description_without_a_preprocessing_mode_is_written_back_unchanged() -> None:
    content = shipped("detector")
    del content["preprocessing"]["mode"]
    description = DetectorDescription.from_json(content)
    assert json.dumps(description.to_json()) == json.dumps(content)
    assert description.preprocessing_mode == "letterbox-416"
    assert not description.differences(DetectorDescription.from_json(shipped("detector")))


def test_every_query_is_written_only_if_it_is_true() -> None:
    description = detector_description(every_query=True)
    assert description.to_json()["every_query"] is True
    assert DetectorDescription.from_json(description.to_json()) == description
    assert description.differences(detector_description()) == [Difference("every_query", True, None)]


def test_masks_are_written_only_if_they_are_not_the_default() -> None:
    description = detector_description(masks="querymatch")
    assert description.to_json()["masks"] == "querymatch"
    assert DetectorDescription.from_json(description.to_json()) == description
    assert "masks" not in detector_description().to_json()
    assert description.differences(detector_description()) == [Difference("masks", "querymatch", "interpolated")]
    assert not description.differences(detector_description(), ignoring=("masks",))


def test_keys_of_another_version_are_kept_and_compared() -> None:
    content = {**shipped("detector"), "tiles": {"rows": 2}}
    description = DetectorDescription.from_json(content)
    assert description.unknown == {"tiles": {"rows": 2}}
    assert description.to_json() == content
    ours = DetectorDescription.from_json(shipped("detector"))
    assert ours.differences(description) == [Difference("tiles", None, {"rows": 2})]


def test_names_and_ignored_keys_are_not_compared() -> None:
    first = detector_description()
    other = replace(first, name="copy", candidates=5, preprocessing={"mode": "hub-384"})
    assert not first.differences(replace(first, name="copy"))
    assert first.differences(other) == [
        Difference("candidates", 20, 5),
        Difference("preprocessing.mode", "letterbox-416", "hub-384"),
    ]
    assert [each.path for each in first.differences(other, ignoring=("candidates",))] == ["preprocessing.mode"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": "160"}, "has '160' as its image_size, which must be of type int"),
        ({"candidates": True}, "has True as its candidates"),
        ({"preprocessing": None}, "has None as its preprocessing"),
        ({"every_query": 1}, "has 1 as its every_query"),
        ({"masks": None}, "has None as its masks"),
    ],
)
def test_a_value_of_the_wrong_type_is_named_in_the_error(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DetectorError, match=message):
        DetectorDescription.from_json({**shipped("detector"), **change})


def test_missing_keys_are_named_in_the_error() -> None:
    with pytest.raises(DetectorError, match="lacks weights_sha256, config_sha256, architecture, image_size"):
        DetectorDescription.from_json({"name": "mini"})
