"""Makes a release of aligncat: the commit, the tag, and the checked wheel and sdist. `make release` runs it.

Everything happens in a clone under build/; the repository gets the commit and the tag, and dist/ the two files, after
all checks have passed. Without a version, as `make dist` runs it, it builds and checks the files of the checkout alone.
Nothing is published.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parents[1]
_UNRELEASED = "## [Unreleased]"
_IN_WHEEL = (
    "aligncat/py.typed",
    "aligncat/cli.py",
    "aligncat/configs/own.yaml",
    "aligncat/assets/mini-detector/model.safetensors",
    "aligncat/assets/mojiref-grounder/model.safetensors",
    "aligncat/assets/mojiref-grounder/match.safetensors",
    "aligncat/report/page/index.html",
)
_IN_SDIST = (
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
    "CITATION.cff",
    "LICENSE",
    "Makefile",
    "src/aligncat/configs/own.yaml",
)
_ONLY_IN_WHEEL = re.compile(r"aligncat/|aligncat-[^/]+\.dist-info/")


class ReleaseError(Exception):
    """A release is refused. The message says why and what to do."""


def changelog_of(text: str, version: str, date: str) -> str:
    """Return CHANGELOG.md with the unreleased changes as those of a version.

    Args:
        text: CHANGELOG.md.
        version: the version.
        date: its date, as 2026-11-28.

    Raises:
        ReleaseError: there is no section of unreleased changes, or nothing in it.
    """
    before, heading, after = text.partition(f"{_UNRELEASED}\n")
    if not heading:
        raise ReleaseError(f"CHANGELOG.md has no section {_UNRELEASED!r}; add it above the latest version")
    changes = re.split(r"^## ", after, maxsplit=1, flags=re.MULTILINE)[0]
    if not any(line.startswith("- ") for line in changes.splitlines()):
        raise ReleaseError(f"CHANGELOG.md has no changes under {_UNRELEASED!r}; say there what is new")
    return f"{before}{heading}\n## [{version}] - {date}\n{after}"


def project_of(text: str, version: str) -> str:
    """Return pyproject.toml with another version.

    Raises:
        ReleaseError: the version is none, or is not above the present one.
    """
    present = re.search(r'^version = "(.+)"$', text, re.MULTILINE)
    assert present is not None
    try:
        new = Version(version)
    except InvalidVersion as error:
        raise ReleaseError(f"{version} is no version; give one such as 0.2.0 (PEP 440)") from error
    if str(new) != version:
        raise ReleaseError(f"{version} is not how the version is written; give {new}")
    if new < Version(present[1]):
        raise ReleaseError(f"{version} is below the present version, {present[1]}; give a higher one")
    return text.replace(present[0], f'version = "{version}"', 1)


def citation_of(text: str, version: str, date: str) -> str:
    """Return CITATION.cff with another version and date."""
    changed, versions = re.subn(r"^version: .*$", f"version: {version}", text, flags=re.MULTILINE)
    changed, dates = re.subn(r"^date-released: .*$", f"date-released: {date}", changed, flags=re.MULTILINE)
    assert (versions, dates) == (1, 1)
    return changed


def check_repository(folder: Path, tag: str) -> None:
    """Check that a repository is clean, and that it does not have a tag.

    Raises:
        ReleaseError: there are changes or new files, or the tag is there.
    """
    if changed := _git(folder, "status", "--porcelain"):
        raise ReleaseError(f"these files are not committed; commit or remove them:\n{changed}")
    if _git(folder, "tag", "--list", tag):
        raise ReleaseError(f"the tag {tag} is there already; give a higher version, or delete it (git tag -d {tag})")


def check_files(wheel: Path, sdist: Path, version: str) -> None:
    """Check the names, the metadata and the contents of a wheel and an sdist.

    Raises:
        ReleaseError: something is missing, or is in the wheel and does not belong there.
    """
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(f"aligncat-{version}.dist-info/METADATA").decode()
    missing = [name for name in _IN_WHEEL if name not in names]
    strange = [name for name in names if not _ONLY_IN_WHEEL.match(name) or "__pycache__" in name]
    if missing or strange:
        raise ReleaseError(f"{wheel.name}: missing {missing}, not expected {strange[:5]}")
    if f"\nVersion: {version}\n" not in metadata:
        raise ReleaseError(f"{wheel.name}: its metadata have another version than {version}")
    with tarfile.open(sdist) as archive_of_source:
        found = set(archive_of_source.getnames())
    if missing := [name for name in _IN_SDIST if f"aligncat-{version}/{name}" not in found]:
        raise ReleaseError(f"{sdist.name}: missing {missing}; see tool.hatch.build.targets.sdist in pyproject.toml")


def build(source: Path, out: Path, version: str) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from it, and check both; return the paths of the wheel and of the sdist."""
    # Without isolation: hatchling is in the environment, and no network is needed.
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source))
    wheel, sdist = out / f"aligncat-{version}-py3-none-any.whl", out / f"aligncat-{version}.tar.gz"
    check_files(wheel, sdist, version)
    _run(sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(sdist))
    return wheel, sdist


def try_wheel(wheel: Path, environment: Path, version: str, *, packages: Path | None = None) -> None:
    """Install a wheel into a new environment, and check the version that its command says.

    Args:
        wheel: the wheel.
        environment: the folder of the environment.
        version: the expected version.
        packages: a folder with the packages that aligncat needs, instead of an installation of them with pip.

    Raises:
        ReleaseError: the command says another version.
    """
    _run(sys.executable, "-m", "venv", str(environment))
    python = environment / "bin" / "python"
    if packages is None:
        constraints = ("--constraint", str(ROOT / "constraints.txt"))
        _run(str(python), "-m", "pip", "install", "--quiet", *constraints, str(wheel))
    else:
        _run(str(python), "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", str(wheel))
        [own] = environment.glob("lib/python*/site-packages")
        (own / "packages.pth").write_text(f"{packages}\n")
    said = _run(str(environment / "bin" / "aligncat"), "--version", cwd=environment).strip()
    if said != f"aligncat {version}":
        raise ReleaseError(f"the installed command says {said!r} instead of 'aligncat {version}'")


def build_checkout(root: Path, *, packages: Path | None = None) -> tuple[Path, Path]:
    """Build and check the wheel and the sdist of a checkout in its folder dist/, and return their paths.

    Args:
        root: the checkout.
        packages: as in `try_wheel`.

    Raises:
        ReleaseError: a check failed.
    """
    version = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    shutil.rmtree(root / "dist", ignore_errors=True)
    built = build(root, root / "dist", version)
    with tempfile.TemporaryDirectory() as folder:
        try_wheel(built[0], Path(folder) / "environment", version, packages=packages)
    return built


def release(root: Path, version: str, date: str, *, packages: Path | None = None) -> tuple[Path, Path]:
    """Make a release, and return the paths of the wheel and the sdist.

    Args:
        root: the repository.
        version: the version.
        date: its date, as 2026-11-28.
        packages: as in `try_wheel`.

    Raises:
        ReleaseError: the repository or the version is not fit for a release, or a check of its files failed.
    """
    tag = f"v{version}"
    changes = {
        "pyproject.toml": project_of((root / "pyproject.toml").read_text(encoding="utf-8"), version),
        "CHANGELOG.md": changelog_of((root / "CHANGELOG.md").read_text(encoding="utf-8"), version, date),
        "CITATION.cff": citation_of((root / "CITATION.cff").read_text(encoding="utf-8"), version, date),
    }
    check_repository(root, tag)
    work = root / "build" / "release"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    clone = work / "source"
    _git(root, "clone", "--quiet", str(root), str(clone))
    for name, text in changes.items():
        (clone / name).write_text(text, encoding="utf-8")
    schema = ("--builtin-schema", "vendor.citation-file-format")
    _run(sys.executable, "-m", "check_jsonschema", *schema, str(clone / "CITATION.cff"))
    for key in ("user.name", "user.email"):  # those of this repository alone are not in the clone
        _git(clone, "config", key, _git(root, "config", key))
    _git(clone, "commit", "--quiet", "--all", "--message", f"Release {version}")
    _git(clone, "tag", "--annotate", tag, "--message", f"aligncat {version}")
    built = build(clone, work / "dist", version)
    try_wheel(built[0], work / "environment", version, packages=packages)
    _git(root, "fetch", "--quiet", str(clone), "tag", tag)
    _git(root, "merge", "--quiet", "--ff-only", tag)
    shutil.rmtree(root / "dist", ignore_errors=True)
    (root / "dist").mkdir()
    return Path(shutil.copy(built[0], root / "dist")), Path(shutil.copy(built[1], root / "dist"))


def _git(folder: Path, *words: str) -> str:
    return _run("git", "-C", str(folder), *words).strip()


def _run(*words: str, cwd: Path | None = None) -> str:
    """Return the output of a command; a command that fails is a ReleaseError with what it said."""
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ReleaseError(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def main(words: Sequence[str] | None = None) -> int:
    """Make a release from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Make a release of aligncat. Nothing is published.")
    parser.add_argument("version", nargs="?", help="the version, such as 0.2.0; without one, dist/ is built alone")
    version: str | None = parser.parse_args(words).version
    try:
        if version is None:
            files = build_checkout(ROOT)
        else:
            files = release(ROOT, version, datetime.now(UTC).strftime("%Y-%m-%d"))
    except ReleaseError as error:
        print(f"no release was made: {error}", file=sys.stderr)
        return 1
    print(f"{' and '.join(path.name for path in files)} are in dist/.")
    if version is not None:
        print(f"v{version} is committed and tagged. Publish it with: git push origin HEAD v{version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
