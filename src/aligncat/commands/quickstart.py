"""`aligncat quickstart`: make data, extract, train, evaluate, ground and report on a small scale."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from aligncat.api.extract import extract
from aligncat.api.report import write_report
from aligncat.api.train import train
from aligncat.datasets.config import DataConfig
from aligncat.files.atomic import write_atomic
from aligncat.files.locks import folder_lock
from aligncat.files.writable import check_writable
from aligncat.stages import Stage, Stages

if TYPE_CHECKING:
    from aligncat.evaluation.results import Result
    from aligncat.grounder.grounder import Grounder

SPLITS = ("val", "testA", "testB")
SCENES = {"train": 1500, "val": 150, "test": 100}
EPOCHS = 10
PICTURES = 6
ANSWERS = "answers"


_TRAINED = (("QueryMatch", "querymatch"), ("AlignCAT", "aligncat"))
_STAGES = (
    Stage("Making a small MojiRef", 47, has_bar=True),
    Stage("Running the frozen detector once on every image", 43, has_bar=True),
    Stage("Training QueryMatch without boxes or masks", 36),
    Stage("Evaluating QueryMatch", 3),
    Stage("Training AlignCAT without boxes or masks", 50),
    Stage("Evaluating AlignCAT", 4),
    Stage("Grounding a few phrases", 2),
    Stage("Writing the report", 2),
)
"""The stages, with their seconds on two cores."""


def quickstart(*, out: str | Path = Path("aligncat-quickstart"), seed: int = 0) -> Path:
    """Train QueryMatch and AlignCAT on a small synthetic dataset and compare them, in a few minutes.

    Making the data and running the detector take about a minute each; the rest is training. Training is short, so the
    results are lower than those of full training in docs/results.md. At the end there is a report of every answer. If
    the command is interrupted, running it again continues.

    Args:
        out: the folder for the data, the store, both grounders, their answers, pictures and the report.
        seed: the seed of the data and of training.

    Returns:
        The folder.
    """
    out = Path(out)
    check_writable(out)
    with folder_lock(out):
        _run(out, seed)
    return out


def _run(out: Path, seed: int) -> None:
    from rich.console import Console

    from aligncat.console import PIPED_WIDTH, output_console
    from aligncat.evaluation.answering import answer, save_answers
    from aligncat.evaluation.questions import Questions
    from aligncat.grounder.grounder import Grounder
    from aligncat.mojiref.build import make_mojiref
    from aligncat.mojiref.recipe import MojiRefConfig
    from aligncat.report.terminal import results_table
    from aligncat.training.presets import load_preset

    console = output_console()
    stages = Stages(_STAGES, console)
    data = DataConfig(path=out / "mojiref", dataset="mojiref")
    with stages.next():
        if not data.path.exists():
            make_mojiref(out=data.path, recipe=MojiRefConfig(**SCENES, seed=seed))
    with stages.next():
        store = extract(out=out / "store", data=data, splits=("train", *SPLITS))
    questions = [Questions.load(data, store, split) for split in SPLITS]
    preset = load_preset("mojiref", seed=seed, epochs=EPOCHS)
    results: list[Result] = []
    for name, row in _TRAINED:
        with stages.next():
            train(
                data=data,
                store=out / "store",
                out=out / name,
                alignment=preset.alignment.with_stages(row),
                text=preset.text,
                training=preset.training,
            )
        with stages.next():
            grounder = Grounder.from_pretrained(out / name)
            for each in questions:
                answers = answer(grounder, name, each, folder=out / name)
                save_answers(answers, out / ANSWERS, name)
                results.append(answers.result)
    with stages.next():
        _draw_pictures(Grounder.from_pretrained(out / "AlignCAT"), data, out / "pictures")
    with stages.next():
        write_report(out / ANSWERS, out=out / "report", photos=data.path, figures=False)  # figures take longer
    table = results_table(results)
    console.print(table)
    text = io.StringIO()
    Console(file=text, width=PIPED_WIDTH).print(table)
    write_atomic(out / ANSWERS / "table.txt", text.getvalue().encode())
    console.print(f"Total time: {stages.passed:.0f} s")


def _draw_pictures(grounder: Grounder, data: DataConfig, folder: Path) -> None:
    """Ground the phrases of a few validation images, and draw the groundings into pictures."""
    from aligncat.datasets.load import load_split
    from aligncat.files.images import read_image
    from aligncat.grounder.overlay import draw_groundings, save_picture

    folder.mkdir(parents=True, exist_ok=True)
    split = load_split(data, "val")
    for record in list(split.images.values())[:PICTURES]:
        texts = {e.referent_id: e.text for e in split.expressions if e.image_id == record.id}
        image = read_image(record.path)
        path = folder / f"{record.path.stem}.png"
        save_picture(draw_groundings(image, grounder.ground(image, list(texts.values()))), path)
