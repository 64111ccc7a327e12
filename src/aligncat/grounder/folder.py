"""The folder of a grounder."""

from __future__ import annotations

from pathlib import Path

SHIPPED = Path(__file__).resolve().parents[1] / "assets" / "mojiref-grounder"
"""The grounder that the package ships; it knows MojiRef's drawings."""
