"""An mkdocs hook that adds README, CONTRIBUTING and CHANGELOG to the site as pages."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages outside docs/, with their links adapted."""
    for name, page in PAGES.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=_LINK.sub(_site_link, text)))
    return files


def _site_link(link: re.Match[str]) -> str:
    """Rewrite a link relative to the repository's root as a link relative to docs/, the root of the site."""
    target = link[1]
    return f"]({PAGES.get(target, target.removeprefix('docs/'))})"
