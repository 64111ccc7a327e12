"""Read settings of earlier versions, which contain sizes that are no longer settings.

The fields of `aligncat.alignment.config.Sizes` used to be fields of `AlignmentConfig`. YAML files, config.json and
settings.json of those versions still contain them.
"""

from __future__ import annotations

import logging
from argparse import SUPPRESS
from collections.abc import Mapping
from typing import Any

OLD_SIZES = ("visual_dim", "text_dim", "classes")

logger = logging.getLogger(__name__)


def without_old_sizes(alignment: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return alignment settings without the sizes of earlier versions; log one warning if there are any.

    Args:
        alignment: the fields of an `AlignmentConfig` by name, as read from a file.
        where: the file's path, for the warning.
    """
    _warn([name for name in OLD_SIZES if name in alignment], f"{where}: ")
    return {name: value for name, value in alignment.items() if name not in OLD_SIZES}


def accept_old_sizes(parser: Any) -> None:
    """Let a parser accept the sizes of earlier versions, hidden from its help; `drop_old_sizes` removes them again.

    Args:
        parser: a jsonargparse.ArgumentParser with the arguments of an `AlignmentConfig` under "alignment".
    """
    for name in OLD_SIZES:
        parser.add_argument(f"--alignment.{name}", type=int, default=SUPPRESS, help=SUPPRESS)


def drop_old_sizes(values: Any) -> None:
    """Remove the sizes of earlier versions from parsed values; log one warning if there are any.

    Args:
        values: the jsonargparse.Namespace from a parser with `accept_old_sizes`.
    """
    found = [name for name in OLD_SIZES if f"alignment.{name}" in values]
    for name in found:
        values.pop(f"alignment.{name}")
    _warn(found, "")


def drop_old_names(settings: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return settings, as read from YAML, without the sizes of earlier versions and without a warning."""
    alignment = settings.get("alignment")
    if not isinstance(alignment, Mapping):
        return dict(settings)
    return {**settings, "alignment": {name: value for name, value in alignment.items() if name not in OLD_SIZES}}


def _warn(names: list[str], where: str) -> None:
    if names:
        keys = ", ".join(f"alignment.{name}" for name in names)
        logger.warning("%signored %s: the store and text.dim decide these sizes", where, keys)
