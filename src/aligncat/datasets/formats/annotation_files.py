"""Cache of parsed annotation files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


class AnnotationFiles:
    """A cache of parsed annotation files: reading several splits parses each file, and warns of it, only once.

        with AnnotationFiles() as files:
            for split in split_names(data, files=files):
                load_split(data, split, files=files)

    RefCOCO's files take seconds to parse and half a gigabyte of memory. The memory is freed at the end of the block.

    Attributes:
        warnings: the warnings that were given so far.
    """

    def __init__(self) -> None:
        self._parsed: dict[tuple[Callable[[Path], Any], Path], Any] = {}
        self.warnings: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._parsed.clear()

    def read(self, parse: Callable[[Path], T], path: Path) -> T:
        """Parse a file, or return the cached result of an earlier call with the same function and path.

        Args:
            parse: a module-level function that parses the file. Its result is shared and must not be modified.
            path: the file.

        Returns:
            The result of `parse`. Errors are not cached: the next call parses the file again.
        """
        if (parse, path) not in self._parsed:
            self._parsed[parse, path] = parse(path)
        parsed: T = self._parsed[parse, path]
        return parsed
