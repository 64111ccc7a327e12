"""The words that a model knows, and how an expression becomes token ids."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from aligncat.errors import DataError
from aligncat.language.tokens import tokenize

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

PAD, UNK, CLS = 0, 1, 2
SPECIAL = ("<pad>", "<unk>", "<cls>")


class Vocabulary:
    """Words and their token ids: three special symbols, then the words in the order first seen.

    PAD fills the end of shorter expressions and is never attended to. A word that is not in the vocabulary
    becomes UNK: it keeps its place in the sentence, and all such words share one vector, which the encoder
    trains (`TextEncoderConfig.unknown_rate`); an expression of unknown words alone is a row of UNK, not an
    error. CLS is reserved, as in QueryMatch's table, and `encode` never emits it: the recurrent encoder pools
    by attention and needs no token to pool into.

    Args:
        words: the words of ids 3, 4, ...

    Raises:
        DataError: a word is there twice.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        # A word of an expression may be spelled like a special symbol; it is then a word like any other.
        self._ids = {word: index for index, word in enumerate(self.words, start=len(SPECIAL))}
        if len(self._ids) != len(self.words):
            twice = next(word for word, count in Counter(self.words).items() if count > 1)
            raise DataError(f"the word {twice!r} is in the vocabulary twice; make it from expressions again")

    @classmethod
    def from_expressions(cls, texts: Iterable[str]) -> Vocabulary:
        """Collect the words of a training split (and of no other: val and test must stay unseen).

        Args:
            texts: sentences.

        Raises:
            DataError: a sentence has no words, or there are no sentences.
        """
        words = list(dict.fromkeys(word for text in texts for word in _words(text)))
        if not words:
            raise DataError("no expressions to make a vocabulary from; is the training split empty?")
        return cls(words)

    def __len__(self) -> int:
        return len(SPECIAL) + len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.words == other.words

    def __hash__(self) -> int:
        return hash(self.words)

    def id(self, word: str) -> int:
        """The token id of one lower-case word, UNK where it is not known."""
        return self._ids.get(word, UNK)

    def encode(self, texts: Sequence[str], max_length: int) -> Tensor:
        """Turn expressions into one padded batch of token ids.

        Args:
            texts: B sentences.
            max_length: words kept of each sentence; those after are cut off.

        Returns:
            (B, L) int64, PAD at the end, L the words of the longest sentence after cutting.

        Raises:
            DataError: a sentence has no words.
        """
        rows = [[self.id(word) for word in _words(text)[:max_length]] for text in texts]
        tokens = torch.full((len(rows), max(map(len, rows), default=0)), PAD, dtype=torch.int64)
        for index, row in enumerate(rows):
            tokens[index, : len(row)] = torch.tensor(row)
        return tokens

    def weigh(self, text: str, weights: Sequence[float]) -> tuple[tuple[str, float], ...]:
        """Name the words that weights are of.

        Args:
            text: a sentence.
            weights: one for each word that `encode` keeps; more are ignored.
        """
        return tuple(zip(tokenize(text), weights, strict=False))

    def with_words(self, words: Iterable[str]) -> Vocabulary:
        """This vocabulary and, behind its own, those of the words that it lacks."""
        return Vocabulary(tuple(dict.fromkeys((*self.words, *words))))

    def to_dict(self) -> dict[str, Any]:
        """The vocabulary as plain data for a JSON file."""
        return {"special": list(SPECIAL), "words": list(self.words)}

    @classmethod
    def from_dict(cls, data: Any) -> Vocabulary:
        """Read what `to_dict` gave.

        Raises:
            DataError: the data is of another shape.
        """
        if not isinstance(data, dict) or data.get("special") != list(SPECIAL):
            raise DataError(f'not a vocabulary: {{"special": {list(SPECIAL)}, "words": [...]}} is expected')
        words = data.get("words")
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise DataError("not a vocabulary: its key 'words' has to be a list of strings")
        return cls(words)

    def save(self, path: Path) -> None:
        """Write the vocabulary as a JSON file."""
        path.write_text(json.dumps(self.to_dict(), ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Read a vocabulary from the JSON file that `save` wrote.

        Raises:
            DataError: the file is missing, or is not a vocabulary.
        """
        try:
            return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError as error:
            raise DataError(f"{path}: no such file") from error
        except (json.JSONDecodeError, UnicodeDecodeError, DataError) as error:
            raise DataError(f"{path}: {error}") from error


def _words(text: str) -> list[str]:
    words = tokenize(text)
    if not words:
        raise DataError(f"the expression {text!r} has no words; give a phrase that names an object")
    return words
