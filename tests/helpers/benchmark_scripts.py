"""Import scripts of benchmarks/ and docs/."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def script(name: str) -> ModuleType:
    """Return a script of benchmarks/ or docs/ as a module.

    The folders stand at the end of the path, because some scripts have the names of packages.
    """
    for folder in ("benchmarks", "docs"):
        if str(ROOT / folder) not in sys.path:
            sys.path.append(str(ROOT / folder))
    return importlib.import_module(name)
