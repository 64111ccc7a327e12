"""`make release`, on throwaway repositories and without a network."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "release"))

from make_release import ReleaseError, changelog_of, check_repository, citation_of, main, project_of, release  # noqa: E402

CHANGES = "# Changelog\n\n## [Unreleased]\n\n### Added\n- A thing.\n\n## [0.1.0] - 2026-01-01\n\n- Others.\n"
DATE = "2026-12-01"


def git(folder: Path, *words: str) -> str:
    settings = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", "-C", str(folder), *settings, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a small repository with the files that a release changes."""
    found = tmp_path / "repository"
    found.mkdir()
    git(found, "init", "--quiet", "--initial-branch", "main")
    for name in ("pyproject.toml", "CITATION.cff"):
        (found / name).write_bytes((ROOT / name).read_bytes())
    (found / "CHANGELOG.md").write_text(CHANGES)
    git(found, "add", ".")
    git(found, "commit", "--quiet", "--message", "first")
    return found


def test_the_unreleased_changes_become_those_of_the_version() -> None:
    expected = CHANGES.replace("## [Unreleased]\n", f"## [Unreleased]\n\n## [0.2.0] - {DATE}\n")
    assert changelog_of(CHANGES, "0.2.0", DATE) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CHANGES.replace("## [Unreleased]\n", ""), "has no section '## [Unreleased]'"),
        (CHANGES.replace("- A thing.\n", ""), "has no changes under"),
        (changelog_of(CHANGES, "0.2.0", DATE), "has no changes under"),
    ],
)
def test_without_changes_there_is_no_release(text: str, said: str) -> None:
    with pytest.raises(ReleaseError, match="CHANGELOG") as caught:
        changelog_of(text, "0.3.0", DATE)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("next", "next is no version; give one such as 0.2.0"),
        ("0.02.0", "give 0.2.0"),
        ("v0.2.0", "give 0.2.0"),
        ("0.0.9", "0.0.9 is below the present version, 0.1.0"),
        ("0.1.0rc1", "below the present version"),
    ],
)
def test_an_impossible_version_is_refused(version: str, said: str) -> None:
    with pytest.raises(ReleaseError) as caught:
        project_of('name = "aligncat"\nversion = "0.1.0"\n', version)
    assert said in str(caught.value)


def test_the_files_of_this_repository_can_be_changed() -> None:
    project = tomllib.loads(project_of((ROOT / "pyproject.toml").read_text(), "99.1.0"))
    assert project["project"]["version"] == "99.1.0"
    citation = yaml.safe_load(citation_of((ROOT / "CITATION.cff").read_text(), "99.1.0", DATE))
    assert (citation["version"], citation["date-released"].isoformat()) == ("99.1.0", DATE)
    assert f"## [99.1.0] - {DATE}" in changelog_of((ROOT / "CHANGELOG.md").read_text(), "99.1.0", DATE)


def test_the_version_of_the_citation_is_that_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == project["version"] and citation["license"] == project["license"]


def test_changes_and_an_earlier_tag_are_refused(repository: Path) -> None:
    check_repository(repository, "v0.2.0")
    git(repository, "tag", "v0.2.0")
    with pytest.raises(ReleaseError, match=r"the tag v0\.2\.0 is there already"):
        release(repository, "0.2.0", DATE)
    (repository / "new.txt").write_text("new")
    with pytest.raises(ReleaseError, match=r"not committed; commit or remove them:\n\?\? new\.txt"):
        release(repository, "0.3.0", DATE)
    assert not (repository / "build").exists() and not (repository / "dist").exists()


def test_a_check_that_fails_leaves_the_repository_as_it_was(repository: Path) -> None:
    before = git(repository, "rev-parse", "HEAD")
    (repository / ".gitignore").write_text("build/\n")
    (repository / "CITATION.cff").write_text("version: 1\ndate-released: 2\n")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "no citation")
    before = git(repository, "rev-parse", "HEAD")
    with pytest.raises(ReleaseError, match="check_jsonschema"):
        release(repository, "0.2.0", DATE)
    assert git(repository, "rev-parse", "HEAD") == before and git(repository, "tag") == ""
    assert git(repository, "status", "--porcelain") == "" and not (repository / "dist").exists()


def test_the_command_says_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["next"]) == 1
    assert "no release was made: next is no version" in capsys.readouterr().err


@pytest.mark.slow
def test_a_release_of_this_repository_is_built_checked_and_tagged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything but the installation of the packages that aligncat needs; those of this environment are taken."""
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "A")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "a@example.org")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    git(clone, "config", "user.name", "A")
    git(clone, "config", "user.email", "a@example.org")
    for name in ("release", "pyproject.toml", "CITATION.cff", "CHANGELOG.md"):  # also where they are not committed
        subprocess.run(["cp", "-r", str(ROOT / name), str(clone)], check=True)
    if git(clone, "status", "--porcelain"):
        git(clone, "add", ".")
        git(clone, "commit", "--quiet", "--message", "the files of the test")
    (clone / "dist").mkdir()
    (clone / "dist" / "aligncat-0.0.1.tar.gz").write_bytes(b"an older release")
    files = release(clone, "99.1.0", DATE, packages=Path(sysconfig.get_path("purelib")))
    assert [path.name for path in files] == ["aligncat-99.1.0-py3-none-any.whl", "aligncat-99.1.0.tar.gz"]
    assert sorted(path.name for path in (clone / "dist").iterdir()) == [path.name for path in files]
    assert git(clone, "describe", "--exact-match") == "v99.1.0" and git(clone, "status", "--porcelain") == ""
    assert git(clone, "show", "--stat", "--format=%s").split("\n")[0] == "Release 99.1.0"
    changed = git(clone, "show", "--name-only", "--format=").split()
    assert changed == ["CHANGELOG.md", "CITATION.cff", "pyproject.toml"]
