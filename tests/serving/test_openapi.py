"""The OpenAPI document says what the server does, and its examples work."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers.served import SMALL, HeldDetector, Served, png, served

from aligncat.serving.access import Access
from aligncat.serving.app import AppSettings


@pytest.fixture
def described(server: Served) -> Any:
    return httpx.get(f"{server.url}/openapi.json").json()


def test_the_document_has_every_route_with_its_limits(described: Any) -> None:
    assert {"/v1/ground", "/v1/ground/batch", "/v1/grounders", "/health", "/ready", "/metrics"} <= set(
        described["paths"]
    )
    phrases = described["components"]["schemas"]["GroundRequest"]["properties"]["phrases"]
    assert (phrases["maxItems"], phrases["items"]["maxLength"]) == (SMALL.phrases, SMALL.phrase_length)
    batch = described["components"]["schemas"]["BatchRequest"]["properties"]["requests"]
    assert (batch["minItems"], batch["maxItems"]) == (1, SMALL.photos)
    body = described["paths"]["/v1/ground"]["post"]["requestBody"]["content"]
    assert set(body) == {"application/json", "multipart/form-data"}
    assert "securitySchemes" not in described["components"]


def test_every_reference_leads_somewhere(described: Any) -> None:
    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [each for item in value.values() for each in references(item)]
        return [each for item in value for each in references(item)] if isinstance(value, list) else []

    names = {each.removeprefix("#/components/schemas/") for each in references(described)}
    assert names and names <= set(described["components"]["schemas"])


def test_the_root_says_what_there_is(server: Served, described: Any) -> None:
    found = httpx.get(f"{server.url}/").json()
    assert (found["title"], found["version"]) == ("aligncat", described["info"]["version"])
    assert len(found["routes"]) == 1 + sum(map(len, described["paths"].values()))
    assert "GET /openapi.json" in found["routes"]
    assert found["routes"]["POST /v1/ground"] == "Ground phrases in a photo"
    for each in found["routes"]:
        method, path = each.split(" ")
        assert httpx.request(method, f"{server.url}{path}").status_code == (200 if method == "GET" else 415)


@pytest.mark.parametrize(("model", "path"), [("GroundRequest", "ground"), ("BatchRequest", "ground/batch")])
def test_the_examples_are_answered(server: Served, described: Any, model: str, path: str) -> None:
    [example] = described["components"]["schemas"][model]["examples"]
    reply = httpx.post(f"{server.url}/v1/{path}", json=example)
    assert reply.status_code == 200, reply.text
    assert "error" not in reply.text


def test_a_key_is_in_the_document(tiny_detector: Path) -> None:
    settings = AppSettings(SMALL, Access("a long secret", any_host=True))
    with served({"free": HeldDetector(tiny_detector).grounder()}, settings) as server:
        key = {"Authorization": "Bearer a long secret"}
        described = httpx.get(f"{server.url}/openapi.json", headers=key).json()
    assert set(described["components"]["securitySchemes"]) == {"bearer", "basic"}
    assert described["paths"]["/health"]["get"]["security"] == []


@pytest.mark.slow
def test_schemathesis_finds_nothing(tiny_detector: Path) -> None:
    """Every check of schemathesis, on requests that follow the document and on requests that do not."""
    import schemathesis
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st
    from schemathesis.checks import CHECKS, load_all_checks

    sizes = st.tuples(st.integers(4, 60), st.integers(4, 60), st.sampled_from(["red", "blue", "#123456"]))
    photos = sizes.map(lambda size: png(*size))
    schemathesis.openapi.format("byte", photos.map(lambda photo: base64.b64encode(photo).decode()))
    schemathesis.openapi.format("binary", photos)
    load_all_checks()
    key = "a long secret"
    limits = AppSettings(SMALL, Access(key, any_host=True))
    with served({"free": HeldDetector(tiny_detector).grounder()}, limits) as server:
        authorised = {"Authorization": f"Bearer {key}"}
        # 422 is for data that follow the document and cannot be answered, such as a phrase without words; 408 for a
        # timeout of a tenth of a second.
        accepted = ["2xx", "401", "403", "404", "408", "422", "429"]
        refused = ["400", "401", "403", "404", "405", "408", "413", "415", "422", "429"]
        checks = {
            "positive_data_acceptance": {"expected-statuses": accepted},
            "negative_data_rejection": {"expected-statuses": refused},
        }
        config = schemathesis.Config.from_dict({"checks": checks})
        schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json", headers=authorised, config=config)
        for operation in [found.ok() for found in schema.get_all_operations()]:
            # What has no body and no parameters has nothing that could be wrong.
            positive = schemathesis.GenerationMode.POSITIVE
            modes = list(schemathesis.GenerationMode) if operation.method == "post" else [positive]
            for mode in modes:
                strategy = operation.as_strategy(generation_mode=mode)

                @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), database=None)
                @given(case=strategy)
                def check(case: Any) -> None:
                    # A form cannot say that a field is an empty list: the field is not there, and that is allowed.
                    fields = case.body if isinstance(case.body, dict) else {}
                    lost = any(value == [] for name, value in fields.items() if name not in ("phrases", "photo"))
                    excluded = [check for check in CHECKS.get_all() if lost and "negative" in check.__name__]
                    case.call_and_validate(headers=authorised, checks=CHECKS.get_all(), excluded_checks=excluded)

                check()
