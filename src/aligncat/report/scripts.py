"""Data files of the page, written as classic scripts: a page opened from disk can neither fetch nor import."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

# "</script" and "<!--" end or change a script; U+2028 and U+2029 end a line in JavaScript before ES2019.
_ESCAPED = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


@dataclass(frozen=True, slots=True)
class InBlocks:
    """A long list, of which some values are made at a time.

    Attributes:
        blocks: returns the blocks of the list, in order.
    """

    blocks: Callable[[], Iterable[list[Any]]]


def write_script(folder: Path, name: str, value: Any) -> None:
    """Write NAME.js, which passes plain data to the page.

    Args:
        folder: the folder of the script.
        name: the name by which the page loads the data.
        value: data that JSON can hold, and in mappings also lists `InBlocks`. No key may come from a dataset: the page
            would lose the key "__proto__".

    Raises:
        ValueError: a number is not finite.
    """
    with (folder / f"{name}.js").open("w", encoding="utf-8") as file:
        file.write(f'report.receive("{name}",')
        for piece in _pieces(value):
            file.write(piece.translate(_ESCAPED))
        file.write(");\n")


def _pieces(value: Any) -> Iterator[str]:
    """Yield the JSON of a value piece by piece."""
    if isinstance(value, InBlocks):
        yield "["
        comma = ""
        for block in filter(None, value.blocks()):
            yield comma + _json(block)[1:-1]
            comma = ","
        yield "]"
    elif isinstance(value, Mapping):
        yield "{"
        for number_of_key, (key, of_key) in enumerate(value.items()):
            yield f"{',' if number_of_key else ''}{_json(key)}:"
            yield from _pieces(of_key)
        yield "}"
    elif isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        yield "["
        for place, each in enumerate(value):
            yield "," if place else ""
            yield from _pieces(each)
        yield "]"
    else:
        yield _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def number(value: float | None, decimals: int = 3) -> float | int | None:
    """Round a number for the page; return None if it is missing or not finite, such as a score of -inf."""
    if value is None or not math.isfinite(value):
        return None
    rounded = round(value, decimals)
    return int(rounded) if rounded.is_integer() else rounded


def numbers(values: Iterable[float | None] | None, decimals: int = 3) -> list[float | int | None]:
    """Apply `number` to each value; None gives an empty list."""
    return [number(value, decimals) for value in values or ()]
