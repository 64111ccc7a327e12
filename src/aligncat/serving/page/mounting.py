"""The page on a server's app: Gradio draws it, and nothing of Gradio but its files can be asked for."""

from __future__ import annotations

import os
import tempfile

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aligncat.serving.observing import Metrics
from aligncat.serving.page.about import about
from aligncat.serving.page.examples import examples
from aligncat.serving.page.routes import PAGE, PageRoutes
from aligncat.serving.refusals import Refusal
from aligncat.serving.service import Service

_TEMPORARY = tempfile.TemporaryDirectory(prefix="aligncat-page-")
_FOLDERS = ("/assets/", "/static/")
_FILES = ("/", "/theme.css")
_MANIFEST = b'<link rel="manifest" href="/manifest.json" />'
"""What Gradio's page asks the root of the server for, which may belong to others."""
_HEAD = (
    b"<title>aligncat</title>"
    b'<link rel="icon" href="data:image/svg+xml,<svg xmlns=%22http://www.w3.org/2000/svg%22 viewBox=%220 0 16 16%22>'
    b"<rect x=%222%22 y=%222%22 width=%2212%22 height=%2212%22 fill=%22none%22 stroke=%22%230072b2%22 "
    b'stroke-width=%222%22/><circle cx=%228%22 cy=%228%22 r=%223%22 fill=%22%23d55e00%22/></svg>">'
)
"""What stands in its place."""
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",  # Gradio makes functions of templates
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'self'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""What a browser may load and run: nothing of other servers, even if a value became markup by mistake."""


def mount_page(app: FastAPI, service: Service, metrics: Metrics) -> None:
    """Add the page to an app.

    Args:
        app: the app; other routes under PAGE must not exist.
        service: what answers.
        metrics: what is counted.
    """
    # Gradio makes a folder where it is imported, by default in one place for all users of a machine.
    os.environ.setdefault("GRADIO_TEMP_DIR", _TEMPORARY.name)
    import gradio

    from aligncat.serving.page.blocks import page_blocks, page_theme

    known, drawn = about(service.grounders), examples()
    app.include_router(PageRoutes(service, metrics, known, drawn).router())
    holder = gradio.mount_gradio_app(
        FastAPI(openapi_url=None, docs_url=None, redoc_url=None),
        page_blocks(known, drawn, service.limits),
        path=PAGE,
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=page_theme(),
    )
    app.mount(PAGE, _FilesAlone(holder.routes[-1].app))


class _FilesAlone:
    """An ASGI app that lets only the page and its files through to Gradio's.

    Gradio also takes uploads, which it writes to a disk, fetches addresses, runs functions and keeps what a session
    sent. The page uses none of it: its photos go to `PageRoutes`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run Gradio's app, or raise a Refusal."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if scope["type"] != "http" or not (path in _FILES or path.startswith(_FOLDERS)):
            raise Refusal(404, "not_found", "the page has nothing of this name")
        if scope["method"] not in ("GET", "HEAD"):
            raise Refusal(405, "method_not_allowed", "the page's files are only read", {"Allow": "GET, HEAD"})
        # Without an Origin, Gradio allows no other page to read the answer; without encodings, it does not compress.
        dropped = (b"origin", b"accept-encoding") if path == "/" else (b"origin",)
        headers = [(name, value) for name, value in scope["headers"] if name not in dropped]
        await self._app({**scope, "headers": headers}, receive, _Page(send).send if path == "/" else send)


class _Page:
    """Passes on the page without its manifest, and with what browsers must not do."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message = {}
        self._body = b""

    async def send(self, message: Message) -> None:
        """Pass on a message; the body waits until it is complete."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if message.get("more_body", False):
            return
        body = self._body.replace(_MANIFEST, _HEAD)
        headers = MutableHeaders(raw=list(self._start["headers"]))
        if "content-length" in headers and self._body:
            headers["content-length"] = str(len(body))
        headers["content-security-policy"] = _POLICY
        headers["referrer-policy"] = "no-referrer"
        headers["x-content-type-options"] = "nosniff"
        await self._send({**self._start, "headers": headers.raw})
        await self._send({**message, "body": body})
