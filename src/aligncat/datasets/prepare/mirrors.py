"""Lists of mirrors: the addresses that a dataset's archive can be downloaded from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from aligncat.errors import DataError
from aligncat.files.documents import read_toml
from aligncat.files.fields import as_mapping, optional_str, required_list, required_str, shorten

SHIPPED = Path(__file__).with_name("mirrors.toml")
_KEYS = ("url", "sha256")
_GRAPHIC = re.compile(r"[!-~]+")  # other characters must be percent-encoded
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Mirror:
    """One address of an archive.

    Attributes:
        url: the archive's http or https address.
        sha256: the hash of the archive's bytes in lower-case hex; None if it is unknown.
    """

    url: str
    sha256: str | None = None


def read_mirrors(path: Path, dataset: str) -> tuple[Mirror, ...]:
    """Read the mirrors of a dataset, in the order in which to try them.

    Args:
        path: a TOML file with tables [[<dataset>]], each with a url and optionally a sha256.
        dataset: the dataset's name.

    Raises:
        DataError: the file is missing or is not TOML, it has no mirror of the dataset, or a mirror is invalid.
    """
    document = read_toml(path)
    if dataset not in document:
        raise DataError(f"{path}: has no mirror of {dataset}; it has mirrors of {', '.join(document) or 'nothing'}")
    return tuple(
        _mirror(value, f"{path}: mirror {number} of {dataset}")
        for number, value in enumerate(required_list(document, dataset, str(path)), start=1)
    )


def _mirror(value: object, where: str) -> Mirror:
    row = as_mapping(value, where)
    for key in row:
        if key not in _KEYS:
            raise DataError(f"{where}: unknown key {key!r}; a mirror has the keys {' and '.join(_KEYS)}")
    url, digest = required_str(row, "url", where), optional_str(row, "sha256", where)
    if not _is_address(url):
        raise DataError(f"{where}: {shorten(url)} is not an http or https address (a space is written as %20)")
    if digest is not None and not _SHA256.fullmatch(digest):
        raise DataError(f"{where}: sha256 must be 64 hexadecimal digits in lower case, not {shorten(digest)}")
    return Mirror(url, digest)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port  # urlsplit checks the port only on access
    except ValueError:  # such as "http://[bad/x" or a port that is not a number
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and bool(_GRAPHIC.fullmatch(url))
