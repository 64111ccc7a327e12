"""No module needs a package that only an extra installs, except those that say so."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]


def test_every_module_imports_with_the_base_install_only(tmp_path: Path) -> None:
    for installed in base_install():
        for name in {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}:
            link = tmp_path / name
            if not link.exists():
                link.symlink_to(Path(str(installed.locate_file(name))))
    assert (tmp_path / "torch").is_dir()
    assert not (tmp_path / "matplotlib").exists() and not (tmp_path / "pytest").exists()
    done = subprocess.run(
        [sys.executable, "-S", str(ROOT / "tests" / "installed" / "import_every_module.py")],  # -S: no site-packages
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(tmp_path)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def base_install() -> list[Distribution]:
    """Return aligncat and all distributions that it requires, directly or indirectly, without its extras."""
    waiting = [Requirement("aligncat")]
    seen: dict[tuple[str, str], Distribution] = {}
    while waiting:
        requirement = waiting.pop()
        for extra in ("", *requirement.extras):
            if (requirement.name, extra) in seen:
                continue
            installed = seen[requirement.name, extra] = distribution(requirement.name)
            needed = map(Requirement, installed.requires or ())
            waiting += [each for each in needed if each.marker is None or each.marker.evaluate({"extra": extra})]
    return list(seen.values())
