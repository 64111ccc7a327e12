"""Expressions as the word pieces of a transformer's tokenizer."""

from __future__ import annotations

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


class WordPieces:
    """Token ids of a transformer's own tokenizer, in the place of a Vocabulary.

    An id is the tokenizer's plus one, so that PAD is 0 as in a Vocabulary, whatever the tokenizer pads with. A word
    that the tokenizer does not have is spelled in pieces; nothing is unknown.

    Args:
        tokenizer: a fast one. It is set to read special symbols in an expression ("[SEP]") as text.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokenizer = tokenizer
        self._tokenizer.split_special_tokens = True
        self.special = frozenset(tokenizer.all_special_ids) - {tokenizer.unk_token_id}

    def __len__(self) -> int:
        return len(self._tokenizer) + 1

    def encode(self, texts: Sequence[str], max_length: int) -> Tensor:
        """Turn expressions into one padded batch of token ids, with the symbols that the transformer wants around them.

        Args:
            texts: B sentences.
            max_length: pieces kept of each sentence, special symbols not counted; those after are cut off.

        Returns:
            (B, L) int64, PAD at the end.

        Raises:
            DataError: a sentence has no words, or only such as the tokenizer drops.
        """
        if not texts:
            return torch.full((0, 0), PAD)
        longest = max_length + self._tokenizer.num_special_tokens_to_add()
        rows = self._tokenizer(list(texts), truncation=True, max_length=longest)["input_ids"]
        for text, row in zip(texts, rows, strict=True):
            if not tokenize(text) or self.special.issuperset(row):
                raise DataError(f"the expression {text!r} has no words; give a phrase that names an object")
        tokens = torch.full((len(rows), max(map(len, rows))), PAD)
        for index, row in enumerate(rows):
            tokens[index, : len(row)] = torch.tensor(row) + 1
        return tokens

    def weigh(self, text: str, weights: Sequence[float]) -> tuple[tuple[str, float], ...]:
        """Name the words that weights are of; a word has the sum of its pieces' weights.

        Args:
            text: a sentence.
            weights: one for each piece that `encode` keeps, special symbols not counted; more are ignored.
        """
        encoded = self._tokenizer(text, add_special_tokens=False).encodings[0]
        spans: dict[int, tuple[int, int]] = {}
        sums: dict[int, float] = {}
        for word, (start, end), weight in zip(encoded.word_ids, encoded.offsets, weights, strict=False):
            first, last = spans.get(word, (start, end))
            spans[word] = min(first, start), max(last, end)
            sums[word] = sums.get(word, 0.0) + weight
        return tuple((text[slice(*spans[word])].strip().lower(), weight) for word, weight in sums.items())

    def save(self, folder: Path) -> None:
        """Write the tokenizer's files into a folder."""
        self._tokenizer.save_pretrained(folder)
