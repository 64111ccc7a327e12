"""The verb `ground` on several photos: what it prints, what it writes, and its last line."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.fabricate import write_image

from aligncat.cli import main
from aligncat.console import ProgressLines


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for number in range(3):
        write_image(tmp_path / "photos" / f"{number}.png", number)
    (tmp_path / "photos" / "1.png").write_bytes((tmp_path / "photos" / "1.png").read_bytes()[:80])
    monkeypatch.chdir(tmp_path)
    return Path("photos")


def test_several_photos_are_json_lines_and_bad_ones_are_reported(
    photos: Path, trained: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    words = ["ground", "photos", "red person", "beret", "--grounder", str(trained), "--skip-bad-images"]
    assert main(words) == 0
    captured = capsys.readouterr()
    lines = [json.loads(line) for line in captured.out.splitlines()]
    assert [(line["image"], line["expression"]) for line in lines] == [
        (name, phrase) for name in ("0.png", "2.png") for phrase in ("red person", "beret")
    ]
    doubtful = sum(bool(line["warnings"]) for line in lines)
    assert doubtful >= 2  # nobody knows a beret
    bad, counted = caplog.messages[-2:]
    assert "left out: photos/1.png" in bad and counted.startswith(f"{doubtful} of 4 answers have warnings")
    assert captured.err.endswith("--out answers.jsonl keeps the answers, also in other formats (docs/answers.md)\n")


def test_without_skipping_a_bad_photo_is_one_line(
    photos: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["ground", "photos", "red person", "--grounder", str(trained), "--out", "out.csv"]
    assert main(words) == 1
    assert "photos/1.png" in capsys.readouterr().err.splitlines()[-1]
    assert main([*words, "--skip_bad_images"]) == 0
    assert "2 answers for 2 photos are in out.csv. Next: " in capsys.readouterr().err
    assert main([*words, "--skip_bad_images"]) == 0
    assert "are in out.csv already" in capsys.readouterr().err


WRITE = ["ground", "photos", "red person", "--skip_bad_images", "--out", "out.jsonl"]
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def test_in_a_pipe_a_line_counts_the_photos(
    photos: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ProgressLines, "period", 0.0)
    assert main([*WRITE, "--grounder", str(trained)]) == 0
    told = capsys.readouterr()
    assert told.out == "" and not _CONTROL.search(told.err)
    assert re.findall(r"^ground \S+ +(\d/\d) ", told.err, re.MULTILINE) == ["1/3", "2/3", "3/3"]


def test_on_a_terminal_a_bar_counts_the_photos(photos: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for name, value in {"TERM": "xterm", "COLUMNS": "120"}.items():
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    assert main([*WRITE, "--grounder", str(trained)]) == 0
    shown = terminal.getvalue()
    assert _CONTROL.search(shown), "the bar is drawn anew in its place"
    assert re.findall(r"ground \S+ +(\d/\d) ", _CONTROL.sub("", shown))[-1] == "3/3"


def test_the_answers_of_one_photo_are_a_slim_list_and_lines_for_people(
    photos: Path, trained: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    words = ["ground", "photos/0.png", "--grounder", str(trained), "red person", "the beret", "--top", "2"]
    assert main(words) == 0
    out = capsys.readouterr().out
    first, *lines, last = out.splitlines()
    assert (first, last, len(lines)) == ("[", "]", 2), "a line for each phrase"
    person, beret = json.loads(out)
    assert (person["image"], person["width"], person["height"]) == ("0.png", 48, 40)
    expected = []
    for found in (person, beret):
        assert not {"candidates", "word_weights", "choice"} & {*found, *found["answers"][0]}
        for each in found["answers"]:
            box = ", ".join(f"{round(number)}" for number in each["box"])
            expected += [f"{found['expression']}: {each['category']} at ({box}), probability {each['probability']:.2f}"]
        expected += [f"  warning: {sentence}" for sentence in found["warnings"]]
    assert "  warning: Words that the grounder does not know: beret." in expected
    assert caplog.messages == expected


def test_candidates_and_word_weights_of_one_photo_are_printed_on_request(
    photos: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ground", "photos/0.png", "dog", "--grounder", str(trained), "--candidates", "true"]) == 0
    [found] = json.loads(capsys.readouterr().out)
    assert found["candidates"][found["choice"]]["box"] == found["box"] and found["word_weights"]


def test_match_is_in_the_line(
    photos: Path, calibrated: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert main(["ground", "photos/0.png", "dog", "--grounder", str(calibrated)]) == 0
    [found] = json.loads(capsys.readouterr().out)
    assert caplog.messages[0].endswith(f", probability {found['probability']:.2f}, match {found['match']:.2f}")


def test_answers_for_several_photos_are_said_where_a_person_reads_them(
    photos: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    words = ["ground", "photos", "dog", "the beret", "--grounder", str(trained), "--skip-bad-images"]
    said = re.compile(r"^([02].png): (dog|the beret): .* at \(.*\), probability \d\.\d\d$", re.MULTILINE)
    assert main(words) == 0
    assert not said.search(caplog.text) and "  warning: " not in caplog.text

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    assert main(words) == 0
    shown = "\n".join(caplog.messages)
    assert said.findall(shown) == [(name, each) for name in ("0.png", "2.png") for each in ("dog", "the beret")]
    assert shown.count("  warning: Words that the grounder does not know: beret.") == 2


def test_answers_below_the_least_probability_are_left_out_and_named(
    photos: Path, trained: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    words = ["ground", "photos/0.png", "dog", "couch", "red person", "blue couch", "--grounder", str(trained)]
    assert main(words) == 0
    probabilities = {each["expression"]: each["probability"] for each in json.loads(capsys.readouterr().out)}
    least = max(probabilities.values())
    assert min(probabilities.values()) < least
    assert main([*words, "--min_probability", repr(least)]) == 0
    kept = [each["expression"] for each in json.loads(capsys.readouterr().out)]
    assert kept == [phrase for phrase, probability in probabilities.items() if probability >= least]
    said = [message.partition(":")[0] for message in caplog.messages if "nothing is probable enough" in message]
    assert said == [phrase for phrase in probabilities if phrase not in kept]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["photos", "dog", "--out", "x.json"], "x.json: the name does not tell the format; give --format"),
        (["photos", "dog", "--out", "x", "--format", "coc"], "format 'coc' is not known"),
        (["photos", "dog", "--format", "coco"], "give --out"),
        (["photos", "dog", "--overlay", "x.png"], "--overlay draws one photo"),
        (["photos"], "no phrases"),
        (["photos", "dog", "--min_probability", "2"], "--min_probability is 2.0"),
        (["photos", "dog", "--top", "0"], "--top is 0"),
        (["*.webp", "dog"], "*.webp: no photo matches this pattern"),
        (["empty", "dog"], "empty has no image file"),
        (["photos", "--phrases", "empty.txt"], "empty.txt: has no phrases"),
        (["table.csv"], "table.csv:1: has no 'image' but 'photo', 'text'"),
        (["photos", "dog", "--store", "gone"], "gone: no such folder"),
    ],
)
def test_what_cannot_be_is_one_line_with_status_1(
    words: list[str], said: str, photos: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty").mkdir()
    Path("empty.txt").touch()
    Path("table.csv").write_text("photo,text\na,b\n")
    before = sorted(Path().rglob("*"))
    assert main(["ground", *words, "--grounder", str(trained)]) == 1
    captured = capsys.readouterr()
    [line] = captured.err.splitlines()
    assert said in line and captured.out == "" and sorted(Path().rglob("*")) == before


@pytest.mark.parametrize("word", ["-", "/dev/stdin", "pipe"])
def test_phrases_may_come_through_a_pipe(word: str, photos: Path, trained: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, "\ufeffred person\r\n\n the dog \n".encode())
    os.close(writing)
    words = [sys.executable, "-m", "aligncat", "ground", "photos/0.png", "--grounder", str(trained)]
    words += ["--phrases", f"/dev/fd/{reading}" if word == "pipe" else word]
    given: dict[str, Any] = {"pass_fds": [reading]} if word == "pipe" else {"stdin": reading}
    done = subprocess.run(words, capture_output=True, text=True, **given)
    os.close(reading)
    assert done.returncode == 0, done.stderr
    assert [each["expression"] for each in json.loads(done.stdout)] == ["red person", "the dog"]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\n \n", "the standard input: has no phrases"), (b"\xff", "the standard input: cannot be read as UTF-8")],
)
def test_what_is_wrong_with_the_standard_input_is_said(content: bytes, said: str, photos: Path) -> None:
    words = [sys.executable, "-m", "aligncat", "ground", "photos/0.png", "--phrases", "-"]
    done = subprocess.run(words, input=content, capture_output=True)
    assert done.returncode == 1 and said in done.stderr.decode()
