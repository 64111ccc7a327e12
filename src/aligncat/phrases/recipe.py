"""`PhraseRecipe`: how pseudo-phrases are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aligncat.errors import ConfigError

Colours = Literal["stored", "required", "none"]


@dataclass(frozen=True)
class PhraseRecipe:
    """Settings of the pseudo-phrases.

    Attributes:
        referents: the largest number of objects of an image that phrases refer to; they are drawn at random.
        sentences: the largest number of different phrases for each of them.
        over_specification: factor on the rates at which phrases mention more than is needed; 0 makes every phrase
            minimal, and 1 is the human-like rate (docs/phrases.md).
        colours: whether phrases name colours. "stored": if the store has the column `colour`, otherwise not, with a
            warning. "required": a store without the column is an error. "none": never.
        confidence: the smallest confidence of an object that a phrase refers to, or that a relation starts from.
        doubtful: the smallest confidence of an object that may be there: no phrase may fit such an object too.
        val: the share of the images that go to the split val, in [0, 1).
        seed: the seed of every random choice.

    Raises:
        ConfigError: a value is out of its range.
    """

    referents: int = 3
    sentences: int = 3
    over_specification: float = 1.0
    colours: Colours = "stored"
    confidence: float = 0.7
    doubtful: float = 0.3
    val: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("referents", "sentences"):
            if getattr(self, name) < 1:
                raise ConfigError(f"recipe.{name} is {getattr(self, name)}; it must be at least 1")
        if not self.over_specification >= 0:
            raise ConfigError(f"recipe.over_specification is {self.over_specification}; it must not be negative")
        if not 0 <= self.doubtful <= self.confidence <= 1:
            raise ConfigError(
                f"recipe.doubtful is {self.doubtful} and recipe.confidence is {self.confidence}; they must be in "
                "[0, 1], and recipe.doubtful must not be above recipe.confidence"
            )
        if not 0 <= self.val < 1:
            raise ConfigError(f"recipe.val is {self.val}; it must be in [0, 1)")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"recipe.seed is {self.seed}; it must be in [0, 2^32)")
