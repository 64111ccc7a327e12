"""Import every module of aligncat with the base install. Only modules that need an extra may fail.

`make base-check` runs this in an environment without extras. `tests/test_base_install.py` imitates such an
environment.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

import aligncat

# Modules that need an extra -> the extra. Every other module must import with the base install.
NEEDS = {
    "aligncat.report.figures.comparison": "report",
    "aligncat.report.figures.distractors": "report",
    "aligncat.report.figures.failures": "report",
    "aligncat.report.figures.reliability": "report",
    "aligncat.report.figures.sheet": "report",
    "aligncat.report.figures.stairs": "report",
    "aligncat.report.figures.style": "report",
    "aligncat.report.figures.training_curves": "report",
    "aligncat.report.figures.word_weights": "report",
    "aligncat.serving.app": "serve",
    "aligncat.serving.client": "serve",
    "aligncat.serving.grounding_routes": "serve",
    "aligncat.serving.label_studio.photos": "serve",
    "aligncat.serving.label_studio.routes": "serve",
    "aligncat.serving.observing": "serve",
    "aligncat.serving.openapi": "serve",
    "aligncat.serving.page.blocks": "page",
    "aligncat.serving.page.mounting": "serve",
    "aligncat.serving.page.routes": "serve",
    "aligncat.serving.probe_routes": "serve",
    "aligncat.serving.protocol": "serve",
    "aligncat.serving.requests": "serve",
    "aligncat.serving.run": "serve",
}


def main() -> int:
    """Import every module, and print the differences from NEEDS.

    Returns:
        The exit status: 0 if exactly the modules in NEEDS failed.
    """
    names = [each.name for each in pkgutil.walk_packages(aligncat.__path__, "aligncat.", onerror=lambda name: None)]
    failed: dict[str, str] = {}
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            failed[name] = str(error)
    for name in sorted(failed.keys() - NEEDS.keys()):
        print(f"{name} does not import with the base install: {failed[name]}")
    for name in sorted(NEEDS.keys() - failed.keys()):
        print(f"{name} imports, although NEEDS says that it needs the extra {NEEDS[name]}")
    print(f"{len(names)} modules: {len(names) - len(failed)} import, {len(failed)} need an extra")
    return 0 if failed.keys() == NEEDS.keys() else 1


if __name__ == "__main__":
    sys.exit(main())
