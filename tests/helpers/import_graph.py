"""The imports between the modules of aligncat, read from the source. Module names omit "aligncat."."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import aligncat

SOURCE = Path(aligncat.__file__).parent


@cache
def modules() -> dict[str, Path]:
    """Return the file of each module. A package stands for its __init__.py; the root package is "__init__"."""
    files = sorted(SOURCE.rglob("*.py"))
    return {".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


@cache
def imports(*, for_types: bool = True) -> dict[str, frozenset[str]]:
    """Return for each module the modules that it imports, also inside functions.

    Args:
        for_types: whether imports under `if TYPE_CHECKING` count.
    """
    return {
        module: _imports_of(ast.parse(file.read_text(encoding="utf-8")), for_types)
        for module, file in modules().items()
    }


def import_paths(starts: Iterable[str], graph: dict[str, frozenset[str]]) -> dict[str, tuple[str, ...]]:
    """Return each module that can be reached from some modules, with one path of imports that leads to it.

    Args:
        starts: the modules where the paths start.
        graph: from `imports`.
    """
    paths: dict[str, tuple[str, ...]] = {start: (start,) for start in starts}
    waiting = list(paths)
    while waiting:
        module = waiting.pop()
        for other in sorted(graph[module] - paths.keys()):
            paths[other] = (*paths[module], other)
            waiting.append(other)
    return paths


def _imports_of(tree: ast.Module, for_types: bool) -> frozenset[str]:
    found: set[str] = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if not for_types and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    ours = {name.removeprefix("aligncat.") for name in found if name.startswith("aligncat.")}
    return frozenset(ours & modules().keys())
