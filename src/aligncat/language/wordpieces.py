"""Turn expressions into the word pieces of a transformer's tokenizer."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from aligncat.errors import DataError
from aligncat.language.tokens import tokenize
from aligncat.language.vocabulary import PAD

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from transformers import PreTrainedTokenizerFast


# A tokenizer stores the truncation of a call in itself until the call ends, so only one thread at a time may use it.
_LOCK = threading.Lock()


class WordPieces:
    """The tokenizer of a transformer, with the interface of a Vocabulary.

    A token id is the tokenizer's id plus one, so that PAD is 0 as in a Vocabulary. The tokenizer splits words that it
    does not have into pieces, so unknown words are rare.

    Args:
        tokenizer: a fast tokenizer. It is changed to treat special symbols in an expression ("[SEP]") as text.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokenizer = tokenizer
        self._tokenizer.split_special_tokens = True
        self.special = frozenset(tokenizer.all_special_ids) - {tokenizer.unk_token_id}

    def __len__(self) -> int:
        return len(self._tokenizer) + 1

    def encode(self, texts: Sequence[str], max_length: int) -> Tensor:
        """Return the token ids of expressions, including the transformer's special symbols, as one padded batch.

        Args:
            texts: B expressions.
            max_length: the largest number of pieces of each expression, without special symbols; further pieces are
                cut off.

        Returns:
            (B, L) int64, padded with PAD at the end.

        Raises:
            DataError: an expression has no words, or the tokenizer drops all of them.
        """
        if not texts:
            return torch.full((0, 0), PAD)
        longest = max_length + self._tokenizer.num_special_tokens_to_add()
        with _LOCK:
            rows = self._tokenizer(list(texts), truncation=True, max_length=longest)["input_ids"]
        for text, row in zip(texts, rows, strict=True):
            if not tokenize(text) or self.special.issuperset(row):
                raise DataError(f"the expression {text!r} has no words; give a phrase that names an object")
        tokens = torch.full((len(rows), max(map(len, rows))), PAD)
        for index, row in enumerate(rows):
            tokens[index, : len(row)] = torch.tensor(row) + 1
        return tokens

    def weigh(self, text: str, weights: Sequence[float]) -> tuple[tuple[str, float], ...]:
        """Return (word, weight) pairs in order. The weight of a word is the sum of its pieces' weights.

        Args:
            text: an expression.
            weights: one weight for each piece that `encode` keeps, without special symbols; further weights are
                ignored.
        """
        with _LOCK:
            encoded = self._tokenizer(text, add_special_tokens=False).encodings[0]
        spans: dict[int, tuple[int, int]] = {}
        sums: dict[int, float] = {}
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

    def save(self, folder: Path) -> None:
        """Write the tokenizer's files to a folder."""
        self._tokenizer.save_pretrained(folder)
