"""The commands of the page on own categories, from annotations to an answer, on tiny inputs."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest
from helpers.fabricate import things_of
from helpers.fabricate_instances import write_instances

from aligncat.cli import main
from aligncat.evaluation.training_images import known_training_images, read_training_images

PAGE = Path(__file__).resolve().parents[1] / "docs" / "own-categories.md"
COMMANDS = [line.strip() for line in PAGE.read_text().splitlines() if line.startswith("    aligncat ")]
SMALL = {
    "detector train": "--recipe.epochs 1 --recipe.batch_size 4 --recipe.validations 1",
    "train": "--training.epochs 1 --training.warmup_epochs 0 --training.batch_size 5 --text.word_dim 8 --text.dim 8 "
    "--text.heads 2 --text.feedforward 8 --alignment.dim 8",
}


def test_the_commands_lead_from_annotations_to_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_instances(tmp_path)
    Path("DATA").mkdir()
    for split, numbers in (("train", range(5)), ("val", [5])):
        rows = [
            {"image": f"photo-{number}.png", "expression": f"left {thing.category}", "category": thing.category}
            | {"box": list(thing.box)}
            for number in numbers
            for thing in things_of(number)
        ]
        Path(f"DATA/{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shutil.copy("photos/photo-1.png", "photos/b.jpg")  # the page's photo
    verbs = []
    for command in COMMANDS:
        words = shlex.split(command)[1:]
        verb = " ".join(words[:2]) if words[0] == "detector" else words[0]
        verbs.append(verb)
        assert main([*words, *SMALL.get(verb, "").split()]) == 0, (command, capsys.readouterr())
    assert verbs == ["detector train", "ground", "extract", "train", "ground", "evaluate"]
    said = capsys.readouterr()
    assert "The detector is in detectors/mine. Of the " in said.err

    listed = Path("detectors/mine/trained-on.txt").read_text().splitlines()
    seen = known_training_images("detectors/mine", "mine")
    assert seen is not None and seen.listed == tuple(listed) and len(listed) == 5
    assert read_training_images("detectors/mine").listed == seen.listed
    held_out = Path("detectors/mine/held-out.txt").read_text().splitlines()
    assert [seen.holds(name) for name in (listed[0], *held_out)] == [True, False]
    answer = "HAS SEEN 1 of 1 images" if "photo-5.png" in listed else "has not seen the images"
    assert answer in " ".join(said.out.split()), said.out
    for folder in ("detectors/mine", "runs/mine"):
        assert "All emojis designed by [OpenMoji]" in Path(folder, "README.md").read_text(), folder
