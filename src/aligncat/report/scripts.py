"""Data files of the page, written as classic scripts: a page opened from disk can neither fetch nor import."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# "</script" and "<!--" end or change a script; U+2028 and U+2029 end a line in JavaScript before ES2019.
_ESCAPED = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def write_script(folder: Path, name: str, value: Any) -> None:
    """Write NAME.js, which passes plain data to the page.

    Args:
        folder: the folder of the script.
        name: the name by which the page loads the data.
        value: data that JSON can hold. No key may come from a dataset: the page would lose the key "__proto__".

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).translate(_ESCAPED)
    (folder / f"{name}.js").write_text(f'report.receive("{name}",{text});\n', encoding="utf-8")


def number(value: float | None, decimals: int = 3) -> float | int | None:
    """Round a number for the page; return None if it is missing or not finite, such as a score of -inf."""
    if value is None or not math.isfinite(value):
        return None
    rounded = round(value, decimals)
    return int(rounded) if rounded.is_integer() else rounded


def numbers(values: Iterable[float | None] | None, decimals: int = 3) -> list[float | int | None]:
    """Apply `number` to each value; None gives an empty list."""
    return [number(value, decimals) for value in values or ()]
