"""Who may ask: the key of a server, and the names under which a server without one is asked."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aligncat.errors import ConfigError
from aligncat.serving.refusals import Refusal

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

OPEN_PATHS = frozenset({"/health", "/ready"})
"""What is answered without the key: what load balancers ask, which says nothing of photos or grounders."""
# Browsers ask for a password only if no other scheme stands beside it. Programs are told of Bearer in the message.
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="aligncat", charset="UTF-8"'}


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask a server.

    Attributes:
        key: the key that a request must have; None if it needs none.
        any_host: whether requests may name the server as they like. If not, only by the names of this machine for
            itself, so that no page of a stranger in a browser of this machine can read answers through a name of its
            own.
    """

    key: str | None = None
    any_host: bool = False

    @classmethod
    def of(cls, host: str, api_key: str | None, *, no_auth: bool) -> Access:
        """Return who may ask a server that listens on an address.

        Args:
            host: the address.
            api_key: the key, or None.
            no_auth: whether everybody who reaches the server may ask.

        Raises:
            ConfigError: other machines can reach the server and nothing was decided, or two things were.
        """
        if api_key is not None and no_auth:
            raise ConfigError("--api-key and --no-auth contradict each other; give one")
        if api_key is not None and len(api_key) < 8:
            raise ConfigError(
                "--api-key has fewer than 8 characters; give a longer one, such as `openssl rand -hex 16`"
            )
        if api_key is None and not no_auth and not is_loopback(host):
            raise ConfigError(
                f"--host {host} lets other machines ask; give them a key in ALIGNCAT_API_KEY (other users of this "
                "machine see --api-key), or say --no-auth if everybody who reaches it may ask"
            )
        return cls(api_key, any_host=api_key is not None or no_auth)


def is_loopback(host: str) -> bool:
    """Return whether an address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Gate:
    """An ASGI app that passes on to another one only what may be asked. Requests without the key end here, unread."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._any_host = access.any_host
        self._key = None if access.key is None else _digest(access.key.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app, or raise a Refusal."""
        if scope["type"] in ("http", "websocket"):
            headers = dict(scope["headers"])
            if not self._any_host and not is_loopback(_host(headers.get(b"host", b""))):
                raise Refusal(
                    403, "unknown_host", "this server is asked as localhost or 127.0.0.1 only; see --api-key and --host"
                )
            if self._key is not None and scope["path"] not in OPEN_PATHS:
                self._check(headers.get(b"authorization"))
        await self._app(scope, receive, send)

    def _check(self, header: bytes | None) -> None:
        """Compare the key in constant time: the time does not tell how many characters are right."""
        if header is None:
            message = "the server wants its key; send the header Authorization: Bearer KEY"
            raise Refusal(401, "no_key", message, _CHALLENGE)
        if self._key is None or not hmac.compare_digest(_digest(_given_key(header)), self._key):
            raise Refusal(401, "wrong_key", "the key is not that of this server", _CHALLENGE)


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _given_key(header: bytes) -> bytes:
    """Return the key of a header: of Bearer, or the password of Basic, which browsers and Label Studio send."""
    scheme, _, value = header.partition(b" ")
    if scheme.lower() != b"basic":
        return value.strip() if scheme.lower() == b"bearer" else b""
    try:
        return base64.b64decode(value.strip(), validate=True).partition(b":")[2]
    except binascii.Error:
        return b""


def _host(header: bytes) -> str:
    """Return the name or the address of a Host header in lower case, without the port."""
    text = header.decode("latin-1").lower()
    return text[1 : text.index("]")] if text.startswith("[") and "]" in text else text.partition(":")[0]
