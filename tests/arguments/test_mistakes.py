"""A wrong command line or config file is one line in our own words, with the remedy."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path

import pytest

from aligncat.cli import main
from aligncat.errors import ConfigError
from aligncat.training.presets import load_preset

TRAIN = ["train", "--data.path", "data", "--data.dataset", "refcoco", "--store", "store", "--out", "out"]
ABLATE = ["ablate", "table3", *TRAIN[1:]]
EVALUATE = ["evaluate", "--grounder", "g", *TRAIN[1:]]
EXTRACT = ["extract", "--out", "o", "--images", "photos"]
JARGON = re.compile(
    r"Parser|Expected|<class|Union|subtype|Namespace|typing|Literal|Traceback|jsonargparse|Does not|NoneType|Got value"
)


def error_of(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line that a wrong command line prints."""
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert not JARGON.search(line), line
    assert len(line) < 500
    return line


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([*TRAIN, "--training.epochs", "many"], "--training.epochs many: must be a whole number ("),
        ([*TRAIN, "--training.epochs", "3.5"], "--training.epochs 3.5: must be a whole number ("),
        ([*TRAIN, "--training.epochs"], "--training.epochs needs a value: a whole number ("),
        ([*TRAIN, "--training.epochs", "--training.seed", "3"], "--training.epochs needs a value"),
        ([*TRAIN, "--training.learning_rate", "1e-4x"], "--training.learning_rate 1e-4x: must be a number ("),
        (
            [*TRAIN, "--training.learning_rate", "nan"],
            "--training.learning_rate has a wrong value: it must be a number (",
        ),
        ([*TRAIN, "--training.betas", "0.9"], "--training.betas 0.9: must be 2 values, each a number ("),
        ([*TRAIN, "--training.betas", "[0.9,x]"], "--training.betas [0.9,x]: must be 2 values"),
        (
            [*TRAIN, "--alignment.order", "coarsefine"],
            "one of coarse, coarse-fine, fine-coarse; did you mean coarse-fine",
        ),
        ([*TRAIN, "--progress", "maybe"], "--progress maybe: must be true or false ("),
        ([*TRAIN, "--progress=maybe"], "--progress maybe: must be true or false ("),
        ([*TRAIN, "--traning.epochs", "3"], "unknown option --traning.epochs; did you mean --training.epochs"),
        ([*TRAIN, "--epochs", "3"], "unknown option --epochs; did you mean --training.epochs?"),
        ([*TRAIN, "--skip-bad-row"], "unknown option --skip_bad_row; did you mean --skip_bad_rows?"),
        ([*TRAIN, "-x"], "unknown option -x; options begin with --"),
        ([*TRAIN, "extra"], "'extra' belongs to no option"),
        ([*TRAIN, "store"], "'store' belongs to no option; did you mean --store"),
        (
            [*TRAIN, "--training", "mine.yaml"],
            "--training mine.yaml: no such file; give a YAML file, or --training.NAME",
        ),
        ([*TRAIN, "--training", "{epochs: many}"], "training.epochs is 'many', but must be a whole number"),
        ([*TRAIN, "--alignment", "querymach"], "known presets are"),
        ([*TRAIN, "--alignment", "querymach"], "; did you mean querymatch or querymatch+appearance?"),
        ([*TRAIN, "--data", "refcoco"], "--data refcoco: no such file"),
        ([*TRAIN, "--config"], "--config needs a value: a YAML file or the name of a preset ("),
        ([*TRAIN, "--alignment"], "--alignment needs a value: a YAML file or the name of a preset ("),
        ([*EXTRACT, "--config"], "--config needs a value: a YAML file ("),
        (["train"], "--data.path, --data.dataset, --store and --out missing: they are required"),
        (TRAIN[:-2], "--out missing: it is required"),
        ([*EVALUATE[:-2], "--alignment", "querymatch"], "unknown option --alignment ("),
        ([*EVALUATE[:-2], "--seen", "cleen"], "one of clean, leaked, unknown, or null; did you mean clean?"),
        ([*EVALUATE[:-2], "--splits"], "--splits needs at least one value"),
        ([*EVALUATE[:-2], "--splits=[]"], "--splits needs at least one value"),
        ([*ABLATE, "--seeds"], "--seeds needs at least one value"),
        ([*ABLATE, "--seeds", "0", "a"], "--seeds 0,a: must be a list of values, each a whole number"),
        ([*ABLATE, "--workers", "two"], "--workers two: must be a whole number, or null"),
        (["ablate", "tabel3", *ABLATE[2:]], "study tabel3: must be one of"),
        (["ablate", "tabel3", *ABLATE[2:]], "; did you mean table3"),
        (["ablate", "table3", "table4", *ABLATE[2:]], "'table4' belongs to no option"),
        (["data", "prepare", "refcocoo", "--out", "o"], "did you mean refcoco"),
        (["data", "prepare"], "name missing: give NAME"),
        (["extract", "--out", "o", "--data.path", "data"], "--data.dataset missing: it is required"),
        ([*EXTRACT, "--preprocessing", "letterbox"], "did you mean letterbox-416"),
        ([*EXTRACT, "--image_size", "big"], "--image_size big: must be a whole number, or null"),
        (["ground"], "image missing: give IMAGE"),
        (["ground", "photo.jpg", "dog", "--divice", "cpu"], "unknown option --divice; did you mean --device?"),
        (["ground", "photo.jpg", "dog", "--device"], "--device needs a value: text, or null"),
        (["report", "answers", "--figures", "no figures"], "--figures no figures: must be true or false"),
        (["published", "--table", "6"], "--table 6: must be one of 1, 2, 3, 4, 5, or null"),
        (["detector", "import", "a.pkl", "o", "--config", "swin-bse"], "did you mean swin-base"),
        (["detector", "import", "a.pkl", "o"], "--config missing: it is required"),
    ],
)
def test_a_wrong_command_line(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert expected in error_of(words, capsys)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"training: {epochs: many}\n", "mine.yaml: training.epochs is 'many', but must be a whole number"),
        (b"training: {epochs: 3.5}\n", "training.epochs is 3.5, but must be a whole number"),
        (b"training: {epochs: true}\n", "training.epochs is True, but must be a whole number"),
        (b"training: {warmup: 1}\n", "unknown setting training.warmup; did you mean warmup_rate"),
        (b"training.epoch: 3\n", "unknown setting training.epoch; did you mean epochs?"),
        (b"trainin: {epochs: 3}\n", "unknown setting trainin; did you mean training"),
        (b"alignment: null\n", "alignment is null, but must be settings such as `alignment: {order: ...}`"),
        (b"alignment: querymatch\n", "alignment is 'querymatch', but must be settings"),
        (
            b"alignment: {order: coarsefine}\n",
            "must be one of coarse, coarse-fine, fine-coarse; did you mean coarse-fine",
        ),
        (b"alignment: {visual_dim: 3, keep: ten}\n", "alignment.keep is 'ten', but must be a whole number"),
        (b"out: 3\n", "out is 3, but must be a path"),
        (b"skip_bad_rows: 'no, thanks'\n", "skip_bad_rows is 'no, thanks', but must be true or false"),
        (b"3: 4\n", "unknown setting 3 ("),
        (b"- 1\n", "holds no settings; write them as `name: value`"),
        (b"training: [1, 2\n", "line 2, column 1: not YAML"),
        (b"a:\n\t- b\n", "line 2, column 1: not YAML"),
        (b"out: *b\n", "not YAML (found undefined alias 'b')"),
        (b"training: " + b"[" * 3000 + b"]" * 3000, "nested too deeply for settings"),
        (b"\xff\xfe\x00a", "cannot be read as UTF-8 text ("),
        (b"#" * 1_000_001, "has more than 1,000,000 bytes"),
        (b"&a {training: *a}\n", "holds more than 100,000 values, through aliases"),
    ],
)
def test_a_wrong_config_file(content: bytes, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.yaml").write_bytes(content)
    line = error_of([*TRAIN, "--config", str(tmp_path / "mine.yaml")], capsys)
    assert str(tmp_path / "mine.yaml") in line and expected in line


def test_a_config_file_that_is_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"{tmp_path}: a folder; give a YAML file" in error_of([*TRAIN, "--config", str(tmp_path)], capsys)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert f"{pipe}: not a regular file; give a YAML file" in error_of([*TRAIN, "--config", str(pipe)], capsys)


def test_an_impossible_value_of_an_optional_group_is_our_own_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["extract", "--out", "o", "--data.path", "d", "--data.dataset", "a/b"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("aligncat extract: dataset 'a/b': a dataset's name has at most 60 letters")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("training: {epochs: many}\n", "training.epochs is 'many', but must be a whole number"),
        ("trainin: {epochs: 3}\n", "unknown setting trainin; did you mean training?"),
        ("training: [\n", "not YAML"),
        ("alignment: null\n", "alignment is null, but must be settings"),
        ("&a {training: *a}\n", "holds more than 100,000 values, through aliases"),
        (
            "\n".join(["a: &a [x, x]", *(f"{n}: &{n} [*{m}, *{m}]" for m, n in pairwise("abcdefghijklmnopqrstuvw"))]),
            "100,000",
        ),
    ],
)
def test_a_wrong_preset_file(content: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(content)
    with pytest.raises(ConfigError, match=re.escape(expected)):
        load_preset(str(tmp_path / "mine.yaml"))
