"""The types of the public API, as a type checker sees them. mypy checks this file; nothing runs it."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

import aligncat
from aligncat import DataConfig, Grounder, Grounding, Store
from aligncat.datasets.prepare.check import Report
from aligncat.evaluation.answers import Answers
from aligncat.studies.compare import StudyResult


def check(data: DataConfig, path: Path) -> None:
    """Assert the return types of the public functions."""
    assert_type(aligncat.__version__, str)
    assert_type(aligncat.prepare(name="refcoco", out=path), Report)
    assert_type(aligncat.extract(out=path, data=data), Store)
    assert_type(aligncat.train(data=data, store=path, out=path), Grounder)
    assert_type(aligncat.evaluate(grounder=path, data=data, store=path), list[Answers])
    assert_type(aligncat.ablate(study="table3", data=data, store=path, out=path), StudyResult)
    assert_type(aligncat.write_report([path]), Path)
    assert_type(Grounder.from_pretrained(path).ground("photo.jpg", ["cup"]), list[Grounding])
