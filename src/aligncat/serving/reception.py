"""What a request must keep to while it arrives: its size, its time, and the memory of all requests together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aligncat.serving.limits import Limits
from aligncat.serving.refusals import Refusal, busy, too_large, too_slow

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Reception:
    """An ASGI app that limits the bodies that another one receives.

    Attributes:
        held: the bytes of all bodies that were received and whose requests are not answered yet.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self.held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app. Its `receive` raises a Refusal if the body is too large, too slow, or too much for now."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limits, clock = self._limits, asyncio.get_running_loop().time
        until = clock() + limits.receive_seconds
        declared = _declared_length(scope)
        arrived, complete = 0, False

        async def limited() -> Message:
            nonlocal arrived, complete
            if complete:
                return await receive()  # which returns when the client leaves
            if declared > limits.request_bytes:
                raise _too_large(limits)
            try:
                async with asyncio.timeout(until - clock()):
                    message = await receive()
            except TimeoutError:
                raise too_slow(limits.receive_seconds) from None
            if message["type"] == "http.request":
                complete = not message.get("more_body", False)
                size = len(message.get("body", b""))
                arrived += size
                self.held += size
                if arrived > limits.request_bytes:
                    raise _too_large(limits)
                if self.held > limits.memory:
                    raise busy(
                        "memory_full", "the requests that are being answered take all memory; try again later", 1
                    )
            return message

        try:
            await self._app(scope, limited, send)
        finally:
            self.held -= arrived


def _too_large(limits: Limits) -> Refusal:
    return too_large("request_too_large", f"the request is too large; the limit is {limits.request_bytes:,} bytes")


def _declared_length(scope: Scope) -> int:
    """Return the Content-Length, which the server has checked to be a number; 0 if there is none."""
    return int(dict(scope["headers"]).get(b"content-length", b"0"))
