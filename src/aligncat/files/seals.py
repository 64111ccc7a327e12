"""Seal a JSON object with a hash of its own content, so that a damaged file is found when it is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from aligncat.errors import AligncatError

SEAL = "content_sha256"


def sealed(content: Mapping[str, Any], key: str = SEAL) -> dict[str, Any]:
    """Return a JSON object with its hash as a further key, which comes last.

    Args:
        content: the JSON object. A seal in it is replaced.
        key: the name of the further key.
    """
    plain = {name: value for name, value in content.items() if name != key}
    return {**plain, key: _content_sha256(plain)}


def check_seal(
    content: Mapping[str, Any], where: str, remedy: str, *, error: type[AligncatError], key: str = SEAL
) -> None:
    """Check that a JSON object is the one that was sealed. An object of an earlier version has no seal and passes.

    Args:
        content: the JSON object, as read from its file.
        where: the path of the file.
        remedy: what to do if it was changed.
        error: the class of the error to raise.
        key: the name of the key with the hash.

    Raises:
        AligncatError: of class `error`: the content has changed since it was sealed.
    """
    if key in content and content[key] != sealed(content, key)[key]:
        raise error(f"{where}: damaged or edited: its content differs from the hash in it; {remedy}")


def _content_sha256(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a JSON object, whatever the order of its keys and the white space of its file."""
    as_read = json.loads(json.dumps(content))  # keys that are numbers become texts, which sort differently
    canonical = json.dumps(as_read, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
