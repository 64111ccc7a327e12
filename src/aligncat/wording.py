"""Format numbers and messages for people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

# Control characters (a terminal obeys them), line and paragraph separators, marks that turn the direction of text, and
# halves of characters, which cannot be printed. Joiners stay: emoji and some scripts need them.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


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


def visible(text: str) -> str:
    r"""Return text on one line, with everything that a terminal would obey instead of show escaped, such as \x1b."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def visible_json(text: str) -> str:
    """Return a JSON document, on the same lines, with the characters that `visible` escapes escaped as in JSON."""
    return _UNSEEN.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)


def truncated(text: str, longest: int) -> str:
    """Return the text; if it is longer than `longest` characters, cut it to that length, ending in "..."."""
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def first_line(error: Exception) -> str:
    """Return the first non-blank line of an error's message, or the name of the error's type if there is none."""
    lines = (line.strip() for line in str(error).splitlines() if line.strip())
    return next(lines, type(error).__name__)


def listed_words(words: Sequence[str]) -> str:
    """Return words as in a sentence: "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean X?" with the known words that resemble a word, or "" if none does or it is one of them.

    Args:
        word: the word, which may be in upper case.
        known: the known words.
    """
    by_lower = {each.lower(): each for each in known}
    if word in by_lower.values():
        return ""
    near = [by_lower[each] for each in get_close_matches(word.lower(), by_lower, n=2, cutoff=0.6)]
    return f"; did you mean {' or '.join(near)}?" if near else ""
