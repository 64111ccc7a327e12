"""Good requests: every answer is that of `Grounder.ground`, in JSON, as a form, and several at once."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers.served import BROKEN, HeldDetector, Served, png, served
from helpers.tiny_run import World

from aligncat.datasets.load import load_split
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.grounding import Grounding
from aligncat.serving.responses import BatchResponse, GrounderInfo, GroundResponse, Health, Readiness

PHRASES = ["red person", "the dog on the left"]


@pytest.fixture(scope="module")
def grounder(calibrated: Path) -> Grounder:
    return Grounder.from_pretrained(calibrated)


@pytest.fixture(scope="module")
def photos(world: World) -> list[Path]:
    return [image.path for image in load_split(world.data, "train").images.values()]


@pytest.fixture(scope="module")
def site(grounder: Grounder, tiny_detector: Path) -> Iterator[Served]:
    free = Grounder.from_pretrained("training-free", detector=str(tiny_detector))
    with served({"mine": grounder, "free": free}) as found:
        yield found


def encoded(photo: Path | bytes) -> str:
    return base64.b64encode(photo if isinstance(photo, bytes) else photo.read_bytes()).decode()


def close(one: Any, other: Any) -> bool:
    """Return whether two answers are equal up to the last bits, which the size of a batch may change."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(close(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(close, one, other))
    return one == pytest.approx(other, abs=1e-4) if isinstance(one, float) else one == other


def test_json_and_form_give_the_answer_of_ground(site: Served, grounder: Grounder, photos: list[Path]) -> None:
    settings = {"top": 2, "min_probability": 0.0, "candidates": True, "grounder": "mine"}
    expected = [each.to_dict() for each in grounder.ground(photos[0], PHRASES, top=2)]
    as_json = httpx.post(f"{site.url}/v1/ground", json={"photo": encoded(photos[0]), "phrases": PHRASES, **settings})
    form = {**settings, "phrases": PHRASES, "candidates": "true"}
    as_form = httpx.post(f"{site.url}/v1/ground", data=form, files={"photo": ("x", photos[0].read_bytes())})
    for response in (as_json, as_form):
        found = response.json()
        assert response.status_code == 200 and GroundResponse.model_validate(found)
        assert found["groundings"] == json.loads(json.dumps(expected))
        assert (found["grounder"], found["width"], found["height"], found["left_out"]) == ("mine", 48, 40, [])


def test_without_candidates_an_answer_is_a_grounding_without_them(
    site: Served, grounder: Grounder, photos: list[Path]
) -> None:
    response = httpx.post(f"{site.url}/v1/ground", json={"photo": encoded(photos[1]), "phrases": PHRASES})
    found = [Grounding.from_dict(each) for each in response.json()["groundings"]]
    for one, other in zip(found, grounder.ground(photos[1], PHRASES), strict=True):
        assert one.candidates == () == one.word_weights
        assert (one.box, one.mask, one.probability, one.match) == (
            other.box,
            other.mask,
            other.probability,
            other.match,
        )


def test_the_thresholds_and_several_are_those_of_ground_many(
    site: Served, grounder: Grounder, photos: list[Path]
) -> None:
    body = {"photo": encoded(photos[0]), "phrases": ["both dogs"], "several": True}
    found = httpx.post(f"{site.url}/v1/ground", json=body).json()["groundings"][0]["answers"]
    [expected] = grounder.ground(photos[0], "both dogs", several=True)
    assert [each["box"] for each in found] == [list(box) for box in expected.boxes]
    left = httpx.post(f"{site.url}/v1/ground", json={**body, "several": False, "min_probability": 1.0}).json()
    assert left["groundings"] == [] and left["left_out"][0]["expression"] == "both dogs"
    assert left["left_out"][0]["reason"].startswith("nothing is probable enough")


def test_requests_at_the_same_time_get_their_own_answers(site: Served, grounder: Grounder, photos: list[Path]) -> None:
    expected = {path: [each.to_dict() for each in grounder.ground(path, PHRASES)] for path in photos}
    asked = photos * 4

    def ask(path: Path) -> Any:
        body = {"photo": encoded(path), "phrases": PHRASES, "candidates": True}
        return httpx.post(f"{site.url}/v1/ground", json=body, timeout=60).json()["groundings"]

    with ThreadPoolExecutor(len(asked)) as pool:
        for path, found in zip(asked, pool.map(ask, asked), strict=True):
            assert close(found, json.loads(json.dumps(expected[path])))


def test_a_batch_has_an_answer_or_an_error_for_each_photo(site: Served, grounder: Grounder, photos: list[Path]) -> None:
    good = {"photo": encoded(photos[0]), "phrases": ["red dog"]}
    requests = [
        good,
        {**good, "photo": encoded(b"no photo")},
        {**good, "grounder": "free"},
        {**good, "grounder": "nobody"},
        {**good, "phrases": ["..."]},
        {**good, "photo": "/etc/passwd"},
    ]
    response = httpx.post(f"{site.url}/v1/ground/batch", json={"requests": requests})
    results = response.json()["results"]
    assert response.status_code == 200 and BatchResponse.model_validate(response.json())
    assert [each.get("error", {}).get("code") for each in results] == [
        *(None, "photo_unreadable", None, "unknown_grounder", "no_words", "invalid_request")
    ]
    assert [results[0]["grounder"], results[2]["grounder"]] == ["mine", "free"]
    assert results[0]["groundings"][0]["box"] == list(grounder.ground(photos[0], "red dog")[0].box)


def test_a_photo_that_the_detector_fails_on_costs_nobody_else_an_answer(held: HeldDetector) -> None:
    with served({"free": held.grounder()}) as site:
        held.go.clear()
        with ThreadPoolExecutor(4) as pool:
            first = pool.submit(httpx.post, f"{site.url}/v1/ground", json={"photo": encoded(png()), "phrases": ["x"]})
            assert held.begun.wait(30)
            bodies = [{"photo": encoded(png(*size)), "phrases": ["x"]} for size in ((20, 30), BROKEN, (30, 20))]
            asked = [pool.submit(httpx.post, f"{site.url}/v1/ground", json=each, timeout=60) for each in bodies]
            waits(lambda: len(next(iter(site.service.queues.values()))) == 3)
            held.go.set()
            assert first.result().status_code == 200
            replies = [each.result() for each in asked]
        assert [each.status_code for each in replies] == [200, 500, 200]
        assert [(each.json()["width"], each.json()["height"]) for each in replies[::2]] == [(20, 30), (30, 20)]
        assert replies[1].json()["error"]["code"] == "failed" and "secret" not in replies[1].text
        assert held.batches == [1, 3, 1, 1, 1]
        batch = {"requests": [bodies[0], bodies[1]]}
        results = httpx.post(f"{site.url}/v1/ground/batch", json=batch, timeout=60).json()["results"]
        assert "groundings" in results[0] and results[1]["error"]["code"] == "failed"


def test_each_device_has_a_queue_of_its_own(tiny_detector: Path) -> None:
    busy, free = HeldDetector(tiny_detector), HeldDetector(tiny_detector)
    setattr(free, "device", "another")  # noqa: B010 - set there like this too
    with served({"busy": busy.grounder(), "free": free.grounder()}) as server, ThreadPoolExecutor(1) as pool:

        def ask(grounder: str) -> int:
            sent = {"photo": encoded(png()), "phrases": ["red mug"], "grounder": grounder}
            return httpx.post(f"{server.url}/v1/ground", json=sent, timeout=60).status_code

        assert [*server.service.queues] == ["another", "cpu"]
        busy.go.clear()
        waits = pool.submit(ask, "busy")
        assert busy.begun.wait(30)
        assert ask("free") == 200 and not waits.done()
        busy.go.set()
        assert waits.result(60) == 200


def test_the_grounders_and_the_probes(site: Served) -> None:
    found = httpx.get(f"{site.url}/v1/grounders").json()["grounders"]
    assert [GrounderInfo.model_validate(each).calibrated for each in found] == [True, False]
    assert found[0]["categories"][:2] and found[0]["name"] == "mine" and found[0]["device"] == "cpu"
    assert Health.model_validate(httpx.get(f"{site.url}/health").json()).status == "UP"
    assert Readiness.model_validate(httpx.get(f"{site.url}/ready").json()).ready


def waits(condition: Any, seconds: float = 30) -> None:
    """Wait until a condition holds."""
    done = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        done.wait(0.02)
    raise AssertionError("waited in vain")
