"""The parser and the help of every verb are built without the packages that take seconds to import."""

from __future__ import annotations

import subprocess
import sys

import pytest

from aligncat.cli import VERBS

HEAVY = (
    "torch",
    "transformers",
    "pyarrow",
    "pytorch_lightning",
    "scipy",
    "matplotlib",
    "safetensors",
    "huggingface_hub",
)
CASES = [
    *((f"{name} --help", 0) for name in VERBS),
    *((f"{name} --nonsense 3", 2) for name in VERBS),
    ("train --data.path . --data.dataset refcoco --store nowhere --out out", 1),
    ("train --config mojiref --data.path nowhere --store . --out out", 1),
    ("evaluate --grounder nowhere --data.path . --data.dataset refcoco --store .", 1),
    ("ablate table3 --data.path . --data.dataset refcoco --store nowhere --out out", 1),
    ("extract --images nowhere --out out", 1),
    ("extract --data.path . --data.dataset refcoco --data.images nowhere --out out", 1),
    ("extract --images . --detector mimi --out out", 1),
    ("ground nowhere.jpg dog", 1),
    ("report nowhere", 1),
    ("import querymatch nowhere.pth out --annotations nowhere.json", 1),
    ("detector import nowhere.pkl out --config swin-base", 1),
    ("data check --data.path nowhere --data.dataset refcoco", 1),
    ("audit --detector_images nowhere --data.path . --data.dataset refcoco", 1),
]
PROGRAM = f"""
import sys
from aligncat.cli import main
for line, status in {CASES!r}:
    try:
        found = main(line.split())
    except SystemExit as stopped:
        found = stopped.code
    heavy = sorted(set({HEAVY!r}) & set(sys.modules))
    if found != status or heavy:
        sys.exit(f"{{line}}: status {{found}}, imported {{heavy}}")
"""


@pytest.mark.parametrize("cases", [CASES], ids=["every verb"])
def test_help_typos_and_missing_files_are_answered_without_heavy_imports(cases: list[tuple[str, int]]) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr.splitlines()[-1]
    assert len(done.stderr.splitlines()) == sum(status != 0 for _, status in cases), "each error is one line"
