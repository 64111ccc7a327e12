"""Expression -> f_t and F_w: words, vocabulary, word vectors and the recurrent encoder."""

from aligncat.language.encoder import EncodedText, TextEncoder, TextEncoderConfig
from aligncat.language.tokens import tokenize
from aligncat.language.vectors import WordVectors, load_word_vectors
from aligncat.language.vocabulary import CLS, PAD, UNK, Vocabulary

__all__ = [
    "CLS",
    "PAD",
    "UNK",
    "EncodedText",
    "TextEncoder",
    "TextEncoderConfig",
    "Vocabulary",
    "WordVectors",
    "load_word_vectors",
    "tokenize",
]
