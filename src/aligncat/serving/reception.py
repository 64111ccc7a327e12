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
        """Run the app. Its `receive` raises a Refusal if the body is too large, too slow, or too much for now.

        That refusal is the answer, whatever the app makes of it: a mounted app may answer errors of its own accord.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(self, self._limits, _declared_length(scope), receive)

        async def sending(message: Message) -> None:
            if body.refused is None:
                await send(message)

        try:
            await self._app(scope, body.receive, sending)
        except Exception:
            if body.refused is None:
                raise
        finally:
            self.held -= body.arrived
        if body.refused is not None:
            raise body.refused


class _Body:
    """The body of one request, while it arrives.

    Attributes:
        arrived: its bytes so far.
        refused: why the rest is not received, once it is refused.
    """

    def __init__(self, reception: Reception, limits: Limits, declared: int, receive: Receive) -> None:
        self._reception = reception
        self._limits = limits
        self._declared = declared
        self._receive = receive
        self._until = asyncio.get_running_loop().time() + limits.receive_seconds
        self._complete = False
        self.arrived = 0
        self.refused: Refusal | None = None

    async def receive(self) -> Message:
        """Return the next message.

        Raises:
            Refusal: the body is too large, too slow, or too much for now.
        """
        if self._complete:
            return await self._receive()  # which returns when the client leaves
        try:
            return await self._part()
        except Refusal as refusal:
            self.refused = refusal
            raise

    async def _part(self) -> Message:
        limits = self._limits
        if self._declared > limits.request_bytes:
            raise _too_large(limits)
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            raise too_slow(limits.receive_seconds) from None
        if message["type"] == "http.request":
            self._complete = not message.get("more_body", False)
            size = len(message.get("body", b""))
            self.arrived += size
            self._reception.held += size
            if self.arrived > limits.request_bytes:
                raise _too_large(limits)
            if self._reception.held > limits.memory:
                raise busy("memory_full", "the requests that are being answered take all memory; try again later", 1)
        return message


def _too_large(limits: Limits) -> Refusal:
    return too_large("request_too_large", f"the request is too large; the limit is {limits.request_bytes:,} bytes")


def _declared_length(scope: Scope) -> int:
    """Return the Content-Length, which the server has checked to be a number; 0 if there is none."""
    return int(dict(scope["headers"]).get(b"content-length", b"0"))
