"""The limits of a server."""

from __future__ import annotations

from dataclasses import dataclass, fields

from aligncat.errors import ConfigError
from aligncat.geometry import MAX_PIXELS


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server accepts, holds and waits for.

    Attributes:
        queue: the most photos that wait for a device. More are refused with status 429.
        batch: the most photos that the detector is given at once; by default the detector's own number.
        photo_bytes: the most bytes of a photo. A request may have twice as many in all.
        photo_pixels: the most pixels of a photo, width times height.
        phrases: the most phrases for one photo.
        phrase_length: the most characters of a phrase.
        photos: the most photos in one request of a batch.
        memory: the most bytes of all requests that are being received or answered. More are refused with status 429.
        receive_seconds: the longest time in which a request must have arrived, and a client must have read 64 KiB of
            an answer, or all of it.
        answer_seconds: the longest time from then on to the answer; a request may ask for a shorter one.
    """

    queue: int = 64
    batch: int | None = None
    photo_bytes: int = 20 * 2**20
    photo_pixels: int = MAX_PIXELS
    phrases: int = 100
    phrase_length: int = 500
    photos: int = 32
    memory: int = 512 * 2**20
    receive_seconds: float = 30.0
    answer_seconds: float = 60.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not None and not value > 0:
                raise ConfigError(f"limits.{each.name} is {value}: give a number above 0")
        if self.photo_pixels > MAX_PIXELS:
            raise ConfigError(
                f"limits.photo_pixels is {self.photo_pixels:,}: no photo of more than {MAX_PIXELS:,} is read; lower it"
            )
        if self.photos > self.queue:
            raise ConfigError(
                f"limits.photos is {self.photos}, more than may wait (limits.queue {self.queue}); lower it"
            )
        if self.memory < self.request_bytes:
            raise ConfigError(
                f"limits.memory is {self.memory:,}, less than one request may have ({self.request_bytes:,} bytes); "
                "raise it, or lower limits.photo_bytes"
            )

    @property
    def request_bytes(self) -> int:
        """The most bytes of the body of a request: base64 makes four of three, and phrases need room."""
        return 2 * self.photo_bytes + 2**16
