"""What a check of a dataset can find, by kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from aligncat.errors import BoxError, DataError, ImageError, MissingTruthError

KindName: TypeAlias = Literal["row", "box", "truth", "size", "image", "category", "uncategorised", "duplicate"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of finding.

    Attributes:
        name: its name.
        one: what one is called.
        many: what several are called.
        fault: whether the dataset has to be mended. Otherwise it is only to know.
    """

    name: KindName
    one: str
    many: str
    fault: bool = True


KINDS: tuple[Kind, ...] = (
    Kind("row", "bad row", "bad rows"),
    Kind("box", "box that does not fit its photo", "boxes that do not fit their photos"),
    Kind(
        "truth",
        "expression of an evaluation split without a box or a mask",
        "expressions of evaluation splits without a box or a mask",
    ),
    Kind("size", "photo of another size than its annotations", "photos of another size than their annotations"),
    Kind("image", "row whose photo cannot be read", "rows whose photos cannot be read"),
    Kind("category", "category that the detector lacks", "categories that the detector lacks"),
    Kind("uncategorised", "phrase without a category", "phrases without a category", fault=False),
    Kind("duplicate", "phrase that its photo has already", "phrases that their photos have already", fault=False),
)
"""The kinds in the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class Finding:
    """All findings of one kind.

    Attributes:
        kind: the kind.
        messages: one message for each, with its file and row.
    """

    kind: Kind
    messages: tuple[str, ...]

    def counted(self) -> str:
        """Return the number of findings and their kind, such as "3 bad rows"."""
        return f"{len(self.messages):,} {self.kind.one if len(self.messages) == 1 else self.kind.many}"


class Findings:
    """Findings, collected one by one. A message that occurs again is the same finding."""

    def __init__(self) -> None:
        self._messages: dict[KindName, dict[str, None]] = defaultdict(dict)

    def add(self, kind: KindName, message: str) -> None:
        """Add a finding."""
        self._messages[kind][message] = None

    def add_errors(self, errors: Iterable[DataError]) -> None:
        """Add the errors of rows that a reader refused, each under its kind."""
        for error in errors:
            kind: KindName = "row"
            if isinstance(error, MissingTruthError):
                kind = "truth"
            elif isinstance(error, BoxError):
                kind = "box"
            elif isinstance(error, ImageError):
                kind = "image"
            self.add(kind, str(error))

    def all(self) -> tuple[Finding, ...]:
        """Return the findings by kind, without kinds of which there are none."""
        return tuple(Finding(kind, (*self._messages[kind.name],)) for kind in KINDS if self._messages.get(kind.name))
