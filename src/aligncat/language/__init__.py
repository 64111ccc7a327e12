"""Expression -> f_t and F_w: words, vocabulary, word vectors, and the encoders: recurrent or a transformer."""

from aligncat.language.encoder import EncodedText, TextEncoder, TextEncoderConfig
from aligncat.language.pretrained import PretrainedText, load_pretrained_text, untrained_text
from aligncat.language.tokens import Tokens, tokenize
from aligncat.language.transformer import TransformerTextEncoder
from aligncat.language.vectors import GLOVE_50D, WordVectors, first_words, load_word_vectors
from aligncat.language.vocabulary import CLS, PAD, UNK, Vocabulary
from aligncat.language.wordpieces import WordPieces

__all__ = [
    "CLS",
    "GLOVE_50D",
    "PAD",
    "UNK",
    "EncodedText",
    "PretrainedText",
    "TextEncoder",
    "TextEncoderConfig",
    "Tokens",
    "TransformerTextEncoder",
    "Vocabulary",
    "WordPieces",
    "WordVectors",
    "first_words",
    "load_pretrained_text",
    "load_word_vectors",
    "tokenize",
    "untrained_text",
]
