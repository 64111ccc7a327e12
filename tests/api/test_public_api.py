"""The public API: `dir` lists every name, and functions return data and print nothing to standard output."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.tiny_run import ALIGNMENT, TEXT, TRAINING, World

import aligncat
from aligncat import Grounder, Store
from aligncat.datasets.prepare.check import Report
from aligncat.evaluation.answers import Answers
from aligncat.studies.compare import StudyResult

PRESET = """
alignment: {dim: 16, negatives_per_image: 2, keep: 4}
text: {word_dim: 16, dim: 16, blocks: 1, heads: 2, feedforward: 32, max_length: 8}
training: {epochs: 1, batch_size: 8, warmup_epochs: 0.5}
"""


def test_dir_lists_every_public_name_before_it_is_imported() -> None:
    code = "import aligncat; print(*(name for name in aligncat.__all__ if name not in dir(aligncat)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == []


def test_every_public_name_can_be_imported() -> None:
    assert all(getattr(aligncat, name) is not None for name in aligncat.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        aligncat.nonsense  # noqa: B018


def test_functions_return_data_and_print_nothing(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preset = tmp_path / "tiny.yaml"
    preset.write_text(PRESET)
    store = aligncat.extract(out=tmp_path / "store", data=world.data, detector=str(world.detector), candidates=6)
    grounder = aligncat.train(
        data=world.data,
        store=tmp_path / "store",
        out=tmp_path / "run",
        alignment=ALIGNMENT,
        text=TEXT,
        training=TRAINING,
    )
    [answers] = aligncat.evaluate(
        grounder=tmp_path / "run", data=world.data, store=tmp_path / "store", splits=("val",), out=tmp_path / "answers"
    )
    study = aligncat.ablate(
        study="table5",
        data=world.data,
        store=tmp_path / "store",
        out=tmp_path / "study",
        seeds=(0,),
        preset=str(preset),
        splits=("val",),
        workers=1,
    )
    page = aligncat.write_report([tmp_path / "answers"], out=tmp_path / "report", photos=Path("/"), figures=False)
    assert isinstance(store, Store) and isinstance(grounder, Grounder) and isinstance(answers, Answers)
    assert isinstance(study, StudyResult) and page.is_file()
    assert capsys.readouterr().out == ""


def test_prepare_returns_a_report_and_prints_nothing(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = aligncat.prepare(
        name="refcoco", out=tmp_path, source=world.data.path / "refcoco", images=world.files.image_folder
    )
    assert isinstance(report, Report)
    assert capsys.readouterr().out == ""
