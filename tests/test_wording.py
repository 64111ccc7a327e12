from __future__ import annotations

import pytest

from aligncat.wording import did_you_mean, first_line, percent, truncated


@pytest.mark.parametrize(
    ("arguments", "options", "text"),
    [
        ((0.4567,), {}, "45.7"),
        ((0.4567, 0.0123), {}, "45.7±1.2"),
        ((0.5, 0.0), {"plus_minus": " ± "}, "50.0 ± 0.0"),
        ((1.0, 0.07071), {"decimals": 2}, "100.00±7.07"),
        ((None,), {}, "-"),
    ],
)
def test_a_share_is_formatted_in_percent(
    arguments: tuple[float | None, ...], options: dict[str, object], text: str
) -> None:
    assert percent(*arguments, **options) == text  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "shortened"), [("abcdefgh", "abcdefgh"), ("abcdefghi", "abcde..."), ("", "")])
def test_a_long_text_is_cut_to_the_given_length(text: str, shortened: str) -> None:
    assert truncated(text, 8) == shortened


@pytest.mark.parametrize(("message", "line"), [("\n  one \ntwo", "one"), ("", "ValueError"), (" \n", "ValueError")])
def test_an_error_is_shortened_to_its_first_line(message: str, line: str) -> None:
    assert first_line(ValueError(message)) == line


@pytest.mark.parametrize(
    ("word", "said"),
    [("Mini", "; did you mean mini or mini2?"), ("trian", "; did you mean train?"), ("mini", ""), ("zebra", "")],
)
def test_a_word_is_suggested_for_another_and_never_for_itself(word: str, said: str) -> None:
    assert did_you_mean(word, ["mini", "mini2", "train"]) == said
