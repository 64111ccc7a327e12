"""The routes that ground phrases."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias, TypeVar

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from aligncat.grounder.ground_many import PhotoAnswer
from aligncat.serving.device_queue import Question
from aligncat.serving.observing import Metrics, failure, note
from aligncat.serving.openapi import GROUND, GROUND_BATCH, refusals
from aligncat.serving.refusals import Refusal, too_large
from aligncat.serving.requests import FORM, JSON, BatchRequest, GroundRequest, form_asked, json_photo, parse
from aligncat.serving.responses import (
    BatchResponse,
    GroundersResponse,
    GroundResponse,
    answer_body,
    grounder_body,
)
from aligncat.serving.service import Asked, Gone, Service, good_answer

logger = logging.getLogger(__name__)

T = TypeVar("T")
_Checked: TypeAlias = tuple[Asked, tuple[str, Question]]


def grounding_routes(service: Service, metrics: Metrics, *, log_phrases: bool) -> APIRouter:
    """Return the routes.

    Args:
        service: what answers.
        metrics: what is counted.
        log_phrases: whether log lines have the phrases of requests.
    """
    routes = _GroundingRoutes(service, metrics, log_phrases)
    router = APIRouter(prefix="/v1", tags=["grounding"])
    router.post("/ground", summary="Ground phrases in a photo", response_model=GroundResponse, **GROUND)(routes.ground)
    router.post("/ground/batch", summary="Ground phrases in photos", response_model=BatchResponse, **GROUND_BATCH)(
        routes.ground_batch
    )
    router.get("/grounders", summary="The grounders", response_model=GroundersResponse, responses=refusals(401, 403))(
        routes.grounders
    )
    return router


class _GroundingRoutes:
    def __init__(self, service: Service, metrics: Metrics, log_phrases: bool) -> None:
        self._service = service
        self._metrics = metrics
        self._log_phrases = log_phrases

    async def ground(self, request: Request) -> Response:
        """Answer the phrases of one photo."""
        kind, body = media_type(request, JSON, FORM), await whole_body(request)
        if kind == JSON:
            checked = await asyncio.to_thread(lambda: self._checked(parse(GroundRequest, body)))
        else:
            asked = await form_asked(request.headers["content-type"], body, self._service.limits)
            checked = asked, await asyncio.to_thread(self._service.question, asked)
        self._note(request, len(body), [checked[0]])
        [answer] = await self._service.answers([checked[1]], gone(request))
        return JSONResponse(await asyncio.to_thread(self._rendered, checked, answer))

    async def ground_batch(self, request: Request) -> Response:
        """Answer the phrases of several photos, each with an answer or an error of its own."""
        media_type(request, JSON)
        body = await whole_body(request)
        checked = await asyncio.to_thread(self._all_checked, body)
        good = [each for each in checked if not isinstance(each, Refusal)]
        self._note(request, len(body), [asked for asked, _ in good])
        answers = await self._service.answers([question for _, question in good], gone(request)) if good else []
        return JSONResponse({"results": await asyncio.to_thread(self._all_rendered, checked, answers)})

    async def grounders(self) -> Response:
        """Answer what grounders there are."""
        bodies = [grounder_body(name, each) for name, each in self._service.grounders.items()]
        return JSONResponse({"grounders": bodies})

    def _checked(self, sent: GroundRequest) -> _Checked:
        asked = sent.asked(json_photo(sent, self._service.limits), sent.phrases)
        return asked, self._service.question(asked)

    def _all_checked(self, body: bytes) -> list[_Checked | Refusal]:
        sent, most = parse(BatchRequest, body).requests, self._service.limits.photos
        if len(sent) > most:
            raise too_large("too_many_photos", f"{len(sent)} photos; the limit is {most} in one request")
        return [_or_refusal(self._checked, each) for each in sent]

    def _rendered(self, checked: _Checked, answer: PhotoAnswer | BaseException) -> dict[str, Any]:
        """Return the body of an answer.

        Raises:
            Exception: there is none.
        """
        asked, (_, question) = checked
        good, name = good_answer(answer), self._service.name_of(question)
        self._service.answered += 1
        self._metrics.photos.labels(name).inc()
        return answer_body(name, asked, good)

    def _all_rendered(
        self, checked: Sequence[_Checked | Refusal], answers: Sequence[PhotoAnswer | BaseException]
    ) -> list[dict[str, Any]]:
        rest = iter(answers)
        found = [
            each if isinstance(each, Refusal) else _or_refusal(self._rendered, each, next(rest)) for each in checked
        ]
        return [each.plain() if isinstance(each, Refusal) else each for each in found]

    def _note(self, request: Request, size: int, asked: Sequence[Asked]) -> None:
        """Tell the log of a request."""
        count = sum(len(each.phrases) for each in asked)
        phrases: Any = [list(each.phrases) for each in asked] if self._log_phrases else count
        note(request.scope, bytes=size, photos=len(asked), phrases=phrases)


def media_type(request: Request, *known: str) -> str:
    """Return the type of a request's body.

    Raises:
        Refusal: it is none of the known ones.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in known:
        raise Refusal(415, "unknown_type", f"the Content-Type is {kind[:60]!r}; send {' or '.join(known)}")
    return kind


async def whole_body(request: Request) -> bytes:
    """Return the body of a request.

    Raises:
        Gone: the client has left.
        Refusal: it is too large, or too slow.
    """
    try:
        return await request.body()
    except ClientDisconnect:
        raise Gone from None


def gone(request: Request) -> Callable[[], Awaitable[None]]:
    """Return a function that returns when the client has left; the body must have been read."""

    async def leaving() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    return leaving


def _or_refusal(function: Callable[..., T], *arguments: Any) -> T | Refusal:
    """Return what a function returns, or its error as the refusal of one photo of several."""
    try:
        return function(*arguments)
    except Refusal as refusal:
        return refusal
    except Exception as error:
        logger.error("%s", json.dumps(failure(error)))
        return Refusal(500, "failed", "the server failed on this photo")
