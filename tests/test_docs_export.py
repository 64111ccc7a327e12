"""The commands of docs/export.md run, in order, from a folder with photos and a grounder."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from helpers.fabricate import write_image
from helpers.tiny_run import World

from aligncat.cli import main
from aligncat.export.detector import _PRECISIONS
from aligncat.store.reader import Store

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "export.md").read_text(encoding="utf-8")
COMMANDS = [line.strip() for line in PAGE.splitlines() if line.startswith("    aligncat ")]


@pytest.mark.slow
def test_the_commands_of_the_page_run(
    world: World, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the detector is another one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "mine").symlink_to(trained)
    (tmp_path / "data").symlink_to(world.data.path)
    write_image(tmp_path / "photo.jpg", 1)
    for number in range(4):
        write_image(tmp_path / "photos" / f"{number}.jpg", number)
    assert len(COMMANDS) == 10
    for command in COMMANDS:
        words = [str(world.detector) if word == "mini" else word for word in shlex.split(command)[1:]]
        capsys.readouterr()
        assert main(words) == 0, command
        if words[0] == "ground":
            assert json.loads(capsys.readouterr().out)[0]["expression"] in ("red mug", "second mug from the left")
    assert Store.open("stores/refcoco").manifest.detector.backend == "openvino"


def test_the_page_lists_every_runtime_and_precision() -> None:
    for runtime, precisions in _PRECISIONS.items():
        [row] = [line for line in PAGE.splitlines() if line.startswith(f"| `{runtime}` |")]
        assert [each for each in ("fp32", "bf16", "int8") if f"`{each}`" in row] == sorted(
            precisions, key=("fp32", "bf16", "int8").index
        )
