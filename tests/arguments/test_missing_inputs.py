"""Missing files and misspelt names among a verb's arguments are found before anything is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from aligncat.cli import main


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["extract", "--images", "gone", "--out", "o"],
            "gone: no such folder; give the folder of the photos (--images)",
        ),
        (["extract", "--images", "file", "--out", "o"], "file: is not a folder"),
        (
            ["extract", "--images", "photos", "--detector", "minni", "--out", "o"],
            "(--detector); did you mean mini or mini2?",
        ),
        (["extract", "--images", "photos", "--detector", "./gone", "--out", "o"], "./gone: no such file or folder"),
        (["extract", "--images", "photos", "--detector", "photos/gone", "--out", "o"], "photos/gone: no such file or"),
        (
            ["data", "check", "--data.path", "data", "--data.dataset", "refcocco"],
            "no such dataset; did you mean refcoco",
        ),
        (["data", "check", "--data.path", "data", "--data.dataset", "mugz"], "no such dataset; did you mean mugs?"),
        (
            ["data", "check", "--data.path", "data", "--data.dataset", "x", "--data.format", "jsnl"],
            "did you mean jsonl?",
        ),
        (["ground", "gone.jpg", "dog"], "gone.jpg: no such file; give a photo, a folder, a pattern or a table"),
        (["ground", "file", "--phrases", "gone"], "gone: no such file; give a text file of phrases, one a line"),
        (["ground", "file", "dog", "--grounder", "gone"], "gone: no such file or folder; give the folder that"),
        (["report", "data", "gone"], "gone: no such file or folder; `aligncat evaluate --out` writes answers"),
    ],
)
def test_a_missing_input_is_one_line_with_the_remedy(
    words: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "data" / "mugs").mkdir(parents=True)
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    assert main(words) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert expected in line
    assert not (tmp_path / "o").exists()
