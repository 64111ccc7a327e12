"""The client of a server: photos and phrases in, groundings out, with retries where the server asks for them."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from aligncat.errors import ConfigError, DataError, ServiceError
from aligncat.files.documents import parse_json
from aligncat.files.given_images import image_path
from aligncat.files.images import open_file
from aligncat.grounder.grounding import Grounding

_AGAIN = (429, 503)
_LONGEST_WAIT = 30.0  # seconds between two tries
_FIRST_WAIT = 0.5


@dataclass(frozen=True, slots=True)
class PhotoGroundings:
    """The answers for one photo.

    Attributes:
        grounder: the name of the grounder that answered.
        size: (width, height) in pixels of the photo as it is shown.
        groundings: one for each phrase, in order, without those below `min_match` or `min_probability`. Their
            `candidates` and `word_weights` are empty unless asked for.
        left_out: the phrases below the thresholds, each with the reason.
    """

    grounder: str
    size: tuple[int, int]
    groundings: tuple[Grounding, ...]
    left_out: tuple[tuple[str, str], ...]


class Client:
    """Asks a server that `aligncat serve` runs. Threads can share a client.

    Example:
        >>> with Client("http://127.0.0.1:8000") as client:  # doctest: +SKIP
        ...     [found] = client.ground("photo.jpg", ["red mug"]).groundings
    """

    def __init__(self, url: str, *, api_key: str | None = None, timeout: float = 90.0, retries: int = 5) -> None:
        """Make a client; nothing is sent yet.

        Args:
            url: the server's address, such as "http://127.0.0.1:8000".
            api_key: the server's key, if it wants one.
            timeout: the longest time for one try, in seconds.
            retries: how often to try again if the server is full or stopping, or cannot be reached. The wait between
                two tries is what the server says, or else grows from half a second to 30 seconds.

        Raises:
            ConfigError: the address has no http:// or https://, or the key cannot be sent.
        """
        _check_address(url)
        headers = {} if api_key is None else {b"Authorization": _authorization(api_key)}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout, follow_redirects=False)
        self._retries = retries

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ground(
        self,
        photo: str | Path | bytes,
        phrases: str | Sequence[str],
        *,
        grounder: str | None = None,
        several: bool = False,
        top: int = 1,
        min_match: float | None = None,
        min_probability: float | None = None,
        candidates: bool = False,
        timeout: float | None = None,
    ) -> PhotoGroundings:
        """Ground phrases in a photo; the arguments are those of `Grounder.ground_many`.

        Args:
            photo: an image file of this machine, or the content of one.
            phrases: one phrase, or several.
            grounder: the name of a grounder of the server; by default its first.
            several: answer a phrase for several objects with all of them.
            top: the number of best candidates in `Grounding.answers`.
            min_match: leave out phrases whose match is lower.
            min_probability: leave out answers whose probability is lower.
            candidates: also get all candidates and the weights of words.
            timeout: how many seconds the server may take, if it does not allow fewer.

        Raises:
            ImageError: the file cannot be read.
            ServiceError: the server refuses the request, or cannot be reached.
        """
        settings = {
            "grounder": grounder,
            "several": several,
            "top": top,
            "min_match": min_match,
            "min_probability": min_probability,
            "candidates": candidates,
            "timeout": timeout,
        }
        data = {name: _written(value) for name, value in settings.items() if value is not None}
        data["phrases"] = [phrases] if isinstance(phrases, str) else list(phrases)
        return _groundings(self._send("POST", "/v1/ground", data=data, files={"photo": ("photo", _content(photo))}))

    def ground_many(
        self, pairs: Iterable[tuple[str | Path | bytes, str | Sequence[str]]], **settings: Any
    ) -> list[PhotoGroundings | ServiceError]:
        """Ground phrases in several photos, one after another: an answer or a refusal for each, in order.

        Args:
            pairs: photos and their phrases, each as for `ground`.
            settings: as for `ground`.

        Raises:
            ImageError: a file cannot be read.
            ServiceError: the server cannot be reached.
        """
        found: list[PhotoGroundings | ServiceError] = []
        for photo, phrases in pairs:
            try:
                found.append(self.ground(photo, phrases, **settings))
            except ServiceError as error:
                if error.status is None:
                    raise
                found.append(error)
        return found

    def grounders(self) -> list[dict[str, Any]]:
        """Return the grounders of the server: their names, categories and whether they are calibrated.

        Raises:
            ServiceError: the server refuses the request, or cannot be reached.
        """
        found: list[dict[str, Any]] = self._send("GET", "/v1/grounders")["grounders"]
        return found

    def _send(self, method: str, path: str, **content: Any) -> Any:
        """Send a request, again if the server asks for that, and return the JSON of its answer."""
        for tried in range(self._retries + 1):
            last = tried == self._retries
            try:
                response = self._http.request(method, path, **content)
            except httpx.TransportError as error:
                if last:
                    raise ServiceError(
                        f"{self._http.base_url}: no answer ({type(error).__name__}); check that the server runs"
                    ) from error
                time.sleep(_wait(tried))
                continue
            if response.is_success:
                return _parsed(response)
            if response.status_code not in _AGAIN or last:
                raise _refusal(response)
            time.sleep(_asked_wait(response) or _wait(tried))
        raise AssertionError("the last try returns or raises")


def _check_address(url: str) -> None:
    try:
        parts = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise ConfigError(f"{url!r} is no address ({error}); give one such as http://127.0.0.1:8000") from error
    if parts.scheme not in ("http", "https") or not parts.host:
        raise ConfigError(f"{url!r} is no address of a server; give one such as http://127.0.0.1:8000")


def _authorization(key: str) -> bytes:
    """Return the header of a key. Letters beyond ASCII are in UTF-8, as the server compares them."""
    if not key or key != key.strip() or not key.isprintable():
        raise ConfigError("api_key is empty, or has a space at an end, a line's end or a tab; give the server's key")
    return f"Bearer {key}".encode()


def _wait(tried: int) -> float:
    """Return the seconds before the next try, drawn so that many clients do not come back together."""
    return float(min(_LONGEST_WAIT, _FIRST_WAIT * 2.0**tried)) * random.uniform(0.5, 1)


def _asked_wait(response: httpx.Response) -> float | None:
    asked = response.headers.get("retry-after", "")
    return min(float(asked), _LONGEST_WAIT) if asked.isdigit() else None


def _content(photo: str | Path | bytes) -> bytes:
    if isinstance(photo, bytes):
        return photo
    with open_file(image_path(photo)) as file:
        return file.read()


def _written(value: bool | float | str) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _parsed(response: httpx.Response) -> Any:
    try:
        return parse_json(response.text, str(response.url))
    except DataError as error:
        raise ServiceError(f"{error}; check that this is the address of an aligncat server") from error


def _refusal(response: httpx.Response) -> ServiceError:
    try:
        error = response.json()["error"]
        message, code = str(error["message"]), str(error["code"])
    except (ValueError, KeyError, TypeError):
        message, code = f"{response.url}: status {response.status_code}", None
    return ServiceError(message, status=response.status_code, code=code)


def _groundings(plain: Any) -> PhotoGroundings:
    try:
        groundings = tuple(map(Grounding.from_dict, plain["groundings"]))
        left_out = tuple((each["expression"], each["reason"]) for each in plain["left_out"])
        return PhotoGroundings(plain["grounder"], (plain["width"], plain["height"]), groundings, left_out)
    except (KeyError, TypeError) as error:
        raise ServiceError(f"the answer is not that of an aligncat server of this version ({error!r})") from error
