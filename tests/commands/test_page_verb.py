"""The verb `page`: in a process, as it is used, and the command lines that it refuses."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from helpers.served import ROOT

from aligncat.cli import main


def test_the_verb_shows_the_shipped_grounder_and_the_one_without_training(tmp_path: Path) -> None:
    variables = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
    log = tmp_path / "log"
    with log.open("wb") as file:
        command = [sys.executable, "-m", "aligncat", "page", "--port", "0"]
        process = subprocess.Popen(command, stderr=file, env=variables)
    try:
        until = time.monotonic() + 240
        while not (found := re.search(r"Open (http://127\.0\.0\.1:\d+)/page/ in a browser", log.read_text())):
            assert process.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        assert found is not None
        assert "<title>" in httpx.get(f"{found[1]}/page/").text
        picture = httpx.get(f"{found[1]}/page/examples/1.png").content
        for name in ("mojiref-grounder", "training-free"):
            reply = httpx.post(
                f"{found[1]}/page/answer",
                files={"photo": picture},
                data={"phrases": "bottle on top", "grounder": name},
                timeout=120,
            )
            assert f"<h3>{name}</h3>" in reply.text and "<dd>bottle</dd>" in reply.text
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    lines = log.read_text().splitlines()
    assert lines[0] == "Loading mojiref-grounder, training-free ..."
    assert [json.loads(each)["path"] for each in lines[2:-1]] == ["/page/answer"] * 2  # no file of the page
    assert lines[-1].startswith("Photos answered: 2. Next: ")
    assert [each.name for each in tmp_path.iterdir()] == ["log"]  # nothing is left


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--host", "0.0.0.0"], "give them a key in ALIGNCAT_API_KEY"),
        (["--host", "192.0.2.1", "--no-auth"], "cannot listen on 192.0.2.1 port 8000"),
        (["./nowhere", "--port", "0"], "nowhere: no such folder"),
        (["training-free", "--detector", "./nowhere", "--port", "0"], "nowhere"),
        (["x=training-free", "--detector", "./nowhere", "--port", "0"], "nowhere: no such file or folder"),
        (["x=training-free", "./nowhere", "--port", "0"], "nowhere: no such folder"),  # x has its detector
    ],
)
def test_a_wrong_command_line_is_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["page", *words]) == 1
    *before, line = capsys.readouterr().err.splitlines()
    assert [each for each in before if not each.startswith("Loading ")] == []
    assert line.startswith("aligncat page: ") and said in line


@pytest.mark.parametrize("words", [["page"], ["serve", "--page", "true"]])
def test_without_the_extra_the_verb_says_what_to_install(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("aligncat.serving.start.find_spec", lambda name: None if name == "gradio" else object())
    assert main(words) == 1
    assert "needs gradio; run pip install 'aligncat[page]'" in capsys.readouterr().err
