"""The client: the answers of `Grounder.ground`, retries where the server asks for them, and refusals as errors."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.fabricate import write_image
from helpers.served import SMALL, HeldDetector, Served, png, served
from helpers.tiny_run import World

from aligncat.datasets.load import load_split
from aligncat.errors import ConfigError, ImageError, ServiceError
from aligncat.grounder.grounder import Grounder
from aligncat.serving import Client
from aligncat.serving.access import Access
from aligncat.serving.app import AppSettings


@pytest.fixture
def client(server: Served) -> Iterator[Client]:
    with Client(server.url, retries=3) as found:
        yield found


@pytest.fixture
def grounder(tiny_detector: Path) -> Grounder:
    return HeldDetector(tiny_detector).grounder()


def test_the_answers_are_those_of_ground(client: Client, grounder: Grounder, tmp_path: Path) -> None:
    photo = write_image(tmp_path / "photo.png", 1)
    expected = grounder.ground(photo, ["red cat", "dog"], top=2)
    for given in (photo, str(photo), photo.read_bytes()):
        found = client.ground(given, ["red cat", "dog"], top=2, candidates=True)
        assert list(found.groundings) == expected
        assert (found.grounder, found.size, found.left_out) == ("free", (48, 40), ())


def test_thresholds_and_one_phrase(calibrated: Path, world: World) -> None:
    grounder = Grounder.from_pretrained(calibrated)
    photo = next(iter(load_split(world.data, "train").images.values())).path
    [expected] = grounder.ground(photo, "both dogs")
    assert expected.probability < 1
    with served({"mine": grounder}) as server, Client(server.url) as client:
        found = client.ground(photo, "both dogs", min_probability=1.0, grounder="mine", timeout=20)
        [one] = client.ground(photo, "both dogs").groundings
    assert one.box == expected.box and found.groundings == ()
    [(phrase, reason)] = found.left_out
    assert phrase == "both dogs" and reason.startswith("nothing is probable enough")


def test_several_photos_have_an_answer_or_an_error_each(client: Client) -> None:
    found = client.ground_many([(png(), "cat"), (b"none", "cat"), (png(30, 20), ["cat", "dog"])])
    assert [getattr(each, "size", None) for each in found] == [(48, 40), None, (30, 20)]
    assert isinstance(found[1], ServiceError) and (found[1].status, found[1].code) == (422, "photo_unreadable")


def test_the_grounders(client: Client) -> None:
    assert [each["name"] for each in client.grounders()] == ["free"]


def test_a_full_server_is_asked_again(server: Served, client: Client, held: HeldDetector) -> None:
    held.go.clear()
    threads = [threading.Thread(target=client.ground, args=(png(), "cat")) for _ in range(5)]
    for number, thread in enumerate(threads):
        thread.start()
        if number == 0:
            assert held.begun.wait(30)
    while len(server.service.queues["cpu"]) < 4:
        pass
    refused = threading.Event()
    client._http.event_hooks = {"response": [lambda response: response.status_code == 429 and refused.set()]}
    threading.Timer(0.7, held.go.set).start()
    assert client.ground(png(), "dog").groundings and refused.is_set()
    for thread in threads:
        thread.join(60)


def test_a_full_server_is_an_error_in_the_end(server: Served, held: HeldDetector) -> None:
    held.go.clear()
    with Client(server.url, retries=0) as client:
        threads = [threading.Thread(target=client.ground, args=(png(), "cat")) for _ in range(5)]
        for number, thread in enumerate(threads):
            thread.start()
            if number == 0:
                assert held.begun.wait(30)
        while len(server.service.queues["cpu"]) < 4:
            pass
        with pytest.raises(ServiceError, match="4 photos are waiting") as raised:
            client.ground(png(), "dog")
        assert (raised.value.status, raised.value.code) == (429, "queue_full")
        held.go.set()
        for thread in threads:
            thread.join(60)


def test_a_refusal_is_not_tried_again(client: Client) -> None:
    with pytest.raises(ServiceError, match="there is no grounder 'mine'") as raised:
        client.ground(png(), "cat", grounder="mine")
    assert raised.value.status == 404


def test_no_server_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = taken.getsockname()
    expected = pytest.raises(ServiceError, match=r"no answer \(ConnectError\); check that the server runs")
    with Client(f"http://127.0.0.1:{place[1]}", retries=1) as client, expected as raised:
        client.grounders()
    assert raised.value.status is None


def test_a_photo_that_is_not_there_is_an_error_before_anything_is_sent(client: Client) -> None:
    with pytest.raises(ImageError, match="no such image file"):
        client.ground("nothing.png", "cat")
    with pytest.raises(ImageError, match="is a URL"):
        client.ground("http://127.0.0.1/photo.png", "cat")


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000", "localhost", "ftp://localhost", "http://", "", "http://a:b:c", "//x"]
)
def test_an_address_that_is_none_is_an_error_at_once(url: str) -> None:
    with pytest.raises(ConfigError, match="such as http://"):
        Client(url)


@pytest.mark.parametrize("key", ["", " key", "key\n", "a\tb", "a\x00b"])
def test_a_key_that_cannot_be_sent_is_an_error_at_once(key: str) -> None:
    with pytest.raises(ConfigError, match="api_key"):
        Client("http://localhost", api_key=key)


def test_a_key_may_have_any_letters(held: HeldDetector) -> None:
    key = "Schlüssel für 猫"
    with served({"free": held.grounder()}, AppSettings(SMALL, Access(key, any_host=True))) as found:
        with Client(found.url, api_key=key, retries=0) as client:
            assert [each["name"] for each in client.grounders()] == ["free"]
        with Client(found.url, api_key="Schlussel fur 猫", retries=0) as client, pytest.raises(ServiceError) as error:
            client.grounders()
        assert error.value.code == "wrong_key"
