"""The settings of a MojiRef benchmark."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MojiRefConfig:
    """Size and seed of a MojiRef benchmark.

    Attributes:
        train: number of scenes in train.
        val: number of scenes in val.
        test: number of scenes in testA and in testB.
        referents: maximum number of referents per scene.
        sentences: maximum number of different sentences per referent.
        redundancy: factor on the rate at which phrases mention more than is needed; 1 is the human-like rate.
        seed: random seed; it determines every pixel and every word.
    """

    train: int = 12_000
    val: int = 1_000
    test: int = 600
    referents: int = 3
    sentences: int = 3
    redundancy: float = 1.0
    seed: int = 0

    def scenes(self) -> list[tuple[str, int]]:
        """Return the split and the index of every scene."""
        counts = {"train": self.train, "val": self.val, "testA": self.test, "testB": self.test}
        return [(split, index) for split, count in counts.items() for index in range(count)]
