"""How accurate is a grounder trained on a share of MojiRef's referents, beside the baselines that need no training?

    python benchmarks/learning_curve.py DATA STORE --out FOLDER [--shares 0.01 0.03 0.1 0.3 1] [--adapt all] [--seeds 0]

DATA is a MojiRef folder (`aligncat data mojiref`), and STORE has the candidates of its images (`aligncat extract
--appearance true`). Each share is trained as `aligncat train --config own --val_split null` trains it, and evaluated on
val. Smaller shares are parts of larger ones. Interrupted training continues, and finished grounders are kept.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import load_split
from aligncat.datasets.split import Split
from aligncat.evaluation.answering import answer
from aligncat.evaluation.floors import Floors
from aligncat.evaluation.questions import Questions
from aligncat.grounder.grounder import Grounder
from aligncat.store.reader import Store
from aligncat.studies.subsets import share_of_referents
from aligncat.training.adapt import adapted
from aligncat.training.fit import fit
from aligncat.training.presets import Adapt, load_preset

SHARES = (0.01, 0.03, 0.1, 0.3, 1.0)


def main() -> None:
    """Train and evaluate each share, and print the table after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="the folder of MojiRef")
    parser.add_argument("store", type=Path, help="the store of its images")
    parser.add_argument("--dataset", default="mojiref", help="its variant")
    parser.add_argument("--out", type=Path, required=True, help="the folder for the grounders")
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES, help="shares of the training referents")
    parser.add_argument("--adapt", choices=("size", "all"), default="all", help="as for `aligncat train`")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="the seeds of subset and training")
    options = parser.parse_args()

    data, store = DataConfig(options.data, options.dataset), Store.open(options.store)
    train = load_split(data, "train", check_images=False).with_targets()
    questions = Questions.load(data, store, "val")
    print(heading(questions.floors, len(questions.split.expressions)))
    for share in options.shares:
        parts = [(share_of_referents(train, share, seed), seed) for seed in options.seeds]
        grounders = [trained(part, store, options.out, options.adapt, share, seed) for part, seed in parts]
        recs = [100 * answer(grounder, "own", questions).result.metrics.rec for grounder in grounders]
        print(line(share, parts[0][0], recs, questions.floors), flush=True)


def trained(part: Split, store: Store, out: Path, adapt: Adapt, share: float, seed: int) -> Grounder:
    """Return the grounder of a share of the training split, trained if it is not in the folder."""
    columns = [each.name for each in store.manifest.columns]
    settings = adapted(load_preset("own", seed=seed), part, columns=columns, adapt=adapt)
    return fit(
        train=part,
        validation=None,
        store=store,
        out=out / f"{share:g}-seed{seed}",
        alignment=settings.alignment,
        text=settings.text,
        training=settings.training,
        progress=False,
    )


def heading(floors: Floors, expressions: int) -> str:
    """Return the head of the table: the conditions and the columns."""
    colours = "with" if floors.coloured else "without"
    return "\n".join(
        (
            f"REC on {expressions:,} phrases of val, %; the training-free grounder works {colours} colours.",
            "| share | referents | phrases | trained | training-free | most confident of the right category |",
            "| --- | --- | --- | --- | --- | --- |",
        )
    )


def line(share: float, part: Split, recs: list[float], floors: Floors) -> str:
    """Return the line of a share; of several seeds, the mean and the sample standard deviation."""
    spread = f" ± {statistics.stdev(recs):.1f}" if len(recs) > 1 else ""
    counts = f"{len(part.sentences_by_referent()):,} | {len(part.expressions):,}"
    beside = " | ".join(f"{100 * each.rec:.1f}" for each in (floors.training_free, floors.most_confident))
    return f"| {100 * share:g}% | {counts} | {statistics.fmean(recs):.1f}{spread} | {beside} |"


if __name__ == "__main__":
    main()
