"""The files that the page offers: an answer as JSON, as COCO, and for Label Studio."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aligncat.grounder.ground_many import PhotoAnswer
from aligncat.grounder.requests.request import Request
from aligncat.grounder.writers.answer_set import AnswerSet, PhotoRecord
from aligncat.grounder.writers.coco import dump_dataset
from aligncat.grounder.writers.jsonl import phrase_line
from aligncat.grounder.writers.label_studio import CONFIG, TASKS, dump_tasks, labelling_config
from aligncat.grounder.writers.output import LOCAL_FILES

_WHEN = (1980, 1, 1, 0, 0, 0)  # of the files in an archive, so that the same answer gives the same bytes


@dataclass(frozen=True, slots=True)
class Download:
    """A file that the page offers.

    Attributes:
        name: its name in addresses.
        title: what the page calls it.
        ending: what follows the names of the photo and the grounder in the file's name.
        media_type: its type.
        content: makes it.
    """

    name: str
    title: str
    ending: str
    media_type: str
    content: Callable[[AnswerSet], bytes]


def answer_set(
    name: str, phrases: tuple[str, ...], labels: tuple[str, ...], answer: PhotoAnswer, *, grounder: str
) -> AnswerSet:
    """Return an answer as the writers of formats want it.

    Args:
        name: the photo's name.
        phrases: its phrases.
        labels: the detector's categories.
        answer: the answer.
        grounder: the name of the grounder that gave it.
    """
    record = PhotoRecord(name, answer.size, answer.groundings, None)
    return AnswerSet(
        (Request(name, Path(name), phrases),),
        labels,
        classes="phrase",
        image_url=LOCAL_FILES,
        candidates=True,
        polygons=False,
        records=lambda: iter([record]),
        grounder=grounder,
    )


def _json(answers: AnswerSet) -> bytes:
    lines = [phrase_line(record, found, candidates=True) for record in answers.records() for found in record.groundings]
    return json.dumps(lines, ensure_ascii=False, allow_nan=False, indent=1).encode()


def _coco(answers: AnswerSet) -> bytes:
    dump_dataset(answers, text := io.StringIO())
    return text.getvalue().encode()


def _label_studio(answers: AnswerSet) -> bytes:
    dump_tasks(answers, tasks := io.StringIO())
    texts = {TASKS: tasks.getvalue(), CONFIG: labelling_config(answers.class_names)}
    with zipfile.ZipFile(file := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(zipfile.ZipInfo(name, _WHEN), text, zipfile.ZIP_DEFLATED)
    return file.getvalue()


DOWNLOADS = (
    Download("json", "JSON", ".json", "application/json", _json),
    Download("coco", "COCO", ".coco.json", "application/json", _coco),
    Download("label-studio", "Label Studio", ".label-studio.zip", "application/zip", _label_studio),
)
