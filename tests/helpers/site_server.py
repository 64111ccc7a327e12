"""A local web server whose responses a test configures per path."""

from __future__ import annotations

from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    """The responses to requests for a path.

    Attributes:
        content: the file.
        ranges: whether range requests are supported.
        etag: the file's version; no header if empty.
        breaks_after: for each of the first responses, the number of bytes after which the connection is closed; later
            responses are complete.
        statuses: for each of the first responses, an error status; later responses have the content.
        location: the target of a 302 redirect; no redirect if empty.
        sends_length: whether Content-Length is sent.
    """

    content: bytes = b""
    ranges: bool = True
    etag: str = '"1"'
    breaks_after: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    location: str = ""
    sends_length: bool = True


class Site(ThreadingHTTPServer):
    """The server. `asked` has the path and the Range header of every request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages: dict[str, Page] = {}
        self.asked: list[tuple[str, str | None]] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class _Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        requested = self.headers.get("Range")
        self.server.asked.append((self.path, requested))
        page = self.server.pages.get(self.path)
        if page is None:
            self.send_error(404)
            return
        if page.statuses:
            self.send_error(page.statuses.pop(0))
            return
        if page.location:
            self.send_response(302)
            self.send_header("Location", page.location)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = 0
        if requested and page.ranges and self.headers.get("If-Range", page.etag) == page.etag:
            start = int(requested.removeprefix("bytes=").rstrip("-"))
            if start >= len(page.content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(page.content) - 1}/{len(page.content)}")
        else:
            self.send_response(200)
        if page.etag:
            self.send_header("ETag", page.etag)
        if page.sends_length:
            self.send_header("Content-Length", str(len(page.content) - start))
        self.end_headers()
        end = start + page.breaks_after.pop(0) if page.breaks_after else len(page.content)
        self.wfile.write(page.content[start:end])

    def log_message(self, format: str, *arguments: object) -> None:
        pass
