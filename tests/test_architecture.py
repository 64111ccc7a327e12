"""The import graph follows the layers of the design."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest
from helpers.import_graph import SOURCE, imports

# A package may import from its own layer and from lower layers. The highest layer comes first.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("cli", "__main__"),
    ("commands", "arguments"),
    ("api", "serving"),
    ("cluster",),
    ("report", "studies"),
    ("training", "evaluation"),
    ("checkpoints", "export", "phrases", "grounder"),
    ("mojiref", "store", "datasets"),
    ("detectors",),
    ("files", "language", "alignment", "geometry", "run_lengths"),
    (
        "types",
        "errors",
        "locations",
        "versions",
        "quiet",
        "loading",
        "stages",
        "console",
        "signals",
        "wording",
        "processes",
        "threads",
    ),
)
# Packages of one layer that must not import each other.
SIBLINGS = (("training", "evaluation"), ("api", "serving"))
DATA = {"assets", "configs"}  # folders without modules
ALIGNMENT_MAY_IMPORT = {"alignment", "types", "errors"}


def package(module: str) -> str:
    return module.split(".")[0]


def layer(module: str) -> int:
    return next(depth for depth, names in enumerate(LAYERS) if package(module) in names)


def arrows() -> list[tuple[str, str]]:
    """Return pairs of importing and imported module, without the lazy imports of the public API."""
    return [(one, other) for one, others in imports().items() if one != "__init__" for other in sorted(others)]


def test_every_package_has_a_layer() -> None:
    there = {path.stem if path.suffix == ".py" else path.name for path in SOURCE.iterdir()} - DATA
    there -= {"__init__", "__pycache__", "py"}
    assert {name for name in there if not name.startswith("py.")} <= {name for names in LAYERS for name in names}


def test_arrows_point_down() -> None:
    assert len(arrows()) > 300  # the graph is not empty
    assert [f"{one} imports {other}" for one, other in arrows() if layer(one) > layer(other)] == []


@pytest.mark.parametrize(("one", "other"), [*SIBLINGS, *((b, a) for a, b in SIBLINGS)])
def test_siblings_do_not_import_each_other(one: str, other: str) -> None:
    assert [f"{a} imports {b}" for a, b in arrows() if package(a) == one and package(b) == other] == []


def test_no_verb_is_imported_by_another_package_or_another_verb() -> None:
    of_verbs = [(one, other) for one, other in arrows() if package(other) == "commands"]
    assert of_verbs == [("cli", "commands.closing")]


def test_alignment_imports_only_torch_types_and_errors() -> None:
    for path in sorted((SOURCE / "alignment").glob("*.py")):
        names = {
            name
            for node in ast.walk(ast.parse(path.read_text()))
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        ours = {name.split(".")[1] for name in names if name.startswith("aligncat.")}
        others = {name.split(".")[0] for name in names if not name.startswith("aligncat")}
        assert ours <= ALIGNMENT_MAY_IMPORT, path.name
        assert others - set(sys.stdlib_module_names) <= {"torch"}, path.name


@pytest.mark.parametrize(
    "module",
    [
        "aligncat",
        *sorted(
            "aligncat." + ".".join(path.parent.relative_to(SOURCE).parts)
            for path in SOURCE.rglob("__init__.py")
            if path.parent != SOURCE
        ),
        "aligncat.cli",
        "aligncat.arguments.parser",
        "aligncat.alignment.config",
        "aligncat.language.config",
        "aligncat.serving.limits",
        "aligncat.training.config",
        "aligncat.training.presets",
        "aligncat.detectors.candidates",
        "aligncat.detectors.registry",
        "aligncat.detectors.description",
        "aligncat.detectors.protocol",
        "aligncat.export.detector",
        "aligncat.api.ablate",
        "aligncat.api.evaluate",
        "aligncat.api.extract",
        "aligncat.api.prepare",
        "aligncat.api.report",
        "aligncat.api.train",
    ],
)
def test_a_module_imports_without_torch(module: str) -> None:
    code = f"import sys; sys.modules['torch'] = sys.modules['transformers'] = None; import {module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
