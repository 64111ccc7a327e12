"""The documentation site builds, loads nothing from other servers, and the examples of its API pages run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

import aligncat

ROOT = Path(__file__).resolve().parents[1]
NAV: list[dict[str, str | list[str | dict[str, str]]]] = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
[API] = [section["Python API"] for section in NAV if "Python API" in section]
API_PAGES = [next(iter(page.values())) if isinstance(page, dict) else page for page in API]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site strictly: a broken link or an unknown name is an error."""
    if find_spec("mkdocs") is None or find_spec("mkdocstrings") is None:
        pytest.skip("the site needs mkdocs-material and mkdocstrings (extra [docs])")
    folder = tmp_path_factory.mktemp("site")
    # With --quiet, --strict would not count the warnings.
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_a_page_loads_nothing_from_another_server(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe)\b[^>]*\bsrc=\"?(?:https?:)?//", text)
        loaded += re.findall(r"<link\b[^>]*\brel=\"?(?:stylesheet|preconnect|icon)[^>]*\bhref=\"?(?:https?:)?//", text)
        assert not loaded, page


def test_every_public_name_is_documented(site: Path) -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in (site / "api").rglob("index.html"))
    for name in set(aligncat.__all__) - {"__version__"}:
        public = getattr(aligncat, name)
        assert f'id="{public.__module__}.{public.__qualname__}"' in pages, name


def test_every_api_page_is_in_the_navigation() -> None:
    assert {f"api/{page.name}" for page in (ROOT / "docs" / "api").glob("*.md")} == set(API_PAGES)


def test_the_examples_of_the_api_pages_run_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for page in API_PAGES:
        introduction = (ROOT / "docs" / page).read_text(encoding="utf-8").partition("\n:::")[0]
        [code] = re.findall(r"```python\n(.*?)```", introduction, re.DOTALL)
        exec(compile(code, page, "exec"), {})
        assert capsys.readouterr().out.strip(), f"the example of {page} prints nothing"
