"""A tiny dataset format, as a contributor would add it: <path>/<split>.tsv with one sentence per line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from aligncat.datasets.config import DataConfig
from aligncat.datasets.convert.source import Source
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.formats.format import Format, ReadOptions
from aligncat.datasets.formats.layout import existing_file
from aligncat.datasets.formats.referents import Referents, Sentence
from aligncat.datasets.split import Split
from aligncat.errors import MissingTruthError
from aligncat.types import Truth

COLUMNS = ("referent", "image", "photo", "category", "sentence", "text", "x1", "y1", "x2", "y2")


def read_tsv_split(config: DataConfig, split: str, options: ReadOptions) -> Split:
    path = _file(config, split)
    bad_rows = options.bad_rows(path)
    referents = Referents(config, split, bad_rows)
    for where, row in _rows(path):
        with bad_rows:
            sentence = Sentence(row["text"], row["sentence"])
            referents.add(row["referent"], row["image"], row["photo"], row["category"] or None, [sentence], where)
    return referents.split(check_images=options.check_images)


def read_tsv_truth(config: DataConfig, split: str, options: ReadOptions) -> dict[str, Truth]:
    path = _file(config, split)
    bad_rows = options.bad_rows(path)
    truths: dict[str, Truth] = {}
    for where, row in _rows(path):
        with bad_rows:
            if not row["x1"]:
                raise MissingTruthError(f"{where}: no box, so the row cannot be evaluated")
            box = np.array([float(row[side]) for side in ("x1", "y1", "x2", "y2")])
            truths[row["referent"]] = Truth.of_one(box, None, row["category"] or None)
    bad_rows.report(len(truths))
    return truths


def tsv_splits(config: DataConfig, files: AnnotationFiles) -> tuple[str, ...]:
    return tuple(sorted((path.stem for path in config.path.glob("*.tsv")), key=lambda name: (name != "train", name)))


def write_tsv(source: Source, config: DataConfig, folder: Path) -> None:
    for name in source.splits:
        with (folder / f"{name}.tsv").open("w", newline="") as file:
            writer = csv.writer(file, delimiter="\t")
            writer.writerow(COLUMNS)
            for referent in source.referents(name):
                box = [""] * 4 if referent.truth is None else referent.truth.box.tolist()
                for sentence in referent.sentences:
                    category = referent.category or ""
                    row = (referent.id, referent.image_id, referent.photo, category, sentence.id, sentence.text, *box)
                    writer.writerow(row)


def _file(config: DataConfig, split: str) -> Path:
    return existing_file(config.path / f"{split}.tsv", "*.tsv", "split")


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    with path.open(newline="") as file:
        for number, row in enumerate(csv.DictReader(file, delimiter="\t"), start=2):
            yield f"{path}:{number}", row


TSV = Format(read_split=read_tsv_split, read_truth=read_tsv_truth, split_names=tsv_splits, write=write_tsv)
