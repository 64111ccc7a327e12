"""Arguments that describe a dataset: the names of splits, and what the numbers of a box are."""

from __future__ import annotations

from pathlib import Path

import pytest

from aligncat.datasets.config import DataConfig
from aligncat.datasets.split import split_tuple
from aligncat.errors import ConfigError


@pytest.mark.parametrize(
    ("given", "expected"),
    [("val", ("val",)), (["val", "test"], ("val", "test")), (("val",), ("val",)), ((), ()), (None, ())],
)
def test_a_text_is_one_split(given: str | list[str] | tuple[str, ...] | None, expected: tuple[str, ...]) -> None:
    assert split_tuple(given) == expected


def test_an_unknown_form_of_boxes_is_refused_in_python() -> None:
    with pytest.raises(ConfigError, match=r"boxes 'xyhw' is not known; use one of xyxy, .*; did you mean xywh\?"):
        DataConfig(Path("data"), "own", format="jsonl", boxes="xyhw")  # type: ignore[arg-type]
