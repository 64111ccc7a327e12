"""A server that speaks S3's protocol, in a process of its own, with buckets in memory."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import fsspec
import pytest


@contextmanager
def s3_server() -> Iterator[str]:
    """Run moto's server on a free port of loopback, and yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            while not _answers(address):
                assert server.poll() is None, "moto's server has ended"
                time.sleep(0.05)
            yield address
        finally:
            server.terminate()


@contextmanager
def s3_bucket() -> Iterator[str]:
    """Run the server with a bucket named "bucket" and the environment variables that lead to it; yield its address."""
    with s3_server() as address, pytest.MonkeyPatch.context() as patch:
        for name, value in settings(address).items():
            patch.setenv(name, value)
        fsspec.filesystem("s3").mkdir("bucket")
        yield address


def settings(address: str) -> dict[str, str]:
    """Return the environment variables with which clients use the server."""
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def demand_rights(address: str, *, demanded: bool) -> None:
    """Let the server refuse keys that it does not know, or accept any key again."""
    actions = b"0" if demanded else str(10**9).encode()
    plain = {"Content-Type": "text/plain"}
    urllib.request.urlopen(urllib.request.Request(f"{address}/moto-api/reset-auth", actions, plain)).close()


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(f"{address}/moto-api/", timeout=5).close()
    except (urllib.error.URLError, OSError):
        return False
    return True
