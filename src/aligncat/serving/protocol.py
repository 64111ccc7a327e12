"""uvicorn's HTTP/1.1 protocol with limits in time: for requests to arrive, and for clients to read."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from aligncat.serving.refusals import Refusal, cut_off, too_slow

_LEAST_READ = 64 * 2**10  # bytes that a client must read in the longest time


def timed_protocol(seconds: float) -> type[asyncio.Protocol]:
    """Return the protocol with a limit in seconds."""
    return type("TimedProtocol", (TimedProtocol,), {"seconds": seconds})


class TimedProtocol(H11Protocol):
    """Closes the connections of clients that keep the server waiting.

    uvicorn waits for ever for the rest of a header, for a body that nobody reads any more, and for a client that reads
    nothing. A body that is being read has its time limit in `Reception`.

    Attributes:
        seconds: the longest time; `timed_protocol` sets it.
    """

    seconds: float
    _arriving: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take a part of a request."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self._watch()

    def eof_received(self) -> None:
        """Refuse a request whose client sends no more of it."""
        if self.conn.their_state is h11.SEND_BODY:
            self._refuse(cut_off())

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        for timer in (self._arriving, self._unread):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Begin to wait for the client to read."""
        super().pause_writing()
        self._watch_reading()

    def resume_writing(self) -> None:
        """Go on writing."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()

    def _watch_reading(self) -> None:
        waiting = self.transport.get_write_buffer_size()
        self._unread = self.loop.call_later(self.seconds, self._end_unread, waiting)

    def _end_unread(self, before: int) -> None:
        """End the connection if the client has read hardly anything."""
        if before - self.transport.get_write_buffer_size() < _LEAST_READ:
            self.transport.abort()
        else:
            self._watch_reading()

    def _watch(self) -> None:
        """Run the timer while neither a request is answered nor the connection is idle between two."""
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering or self.timeout_keep_alive_task is not None:
            if self._arriving is not None:
                self._arriving.cancel()
                self._arriving = None
        elif self._arriving is None:
            self._arriving = self.loop.call_later(self.seconds, self._refuse, too_slow(self.seconds))

    def _refuse(self, refusal: Refusal) -> None:
        """Write a refusal, if no response has begun, and close the connection."""
        if self.transport.is_closing():
            return
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(_response(refusal))
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()


def _response(refusal: Refusal) -> bytes:
    body = refusal.body()
    headers: dict[str, Any] = {**refusal.headers, "Content-Type": "application/json", "Content-Length": len(body)}
    lines = [f"HTTP/1.1 {refusal.status} {STATUS_PHRASES[refusal.status].decode()}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
