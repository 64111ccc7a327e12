"""Measures of a detector on labelled photos: COCO's average precision, and what grounding needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aligncat.detectors.candidates import RawOutput, image_candidates
from aligncat.detectors.preprocessing import Preprocessing, normalize
from aligncat.detectors.registry import CANDIDATES
from aligncat.detectors.training.labelled import LabelledPhoto
from aligncat.files.images import read_image
from aligncat.geometry import box_iou
from aligncat.types import Candidates

DETECTIONS = 100
"""The number of detections of an image that COCO's average precision counts."""
FOUND_IOU = 0.5


@dataclass(frozen=True, kw_only=True)
class Scores:
    """How well a detector finds the objects of labelled photos; shares from 0 to 1.

    Attributes:
        objects: the number of objects, without crowds.
        found: the share of them whose best candidate, by box IoU, passes 0.5. O candidates of an image count.
        right: the share of the found ones whose best candidate has the right class.
        box_ap: COCO's average precision of boxes, over IoU 0.5 to 0.95.
        mask_ap: that of masks; None if an object has only a box.
    """

    objects: int
    found: float
    right: float
    box_ap: float
    mask_ap: float | None

    @property
    def usable(self) -> float:
        """The share of the objects that are found with the right class."""
        return self.found * self.right

    @property
    def ap(self) -> float:
        """The average precision of masks where it is known, and of boxes otherwise."""
        return self.box_ap if self.mask_ap is None else self.mask_ap

    def __str__(self) -> str:
        kind = "box" if self.mask_ap is None else "mask"
        return f"{kind} AP {self.ap:.1%}, found {self.found:.1%} of the objects, right class for {self.right:.1%}"


def best_of(history: Sequence[Mapping[str, Any]]) -> tuple[int, Scores]:
    """Return the step and the scores of the measurement whose weights are kept.

    Args:
        history: the step and the scores of each measurement, as in config.json; at least one.
    """
    measured = [(int(entry["step"]), Scores(**entry["scores"])) for entry in history]
    return max(measured, key=lambda each: (each[1].usable, each[1].ap, -each[0]))


def score_segmenter(
    model: Any, photos: Sequence[LabelledPhoto], preprocessing: Preprocessing, *, batch_size: int, labels: int
) -> Scores:
    """Measure a segmenter as `aligncat extract` would use it.

    Args:
        model: a model of transformers with class and mask logits.
        photos: the photos.
        preprocessing: how an image becomes the model's input.
        batch_size: photos per pass.
        labels: the number of classes.
    """
    model.eval()
    found: list[Candidates] = []
    for start in range(0, len(photos), batch_size):
        found += _detect(model, photos[start : start + batch_size], preprocessing)
    return score_candidates(photos, found, labels=labels)


def score_candidates(
    photos: Sequence[LabelledPhoto], found: Sequence[Candidates], *, labels: int, candidates: int = CANDIDATES
) -> Scores:
    """Compare the candidates of photos with their objects.

    Args:
        photos: the photos.
        found: the candidates of each.
        labels: the number of classes.
        candidates: O, the number of candidates that count for `found` and `right`.
    """
    passes: list[bool] = []
    right: list[bool] = []
    for photo, each in zip(photos, found, strict=True):
        wanted = [one for one in photo.objects if not one.crowd]
        if not wanted:
            continue
        overlap = box_iou(np.array([one.box for one in wanted]), each.boxes[:candidates])
        for one, row in zip(wanted, overlap, strict=True):
            best = int(row.argmax()) if len(row) else 0
            passes.append(bool(len(row)) and float(row[best]) > FOUND_IOU)
            if passes[-1]:
                right.append(int(each.categories[best]) == one.category)
    has_masks = all(one.mask is not None for photo in photos for one in photo.objects)
    return Scores(
        objects=len(passes),
        found=float(np.mean(passes)) if passes else 0.0,
        right=float(np.mean(right)) if right else 0.0,
        box_ap=_average_precision(photos, found, labels, "bbox"),
        mask_ap=_average_precision(photos, found, labels, "segm") if has_masks else None,
    )


def _detect(model: Any, photos: Sequence[LabelledPhoto], preprocessing: Preprocessing) -> list[Candidates]:
    squares, places = zip(*(preprocessing.square(read_image(photo.path)) for photo in photos), strict=True)
    with torch.inference_mode():
        output = model(pixel_values=torch.from_numpy(normalize(squares)).to(model.device))
    classes, masks = (part.float().cpu().numpy() for part in (output.class_queries_logits, output.masks_queries_logits))
    raw = RawOutput(classes, masks, np.zeros((*classes.shape[:2], 1), np.float32))
    return [
        image_candidates(raw, row, image_id=photo.name, place=place, candidates=DETECTIONS, every_query=False)
        for row, (photo, place) in enumerate(zip(photos, places, strict=True))
    ]


def _average_precision(photos: Sequence[LabelledPhoto], found: Sequence[Candidates], labels: int, kind: str) -> float:
    """Return pycocotools' average precision over IoU 0.5 to 0.95, all classes with objects and all sizes."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth: list[dict[str, Any]] = []
    detections: list[dict[str, Any]] = []
    for number, (photo, each) in enumerate(zip(photos, found, strict=True)):
        for one in photo.objects:
            box = _xywh(np.array(one.box))
            shape = {} if one.mask is None else {"segmentation": one.mask}
            row = {"image_id": number, "category_id": one.category, "bbox": box, "area": box[2] * box[3]}
            truth.append({**row, **shape, "id": len(truth) + 1, "iscrowd": int(one.crowd)})
        for place in range(len(each)):
            box = _xywh(each.boxes[place])
            found_row: dict[str, Any] = {"image_id": number, "category_id": int(each.categories[place]), "bbox": box}
            found_row |= {} if each.masks is None else {"segmentation": each.masks[place]}
            found_row["score"] = float(each.confidences[place])
            detections.append({**found_row, "area": box[2] * box[3], "id": len(detections) + 1, "iscrowd": 0})
    classes = [{"id": label} for label in range(labels)]
    images = [{"id": number, "width": p.size[0], "height": p.size[1]} for number, p in enumerate(photos)]
    with redirect_stdout(StringIO()):  # pycocotools prints what it does
        sets = []
        for rows in (truth, detections):
            one_set = COCO()
            one_set.dataset = {"images": images, "categories": classes, "annotations": rows}
            one_set.createIndex()
            sets.append(one_set)
        judge = COCOeval(*sets, kind)
        judge.evaluate()
        judge.accumulate()
    precision: NDArray[np.float64] = judge.eval["precision"][:, :, :, 0, -1]
    reached = precision[precision > -1]
    return float(reached.mean()) if len(reached) else 0.0


def _xywh(box: NDArray[np.floating]) -> list[float]:
    x1, y1, x2, y2 = map(float, box)
    return [x1, y1, x2 - x1, y2 - y1]
