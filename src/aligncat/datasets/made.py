"""The record of phrases that no person wrote, beside the files of their splits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aligncat.errors import DataError
from aligncat.files.documents import read_json
from aligncat.files.fields import as_mapping, required, required_str
from aligncat.types import JSON

MADE = "phrases.json"
"""The name of the record, in the folder of <split>.jsonl. `aligncat data phrases` writes it."""
MADE_DATASET = "pseudo"
"""The name of a dataset of such phrases."""


def made_phrases(folder: Path) -> Mapping[str, JSON] | None:
    """Return what made the phrases of a dataset, for the settings and the card of a grounder that learns from them.

    Args:
        folder: the folder of the dataset.

    Returns:
        The version of the grammar, the recipe, the detector and the hash of the store; None if people wrote the
        phrases, as far as is known.

    Raises:
        DataError: the record is damaged.
    """
    path = folder / MADE
    if not path.is_file():
        return None
    where = str(path)
    try:
        row = as_mapping(read_json(path), where)
        for key in ("by", "store_sha256", "detector", "categories"):
            required_str(row, key, where)
        found: dict[str, Any] = {key: required(row, key, where) for key in _KEYS}
    except DataError as error:
        raise DataError(f"{error}; make the phrases again") from error
    return found


_KEYS = ("by", "grammar", "recipe", "colours", "categories", "detector", "store_sha256")
