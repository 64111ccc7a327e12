"""Find the folder of a grounder on this machine or on the hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from aligncat.errors import ConfigError
from aligncat.grounder.folder import FILES, TEXT
from aligncat.grounder.match_file import REFERENCES
from aligncat.wording import first_line

_HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


def find_folder(name_or_folder: str | Path, **download: Any) -> Path:
    """Return the local folder of a grounder; download it first if it is on the hub.

    Args:
        name_or_folder: a local folder, or a name on the hub.
        download: arguments of `huggingface_hub.snapshot_download`.

    Raises:
        ConfigError: neither a local folder nor a grounder on the hub has this name.
    """
    folder = Path(name_or_folder)
    if folder.is_dir():
        return folder
    if folder.exists() or not _HUB_NAME.fullmatch(str(name_or_folder)):
        problem = "a file, not a folder" if folder.exists() else "no such folder"
        raise ConfigError(f"{name_or_folder}: {problem}; give the folder that `aligncat train` wrote, or a hub name")
    try:
        return Path(
            snapshot_download(str(name_or_folder), allow_patterns=[*FILES, REFERENCES, f"{TEXT}/*"], **download)
        )
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise ConfigError(
            f"{name_or_folder}: neither a local folder nor a grounder on the hub ({first_line(error)}); give the "
            "folder that `aligncat train` wrote"
        ) from error
