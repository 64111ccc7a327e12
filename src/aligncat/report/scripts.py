"""Data files of the page: classic scripts, since a page opened from disk can neither fetch nor import."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# "</script", "<!--" end or change a script, and U+2028 and U+2029 ended a line of JavaScript before ES2019.
_ESCAPED = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def write_script(folder: Path, name: str, value: Any) -> None:
    """Write NAME.js, which hands plain data to the page.

    Args:
        folder: where.
        name: the name that the page asks for.
        value: what JSON can hold; keys are ours, never a dataset's (a key of "__proto__" would be lost).

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).translate(_ESCAPED)
    (folder / f"{name}.js").write_text(f'report.receive("{name}",{text});\n', encoding="utf-8")


def number(value: float | None, decimals: int = 3) -> float | int | None:
    """A number with as many decimals as the page shows; None where it is none (a score of -inf: not compared)."""
    if value is None or not math.isfinite(value):
        return None
    short = round(value, decimals)
    return int(short) if short.is_integer() else short


def numbers(values: Iterable[float | None] | None, decimals: int = 3) -> list[float | int | None]:
    """`number` of each; none for None."""
    return [number(value, decimals) for value in values or ()]
