"""The types of the public API, as a type checker sees them. mypy checks this file; nothing runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pandas as pd
import supervision as sv
from numpy.typing import NDArray

import aligncat
from aligncat import DataConfig, Grounder, Grounding, Store
from aligncat.datasets.prepare.check import Report
from aligncat.errors import ServiceError
from aligncat.evaluation.answers import Answers
from aligncat.serving import Client, PhotoGroundings
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


def check_client(path: Path) -> None:
    """Assert the types of the client of a server."""
    with Client("http://127.0.0.1:8000", api_key=None) as client:
        assert_type(client.ground(path, "cup", several=True), PhotoGroundings)
        assert_type(client.ground(b"photo", ["cup"]).groundings, tuple[Grounding, ...])
        assert_type(client.ground_many([(path, "cup")]), list[PhotoGroundings | ServiceError])


def check_text(path: str, groundings: list[Grounding]) -> None:
    """Assert that a path can be given as text wherever a function takes one, and the types of conversions."""
    data = DataConfig(path, "refcoco", images=path, lexicon=path)
    assert_type(data.path, Path)
    assert_type(data.images, Path | None)
    assert_type(aligncat.prepare(name="refcoco", out=path, source=path, images=path, mirrors=path), Report)
    assert_type(aligncat.extract(out=path, images=path, detector=Path(path)), Store)
    assert_type(aligncat.train(data=data, store=path, out=path, word_vectors=path), Grounder)
    assert_type(
        aligncat.evaluate(grounder=path, data=data, store=path, out=path, queries=path, detector_images=Path(path)),
        list[Answers],
    )
    assert_type(
        aligncat.ablate(study="table3", data=data, store=path, out=path, queries=path, word_vectors=path), StudyResult
    )
    assert_type(aligncat.write_report(path, out=path), Path)
    assert_type(Store.open(path), Store)
    grounder = Grounder.from_pretrained(path, detector=Path(path), text_encoder=Path(path), cache_dir=path)
    assert_type(grounder.ground(Path(path), "cup"), list[Grounding])
    assert_type(grounder.ground(np.zeros((2, 2, 3), np.uint8), ("cup",)), list[Grounding])
    with Path(path).open("rb") as file:
        assert_type(grounder.ground(file, ["cup"]), list[Grounding])
    assert_type(groundings[0].to_dict(), dict[str, Any])
    assert_type(groundings[0].mask_array(), NDArray[np.bool_])
    assert_type(aligncat.to_supervision(groundings), sv.Detections)
    assert_type(aligncat.to_pandas(groundings), pd.DataFrame)
