"""Numbers and messages as people read them."""

from __future__ import annotations


def percent(share: float | None, deviation: float | None = None, *, decimals: int = 1, plus_minus: str = "±") -> str:
    """Return a share in percent, with its deviation behind it.

    Args:
        share: a fraction of 1; None, which reads "-", where it is not defined.
        deviation: in the same unit; None for none.
        decimals: of both numbers.
        plus_minus: what stands between them.
    """
    if share is None:
        return "-"
    spread = "" if deviation is None else f"{plus_minus}{100 * deviation:.{decimals}f}"
    return f"{100 * share:.{decimals}f}{spread}"


def truncated(text: str, longest: int) -> str:
    """Return the text, cut to `longest` characters with "..." at its end where it has more."""
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def first_line(error: Exception) -> str:
    """Return the first line of an error's message that is not blank, or the error's type where there is none."""
    lines = (line.strip() for line in str(error).splitlines() if line.strip())
    return next(lines, type(error).__name__)
