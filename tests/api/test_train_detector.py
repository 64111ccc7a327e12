"""`aligncat detector train` on the command line: a mistake is one line that says what to do, before any training."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from helpers.fabricate_instances import InstancesFiles, write_instances
from helpers.tiny_detector import save_tiny_detector

from aligncat.cli import main, settings


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InstancesFiles:
    monkeypatch.chdir(tmp_path)
    return write_instances(tmp_path)


WORDS = ["--data", "instances.json", "--images", "photos", "--out", "mine"]


def refusal(capsys: pytest.CaptureFixture[str], *more: str) -> str:
    assert main(["detector", "train", *WORDS, "--device", "cpu", *more]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("aligncat detector train: ")]
    assert len(lines) == 1 and not Path("mine").exists()
    return lines[0]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--data", "nothing.json"], "nothing.json: no such file; give COCO's instances.json"),
        (["--data", "photos"], "photos: is a folder; give COCO's instances.json"),
        (["--val", "nothing.json"], "nothing.json: no such file; give COCO's instances.json"),
        (["--images", "nowhere"], "nowhere: no such folder; give the folder of the photos (--images)"),
        (["--val_images", "nowhere"], "nowhere: no such folder; give the folder of the photos (--val_images)"),
        (["--from", "nowhere"], "nowhere: no such file or folder; give mini, mini2, a folder, or a name on the"),
        (["--from", "minni"], "(--from); did you mean mini or mini2?"),
        (["--from", "photos"], "photos: no config.json"),
        (["--from", "detr"], "detr: a 'detr' detector cannot be trained here; start from a detector of queries with"),
        (["--recipe.held_out", "2"], "held_out is 2.0, but is a share"),
        (["--save_every", "0"], "save_every is 0, but must be at least 1"),
        (["--device", "nothing"], "device 'nothing' cannot be used here"),
    ],
    ids=str,
)
def test_a_mistake_is_one_line(
    files: InstancesFiles, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    Path("detr").mkdir()
    Path("detr/config.json").write_text(json.dumps({"model_type": "detr", "id2label": {"0": "dog"}}))
    assert message in refusal(capsys, *more)


def test_broken_annotations_name_the_file(files: InstancesFiles, capsys: pytest.CaptureFixture[str]) -> None:
    files.content["annotations"] = []
    files.save()
    assert "instances.json: no usable row" in refusal(capsys)
    files.path.write_text("{")
    assert "instances.json" in refusal(capsys)


def test_from_is_a_word_of_python_and_an_option_all_the_same(tmp_path: Path) -> None:
    assert settings("detector train", [*WORDS, "--from", "./here"])["from_"] == "./here"
    (tmp_path / "own.yaml").write_text("from: there\nrecipe: {epochs: 3}\n")
    found = settings("detector train", ["--config", str(tmp_path / "own.yaml"), *WORDS])
    assert (found["from_"], found["recipe"].epochs) == ("there", 3)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_process_group_ends_with_one_clean_line(
    files: InstancesFiles, tmp_path: Path, number: signal.Signals
) -> None:
    """As from a job scheduler or a terminal, which stop the worker that reads the photos as well.

    The command is paused meanwhile, so that a worker that dies of the signal has died when the command sees it.
    """
    save_tiny_detector(tmp_path / "tiny")
    settings = ["--recipe.epochs", "100000", "--recipe.batch_size", "2", "--recipe.held_out", "0", "--save_every", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "aligncat", "detector", "train", *WORDS, "--from", "tiny", "--device", "cpu", *settings],
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not Path("mine.state.pt").exists() and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        time.sleep(0.05)
    [worker] = psutil.Process(process.pid).children()
    process.send_signal(signal.SIGSTOP)
    os.killpg(process.pid, number)
    time.sleep(1)
    assert worker.status() != psutil.STATUS_ZOMBIE
    process.send_signal(signal.SIGCONT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number, said
    assert said.rstrip().endswith("aligncat detector train: stopped") and "again to resume" in said
    assert "Traceback" not in said and "RuntimeError" not in said
    assert not list(Path().glob(".*")), "no lock or temporary file is left"
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # no worker is left either
