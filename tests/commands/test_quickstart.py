"""The quickstart verb."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from aligncat.commands.quickstart import quickstart


@pytest.mark.slow
def test_quickstart_leaves_results_pictures_and_grounders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = quickstart(out=tmp_path / "quickstart")
    assert out == tmp_path / "quickstart"
    for name in ("QueryMatch", "AlignCAT"):
        assert (out / name / "model.safetensors").exists()
        for split in ("val", "testA", "testB"):
            scores = json.loads((out / "results" / f"{name}-{split}.json").read_text())["scores"]
            assert 0 < scores["rec"] < scores["oracle_rec"] <= 1
    pictures = list((out / "pictures").glob("*.png"))
    assert pictures
    for picture in pictures:
        with Image.open(picture) as image:
            image.verify()
    output = capsys.readouterr().out
    assert "QueryMatch" in output and "AlignCAT" in output and "Total time" in output
    assert (out / "results" / "table.txt").read_text()
