"""Bodies that are wrong in many places."""

from __future__ import annotations

import tracemalloc

import pytest
from pydantic import BaseModel

from aligncat.serving.label_studio.routes import PredictRequest
from aligncat.serving.refusals import Refusal
from aligncat.serving.requests import BatchRequest, GroundRequest, parse

MANY = 50_000
UNKNOWN = b",".join(b'"%d": 1' % number for number in range(MANY))


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (GroundRequest, b'{"photo": "AAAA", "phrases": [' + b'"", ' * MANY + b'""]}'),
        (
            GroundRequest,
            b'{"photo": "AAAA", "phrases": ["x"], ' + UNKNOWN + b"}",
        ),
        (BatchRequest, b'{"requests": [' + b"1, " * MANY + b"1]}"),
        (BatchRequest, b"{" + UNKNOWN + b"}"),
        (PredictRequest, b'{"label_config": "", "tasks": [' + b"1, " * MANY + b"1]}"),
    ],
)
def test_a_body_that_is_wrong_in_many_places_is_one_fault(model: type[BaseModel], body: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(Refusal) as raised:
        parse(model, body)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert raised.value.status == 400 and ";" not in str(raised.value).replace("; openapi", "")
    # An error for each value would take some hundred bytes a value.
    assert most < 20 * len(body)


def test_some_faults_are_told_together() -> None:
    with pytest.raises(Refusal, match=r"photo: .*; phrases: .*; colour: "):
        parse(GroundRequest, b'{"photo": 1, "phrases": [], "colour": 2}')
