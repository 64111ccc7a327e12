"""A web server of photos, which may refuse some of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class PhotoServer:
    """Serves photos over HTTP.

    Attributes:
        files: the content of each file by path.
        statuses: what to answer instead of a file, by path, or by "" for every path.
        tells_size: whether a response has Content-Length. No response says when a file was written.
        url: the address of the folder of the photos.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.statuses: dict[str, int] = {}
        self.tells_size = True
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.removesuffix("/")
                content = outer.files.get(path, b"")
                there = path in outer.files or any(name.startswith(f"{path}/") for name in outer.files)
                status = outer.statuses.get("", outer.statuses.get(path, 200 if there else 404))
                self.send_response(status)
                if outer.tells_size:
                    self.send_header("Content-Length", str(len(content) if status == 200 else 0))
                self.end_headers()
                if status == 200 and self.command == "GET":
                    self.wfile.write(content)

            do_HEAD = do_GET  # noqa: N815 - the base class calls it so

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/photos"
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def served(contents: Sequence[bytes]) -> Iterator[PhotoServer]:
    """Serve photos as 00.png, 01.png and so on."""
    server = PhotoServer()
    server.files = {f"/photos/{number:02d}.png": content for number, content in enumerate(contents)}
    try:
        yield server
    finally:
        server.stop()
