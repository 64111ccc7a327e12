"""Load the grounders of a server, and give them their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from aligncat.errors import ConfigError
from aligncat.files.fields import is_name
from aligncat.grounder.folder import SHIPPED
from aligncat.grounder.names import TRAINING_FREE
from aligncat.grounder.opening import open_grounder
from aligncat.grounder.photo_grounder import PhotoGrounder

_NAMED = re.compile(r"([^=/]+)=(.+)")


def load_grounders(
    words: Sequence[str], *, device: str = "cpu", detector: str | Path | None = None
) -> dict[str, PhotoGrounder]:
    """Return the grounders that a command line names, by the names that requests use.

    Args:
        words: folders, hub names or "training-free", each also as NAME=FOLDER. Without NAME, a grounder has the last
            part of its folder as its name. None for the shipped grounder.
        device: the device of the grounders and their detectors.
        detector: the detector of "training-free"; if that is not among the words, where the detector of the grounders
            is now.

    Raises:
        ConfigError: a grounder cannot be loaded, two have one name, or a name cannot be part of a request.
        DetectorError: a detector cannot be loaded.
    """
    given = [_named(word) for word in words or [str(SHIPPED)]]
    free = any(word == TRAINING_FREE for _, word in given)
    found: dict[str, PhotoGrounder] = {}
    for name, word in given:
        if not is_name(name):
            raise ConfigError(f"{word}: the grounder needs a name of letters, digits, . _ + or -; give NAME={word}")
        if name in found:
            raise ConfigError(f"two grounders have the name {name}; give NAME=FOLDER for one of them")
        own = detector if not free or word == TRAINING_FREE else None
        found[name] = open_grounder(word, device=device, detector=own)
    return found


def _named(word: str) -> tuple[str, str]:
    """Return the name and the folder of a grounder that is given as NAME=FOLDER or as FOLDER."""
    if (pair := _NAMED.fullmatch(word)) and not Path(word).exists():
        return pair[1], pair[2]
    return Path(word).name or Path(word).resolve().name, word
