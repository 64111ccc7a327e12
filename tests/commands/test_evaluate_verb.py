"""What `aligncat evaluate` prints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.tiny_run import World

from aligncat.api.evaluate import evaluate
from aligncat.commands.evaluate import show


def test_metrics_of_masks_have_a_table_only_if_the_data_has_masks(
    world: World, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = evaluate(grounder=trained, data=world.data, store=world.store, splits=("val",))
    show(answers)
    assert "oIoU" in capsys.readouterr().out
    boxes = [
        replace(each, result=replace(each.result, metrics=replace(each.result.metrics, res_oiou=None)))
        for each in answers
    ]
    show(boxes)
    said = capsys.readouterr().out
    assert "oIoU" not in said and "REC" in said
