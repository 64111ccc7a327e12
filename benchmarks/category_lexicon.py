"""Measure how many phrases get a category from the lexicon, and how many of these are right.

    python benchmarks/category_lexicon.py FILE

FILE is a JSON list of {"image_id", "expression", "category"}. The rules and words were written while looking at these
expressions, so the results say how well they fit, not what other phrases get.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from aligncat.datasets.lexicon import Lexicon

WORST = 10
SHOWN = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--lexicon", type=Path, default=None, help="a TOML file that extends the package's lexicon")
    arguments = parser.parse_args()
    rows = json.loads(arguments.file.read_text(encoding="utf-8"))
    lexicon = Lexicon.load(arguments.lexicon)
    started = time.perf_counter()
    found = [(row["image_id"] % 2, row["category"], lexicon.category(row["expression"])) for row in rows]
    each = (time.perf_counter() - started) / len(rows)
    console = Console(width=120)
    summary = Table("images", "expressions", "have a category", "of which right", "right of all")
    for name, parities in (("even ids", (0,)), ("odd ids", (1,)), ("all", (0, 1))):
        pairs = [(theirs, ours) for parity, theirs, ours in found if parity in parities]
        covered = sum(ours is not None for _, ours in pairs)
        right = sum(ours == theirs for theirs, ours in pairs)
        shares = (covered / len(pairs), right / covered, right / len(pairs))
        summary.add_row(name, str(len(pairs)), *(f"{share:.1%}" for share in shares))
    console.print(summary)
    console.print(f"{1e6 * each:.0f} microseconds an expression")
    console.print(_worst([(theirs, ours) for _, theirs, ours in found]))


def _worst(pairs: list[tuple[str, str | None]]) -> Table:
    """Return a table of the categories with the most wrong answers, and of the answers that replaced them."""
    wrong = Counter(theirs for theirs, ours in pairs if ours not in (None, theirs))
    table = Table("category", "expressions", "right", "wrong", "none", "taken for")
    for category, count in wrong.most_common(WORST):
        answers = Counter(ours for theirs, ours in pairs if theirs == category)
        confused = [f"{name} {n}" for name, n in answers.most_common() if name not in (None, category)]
        table.add_row(
            category,
            str(answers.total()),
            str(answers[category]),
            str(count),
            str(answers[None]),
            ", ".join(confused[:SHOWN]),
        )
    table.title = f"The {WORST} categories with the most wrong answers"
    return table


if __name__ == "__main__":
    main()
