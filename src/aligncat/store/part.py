"""A part of a store's shards, which one of several jobs writes: `--shards 3/16` is the third of sixteen."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from aligncat.errors import ConfigError

_FORM = re.compile(r"(\d{1,9})/(\d{1,9})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Part:
    """Every n-th shard, so that parts take equally long.

    Attributes:
        number: which part, from 1.
        count: n, the number of parts.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the part that a text such as "3/16" names.

        Raises:
            ConfigError: it names none.
        """
        found = _FORM.fullmatch(text)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise ConfigError(f"--shards {text}: give the part and the number of parts, from 1/16 to 16/16 for sixteen")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def of(self, shards: Iterable[int]) -> list[int]:
        """Return those of the numbers of shards that belong to the part."""
        return [shard for shard in shards if shard % self.count == self.number - 1]
