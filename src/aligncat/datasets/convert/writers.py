"""Write a dataset as REFER's layout, SimREC's JSON or JSON lines; docs/formats.md says what each can hold."""

from __future__ import annotations

import itertools
import json
import logging
import pickle
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask
from rich.console import Console
from rich.progress import track

from aligncat.datasets.categories import COCO_CATEGORIES, COCO_NAMES, canonical_category
from aligncat.datasets.convert.source import Referent, Source
from aligncat.datasets.formats.refer import Instances
from aligncat.datasets.formats.simrec import photo_name
from aligncat.datasets.photos import photo_size
from aligncat.errors import DataError
from aligncat.geometry import decode_mask
from aligncat.types import RLE, Expression, Truth

_COCO_IDS = {canonical_category(name): number for number, name in COCO_CATEGORIES.items()}
_COCO_INDICES = {name: index for index, name in enumerate(COCO_NAMES)}

logger = logging.getLogger(__name__)


def write_jsonl(source: Source, dataset: str, split_by: str, folder: Path) -> None:
    """Write <split>.jsonl, a line a referent; see `datasets.jsonl`."""
    for name in source.splits:
        rows = []
        for referent in _tracked(source, name):
            row: dict[str, Any] = {
                "image": referent.photo,
                "expression": [sentence.text for sentence in referent.sentences],
                "id": _number(referent.id),
                "image_id": _number(referent.image_id),
                "expression_ids": [_number(sentence.id) for sentence in referent.sentences],
                **_kinds(referent.sentences),
            }
            if referent.category is not None:
                row["category"] = referent.category
            if referent.truth is not None:
                row["box"] = referent.truth.box.tolist()
                if referent.truth.mask is not None:
                    row["mask"] = _drawn(referent, referent.truth.mask)
            rows.append(json.dumps(row, ensure_ascii=False) + "\n")
        (folder / f"{name}.jsonl").write_text("".join(rows), encoding="utf-8")


def write_simrec(source: Source, dataset: str, split_by: str, folder: Path) -> None:
    """Write anns/<dataset>.json and masks/<dataset>/<mask_id>.npy; see `datasets.simrec`.

    As SimREC's own script does, a row is a referent in the training split and a sentence in the others.
    """
    masks = folder / "masks" / dataset
    masks.mkdir(parents=True)
    ids = [referent_id for split in source.splits.values() for referent_id in split.sentences_by_referent()]
    # QueryMatch asks for whole numbers, and one folder holds the masks of all splits.
    keep = len(set(ids)) == len(ids) and all(isinstance(_number(referent_id), int) for referent_id in ids)
    document: dict[str, list[dict[str, Any]]] = {}
    count = 0
    for name in source.splits:
        document[name] = []
        for referent in _tracked(source, name):
            mask_id = int(referent.id) if keep else count
            count += 1
            row = _simrec_row(referent, dataset)
            if not keep or referent.truth is None or referent.truth.mask is None:
                row["ref_id"] = _number(referent.id)
            if referent.truth is not None and referent.truth.mask is not None:
                row["mask_id"] = mask_id
                np.save(masks / f"{mask_id}.npy", decode_mask(referent.truth.mask).astype(np.uint8))
            together = [referent.sentences] if name == "train" else [(each,) for each in referent.sentences]
            document[name] += (
                {
                    **row,
                    "refs": [sentence.text for sentence in sentences],
                    "sent_ids": [_number(sentence.id) for sentence in sentences],
                    **_kinds(sentences),
                }
                for sentences in together
            )
    (folder / "anns").mkdir()
    text = json.dumps(document, ensure_ascii=False)
    (folder / "anns" / f"{dataset}.json").write_text(text, encoding="utf-8")


def write_refer(source: Source, dataset: str, split_by: str, folder: Path) -> None:
    """Write <dataset>/refs(<split_by>).p and <dataset>/instances.json; see `datasets.refer`.

    A source that has an instances.json keeps it as it is, with the objects that nobody refers to.

    Raises:
        DataError: a referent has no category, which REFER's layout asks for.
        ImageError: the size of an image is asked of a photo that is not there.
    """
    (folder / dataset).mkdir()
    given = source.instances()
    instances = _NewInstances(source) if given is None else _GivenInstances(given)
    refs = []
    derived = 0
    for name in source.splits:
        for referent in _tracked(source, name):
            category = referent.category or referent.derived
            if category is None:
                raise DataError(
                    f"{source.config.path}: split {name}, referent {referent.id}: no category, which REFER's layout "
                    "asks for; add it to the data, or convert to jsonl or simrec"
                )
            derived += referent.category is None
            annotation_id, category_id = instances.place(referent, category)
            refs.append(
                {
                    "ref_id": _number(referent.id),
                    "ann_id": annotation_id,
                    "image_id": _number(referent.image_id),
                    "category_id": category_id,
                    "file_name": referent.as_written.file_name or referent.photo,
                    "split": name,
                    "sent_ids": [_number(sentence.id) for sentence in referent.sentences],
                    "sentences": [_refer_sentence(sentence, referent) for sentence in referent.sentences],
                }
            )
    if derived:
        logger.warning("%d referents got the category that their phrases name, as the data gives them none", derived)
    (folder / dataset / f"refs({split_by}).p").write_bytes(pickle.dumps(refs, protocol=2))
    (folder / dataset / "instances.json").write_bytes(instances.content())


WRITERS: Mapping[str, Callable[[Source, str, str, Path], None]] = {
    "refer": write_refer,
    "simrec": write_simrec,
    "jsonl": write_jsonl,
}


class _GivenInstances:
    """The source's instances.json, taken over as it is."""

    def __init__(self, instances: Instances) -> None:
        self._path = instances.path
        self._categories = {name: number for number, name in reversed(instances.categories.items())}

    def place(self, referent: Referent, category: str) -> tuple[int | str, int]:
        """The ids of a referent's annotation (-1 where it has none) and category."""
        if category not in self._categories:
            raise DataError(f"{self._path}: referent {referent.id} is a {category}, which is no category of this file")
        annotation_id = referent.as_written.annotation_id
        return -1 if annotation_id is None else _number(annotation_id), self._categories[category]

    def content(self) -> bytes:
        return self._path.read_bytes()


class _NewInstances:
    """An instances.json of the referents alone."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._images: dict[str, dict[str, Any]] = {}
        self._annotations: dict[int | str, dict[str, Any]] = {}
        self._numbers = itertools.count(1)
        self._categories: dict[str, int] = {}

    def place(self, referent: Referent, category: str) -> tuple[int | str, int]:
        """Give a referent its annotation (-1 where it has no truth) and category, and say their ids.

        Raises:
            DataError: the source gives the annotation's id to another object too.
            ImageError: the photo is not there, and nothing else tells its size.
        """
        category_id = self._category_id(category)
        image = self._images.setdefault(
            referent.image_id, {"id": _number(referent.image_id), "file_name": referent.photo}
        )
        truth = referent.truth
        if truth is None:
            return -1, category_id
        if "width" not in image:
            image["width"], image["height"] = self._size(truth, referent)
        number = self._annotation_id(referent)
        annotation: dict[str, Any] = {
            "id": number,
            "image_id": image["id"],
            "category_id": category_id,
            "bbox": _corner_and_sides(truth),
            "iscrowd": 0,
        }
        if truth.mask is not None:
            annotation["segmentation"] = _drawn(referent, truth.mask)
            annotation["area"] = int(coco_mask.area(truth.mask))
        annotation |= referent.as_written.annotation
        if self._annotations.setdefault(number, annotation) != annotation:
            raise DataError(
                f"{self._source.config.path}: referent {referent.id} has annotation {number}, and so has another "
                "object before it; give each an id of its own"
            )
        return number, category_id

    def content(self) -> bytes:
        categories = [
            {"id": number, "name": name} for name, number in sorted(self._categories.items(), key=lambda item: item[1])
        ]
        document = {
            "images": list(self._images.values()),
            "annotations": list(self._annotations.values()),
            "categories": categories,
        }
        return json.dumps(document, ensure_ascii=False).encode()

    def _annotation_id(self, referent: Referent) -> int | str:
        """The source's, which several referents may share, or the next that is free."""
        given = referent.as_written.annotation_id
        return next(n for n in self._numbers if n not in self._annotations) if given is None else _number(given)

    def _category_id(self, name: str) -> int:
        """COCO's number of a category that it has under this very name or another; above all of those otherwise."""
        if name not in self._categories:
            coco = _COCO_IDS.get(canonical_category(name))
            taken = self._categories.values()
            free = max([*COCO_CATEGORIES, *taken]) + 1
            self._categories[name] = free if coco is None or coco in taken else coco
        return self._categories[name]

    def _size(self, truth: Truth, referent: Referent) -> tuple[int, int]:
        if truth.mask is not None:
            height, width = truth.mask["size"]
            return width, height
        return photo_size(self._source.photos / referent.photo, f"referent {referent.id} has a box and no mask")


def _tracked(source: Source, name: str) -> Iterable[Referent]:
    total = len(source.splits[name].sentences_by_referent())
    return track(source.referents(name), f"converting {name}", total=total, console=Console(stderr=True))


def _simrec_row(referent: Referent, dataset: str) -> dict[str, Any]:
    iid = _number(referent.image_id)
    row: dict[str, Any] = {"iid": iid}
    if isinstance(iid, str) or photo_name(row, dataset, "") != referent.photo:
        row["file_name"] = referent.photo
    if referent.truth is not None:
        row["bbox"] = _corner_and_sides(referent.truth)
    if referent.category in _COCO_INDICES:
        row["cat_id"] = _COCO_INDICES[referent.category]
    elif referent.category is not None:
        row["category"] = referent.category
    return row


def _refer_sentence(sentence: Expression, referent: Referent) -> dict[str, Any]:
    kinds = _kinds([sentence]).get("kinds", [{}])[0]
    written = {
        "raw": sentence.text,
        "tokens": sentence.text.split(),
        **referent.as_written.sentences.get(sentence.id, {}),
    }
    return {"sent_id": _number(sentence.id), "sent": sentence.text, **written, **kinds}


def _kinds(sentences: Iterable[Expression]) -> dict[str, list[dict[str, Any]]]:
    """What is recorded of the sentences' kinds, under "kinds"; nothing where nothing is."""
    kinds = [
        {
            **({} if sentence.kind is None else {"kind": sentence.kind}),
            **({"needed": list(sentence.needed)} if sentence.needed else {}),
            **({"redundant": list(sentence.redundant)} if sentence.redundant else {}),
        }
        for sentence in sentences
    ]
    return {"kinds": kinds} if any(kinds) else {}


def _number(value: str) -> int | str:
    """An id as whole number where it is one, which is how COCO's and REFER's files have theirs."""
    return int(value) if value.isascii() and value.isdigit() and str(int(value)) == value else value


def _corner_and_sides(truth: Truth) -> list[float]:
    x1, y1, x2, y2 = truth.box.tolist()
    return [x1, y1, x2 - x1, y2 - y1]


def _drawn(referent: Referent, mask: RLE) -> object:
    """The mask as the source has it, polygons as polygons, or as run lengths where it has no form of COCO's."""
    return referent.as_written.annotation.get("segmentation") or _run_lengths(mask)


def _run_lengths(mask: RLE) -> dict[str, Any]:
    return {"size": list(mask["size"]), "counts": mask["counts"].decode("ascii")}
