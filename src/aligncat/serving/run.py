"""Run an app until the process is told to stop."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import signal
import socket
import threading

import uvicorn
from fastapi import FastAPI

from aligncat.errors import ConfigError
from aligncat.serving.limits import Limits
from aligncat.serving.protocol import timed_protocol

_HEAD_BYTES = 2**16  # of the lines before a body
_IDLE_SECONDS = 5  # between two requests of a connection
_GRACE = 10.0  # seconds, beside those that a request may take


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address. Nobody else can listen there until it is closed.

    Args:
        host: an address or a name of this machine.
        port: the port; 0 for any that is free.

    Raises:
        ConfigError: the address is not of this machine, or the port is taken or not allowed.
    """
    try:
        family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        reason = os.strerror(error.errno) if type(error) is OSError and error.errno else error
        raise ConfigError(
            f"cannot listen on {host} port {port} ({reason}); stop the server that does, or choose another --port or "
            "--host"
        ) from error


def address(listening: socket.socket) -> str:
    """Return the URL of a server that listens on a socket; for all addresses of this machine, with its name."""
    host, port = listening.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def make_server(app: FastAPI, limits: Limits) -> uvicorn.Server:
    """Return the server of an app.

    Args:
        app: from `make_app`.
        limits: the limits of the app.
    """
    return uvicorn.Server(
        uvicorn.Config(
            app,
            loop="asyncio",
            http=timed_protocol(limits.receive_seconds),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_IDLE_SECONDS,
            timeout_graceful_shutdown=int(2 * limits.receive_seconds + limits.answer_seconds + _GRACE),
            h11_max_incomplete_event_size=_HEAD_BYTES,
        )
    )


def run(server: uvicorn.Server, listening: socket.socket) -> None:
    """Serve until Ctrl-C, SIGTERM or SIGHUP, then answer what was taken and return.

    Args:
        server: from `make_server`.
        listening: from `listen`; it is closed.
    """
    main = threading.current_thread() is threading.main_thread()
    if main and hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, server.handle_exit)
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises the signal again that it stopped for
        server.run(sockets=[listening])
