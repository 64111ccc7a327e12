"""What an operator sees of a server: one log line for each request, and Prometheus metrics. Neither has phrases."""

from __future__ import annotations

import json
import logging
import time
import traceback
import uuid
from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from aligncat.serving.refusals import Refusal
from aligncat.serving.service import Gone

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LEFT = 499
"""The status in logs and metrics of a request whose client left before the answer, as nginx has it."""
_OTHER = "other"  # for paths and methods that clients make up
_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE"})
_PAGE = "/page/"  # whose files are dozens for one visit, so that they are counted and not logged
_FRAMES = 10  # of a traceback in the log
_BATCHES = (1, 2, 4, 8, 16, 32, 64)

logger = logging.getLogger(__name__)


class Metrics:
    """The metrics of one server.

    Attributes:
        registry: gives them to Prometheus.
        requests: counts responses by path and status.
        seconds: the time from a request's head to its response, by path.
        photos: counts answered photos by grounder.
        batches: the sizes of batches, photos.
        waiting: photos that wait, by device.
        held: bytes of the requests that are being received or answered.
    """

    def __init__(self) -> None:
        """Make the metrics."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        kept = self.registry
        self.requests = Counter("aligncat_requests", "Responses.", ("path", "status"), registry=kept)
        self.seconds = Histogram("aligncat_request_seconds", "Time to the response.", ("path",), registry=kept)
        self.photos = Counter("aligncat_photos", "Answered photos.", ("grounder",), registry=kept)
        self.batches = Histogram("aligncat_batch_photos", "Photos of a batch.", buckets=_BATCHES, registry=kept)
        self.waiting = Gauge("aligncat_waiting_photos", "Photos that wait.", ("device",), registry=kept)
        self.held = Gauge("aligncat_held_bytes", "Bytes of requests in memory.", registry=kept)


def note(scope: Any, **facts: Any) -> None:
    """Add facts to the log line of a request.

    Args:
        scope: the request's scope.
        facts: JSON values.
    """
    scope.setdefault("aligncat.log", {}).update(facts)


def failure(error: BaseException) -> dict[str, Any]:
    """Return an error for the log: its class and where it happened, without its message, which may have a phrase."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return {"error": type(error).__name__, "at": [f"{each.filename}:{each.lineno}" for each in frames]}


class Observed:
    """An ASGI app that logs and counts what another one answers, and turns its errors into responses.

    An error that is no refusal becomes status 500.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, paths: Collection[str]) -> None:
        """Wrap an app.

        Args:
            app: the app.
            metrics: where requests are counted.
            paths: the paths that are counted and logged by name.
        """
        self._app = app
        self._metrics = metrics
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app, answer its errors, and log the request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, number = time.perf_counter(), LEFT, uuid.uuid4().hex

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), (b"x-request-id", number.encode())]}
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Gone:
            pass
        except Refusal as refusal:
            note(scope, error=refusal.code)
            await _send(sending, refusal, begun=status != LEFT)
        except Exception as error:
            note(scope, **failure(error))
            message = f"the server failed; its log has the request {number}"
            await _send(sending, Refusal(500, "failed", message), begun=status != LEFT)
        path = scope["path"] if scope["path"] in self._paths else _OTHER
        seconds = time.perf_counter() - started
        self._metrics.requests.labels(path, str(status)).inc()
        self._metrics.seconds.labels(path).observe(seconds)
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "request": number,
            "method": scope["method"] if scope["method"] in _METHODS else _OTHER,
            "path": path,
            "status": status,
            "seconds": round(seconds, 4),
            **scope.get("aligncat.log", {}),
        }
        level = logging.ERROR if status == 500 else logging.INFO
        if scope["method"] == "GET" and scope["path"].startswith(_PAGE) and status < 400:
            level = logging.DEBUG
        logger.log(level, "%s", json.dumps(line))


async def _send(send: Send, refusal: Refusal, *, begun: bool) -> None:
    if begun:
        raise refusal  # uvicorn closes the connection, so that the client does not take a part for the whole
    headers = {"Content-Type": "application/json", **refusal.headers}
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    body = refusal.body()
    pairs.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": refusal.status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
