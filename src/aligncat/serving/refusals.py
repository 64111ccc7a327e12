"""Why a server refuses a request: one class of error with a status, and a constructor for each kind."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from aligncat.errors import ServiceError


class Refusal(ServiceError):  # noqa: N818  # the word of HTTP; a client gets it as a ServiceError
    """A request that is not answered.

    Attributes:
        status: its HTTP status.
        code: its kind, for programs.
        headers: further headers of the response.
    """

    status: int
    code: str

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message, status=status, code=code)
        self.headers = dict(headers or {})

    def plain(self) -> dict[str, Any]:
        """Return the refusal as JSON values."""
        return {"error": {"code": self.code, "message": str(self)}}

    def body(self) -> bytes:
        """Return the body of the response."""
        return json.dumps(self.plain()).encode()


def invalid(message: str) -> Refusal:
    """Return the refusal of a body that is not what the OpenAPI document says."""
    return Refusal(400, "invalid_request", message)


def too_large(code: str, message: str) -> Refusal:
    """Return the refusal of a request that goes beyond a limit."""
    return Refusal(413, code, message)


def unusable(code: str, message: str) -> Refusal:
    """Return the refusal of a request that is well-formed and cannot be answered."""
    return Refusal(422, code, message)


def busy(code: str, message: str, seconds: float) -> Refusal:
    """Return the refusal of a request for which there is no room now.

    Args:
        code: what is full.
        message: why.
        seconds: after how long to try again.
    """
    return Refusal(429, code, message, {"Retry-After": str(max(1, math.ceil(seconds)))})


def too_slow(seconds: float) -> Refusal:
    """Return the refusal of a request that did not arrive in time, after which the connection is closed."""
    message = f"the request did not arrive within {seconds:g} seconds; send it faster, or a smaller photo"
    return Refusal(408, "too_slow", message, {"Connection": "close"})


def cut_off() -> Refusal:
    """Return the refusal of a request whose body ends before its length."""
    message = "the body ends before its Content-Length; send it whole"
    return Refusal(400, "cut_off", message, {"Connection": "close"})


def late(seconds: float) -> Refusal:
    """Return the refusal of a request that was not answered in time."""
    message = f"not answered within {seconds:g} seconds; try again later, or allow more time"
    return Refusal(408, "deadline", message)


def stopping() -> Refusal:
    """Return the refusal of a server that is about to stop."""
    return Refusal(503, "stopping", "the server is stopping; try again later", {"Retry-After": "5"})
