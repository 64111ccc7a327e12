"""QueryMatch, AlignCAT and the oracle on MojiRef's three flavours, over seeds: the tables of docs/results.md.

    python benchmarks/mojiref.py --data MOJIREF --out RUNS

Runs go side by side, one core each; a run that is there already is not repeated, so the command can be stopped and
started again. Every config gets the same preset (configs/mojiref.yaml), the same data and the same steps.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import torch
from rich.console import Console

from aligncat.commands.evaluate import answer
from aligncat.commands.train import train
from aligncat.configs import load_preset
from aligncat.datasets import DataConfig, load_split
from aligncat.detectors.mask2former import Mask2FormerDetector
from aligncat.evaluation import Result, Summary, summaries
from aligncat.store import Store
from aligncat.store.extract import extract
from aligncat.types import ImageRecord

SPLITS = ("val", "testA", "testB")
FLAVOURS = ("mojiref", "mojiref+", "mojirefg")


def run(job: tuple[str, str, int], data: Path, store: Path, out: Path, epochs: int | None) -> tuple[str, float]:
    """Train and evaluate one config on one flavour with one seed."""
    flavour, name, seed = job
    torch.set_num_threads(1)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    started = time.perf_counter()
    folder = out / f"{name}-{flavour}-seed{seed}"
    config = DataConfig(path=data, dataset=flavour)  # type: ignore[arg-type]
    preset = load_preset("mojiref", seed=seed, epochs=epochs)
    grounder = train(
        data=config,
        store=store,
        out=folder,
        alignment=preset.alignment.with_stages(name),
        text=preset.text,
        training=preset.training,
        progress=False,
    )
    opened = Store.open(store)
    for split in SPLITS:
        answer(grounder, name, config, opened, split).result.save(folder / f"result-{split}.json")
    return folder.name, time.perf_counter() - started


def store_of(data: Path, folder: Path) -> Path:
    """The candidates of the images of all flavours, which share their scenes; extracted once."""
    records: dict[str, ImageRecord] = {}
    for flavour in FLAVOURS:
        for split in ("train", *SPLITS):
            records |= load_split(DataConfig(path=data, dataset=flavour), split).images  # type: ignore[arg-type]
    detector = Mask2FormerDetector.from_pretrained("mini")
    extract(images=[records[key] for key in sorted(records)], detector=detector, out=folder)
    return folder


def report(results: list[Result], console: Console) -> None:
    """Markdown tables: figures by split, and wrong-category errors and margins by flavour."""
    table = summaries(results)
    console.print("| set | split | config | REC | oracle | RES mIoU | oracle | wrong category | wrong object |")
    console.print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for summary in table:
        first = summary.first
        cells = [
            _cell(summary, lambda s: s.rec),
            _cell(summary, lambda s: s.oracle_rec),
            _cell(summary, lambda s: s.res_miou),
            _cell(summary, lambda s: s.oracle_res_miou),
            _cell(summary, lambda s: s.errors.wrong_category if s.errors else None),
            _cell(summary, lambda s: s.errors.wrong_object if s.errors else None),
        ]
        console.print(f"| {first.dataset} | {first.split} | {first.config} | {' | '.join(cells)} |", soft_wrap=True)
    console.print()
    for flavour in FLAVOURS:
        means = {
            name: [s for s in table if s.first.dataset == flavour and s.first.config == name]
            for name in dict.fromkeys(r.config for r in results)
        }
        if all(means.values()):
            console.print(f"{flavour}, mean over {', '.join(SPLITS)}:", highlight=False)
            for name, rows in means.items():
                rec = _mean(rows, lambda s: s.rec)
                share = rec / _mean(rows, lambda s: s.oracle_rec)
                wrong = _mean(rows, lambda s: s.errors.wrong_category)
                console.print(
                    f"  {name:<12} REC {rec:.1%} ({share:.1%} of the oracle), wrong category {wrong:.1%}",
                    highlight=False,
                )


def _cell(summary: Summary, figure) -> str:  # type: ignore[no-untyped-def]
    spread = summary.figure(figure)
    deviation = "" if spread.deviation is None else f" ± {100 * spread.deviation:.1f}"
    return f"{100 * spread.mean:.1f}{deviation}"


def _mean(rows: list[Summary], figure) -> float:  # type: ignore[no-untyped-def]
    return sum(row.figure(figure).mean for row in rows) / len(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--flavours", nargs="+", default=list(FLAVOURS))
    parser.add_argument("--configs", nargs="+", default=["querymatch", "aligncat"])
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    jobs = [
        (flavour, name, seed)
        for seed, flavour, name in itertools.product(arguments.seeds, arguments.flavours, arguments.configs)
    ]
    folder = {job: arguments.out / f"{job[1]}-{job[0]}-seed{job[2]}" for job in jobs}
    todo = [job for job in jobs if not (folder[job] / f"result-{SPLITS[-1]}.json").exists()]
    console = Console(width=200)
    store = store_of(arguments.data, arguments.out / "store")
    with ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(run, job, arguments.data, store, arguments.out, arguments.epochs) for job in todo]
        for future in as_completed(futures):
            name, seconds = future.result()
            console.print(f"{name}: {seconds:.0f} s", highlight=False)
    report([Result.load(folder[job] / f"result-{split}.json") for job in jobs for split in SPLITS], console)


if __name__ == "__main__":
    main()
