"""A web server of this machine, whose every path does what a test tells it to."""

from __future__ import annotations

from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    """What a path answers.

    Attributes:
        content: the file.
        ranges: whether a part of it can be asked for.
        etag: the file's version; no header where empty.
        breaks_after: for each answer in turn, after how many bytes the connection is cut; whole answers after these.
        statuses: for each answer in turn, a status without content; 200 or 206 after these.
        location: where a 302 leads.
        says_length: whether Content-Length is sent.
    """

    content: bytes = b""
    ranges: bool = True
    etag: str = '"1"'
    breaks_after: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    location: str = ""
    says_length: bool = True


class Site(ThreadingHTTPServer):
    """The server; `asked` has the path and the Range header of every request."""

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
        if page.says_length:
            self.send_header("Content-Length", str(len(page.content) - start))
        self.end_headers()
        end = start + page.breaks_after.pop(0) if page.breaks_after else len(page.content)
        self.wfile.write(page.content[start:end])

    def log_message(self, format: str, *arguments: object) -> None:
        pass
