"""The vocabulary of the recurrent encoder, which turns expressions into token ids."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aligncat.errors import DataError
from aligncat.files.documents import read_json
from aligncat.language.tokens import FIRST_RULE, RULE, tokenize

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from torch import Tensor

PAD, UNK, CLS = 0, 1, 2
SPECIAL = ("<pad>", "<unk>", "<cls>")


class Vocabulary:
    """Words and their token ids: three special symbols, then the words in order of first occurrence.

    PAD fills the end of shorter expressions and is never attended to. UNK replaces words that are not in the
    vocabulary. All of them share one vector, which the encoder trains (`TextEncoderConfig.unknown_rate`). An expression
    that has only unknown words is valid. CLS is reserved, as in QueryMatch's table of word vectors, but `encode` never
    returns it.

    Args:
        words: the words with ids 3, 4, ...
        rule: the rule of `tokenize` by which expressions are split.

    Raises:
        DataError: a word occurs twice, or the rule is unknown.
    """

    def __init__(self, words: Sequence[str], rule: int = RULE) -> None:
        if rule not in (FIRST_RULE, RULE):
            raise DataError(f"unknown rule {rule!r} for splitting expressions; use a newer version of aligncat")
        self.words = tuple(words)
        self.rule = rule
        # An expression may contain a word spelled like a special symbol. It is an ordinary word with an id of its own.
        self._ids = {word: index for index, word in enumerate(self.words, start=len(SPECIAL))}
        if len(self._ids) != len(self.words):
            twice = next(word for word, count in Counter(self.words).items() if count > 1)
            raise DataError(f"the word {twice!r} is in the vocabulary twice; build it again from the expressions")

    @classmethod
    def from_expressions(cls, texts: Iterable[str], rule: int = RULE) -> Vocabulary:
        """Return the vocabulary of some expressions.

        Use only the training split; words of the validation and test splits must stay unknown.

        Args:
            texts: expressions.
            rule: the rule of `tokenize` by which they are split.

        Raises:
            DataError: an expression has no words, or there are no expressions.
        """
        words = list(dict.fromkeys(word for text in texts for word in _words(text, rule)))
        if not words:
            raise DataError("no expressions to build a vocabulary from; is the training split empty?")
        return cls(words, rule)

    def __len__(self) -> int:
        return len(SPECIAL) + len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and (self.words, self.rule) == (other.words, other.rule)

    def __hash__(self) -> int:
        return hash((self.words, self.rule))

    def id(self, word: str) -> int:
        """Return the token id of a lower-case word; UNK if it is not in the vocabulary."""
        return self._ids.get(word, UNK)

    def ids(self, texts: Sequence[str], max_length: int) -> NDArray[np.int64]:
        """Return the token ids of expressions as one padded batch.

        Args:
            texts: B expressions.
            max_length: the largest number of words of each expression; further words are cut off.

        Returns:
            (B, L), padded with PAD at the end; L is the length of the longest expression after cutting.

        Raises:
            DataError: an expression has no words.
        """
        found, lengths = array("q"), array("q")  # as lists, millions of expressions would take a gigabyte
        for text in texts:
            words = _words(text, self.rule)[:max_length]
            found.extend(map(self.id, words))
            lengths.append(len(words))
        counts = np.array(lengths, np.int64)
        tokens = np.full((len(texts), max(lengths, default=0)), PAD, np.int64)
        tokens[np.arange(tokens.shape[1]) < counts[:, None]] = np.array(found, np.int64)
        return tokens

    def encode(self, texts: Sequence[str], max_length: int) -> Tensor:
        """Return `ids` as a tensor."""
        import torch

        return torch.from_numpy(self.ids(texts, max_length))

    def weigh(self, text: str, weights: Sequence[float]) -> tuple[tuple[str, float], ...]:
        """Return (word, weight) pairs in order.

        Args:
            text: an expression.
            weights: one weight for each word that `encode` keeps; further weights are ignored.
        """
        return tuple(zip(self.words_of(text), weights, strict=False))

    def words_of(self, text: str) -> list[str]:
        """Return the words of an expression, in order; empty if it has none."""
        return tokenize(text, self.rule)

    def unknown(self, text: str) -> tuple[str, ...]:
        """Return the words of an expression that are not in the vocabulary, in order and without duplicates."""
        return tuple(word for word in dict.fromkeys(self.words_of(text)) if word not in self)

    def with_words(self, words: Iterable[str]) -> Vocabulary:
        """Return a vocabulary that has these words after its own, without duplicates."""
        return Vocabulary(tuple(dict.fromkeys((*self.words, *words))), self.rule)

    def to_dict(self) -> dict[str, Any]:
        """Return the words as JSON data, without the rule."""
        return {"special": list(SPECIAL), "words": list(self.words)}

    @classmethod
    def from_dict(cls, data: Any, rule: int = FIRST_RULE) -> Vocabulary:
        """Return the vocabulary of the JSON data from `to_dict`.

        Args:
            data: the JSON data.
            rule: the rule of `tokenize`, which a grounder's config.json records.

        Raises:
            DataError: the data is not a vocabulary, or the rule is unknown.
        """
        if not isinstance(data, dict) or data.get("special") != list(SPECIAL):
            raise DataError(f'not a vocabulary: expected {{"special": {list(SPECIAL)}, "words": [...]}}')
        words = data.get("words")
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise DataError("not a vocabulary: its key 'words' must be a list of strings")
        return cls(words, rule)

    @classmethod
    def load(cls, path: Path, rule: int = FIRST_RULE) -> Vocabulary:
        """Read a vocabulary from a JSON file with what `to_dict` returns.

        Args:
            path: the file.
            rule: the rule of `tokenize`, which a grounder's config.json records.

        Raises:
            DataError: the file is missing, or is not a vocabulary, or the rule is unknown.
        """
        data = read_json(path)
        try:
            return cls.from_dict(data, rule)
        except DataError as error:
            raise DataError(f"{path}: {error}") from error


def _words(text: str, rule: int) -> list[str]:
    words = tokenize(text, rule)
    if not words:
        raise DataError(f"the expression {text!r} has no words; give a phrase that names an object")
    return words
