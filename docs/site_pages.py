"""An mkdocs hook that adds README, CONTRIBUTING, CHANGELOG and the tutorial's notebook to the site as pages."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter

ROOT = Path(__file__).resolve().parents[1]
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages outside docs/, with their links adapted."""
    for name, page in PAGES.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=_LINK.sub(_site_link, text)))
    for file in _tutorial(config):
        files.append(file)
    return files


def _tutorial(config: MkDocsConfig) -> list[File]:
    """Return the page of the tutorial, and the pictures of its outputs."""
    notebook = ROOT / "docs" / "tutorial.ipynb"
    exporter = MarkdownExporter()  # type: ignore[no-untyped-call]
    text, resources = exporter.from_filename(str(notebook), resources={"unique_key": "tutorial"})
    title, _, rest = text.partition("\n")
    page = f"{title}\n\nThis page is a [notebook](tutorial.ipynb) that you can run.\n{rest}"
    pictures = [File.generated(config, name, content=content) for name, content in resources["outputs"].items()]
    return [File.generated(config, "tutorial.md", content=page), *pictures]


def _site_link(link: re.Match[str]) -> str:
    """Rewrite a link relative to the repository's root as a link relative to docs/, the root of the site."""
    target = link[1]
    return f"]({PAGES.get(target, target.removeprefix('docs/'))})"
