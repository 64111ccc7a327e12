"""An app that is mounted on a server's app stands behind the same checks, whatever it does with their refusals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request
from helpers.served import SMALL, HeldDetector
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from aligncat.serving.app import AppSettings, make_app


class Body(BaseModel):
    text: str


def mounted() -> FastAPI:
    """Return an app that reads bodies in the ways in which apps do."""
    app = FastAPI()

    @app.post("/parsed")
    async def parsed(body: Body) -> str:
        return body.text

    @app.post("/read")
    async def read(request: Request) -> int:
        return len(await request.body())

    @app.post("/swallowed")
    async def swallowed(request: Request) -> int:
        try:
            return len(await request.body())
        except Exception:
            return -1

    @app.post("/echoed")
    async def echoed(request: Request) -> StreamingResponse:
        return StreamingResponse(request.stream())

    return app


async def large() -> AsyncIterator[bytes]:
    for _ in range(8):
        yield b"x" * 100_000


async def slow() -> AsyncIterator[bytes]:
    yield b"{"
    await asyncio.sleep(3)


def ask(held: HeldDetector, path: str, content: bytes | AsyncIterator[bytes]) -> httpx.Response:
    app = make_app({"free": held.grounder()}, AppSettings(SMALL))
    app.mount("/other", mounted())

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.post(f"/other/{path}", content=content, headers={"Content-Type": "application/json"})

    try:
        return asyncio.run(send())
    finally:
        app.state.service.close()


@pytest.mark.parametrize("path", ["parsed", "read", "swallowed"])
@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (lambda: b"x" * 800_000, 413, "request_too_large"),
        (large, 413, "request_too_large"),
        (slow, 408, "too_slow"),
    ],
    ids=["declared", "chunked", "slow"],
)
def test_a_refusal_is_the_answer(held: HeldDetector, path: str, content: object, status: int, code: str) -> None:
    reply = ask(held, path, content())  # type: ignore[operator]
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)


def test_a_good_body_is_answered_by_the_app(held: HeldDetector) -> None:
    assert ask(held, "parsed", b'{"text": "good"}').json() == "good"
    assert ask(held, "read", b"12345").json() == 5
    assert ask(held, "parsed", b'{"text": 1}').status_code == 422  # its own refusals are its own
