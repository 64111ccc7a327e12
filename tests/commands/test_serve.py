"""The verb `serve`: in a process, as it is used, and the command lines that it refuses."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from helpers.fabricate import write_image
from helpers.served import serve_process

from aligncat.cli import main
from aligncat.grounder.grounder import Grounder
from aligncat.serving.run import address, listen


def test_the_verb_serves_until_it_is_told_to_stop(trained: Path, tiny_detector: Path, tmp_path: Path) -> None:
    photo = write_image(tmp_path / "photo.png", 2)
    words = (f"mine={trained}", "training-free", "--detector", str(tiny_detector), "--limits.photos", "7")
    key = {"Authorization": "Bearer from the environment"}
    with serve_process(tmp_path / "log", *words, environment={"ALIGNCAT_API_KEY": "from the environment"}) as server:
        assert httpx.get(f"{server.url}/v1/grounders").status_code == 401
        names = [each["name"] for each in httpx.get(f"{server.url}/v1/grounders", headers=key).json()["grounders"]]
        assert names == ["mine", "training-free"]
        reply = httpx.post(
            f"{server.url}/v1/ground",
            headers=key,
            files={"photo": photo.read_bytes()},
            data={"phrases": ["red dog", "couch"], "candidates": "true"},
            timeout=60,
        )
        expected = [each.to_dict() for each in Grounder.from_pretrained(trained).ground(photo, ["red dog", "couch"])]
        assert reply.json()["groundings"] == json.loads(json.dumps(expected))
        assert server.stop() == 0
    log = (tmp_path / "log").read_text().splitlines()
    assert log[0] == f"Loading mine={trained}, training-free ..."
    assert log[1] == f"{server.url} answers with mine, training-free. Stop it with Ctrl-C."
    assert [json.loads(line)["status"] for line in log[2:-1]] == [401, 200, 200]
    assert log[-1] == "Photos answered: 1. Next: docs/serving.md says how to run the server for others"
    assert "red dog" not in "".join(log)


def test_a_server_on_all_addresses_says_the_name_of_the_machine() -> None:
    with listen("0.0.0.0", 0) as listening:
        assert address(listening) == f"http://{socket.gethostname()}:{listening.getsockname()[1]}"


def test_two_servers_on_one_port(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", "--port", port]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"aligncat serve: cannot listen on 127.0.0.1 port {port} (Address already in use); stop")
    assert len(said.splitlines()) == 1


def test_a_grounder_whose_detector_is_missing(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grounder = Grounder.from_pretrained(trained)
    grounder.detector_description = replace(grounder.detector_description, name=str(tmp_path / "gone"))
    grounder.save_pretrained(tmp_path / "moved")
    capsys.readouterr()
    assert main(["serve", str(tmp_path / "moved"), "--port", "0"]) == 1
    *before, line = capsys.readouterr().err.splitlines()
    assert [each for each in before if not each.startswith("Loading ")] == []
    assert line.startswith(f"aligncat serve: {tmp_path / 'gone'}: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--host", "0.0.0.0"], "give them a key in ALIGNCAT_API_KEY"),
        (["--host", "0.0.0.0", "--no-auth", "--api-key", "12345678"], "contradict each other"),
        (["--api-key", ""], "fewer than 8"),
        (["--label_studio_url", "", "--label_studio_token", "t"], "give an address such as"),
        (["--host", "192.0.2.1", "--no-auth"], "cannot listen on 192.0.2.1 port 8000"),
        (["--port", "700000"], "cannot listen on 127.0.0.1 port 700000"),
        (["training-free", "--port", "0"], "the training-free grounder needs a detector"),
        (["./nowhere", "--port", "0"], "nowhere: no such folder; give the folder that `aligncat train` wrote"),
        (["a=SHIPPED", "a=SHIPPED", "--port", "0"], "two grounders have the name a; give NAME=FOLDER"),
        (["a b=SHIPPED", "--port", "0"], "needs a name of letters, digits, . _ + or -"),
        (["--limits.queue", "0"], "limits.queue is 0"),
    ],
)
def test_a_wrong_command_line_is_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    from aligncat.grounder.folder import SHIPPED

    assert main(["serve", *(word.replace("SHIPPED", str(SHIPPED)) for word in words)]) == 1
    *before, line = capsys.readouterr().err.splitlines()
    assert [each for each in before if not each.startswith("Loading ")] == []
    assert said in line


def test_without_the_extra_the_verb_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("aligncat.serving.start.find_spec", lambda name: None if name == "uvicorn" else object())
    assert main(["serve"]) == 1
    assert "needs uvicorn; run pip install 'aligncat[serve]'" in capsys.readouterr().err
