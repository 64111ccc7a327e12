"""Comparison of nested JSON objects, key by key."""

from __future__ import annotations

from aligncat.files.differences import Difference, differences


def test_every_key_that_differs_is_named() -> None:
    assert not list(differences({"a": [1, 2], "b": {"c": 1}}, {"a": (1, 2), "b": {"c": 1}}))
    assert list(differences({"a": 1, "b": {"c": 1}}, {"b": {"c": 2}, "d": 3})) == [
        Difference("a", 1, None),
        Difference("b.c", 1, 2),
        Difference("d", None, 3),
    ]


def test_an_object_and_a_scalar_are_one_difference() -> None:
    assert list(differences({"a": {"b": 1}}, {"a": 1})) == [Difference("a", {"b": 1}, 1)]
