"""Fetch the photos of tasks, from the one Label Studio that the operator named and from nowhere else."""

from __future__ import annotations

import asyncio
import posixpath
import time
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

import httpx

from aligncat.errors import ConfigError
from aligncat.serving.limits import Limits
from aligncat.serving.refusals import Refusal, too_large, unusable

_FOLDERS = ("/data/", "/tasks/")
"""Where Label Studio serves uploads, local files and files of storages; nothing else is asked for."""
_TOKEN_SECONDS = 240.0  # Label Studio's access tokens live five minutes


@dataclass(frozen=True, slots=True)
class LabelStudio:
    """The Label Studio whose photos may be fetched.

    Attributes:
        url: its address, such as "http://localhost:8080".
        token: an access token of one of its users; it is sent to this address alone.
    """

    url: str
    token: str = field(repr=False)

    def __post_init__(self) -> None:
        parts = _split(self.url)
        further = parts.username or parts.password or parts.query or parts.fragment
        if parts.scheme not in ("http", "https") or not parts.hostname or further:
            raise ConfigError(f"--label_studio_url {self.url}: give an address such as http://localhost:8080")


class TaskPhotos:
    """Fetches photos. Redirects are not followed, and no proxy of the environment is used."""

    def __init__(self, label_studio: LabelStudio, limits: Limits) -> None:
        """Make a client; nothing is sent yet.

        Args:
            label_studio: where photos are.
            limits: the most bytes of a photo, and the longest time.
        """
        self._origin = urlsplit(label_studio.url)
        self._base = label_studio.url.rstrip("/")
        self._token = label_studio.token
        self._limits = limits
        self._http = httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=limits.receive_seconds)
        self._access: tuple[str, float] | None = None
        self._refreshing = asyncio.Lock()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def fetch(self, address: str) -> bytes:
        """Return the content of a photo.

        Args:
            address: what a task's data has: a path of Label Studio, or a whole address there.

        Raises:
            Refusal: the address leads elsewhere, or the photo is not there, too large or too slow.
        """
        url = self._base + self._path(address)
        try:
            async with asyncio.timeout(self._limits.receive_seconds):
                return await self._read(url)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            message = f"Label Studio does not give the photo ({type(error).__name__}); check --label_studio_url"
            raise unusable("photo_unreachable", message) from error

    def _path(self, address: str) -> str:
        """Return the path and the query of an address of a photo in this Label Studio."""
        parts = _split(address)
        elsewhere = (parts.scheme or parts.netloc) and _place(parts) != _place(self._origin)
        path = unquote(parts.path)
        # As it is sent, the path must begin with a slash too: "%2F...@host" would belong to the address before it.
        begins = parts.path.startswith(_FOLDERS) and path.startswith(_FOLDERS)
        inside = begins and posixpath.normpath(path).startswith(_FOLDERS) and "\\" not in path
        if elsewhere or not inside or not address.isprintable():
            raise unusable(
                "photo_elsewhere",
                "the photo is not served by the Label Studio of --label_studio_url; upload it there, or add a local "
                "storage",
            )
        return parts.path + (f"?{parts.query}" if parts.query else "")

    async def _read(self, url: str) -> bytes:
        most = self._limits.photo_bytes
        content = bytearray()
        headers = {"Authorization": await self._authorization(), "Accept-Encoding": "identity"}
        async with self._http.stream("GET", url, headers=headers) as response:
            if response.status_code != 200:
                raise _not_given(response.status_code)
            async for part in response.aiter_raw():
                content += part
                if len(content) > most:
                    raise too_large("photo_too_large", f"the photo is too large; the limit is {most:,} bytes")
        return bytes(content)

    async def _authorization(self) -> str:
        """Return the header for a token: a legacy one as it is; a personal one is a JWT that is changed for another."""
        if self._token.count(".") != 2:
            return f"Token {self._token}"
        async with self._refreshing:
            if self._access is None or time.monotonic() > self._access[1]:
                answer = await self._http.post(f"{self._base}/api/token/refresh", json={"refresh": self._token})
                if answer.status_code != 200:
                    raise _not_given(answer.status_code)
                self._access = (_access_token(answer), time.monotonic() + _TOKEN_SECONDS)
            return f"Bearer {self._access[0]}"


def _split(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        _ = parts.port
        return parts
    except ValueError:  # such as a port that is no number
        return SplitResult("none", "none", "", "", "")


def _place(parts: SplitResult) -> tuple[str, str | None, int | None, str | None]:
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port, parts.username


def _access_token(answer: httpx.Response) -> str:
    try:
        token = answer.json()["access"]
    except (ValueError, TypeError, KeyError):
        token = None
    if not isinstance(token, str):
        message = "Label Studio does not change the token for an access token; check --label_studio_url"
        raise unusable("photo_unreachable", message)
    return token


def _not_given(status: int) -> Refusal:
    remedy = "check --label_studio_token" if status in (401, 403) else "check that the photo is there"
    return unusable("photo_unreachable", f"Label Studio does not give the photo (status {status}); {remedy}")
