"""Versions of Python and of installed packages, as artefacts record them."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

DECIDING = ("aligncat", "torch", "transformers", "numpy", "pycocotools")
"""The packages whose version can change a metric."""


def installed_versions(packages: Iterable[str] = DECIDING) -> dict[str, str]:
    """Return the version of Python and of each package; "not installed" for a package that is not."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
