from __future__ import annotations

import pytest

from aligncat.wording import first_line, percent, truncated


@pytest.mark.parametrize(
    ("asked", "options", "read"),
    [
        ((0.4567,), {}, "45.7"),
        ((0.4567, 0.0123), {}, "45.7±1.2"),
        ((0.5, 0.0), {"plus_minus": " ± "}, "50.0 ± 0.0"),
        ((1.0, 0.07071), {"decimals": 2}, "100.00±7.07"),
        ((None,), {}, "-"),
    ],
)
def test_a_share_is_read_in_percent(asked: tuple[float | None, ...], options: dict[str, object], read: str) -> None:
    assert percent(*asked, **options) == read  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "read"), [("abcdefgh", "abcdefgh"), ("abcdefghi", "abcde..."), ("", "")])
def test_a_long_text_is_cut_to_the_length_asked_for(text: str, read: str) -> None:
    assert truncated(text, 8) == read


@pytest.mark.parametrize(("message", "read"), [("\n  one \ntwo", "one"), ("", "ValueError"), (" \n", "ValueError")])
def test_an_error_is_told_in_one_line(message: str, read: str) -> None:
    assert first_line(ValueError(message)) == read
