"""The command line: instant help, parsing of options, one-line errors, JSON on standard output, Ctrl-C."""

from __future__ import annotations

import inspect
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.tiny_run import World
from PIL import Image

from aligncat.arguments.options import argument_types
from aligncat.cli import VERBS, main, settings
from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import load_split

PROGRAM = "import sys; from aligncat.cli import main; sys.exit(main())"
TRAIN = ["--data.path", "data", "--data.dataset", "refcoco", "--store", "store", "--out", "out"]


def start(*words: str | Path, **named: Any) -> subprocess.Popen[str]:
    """Start aligncat in its own process."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        **named,
    )


@pytest.fixture(scope="module")
def photo(world: World) -> Path:
    return next(iter(load_split(world.data, "val").images.values())).path


class TestHelp:
    def test_help_imports_nothing_heavy(self) -> None:
        program = (
            "import sys, aligncat.cli; aligncat.cli.main(['--help']); aligncat.cli.main(['--nonsense']); "
            "heavy = {'torch', 'transformers', 'pytorch_lightning', 'pyarrow', 'numpy', 'PIL', 'jsonargparse'}; "
            "sys.exit(' '.join(sorted(heavy & set(sys.modules))) or None)"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert all(verb in done.stdout for verb in VERBS)

    @pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
    def test_help_lists_every_verb_with_its_summary(self, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert main(words) == 0
        output = capsys.readouterr().out
        for name, verb in VERBS.items():
            assert f"  {name} " in output and verb.summary in output

    @pytest.mark.parametrize("name", VERBS)
    def test_a_summary_is_the_first_line_of_the_docstring(self, name: str) -> None:
        docstring = inspect.getdoc(VERBS[name].function())
        assert docstring is not None and docstring.splitlines()[0] == VERBS[name].summary

    @pytest.mark.parametrize("words", [["data", "--help"], ["detector", "-h"]])
    def test_a_group_lists_its_verbs(self, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert main(words) == 0
        listed = [line.split("  ")[1] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
        assert listed == [name for name in VERBS if name.split()[0] == words[0]]

    @pytest.mark.parametrize("name", VERBS)
    def test_options_are_the_functions_arguments(self, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([*name.split(), "--help"]) == 0
        output = capsys.readouterr().out
        function = VERBS[name].function()
        hints = argument_types(function)
        for parameter in inspect.signature(function).parameters:
            argument = parameter.removesuffix("_")
            assert f"--{argument}" in output or f"  {argument.upper()} " in output or f"\n{argument}: " in output
            if is_dataclass(hints[parameter]):
                for field in fields(hints[parameter]):
                    assert f"--{argument}.{field.name} " in output, "a field has no option in the help"

    @pytest.mark.parametrize("name", VERBS)
    def test_every_option_is_explained(self, name: str) -> None:
        function = VERBS[name].function()
        documented = inspect.getdoc(function) or ""
        for argument in inspect.signature(function).parameters:
            assert f"\n    {argument}: " in documented


class TestSettings:
    def test_options_become_the_arguments_of_the_function(self) -> None:
        found = settings("train", [*TRAIN, "--val-split", "null", "--skip-bad-rows", "true", "--training.seed=3"])
        assert found["data"] == DataConfig(Path("data"), "refcoco")
        assert (found["val_split"], found["skip_bad_rows"], found["training"].seed) == (None, True, 3)
        assert (found["store"], found["out"]) == (Path("store"), Path("out"))

    def test_a_file_can_set_any_option_and_later_options_override_it(self, tmp_path: Path) -> None:
        (tmp_path / "mine.yaml").write_text(
            "data: {path: data, dataset: refcoco}\nstore: store\nout: out\ntraining: {epochs: 9, seed: 4}\n"
        )
        found = settings("train", ["--config", str(tmp_path / "mine.yaml"), "--training.seed", "5"])
        assert (found["training"].epochs, found["training"].seed, found["out"]) == (9, 5, Path("out"))

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            ([], False),
            (["--skip-bad-rows"], True),
            (["--skip_bad_rows", "false"], False),
            (["--skip-bad-rows=true"], True),
        ],
    )
    def test_a_switch_without_a_value_is_true(self, words: list[str], expected: bool) -> None:
        found = settings("train", [*TRAIN, *words, "--training.seed", "3"])
        assert (found["skip_bad_rows"], found["training"].seed) == (expected, 3)

    def test_splits_are_a_list(self) -> None:
        words = ["--grounder", "g", "--data.path", "d", "--data.dataset", "jsonl", "--store", "s"]
        assert settings("evaluate", [*words, "--splits", "[val,mine]"])["splits"] == ("val", "mine")
        assert settings("evaluate", words)["splits"] is None

    @pytest.mark.parametrize(
        ("given", "seeds"),
        [
            (["--seeds", "0", "1", "2"], (0, 1, 2)),
            (["--seeds", "0,1,2"], (0, 1, 2)),
            (["--seeds=3"], (3,)),
            (["--seeds", "4"], (4,)),
            (["--seeds", "[0,1]"], (0, 1)),
            (["--seeds=[0,1]"], (0, 1)),
            ([], (0, 1, 2)),
        ],
    )
    def test_a_list_needs_no_brackets(self, given: list[str], seeds: tuple[int, ...]) -> None:
        words = ["table3", *given, "--data.path", "d", "--data.dataset", "jsonl", "--store", "s", "--out", "o"]
        assert settings("ablate", words)["seeds"] == seeds
        found = settings("ablate", [*words, "--splits", "val", "testA"])
        assert (found["splits"], found["seeds"]) == (("val", "testA"), seeds)

    @pytest.mark.parametrize("phrase", ["null", "true", "3", "[a, b]", "{a: b}", "a: b", "cup - half full"])
    def test_phrases_are_not_parsed_as_yaml(self, phrase: str) -> None:
        found = settings("ground", ["photo.jpg", phrase, "the other"])
        assert (found["image"], found["expressions"]) == (Path("photo.jpg"), [phrase, "the other"])


class TestMistakes:
    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (["train", *TRAIN, "--training.bogus", "3"], "--training.bogus"),
            (["train", *TRAIN, "--training.epochs", "many"], "training.epochs"),
            (["train", *TRAIN[:-2]], "out"),
            (["train", *TRAIN, "--config", "no-such-preset"], "no-such-preset"),
            (["train", *TRAIN, "--config", "refcoc"], "--config refcoc: no such file or preset; known presets are"),
            (["train", *TRAIN, "--config=refcoc"], "refcocog-google, refcocog-umd; did you mean refcoco"),
            (["train", *TRAIN, "--alignment", "query"], "label-in-training, querymatch"),
            (["evaluate", "--config", "refcoc"], "refcoc: no such file; give a YAML file"),
            (["ground"], "image missing"),
            (["extract", "--out", "o", "--images"], "--images"),
        ],
    )
    def test_a_wrong_command_line_is_a_one_line_error_with_status_2(
        self, words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as left:
            main(words)
        assert left.value.code == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith(f"aligncat {words[0]}: ") and expected in line

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (["--data.dataset", "a/b"], "dataset 'a/b': a dataset's name has at most 60 letters"),
            (["--data.format", "coco"], "format 'coco' is not known; use one of refer, simrec, hub, coco-csv, jsonl"),
        ],
    )
    def test_an_impossible_dataset_is_a_one_line_error_with_status_1(
        self, words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["train", *TRAIN, *words]) == 1
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("aligncat train: ") and expected in line

    @pytest.mark.parametrize(
        "content", ["training: {epochs: 3, warmup: 1}\n", "trainin: {epochs: 3}\n", "training: [1, 2\n", "- 1\n"]
    )
    def test_a_wrong_config_file_is_a_one_line_error_with_status_2(
        self, content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "mine.yaml").write_text(content)
        with pytest.raises(SystemExit) as left:
            main(["train", "--config", str(tmp_path / "mine.yaml"), *TRAIN])
        assert left.value.code == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("aligncat train: ")

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (["trian"], "unknown verb 'trian'; did you mean train? (`aligncat --help` lists all)"),
            (["Extract"], "unknown verb 'Extract'; did you mean extract? ("),
            (["zzz"], "unknown verb 'zzz' (`aligncat --help` lists all)"),
            (["dta", "mojiref"], "did you mean data mojiref?"),
            (["data"], "data needs one of mojiref, prepare, check, convert, phrases ("),
            (
                ["data", "chek"],
                "unknown verb 'data chek'; did you mean check? data has mojiref, prepare, check, convert, phrases",
            ),
        ],
    )
    def test_an_unknown_verb_is_one_line_with_those_that_it_resembles(
        self, words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(words) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("aligncat: ") and expected in line

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (["train", *TRAIN, "--training.epochs", "2"], "training.warmup_epochs is 3.0"),
            (["train", *TRAIN, "--alignment.keep", "0"], "alignment.keep is 0"),
            (["train", *TRAIN], "store: no such folder; `aligncat extract` writes it"),
            (["extract", "--out", "out"], "give either a dataset"),
            (["extract", "--out", "out", "--images", "nowhere"], "nowhere: no such folder"),
            (["ground", "nothing.png", "cup"], "nothing.png: no such file"),
        ],
    )
    def test_an_error_that_the_user_can_fix_is_one_line_with_status_1(
        self,
        words: list[str],
        expected: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert main(words) == 1
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith(f"aligncat {words[0]}: ") and expected in line
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_cannot_be_created_is_a_one_line_error(
        self, world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "file").write_text("not a folder")
        words = ["--images", world.files.image_folder, "--detector", world.detector, "--out", tmp_path / "file" / "s"]
        assert main(["extract", *map(str, words)]) == 1
        assert len(capsys.readouterr().err.splitlines()) == 1


class TestGround:
    def test_stdout_is_json_and_the_overlay_shows_the_mask(self, trained: Path, photo: Path, tmp_path: Path) -> None:
        picture = tmp_path / "seen.png"
        process = start("ground", photo, "red person", "couch", "--grounder", trained, "--overlay", picture)
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        found = json.loads(out)
        assert [each["expression"] for each in found] == ["red person", "couch"]
        *answers, last = err.splitlines()
        assert len([line for line in answers if not line.startswith("  warning: ")]) == 2
        assert last == f"The answers are drawn in {picture}. Next: look at it"
        with Image.open(photo) as image, Image.open(picture) as drawn:
            scale = drawn.width // image.width
            plain = image.convert("RGB").resize(drawn.size, Image.Resampling.LANCZOS)
            difference = np.abs(np.asarray(plain, int) - np.asarray(drawn.convert("RGB"), int)).sum(axis=2)
        for each in found:
            mask = decode(each["mask"]).repeat(scale, axis=0).repeat(scale, axis=1)
            assert (difference[mask] > 0).mean() > 0.9

    def test_ground_prints_json(self, trained: Path, photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["ground", str(photo), "dog", "--grounder", str(trained)]) == 0
        [found] = json.loads(capsys.readouterr().out)
        x1, y1, x2, y2 = found["box"]
        assert 0 <= x1 < x2 <= 48 and 0 <= y1 < y2 <= 40 and 0 < found["probability"] <= 1

    def test_phrases_below_min_match_are_left_out_and_named(
        self, calibrated: Path, photo: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        words = ["ground", str(photo), "dog", "both couches", "--grounder", str(calibrated), "--several", "true"]
        assert main([*words, "--min_match", "0"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert [len(each["answers"]) for each in found] == [1, 2]
        assert all(0 < each["match"] < 1 for each in found)
        caplog.clear()
        assert main([*words, "--min_match", "1"]) == 0
        assert json.loads(capsys.readouterr().out) == []
        assert caplog.messages[0] == f"dog: nothing matches: match {found[0]['match']:.2f}"

    @pytest.mark.parametrize("value", ["1.5", "-0.1"])
    def test_a_min_match_that_is_no_probability_is_one_line(
        self, value: str, photo: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["ground", str(photo), "dog", "--grounder", "not/looked-at", f"--min_match={value}"]) == 1
        captured = capsys.readouterr()
        assert captured.err.splitlines() == [f"aligncat ground: --min_match is {value}: give a probability from 0 to 1"]

    @pytest.mark.parametrize("words", [["--min_match", "0.5"], ["--several", "true"]])
    def test_match_of_a_grounder_without_calibration_is_one_line(
        self, words: list[str], trained: Path, photo: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["ground", str(photo), "dog", "--grounder", str(trained), *words]) == 1
        captured = capsys.readouterr()
        assert len(captured.err.splitlines()) == 1 and "not calibrated" in captured.err and captured.out == ""

    @pytest.mark.parametrize(
        ("overlay", "expected"), [("nowhere/out.png", "does not exist; create it"), ("out.docx", "no image format")]
    )
    def test_an_overlay_that_cannot_be_written_is_an_error_before_grounding(
        self, overlay: str, expected: str, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = ["ground", str(photo), "dog", "--overlay", str(tmp_path / overlay), "--grounder", "not/looked-at"]
        assert main(words) == 1
        captured = capsys.readouterr()
        assert expected in captured.err and captured.out == ""

    @pytest.mark.parametrize("phrase", ["", "...", " "])
    def test_an_empty_phrase_is_a_one_line_error(
        self, phrase: str, trained: Path, photo: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["ground", str(photo), phrase, "--grounder", str(trained)]) == 1
        captured = capsys.readouterr()
        assert len(captured.err.splitlines()) == 1 and "no words" in captured.err and captured.out == ""


def test_ctrl_c_exits_with_130_and_explains_how_to_resume(world: World, tmp_path: Path) -> None:
    out = tmp_path / "run"
    sizes = ["--alignment.dim=16", "--text.dim=16", "--text.heads=2", "--text.blocks=1"]
    with start(
        *("train", "--data.path", world.data.path, "--data.dataset", "refcoco", "--store", world.store, "--out", out),
        *("--training.batch_size=8", "--training.epochs=5000", "--progress=false", *sizes),
    ) as process:
        try:
            while not (out / "run" / "last.ckpt").exists():
                assert process.poll() is None, process.communicate()
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            output, err = process.communicate(timeout=300)
        finally:
            process.kill()
    assert process.returncode == 130, err
    assert output == ""
    epochs, lines = [], err.split("\n")
    while lines[0].startswith("epoch "):
        epochs.append(lines.pop(0))
    assert epochs and re.fullmatch(r"epoch 1 of 5000: loss [\d.]+, val/rec [\d.]+", epochs[0])
    assert lines == [
        "Stopped. Run the same command again to resume after the last whole epoch.",
        "",
        "aligncat train: stopped",
        "",
    ]


def decode(mask: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    from pycocotools.mask import decode as decode_runs

    runs = {"size": mask["size"], "counts": mask["counts"].encode("ascii")}
    return np.asarray(decode_runs(runs)).astype(bool)


def test_a_reader_that_closes_the_pipe_early_causes_no_traceback(trained: Path, world: World) -> None:
    image = next(iter(load_split(world.data, "val").images.values())).path
    words = ("--grounder", trained, "--candidates", "true")
    process = start("ground", image, *["the cup"] * 40, *words)  # more than a pipe holds
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.read(1) == "["
    process.stdout.close()
    assert process.wait() == 1
    assert process.stderr.read() == ""


@pytest.mark.parametrize("words", [["--help"], ["data", "--help"], ["train", "--help"], ["published"]])
def test_a_reader_that_closes_the_pipe_sees_no_traceback(words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)  # as `head` does once it has its lines
    try:
        done = subprocess.run(
            [sys.executable, "-m", "aligncat", *words], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")
