"""aligncat evaluate: REC and RES of a grounder on the splits of a dataset."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from aligncat.datasets import DataConfig, load_split, load_truth
from aligncat.datasets.split_names import split_names
from aligncat.evaluation import (
    Overlaps,
    Result,
    Seen,
    installed_versions,
    load_objects,
    masks_table,
    results_table,
    score,
    slices_table,
)
from aligncat.evaluation.leak import TrainingImages, audit_split, known_by_name, read_training_images
from aligncat.grounder import Grounder
from aligncat.store import Store


def evaluate(
    *,
    grounder: Path,
    data: DataConfig,
    store: Path,
    splits: tuple[str, ...] | None = None,
    out: Path | None = None,
    detector_images: str | None = None,
    seen: Seen | None = None,
    skip_bad_rows: bool = False,
) -> list[Result]:
    """Measure a grounder on every sentence of the splits: REC, RES, the oracle, and where it errs.

    Args:
        grounder: the folder that `aligncat train` wrote.
        data: the dataset.
        store: the candidates of its images, by the detector that the grounder was trained with.
        splits: the splits; by default all but "train".
        out: a folder for one JSON file a split, named after grounder, dataset and split.
        detector_images: what the detector was trained on, as in `aligncat audit`, to say how many of the splits'
            photos it has seen. Known by default of the shipped detector on MojiRef (none) and of the hub's COCO
            checkpoints (coco-train2017).
        seen: whether the detector was trained on the splits' images, where it is known but no list is at hand: clean,
            leaked or unknown.
        skip_bad_rows: leave out bad rows of the dataset and report them, instead of stopping.

    Returns:
        One result a split.

    Raises:
        ConfigError: the folder is not a grounder.
        DataError: the dataset, or the list of the detector's images, cannot be read.
        StoreError: the store was made by another detector, or lacks an image.
    """
    loaded = Grounder.from_pretrained(grounder)
    opened = Store.open(store, expect=loaded.detector_description)
    name = grounder.resolve().name
    names = splits or [split for split in split_names(data) if split != "train"]
    training = None if detector_images is None else read_training_images(detector_images)
    results = [
        measure(loaded, name, data, opened, split, training=training, seen=seen, skip_bad_rows=skip_bad_rows)
        for split in names
    ]
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for result in results:
            result.save(out / f"{name}-{result.dataset}-{result.split}.json")
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(results_table(results), masks_table(results))
    for result in results:
        if result.scores.by_kind:
            console.print(slices_table([result]))
    return results


def measure(
    grounder: Grounder,
    name: str,
    data: DataConfig,
    store: Store,
    split_name: str,
    *,
    training: TrainingImages | None = None,
    seen: Seen | None = None,
    skip_bad_rows: bool = False,
) -> Result:
    """Measure a loaded grounder on one split.

    Args:
        grounder: trained.
        name: what the result calls it.
        data: the dataset.
        store: the candidates of its images.
        split_name: the split.
        training: what the detector was trained on; by default what its name says.
        seen: as in `evaluate`.
        skip_bad_rows: as in `evaluate`.
    """
    split = load_split(data, split_name, skip_bad_rows=skip_bad_rows, check_images=False)
    truth = load_truth(data, split_name, skip_bad_rows=skip_bad_rows)
    overlaps = Overlaps.of(store, split, truth, objects=load_objects(data, split))
    choice, categories = grounder.choose(store, split)
    detector = str(grounder.detector_description["name"])
    known = training or known_by_name(detector, split.dataset)
    audit = None if known is None or seen is not None else audit_split(split, known)
    return Result(
        dataset=split.dataset,
        split=split.split,
        split_by=split.split_by,
        config=name,
        detector=detector,
        seen=audit.verdict if audit else seen or "unknown",
        seed=grounder.provenance.get("training", {}).get("seed"),
        versions=installed_versions(),
        scores=score(overlaps, choice, categories),
        images=len(split.images),
        images_seen=audit.seen if audit and audit.verdict != "unknown" else None,
    )
