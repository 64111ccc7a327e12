"""The vocabulary, or the tokenizer of a transformer, with which a grounder is trained."""

from __future__ import annotations

from pathlib import Path

from aligncat.datasets.split import Split
from aligncat.datasets.tables import values_of
from aligncat.errors import ConfigError
from aligncat.language.config import TextEncoderConfig
from aligncat.language.pretrained import PretrainedText, load_pretrained_text
from aligncat.language.tokens import Tokens
from aligncat.language.vectors import first_words
from aligncat.language.vocabulary import Vocabulary
from aligncat.training.initial import Initial


def load_tokens(
    text: TextEncoderConfig, split: Split, word_vectors: Path | None, rule: int, initial: Initial | None
) -> tuple[Tokens, PretrainedText | None]:
    """Return the vocabulary or tokenizer, and the transformer if the text encoder is one.

    Raises:
        ConfigError: the settings contradict each other, or the transformer cannot be loaded.
    """
    if not text.recurrent:
        if word_vectors is not None:
            raise ConfigError(
                f"--word_vectors is only for text.encoder 'recurrent', and text.encoder is {text.encoder!r}: "
                "leave --word_vectors out"
            )
        pretrained = load_pretrained_text(text.encoder)
        if initial is not None:
            initial.check_text_encoder(pretrained)
        return pretrained.pieces, pretrained
    if text.freeze_vectors and word_vectors is None:
        raise ConfigError(
            "text.freeze_vectors is true and there are no word vectors: name a file with --word_vectors, or train "
            "the vectors with --text.freeze_vectors false"
        )
    vocabulary = Vocabulary.from_expressions(values_of(split.expressions, "text"), rule)
    if initial is not None:
        vocabulary = initial.words_before(vocabulary)
    if text.vector_words and word_vectors is not None:
        vocabulary = vocabulary.with_words(first_words(word_vectors, text.vector_words, rule))
    return vocabulary, None


def phrase_words(split: Split, initial: Initial | None) -> Vocabulary | None:
    """Return the words that a grounder with a transformer was trained on.

    Args:
        split: the training split.
        initial: the grounder that training starts from, whose words count too, or None.

    Returns:
        The words; None if `initial` is of a version that did not record its own, since then not all are known.
    """
    before = Vocabulary(()) if initial is None else initial.contents.words
    if before is None:
        return None
    return before.with_words(word for text in values_of(split.expressions, "text") for word in before.words_of(text))
