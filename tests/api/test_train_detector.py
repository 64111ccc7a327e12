"""`aligncat detector train` on the command line: a mistake is one line that says what to do, before any training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.fabricate_instances import InstancesFiles, write_instances

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
        (["--from", "nowhere"], "nowhere: no such file or folder; give mini, a folder, or a name on the Hugging Face"),
        (["--from", "minni"], "(--from); did you mean mini?"),
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
