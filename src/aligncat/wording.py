"""Format numbers and messages for people."""

from __future__ import annotations


def percent(share: float | None, deviation: float | None = None, *, decimals: int = 1, plus_minus: str = "±") -> str:
    """Return a share in percent, followed by its deviation if there is one; "-" if the share is None.

    Args:
        share: a number from 0 to 1, or None if it is undefined.
        deviation: the deviation, in the same unit as the share.
        decimals: decimal places of both numbers.
        plus_minus: the text between the two numbers.
    """
    if share is None:
        return "-"
    spread = "" if deviation is None else f"{plus_minus}{100 * deviation:.{decimals}f}"
    return f"{100 * share:.{decimals}f}{spread}"


def truncated(text: str, longest: int) -> str:
    """Return the text; if it is longer than `longest` characters, cut it to that length, ending in "..."."""
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def first_line(error: Exception) -> str:
    """Return the first non-blank line of an error's message, or the name of the error's type if there is none."""
    lines = (line.strip() for line in str(error).splitlines() if line.strip())
    return next(lines, type(error).__name__)
