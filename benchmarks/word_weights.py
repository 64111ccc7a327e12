"""Measure the weights of phrase attention (Eq. 11) by sort of word, on MojiRef.

    python benchmarks/word_weights.py ANSWERS [ANSWERS ...]

ANSWERS are .parquet files of `aligncat evaluate` or `aligncat ablate`, one per seed. Each weight is multiplied by the
number of words in its phrase, so that 1 is an equal share. Phrases of one word are left out.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from aligncat.evaluation.answers import Answers
from aligncat.mojiref.raster import TINTS

FUNCTION = {"a", "an", "the", "in", "on", "at", "that", "is", "to", "of", "wearing", "shirt", "side", "picture"}
SORTS = {
    **dict.fromkeys(FUNCTION, "function"),
    **dict.fromkeys((*TINTS, "black", "grey", "white"), "color"),
    **dict.fromkeys(("big", "large", "small", "little"), "size"),
    **dict.fromkeys(("left", "right", "top", "bottom", "middle"), "place"),
    **dict.fromkeys(("above", "over", "below", "under", "next", "beside", "near"), "relation"),
}
COLUMNS = ("first noun", "second noun", "relation", "color", "place", "size", "function")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("answers", type=Path, nargs="+")
    shares: dict[str, list[float]] = defaultdict(list)
    for path in parser.parse_args().answers:
        table = Answers.load(path).table.select(["words", "word_weights"]).to_pydict()
        for words, weights in zip(table["words"], table["word_weights"], strict=True):
            if len(weights) > 1:
                for sort, weight in zip(sorts(words), weights, strict=True):
                    shares[sort].append(len(words) * weight)
    shown = Table("sort of word", "words", "times an equal share")
    for sort in COLUMNS:
        shown.add_row(sort, str(len(shares[sort])), f"{np.mean(shares[sort]):.2f}" if shares[sort] else "")
    Console().print(shown)


def sorts(words: Sequence[str]) -> Iterator[str]:
    """Yield the sort of each word. A word of no other sort is a noun; after a relation it counts as the second noun."""
    related = False
    for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False):
        sort = SORTS.get(word, "noun")
        if word in ("left", "right") and after == "of":  # "left of the car"
            sort = "relation"
        if sort == "color" and before not in ("in", "wearing") and SORTS.get(after or "of", "noun") != "noun":
            sort = "noun"  # "the orange on the left"
        related |= sort == "relation"
        yield ("second noun" if related else "first noun") if sort == "noun" else sort


if __name__ == "__main__":
    main()
