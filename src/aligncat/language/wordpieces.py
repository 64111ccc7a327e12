"""Turn expressions into the word pieces of a transformer's tokenizer."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from aligncat.errors import DataError
from aligncat.language.tokens import tokenize
from aligncat.language.vocabulary import PAD

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tokenizers import Tokenizer
    from torch import Tensor


# A tokenizer stores the truncation of a call in itself until the call ends, so only one thread at a time may use it.
_LOCK = threading.Lock()


class WordPieces:
    """The tokenizer of a transformer, with the interface of a Vocabulary.

    A token id is the tokenizer's id plus one, so that PAD is 0 as in a Vocabulary. The tokenizer splits words that it
    does not have into pieces, so unknown words are rare.

    Args:
        tokenizer: the tokenizer. It is changed to treat special symbols in an expression ("[SEP]") as text.
        special: the ids of its special symbols, without that for unknown pieces.
    """

    def __init__(self, tokenizer: Tokenizer, special: Iterable[int]) -> None:
        self._tokenizer = tokenizer
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_padding()
        self.special = frozenset(special)

    def __len__(self) -> int:
        return self._tokenizer.get_vocab_size() + 1

    def ids(self, texts: Sequence[str], max_length: int) -> NDArray[np.int64]:
        """Return the token ids of expressions, including the transformer's special symbols, as one padded batch.

        Args:
            texts: B expressions.
            max_length: the largest number of pieces of each expression, without special symbols; further pieces are
                cut off.

        Returns:
            (B, L), padded with PAD at the end.

        Raises:
            DataError: an expression has no words, or the tokenizer drops all of them.
        """
        if not texts:
            return np.full((0, 0), PAD, np.int64)
        with _LOCK:
            self._tokenizer.enable_truncation(max_length + self._tokenizer.num_special_tokens_to_add(False))
            rows = [encoded.ids for encoded in self._tokenizer.encode_batch(list(texts))]
        for text, row in zip(texts, rows, strict=True):
            if not tokenize(text) or self.special.issuperset(row):
                raise DataError(f"the expression {text!r} has no words; give a phrase that names an object")
        tokens = np.full((len(rows), max(map(len, rows))), PAD, np.int64)
        for index, row in enumerate(rows):
            tokens[index, : len(row)] = np.array(row) + 1
        return tokens

    def encode(self, texts: Sequence[str], max_length: int) -> Tensor:
        """Return `ids` as a tensor."""
        import torch

        return torch.from_numpy(self.ids(texts, max_length))

    def weigh(self, text: str, weights: Sequence[float]) -> tuple[tuple[str, float], ...]:
        """Return (word, weight) pairs in order. The weight of a word is the sum of its pieces' weights.

        Args:
            text: an expression.
            weights: one weight for each piece that `ids` keeps, without special symbols; further weights are ignored.
        """
        with _LOCK:
            self._tokenizer.no_truncation()
            encoded = self._tokenizer.encode(text, add_special_tokens=False)
        spans: dict[int | None, tuple[int, int]] = {}
        sums: dict[int | None, float] = {}
        for word, (start, end), weight in zip(encoded.word_ids, encoded.offsets, weights, strict=False):
            first, last = spans.get(word, (start, end))
            spans[word] = min(first, start), max(last, end)
            sums[word] = min(1.0, sums.get(word, 0.0) + weight)  # rounding can take a sum above 1
        return tuple((text[slice(*spans[word])].strip().lower(), weight) for word, weight in sums.items())

    def words_of(self, text: str) -> list[str]:
        """Return the words of an expression, in order; empty if it has none."""
        return tokenize(text)

    def unknown(self, text: str) -> tuple[str, ...]:
        """Return no words: the tokenizer splits a word that it does not have into pieces.

        Words that no training phrase has are in `Grounder.words`.
        """
        return ()

    def reset(self) -> None:
        """Undo the truncation of the last call, so that a tokenizer that is saved now does not depend on it."""
        with _LOCK:
            self._tokenizer.no_truncation()

    def to_json(self) -> str:
        """Return the content of a tokenizer.json, from which `tokenizers.Tokenizer.from_str` makes the tokenizer."""
        self.reset()
        content: str = self._tokenizer.to_str()
        return content
