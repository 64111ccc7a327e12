"""Read the lines of a word vector file, and name what it is if it is not one.

Formats: GloVe text (https://nlp.stanford.edu/projects/glove: one line `word v1 ... vd` per word), and word2vec or
fastText text (the same, after a header line `count d`). Either may be compressed with gzip.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from aligncat.errors import DataError

_GZIP = b"\x1f\x8b"
_MAX_LINE = 1_000_000  # characters; a word with 1,000 numbers has about 20,000
_START = 100_000  # bytes to look at
_UNPACK = "unpack it, and give the text file in it"
_AS_TEXT = (
    "save it as text, for example with gensim: KeyedVectors.load_word2vec_format(FILE, binary=True)"
    '.save_word2vec_format("vectors.txt")'
)
# The first bytes of files that people give instead, what they are, and what to do.
_OTHERS = (
    (b"PK\x03\x04", "a ZIP archive", _UNPACK),
    (b"BZh", "compressed with bzip2", _UNPACK),
    (b"\xfd7zXZ", "compressed with xz", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed with zstandard", _UNPACK),
    (b"7z\xbc\xaf", "a 7z archive", _UNPACK),
    (b"\xba\x16\x4f\x2f", "a binary fastText model", "give the text file of its vectors (.vec)"),
    (b"\x93NUMPY", "a NumPy array, which has no words", "give a text file with one word and its numbers per line"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself", "run `git lfs pull`, or download the file"),
)
_BINARY_HEADER = re.compile(rb"\d+ \d+\r?\n")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")


def vector_rows(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Yield ("file:line", word, its d numbers as text) for each line. The header or the first line determines d.

    A byte-order mark is skipped. The file is read line by line, so its size does not matter.

    Args:
        path: the file.

    Raises:
        DataError: the file is of another kind, is damaged, has a line that is not a word with d numbers, or has fewer
            words than its header says.
        OSError: the file cannot be read.
    """
    with path.open("rb") as raw:
        packed = raw.read(2) == _GZIP
        raw.seek(0)
        content = cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if packed else raw
        try:
            start = content.read(_START)
            content.seek(0)
            _refuse_others(start, path)
            # Broken characters can only occur in words that no vocabulary has, so they are not an error.
            yield from _rows(io.TextIOWrapper(content, encoding="utf-8-sig", errors="replace"), path)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{path}: damaged, or not gzip ({error}); download it again") from error


def _refuse_others(start: bytes, path: Path) -> None:
    for magic, kind, remedy in _OTHERS:
        if start.startswith(magic):
            raise DataError(f"{path}: {kind}; {remedy}")
    if _CONTROL.search(start):
        kind = "binary word2vec" if _BINARY_HEADER.match(start) else "not text, or text in UTF-16"
        remedy = _AS_TEXT if _BINARY_HEADER.match(start) else "give a GloVe or word2vec text file in UTF-8"
        raise DataError(f"{path}: {kind}; {remedy}")


def _rows(file: io.TextIOWrapper, path: Path) -> Iterator[tuple[str, str, list[str]]]:
    size, expected, count, line_number = 0, None, 0, 0
    while line := file.readline(_MAX_LINE):
        line_number += 1
        place = f"{path}:{line_number}"
        if len(line) == _MAX_LINE:
            raise DataError(f"{place}: longer than {_MAX_LINE:,} characters; give a GloVe or word2vec text file")
        line = line.rstrip()
        if "\t" in line:
            raise DataError(
                f"{place}: separated by tabs, where one space must stand between a word and its numbers; replace the "
                "tabs, for example with: tr '\\t' ' ' < FILE > vectors.txt"
            )
        fields = line.split(" ")
        if fields == [""]:
            continue
        if line_number == 1 and len(fields) == 2 and all(field.isdecimal() for field in fields):
            expected, size = int(fields[0]), int(fields[1])
            continue
        size = size or len(fields) - 1
        # Some words in GloVe 840B contain spaces, so the last d fields are the numbers.
        word = fields[:-size]
        if size < 1 or not word or any(map(_is_number, word[1:])):
            raise DataError(f"{place}: expected a word and {max(size, 1)} numbers, found {len(fields)} fields")
        count += 1
        yield place, " ".join(word), fields[-size:]
    if expected is not None and count != expected:
        raise DataError(
            f"{path}:{line_number}: the header says {expected} words, but the file has {count}; download it again"
        )


def _is_number(field: str) -> bool:
    """Return whether a field is a number with a decimal point, as the parts of a word never are."""
    try:
        return "." in field and float(field) is not None
    except ValueError:
        return False
