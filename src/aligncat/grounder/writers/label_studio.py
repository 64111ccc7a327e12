"""Label Studio: tasks with predictions (tasks.json), and the labelling configuration that shows them (config.xml)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from aligncat.files.atomic import write_atomic
from aligncat.grounder.grounding import Grounding
from aligncat.grounder.writers.answer_set import AnswerSet, PhotoRecord, text_file, write_list
from aligncat.grounder.writers.brush import brush_run_lengths
from aligncat.wording import visible

TASKS, CONFIG = "tasks.json", "config.xml"
IMAGE, BOXES, MASKS = "image", "box", "mask"
"""The names of the controls in config.xml, to which the predictions refer."""


def write_tasks(answers: AnswerSet, out: Path) -> None:
    """Write a task with one prediction for each photo: a rectangle and a brush mask for each object.

    A region's score is the answer's probability, and its notes are the answer's warnings. The score of a prediction is
    the lowest of its regions, so that Label Studio can sort tasks by it.

    Args:
        answers: the answers.
        out: the folder.
    """
    with text_file(out / TASKS) as file:
        dump_tasks(answers, file)
    write_atomic(out / CONFIG, labelling_config(answers.class_names).encode())


def dump_tasks(answers: AnswerSet, file: TextIO) -> None:
    """Write the tasks of `write_tasks` to an open file."""
    write_list(file, (_task(answers, photo) for photo in answers.photos()))
    file.write("\n")


def labelling_config(names: tuple[str, ...]) -> str:
    """Return the labelling configuration that shows the tasks of answers with these classes."""
    labels = "\n".join(f"    <Label value={quoteattr(visible(name))}/>" for name in names)
    return (
        f'<View>\n  <Image name="{IMAGE}" value="$image" zoom="true"/>\n'
        f'  <RectangleLabels name="{BOXES}" toName="{IMAGE}">\n{labels}\n  </RectangleLabels>\n'
        f'  <BrushLabels name="{MASKS}" toName="{IMAGE}">\n{labels}\n  </BrushLabels>\n</View>\n'
    )


def _task(answers: AnswerSet, photo: PhotoRecord) -> dict[str, Any]:
    labelled = [(each, answers.class_of(each)) for grounding in photo.groundings for each in grounding.objects]
    shown = prediction(labelled, photo.size or (1, 1), answers.grounder or "aligncat")
    return {"data": {IMAGE: answers.image_url + quote(photo.name)}, "predictions": [shown]}


@dataclass(frozen=True, slots=True)
class Controls:
    """The names in a labelling configuration to which regions refer.

    Attributes:
        image: the image.
        boxes: the control for rectangles; None if there is none.
        masks: the control for brush masks; None if there is none.
    """

    image: str = IMAGE
    boxes: str | None = BOXES
    masks: str | None = MASKS


def prediction(
    labelled: Sequence[tuple[Grounding, str]], size: tuple[int, int], version: str, controls: Controls = Controls()
) -> dict[str, Any]:
    """Return a prediction: a rectangle and a brush mask for each object, and the lowest of their scores.

    Args:
        labelled: the objects, each with its label.
        size: (width, height) in pixels of the photo as it is shown.
        version: the name of the model.
        controls: the names in the labelling configuration.
    """
    regions = [
        region
        for number, (found, label) in enumerate(labelled)
        for region in _regions(found, visible(label), number, size, controls)
    ]
    score = min((found.probability for found, _ in labelled), default=0.0)
    return {"model_version": version, "score": score, "result": regions}


def _regions(
    found: Grounding, label: str, number: int, size: tuple[int, int], controls: Controls
) -> Iterator[dict[str, Any]]:
    width, height = size
    shared = {
        "to_name": controls.image,
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "score": found.probability,
        **({"meta": {"text": list(found.warnings)}} if found.warnings else {}),
    }
    if controls.boxes is not None:
        x1, x2 = (100 * x / width for x in found.box[::2])
        y1, y2 = (100 * y / height for y in found.box[1::2])
        box = {"x": x1, "y": y1, "width": x2 - x1, "height": y2 - y1, "rotation": 0, "rectanglelabels": [label]}
        yield {"id": f"box{number}", "type": "rectanglelabels", "from_name": controls.boxes, **shared, "value": box}
    if controls.masks is not None and found.mask is not None:
        mask = {"format": "rle", "rle": brush_run_lengths(found.mask_array()), "brushlabels": [label]}
        yield {"id": f"mask{number}", "type": "brushlabels", "from_name": controls.masks, **shared, "value": mask}
