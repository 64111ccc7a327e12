"""The OpenAPI document: what FastAPI does not know of bodies, limits, refusals and the key."""

from __future__ import annotations

import copy
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from aligncat.serving.access import OPEN_PATHS
from aligncat.serving.limits import Limits
from aligncat.serving.requests import FORM, JSON, BatchRequest, GroundForm, GroundRequest
from aligncat.serving.responses import ErrorResponse

_REFS = "#/components/schemas/"
_SECONDS = {"description": "After how many seconds to try again.", "required": True, "schema": {"type": "integer"}}
_RETRY = {"Retry-After": _SECONDS}
_TEXT = {"required": True, "schema": {"type": "string"}}
_REFUSALS: dict[int, dict[str, Any]] = {
    400: {"description": "The body is not what this document says, or is cut off."},
    401: {"description": "The key is missing or wrong.", "headers": {"WWW-Authenticate": _TEXT}},
    403: {"description": "The server is asked by a name that is not its own."},
    404: {"description": "There is no such grounder."},
    408: {"description": "The request did not arrive, or was not answered, in time."},
    413: {"description": "The request, the photo, a phrase or their number is beyond a limit."},
    415: {"description": "The body is neither JSON nor a form."},
    422: {"description": "The photo or a phrase cannot be used, or nothing was found in the photo."},
    429: {"description": "Too much is waiting.", "headers": _RETRY},
    503: {"description": "The app is stopping. `aligncat serve` takes no connections then.", "headers": _RETRY},
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the responses of a route that are refusals, by status."""
    return {status: {"model": ErrorResponse, **_REFUSALS[status]} for status in statuses}


def _body(models: dict[str, type[BaseModel]]) -> dict[str, Any]:
    content = {media: {"schema": {"$ref": _REFS + model.__name__}} for media, model in models.items()}
    return {"requestBody": {"required": True, "content": content}}


GROUND: dict[str, Any] = {
    "responses": refusals(*_REFUSALS),
    "openapi_extra": _body({JSON: GroundRequest, FORM: GroundForm}),
}
"""What the route of one photo adds to the document."""
GROUND_BATCH: dict[str, Any] = {
    "responses": refusals(*(status for status in _REFUSALS if status != 404)),
    "openapi_extra": _body({JSON: BatchRequest}),
}
"""What the route of several photos adds to the document."""


def document(app: FastAPI, limits: Limits, *, with_key: bool) -> dict[str, Any]:
    """Return the OpenAPI document of an app.

    Args:
        app: the app.
        limits: what it accepts.
        with_key: whether it wants a key.
    """
    found = get_openapi(
        title="aligncat",
        version=version("aligncat"),
        summary="Find the objects that phrases refer to in photos.",
        routes=app.routes,
    )
    schemas = found.setdefault("components", {}).setdefault("schemas", {})
    for model in (GroundRequest, GroundForm, BatchRequest):
        schema = model.model_json_schema(ref_template=_REFS + "{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    _drop_nulls(schemas["GroundForm"]["properties"])
    # A photo of a batch that goes beyond a limit has an error of its own, so the document has no limits there.
    schemas["BatchItem"] = copy.deepcopy(schemas["GroundRequest"])
    schemas["BatchRequest"]["properties"]["requests"]["items"] = {"$ref": _REFS + "BatchItem"}
    for name in ("GroundRequest", "GroundForm"):
        phrases = schemas[name]["properties"]["phrases"]
        phrases["maxItems"] = limits.phrases
        phrases["items"]["maxLength"] = limits.phrase_length
    schemas["BatchRequest"]["properties"]["requests"]["maxItems"] = limits.photos
    if with_key:
        found["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer", "description": "The key of --api-key."},
            "basic": {"type": "http", "scheme": "basic", "description": "Any name, and the key as the password."},
        }
        found["security"] = [{"bearer": []}, {"basic": []}]
        for path in OPEN_PATHS & found["paths"].keys():
            found["paths"][path]["get"]["security"] = []
    return found


def overview(described: dict[str, Any]) -> dict[str, Any]:
    """Return what a server says of itself at its root: its routes, and where they are described.

    Args:
        described: the OpenAPI document.
    """
    routes = {
        f"{method.upper()} {path}": operation["summary"]
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
    }
    return {**described["info"], "routes": {**routes, "GET /openapi.json": "These routes for programs, with examples"}}


def _drop_nulls(properties: dict[str, dict[str, Any]]) -> None:
    """Change optional fields: a form has a field or leaves it out, and has no null."""
    for name, schema in properties.items():
        if "anyOf" in schema:
            [kind] = [each for each in schema.pop("anyOf") if each != {"type": "null"}]
            properties[name] = {key: value for key, value in schema.items() if key != "default"} | kind
