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
            scores = json.loads((out / "answers" / f"{name}-mojiref-{split}.json").read_text())["scores"]
            assert 0 < scores["rec"] < scores["oracle_rec"] <= 1
    pictures = list((out / "pictures").glob("*.png"))
    assert pictures
    for picture in pictures:
        with Image.open(picture) as image:
            image.verify()
    output = capsys.readouterr().out
    assert "QueryMatch" in output and "AlignCAT" in output and "Total time" in output
    assert (out / "answers" / "table.txt").read_text()
    check_report(out)


def check_report(out: Path) -> None:
    """Check that the report has both runs, and a picture for each photo that is asked about."""
    assert (out / "report" / "index.html").is_file()
    assert len(list((out / "report" / "images").iterdir())) > 0
    index = (out / "report" / "data" / "index.js").read_text()
    assert '"AlignCAT"' in index and '"QueryMatch"' in index


@pytest.mark.slow
def test_a_tiny_quickstart_reports_and_goes_on_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("aligncat.commands.quickstart.SCENES", {"train": 30, "val": 2, "test": 3})
    for name in ("EPOCHS", "PICTURES"):
        monkeypatch.setattr(f"aligncat.commands.quickstart.{name}", 1)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "quickstart"
    with monkeypatch.context() as broken:
        broken.setattr("aligncat.commands.quickstart.write_report", interrupted)
        with pytest.raises(KeyboardInterrupt):
            quickstart(out=out)
    assert not (out / "report").exists()
    trained = (out / "AlignCAT" / "model.safetensors").read_bytes()
    first = capsys.readouterr().out
    quickstart(out=out)
    assert (out / "AlignCAT" / "model.safetensors").read_bytes() == trained
    check_report(out)
    for said in (first, second := capsys.readouterr().out):
        headings = [line for line in said.splitlines() if " passed, about " in line]
        assert [each.strip("─ ")[:4] for each in headings] == [f"{number}/8 " for number in range(1, 9)]
    assert "Total time" in second
