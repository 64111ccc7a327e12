"""Versions of Python and of installed packages, as recorded in stores, runs and results."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

DECIDING = ("aligncat", "torch", "transformers", "numpy", "pycocotools")
"""Packages whose version can change a metric."""


def installed_versions(packages: Iterable[str] = DECIDING) -> dict[str, str]:
    """Return the version of Python and of each package, or "not installed" for a missing package."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
