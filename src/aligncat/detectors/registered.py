"""Detectors of other packages, which register a name in the entry points of the group `aligncat.detectors`.

`--detector name:argument` means: the detector that an installed package registered as `name`, made with `argument`.
Stores and grounders record this name only, so opening one imports nothing but what the user has installed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import NamedTuple, cast

from aligncat.detectors.checked import CheckedDetector
from aligncat.detectors.protocol import Detector
from aligncat.errors import AligncatError, DetectorError
from aligncat.wording import did_you_mean, first_line

GROUP = "aligncat.detectors"
"""The group of entry points."""
_NAME = re.compile(r"([A-Za-z0-9][\w.-]+):(.*)", re.DOTALL)


class RegisteredName(NamedTuple):
    """A detector's name in two parts.

    Attributes:
        name: the name of the entry point.
        argument: what the package reads as it likes, such as a file of weights.
    """

    name: str
    argument: str


def registered_name(name: str) -> RegisteredName | None:
    """Return the parts of "name:argument", or None if this is another kind of name, or there is such a file."""
    found = _NAME.fullmatch(name)
    # Path.exists fails on an argument that is too long for a path.
    there = os.path.exists(name)  # noqa: PTH110
    return None if found is None or there else RegisteredName(found[1], found[2])


def installed_names() -> tuple[str, ...]:
    """Return the names that the installed packages have registered."""
    return tuple(sorted({each.name for each in entry_points(group=GROUP)}))


def find_registered(name: str) -> EntryPoint:
    """Return the entry point of a name, without importing it.

    Args:
        name: the part before the colon.

    Raises:
        DetectorError: no installed package has registered the name, or several have.
    """
    found = {(each.value, _package(each)): each for each in entry_points(group=GROUP, name=name)}
    if not found:
        known = installed_names()
        raise DetectorError(
            f"detector {name}: no installed package has registered this name (registered here: "
            f"{', '.join(known) or 'none'}); install the package that has it{did_you_mean(name, known)}"
        )
    if len(found) > 1:
        packages = " and ".join(sorted(package for _, package in found))
        raise DetectorError(f"detector {name}: registered by {packages}; uninstall all but one of them")
    return next(iter(found.values()))


def open_registered(name: RegisteredName, *, candidates: int, device: str) -> CheckedDetector:
    """Import the package that has registered a name, and make its detector.

    Args:
        name: the name and its argument.
        candidates: O, the most candidates for an image.
        device: "cpu", "cuda", "cuda:1" and so on.

    Raises:
        DetectorError: no package or several have registered the name; or it cannot be imported, fails, or makes
            something else than a detector.
    """
    entry = find_registered(name.name)
    full = f"{name.name}:{name.argument}"
    try:
        make = cast("Callable[..., Detector]", entry.load())
    except Exception as error:  # whatever the package does when it is imported
        raise DetectorError(
            f"detector {name.name}: {entry.value} of the package {_package(entry)} cannot be imported "
            f"({_said(error)}); update or reinstall the package"
        ) from error
    try:
        detector = make(name.argument, candidates=candidates, device=device)
    except AligncatError:
        raise
    except Exception as error:  # whatever the package does with its argument
        raise DetectorError(
            f"detector {full}: the package {_package(entry)} cannot make it ({_said(error)}); check what is after the "
            "colon"
        ) from error
    return CheckedDetector(detector, name=full)


def _package(entry: EntryPoint) -> str:
    return "an unknown package" if entry.dist is None else entry.dist.name


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error)}"
