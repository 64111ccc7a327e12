"""A hook of mkdocs: the site has README, CONTRIBUTING and CHANGELOG as pages, with their links into docs/ adapted."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside docs/."""
    for name, page in PAGES.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=_LINK.sub(_link_in_the_site, text)))
    return files


def _link_in_the_site(link: re.Match[str]) -> str:
    """A link of a page in the repository's root, as it is in the site, where docs/ is the root."""
    target = link[1]
    return f"]({PAGES.get(target, target.removeprefix('docs/'))})"
