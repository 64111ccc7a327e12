"""The help of a verb: required options first, one sentence an option, and one option in full on request."""

from __future__ import annotations

import pytest

from aligncat.cli import main


def help_of(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) == 0
    return capsys.readouterr().out


def test_required_options_come_first_and_groups_follow(capsys: pytest.CaptureFixture[str]) -> None:
    shown = help_of(["train", "--help"], capsys)
    titles = [line for line in shown.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert [title.split(":")[0] for title in titles] == ["required", "options", "data", "alignment", "text", "training"]
    required = shown.partition("required:")[2].partition("options:")[0]
    assert [word for word in required.split() if word.startswith("--")] == [
        "--data.path",
        "--data.dataset",
        "--store",
        "--out",
    ]
    assert shown.splitlines()[0].startswith("usage: aligncat train --data.path PATH --data.dataset NAME --store PATH")


def test_an_option_has_its_first_sentence_its_values_and_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    lines = help_of(["train", "--help"], capsys).splitlines()
    for expected in (
        "  --training.epochs N             number of epochs (default: 25)",
        "  --alignment.order NAME          the stages: coarse, coarse-fine, fine-coarse (default: coarse-fine)",
        "  --progress [true|false]         show a progress bar (default: true)",
    ):
        assert expected in lines
    assert max(map(len, lines)) <= 110


def test_a_sentence_does_not_end_within_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    shown = " ".join(help_of(["extract", "--help"], capsys).split())
    assert "with its published figures; needs --preprocessing letterbox-416-to-800 and the extra [querymatch])" in shown


def test_the_usage_names_words_that_may_follow_and_an_empty_default_is_not_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert (shown := help_of(["ground", "--help"], capsys)).startswith(
        "usage: aligncat ground IMAGE [EXPRESSIONS ...] [options]\n"
    )
    assert "(default: [])" not in shown and "(default: ())" not in shown


def test_the_usage_and_defaults_of_verbs_without_required_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert help_of(["published", "--help"], capsys).startswith("usage: aligncat published [options]\n")
    shown = " ".join(help_of(["report", "--help"], capsys).split())
    assert "--photos PATH the folder of the data's photos (default: the current folder)" in shown


@pytest.mark.parametrize("jargon", ["<class", "type:", "Path to a configuration", "null |", "Literal", "==SUPPRESS=="])
def test_help_has_no_terms_of_the_parser(jargon: str, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("train", "extract", "ablate", "ground"):
        assert jargon not in help_of([verb, "--help"], capsys)


@pytest.mark.parametrize("written", ["training.epochs", "--training.epochs"])
def test_one_option_in_full(written: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = " ".join(help_of(["train", "--help", written], capsys).split())
    assert shown.startswith("--training.epochs: a whole number (default: 25) number of epochs. An epoch visits each")
    assert shown.endswith("leaves out those that do not fill a batch.")


def test_a_group_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    shown = help_of(["extract", "--help", "data"], capsys)
    assert "--data.path: a path" in shown and "docs/formats.md describes the others." in shown


def test_an_unknown_option_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help", "training.epoch"]) == 2
    assert "no option training.epoch; did you mean training.epochs" in capsys.readouterr().err
