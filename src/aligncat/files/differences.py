"""Comparison of nested JSON objects, key by key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from aligncat.types import JSON


class Difference(NamedTuple):
    """A value in which two nested JSON objects differ.

    Attributes:
        path: the keys that lead to the value, joined by dots.
        first: the value in the first object, or None if the key is missing.
        second: the value in the second object, or None if the key is missing.
    """

    path: str
    first: JSON
    second: JSON


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    """Yield every value in which two nested JSON objects differ, sorted by key.

    A missing key equals None, and a tuple equals a list with the same values.
    """
    for key in sorted({*first, *second}):
        here, there = first.get(key), second.get(key)
        if isinstance(here, Mapping) and isinstance(there, Mapping):
            for inner in differences(here, there):
                yield inner._replace(path=f"{key}.{inner.path}")
        elif _as_json(here) != _as_json(there):
            yield Difference(key, here, there)


def _as_json(value: Any) -> Any:
    """Return the value as it would be after a round trip through a JSON file."""
    return json.loads(json.dumps(value))
