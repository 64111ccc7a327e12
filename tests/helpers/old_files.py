"""Files as earlier versions wrote them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def without_hashes(path: Path) -> dict[str, Any]:
    """Return the content of a grounder's config.json or a run's settings.json without the hashes in it."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {key: value for key, value in content.items() if key not in ("sha256", "content_sha256")}
