"""A photo to extract: an image of a dataset, or a file on a remote file system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from aligncat.locations import Location, RemotePath


class Photo(Protocol):
    """A photo to extract. An `aligncat.types.ImageRecord` is one."""

    @property
    def id(self) -> str:
        """Unique in its store, which finds the photo's candidates by it."""

    @property
    def path(self) -> Location:
        """The photo's file."""


@dataclass(frozen=True, slots=True)
class RemotePhoto:
    """A photo on a remote file system.

    Attributes:
        id: unique in its store.
        path: the photo's file.
    """

    id: str
    path: RemotePath
