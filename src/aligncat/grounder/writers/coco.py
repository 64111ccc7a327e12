"""COCO: a dataset (instances.json), and results as `COCO.loadRes` of pycocotools reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from pycocotools import mask as coco_mask

from aligncat.grounder.grounding import Grounding
from aligncat.grounder.writers.answer_set import AnswerSet, json_line, text_file, write_list
from aligncat.grounder.writers.polygons import mask_polygons


def write_dataset(answers: AnswerSet, out: Path) -> None:
    """Write answers as a COCO dataset to a new file; see `dump_dataset`."""
    with text_file(out) as file:
        dump_dataset(answers, file)


def dump_dataset(answers: AnswerSet, file: TextIO) -> None:
    """Write answers as a COCO dataset of objects, with boxes, and masks as RLE or polygons.

    Image ids count the photos from 1, in the order in which they were given; category ids count the classes from 1.

    Args:
        answers: the answers.
        file: an open file.
    """
    numbers = answers.numbers()
    info = {"description": "Answers of aligncat; no person has checked them"}
    if answers.grounder is not None:
        info["grounder"] = answers.grounder
    file.write(f'{{"info": {json_line(info)},\n"images": ')
    write_list(file, (_image(numbers[photo.name], photo.name, photo.size) for photo in answers.photos()))
    file.write(',\n"annotations": ')
    write_list(file, _numbered(_objects(answers), polygons=answers.polygons))
    file.write(',\n"categories": ')
    write_list(file, ({"id": number, "name": name} for number, name in enumerate(answers.class_names, start=1)))
    file.write("}\n")


def write_results(answers: AnswerSet, out: Path) -> None:
    """Write answers as COCO results, with the ids of `write_dataset` and the photo's name in "file_name".

    Args:
        answers: the answers.
        out: the file.
    """
    with text_file(out) as file:
        write_list(file, _objects(answers, with_file_names=True))
        file.write("\n")


def _image(number: int, name: str, size: tuple[int, int] | None) -> dict[str, Any]:
    width, height = size or (None, None)
    return {"id": number, "file_name": name, "width": width, "height": height}


def _objects(answers: AnswerSet, *, with_file_names: bool = False) -> Iterator[dict[str, Any]]:
    numbers = answers.numbers()
    classes = {name: number for number, name in enumerate(answers.class_names, start=1)}
    for photo in answers.photos():
        for found in (each for grounding in photo.groundings for each in grounding.objects):
            yield {
                "image_id": numbers[photo.name],
                **({"file_name": photo.name} if with_file_names else {}),
                "category_id": classes[answers.class_of(found)],
                "bbox": _xywh(found),
                **_mask(found),
                "score": found.probability,
                **({} if found.match is None else {"match": found.match}),
                **({} if found.object_match is None else {"object_match": found.object_match}),
                "expression": found.expression,
                "warnings": list(found.warnings),
            }


def _numbered(objects: Iterator[dict[str, Any]], *, polygons: bool) -> Iterator[dict[str, Any]]:
    for number, each in enumerate(objects, start=1):
        area = coco_mask.area(_rle(each)) if "segmentation" in each else each["bbox"][2] * each["bbox"][3]
        if polygons and "segmentation" in each:
            outlines = mask_polygons(coco_mask.decode(_rle(each)).astype(bool))
            each["segmentation"] = [corners.ravel().tolist() for corners in outlines]
        yield {"id": number, **each, "area": float(area), "iscrowd": 0}


def _rle(plain: dict[str, Any]) -> dict[str, Any]:
    return {"size": plain["segmentation"]["size"], "counts": plain["segmentation"]["counts"].encode("ascii")}


def _xywh(found: Grounding) -> list[float]:
    x1, y1, x2, y2 = found.box
    return [x1, y1, x2 - x1, y2 - y1]


def _mask(found: Grounding) -> dict[str, Any]:
    return {} if found.mask is None else {"segmentation": found.to_dict()["mask"]}
