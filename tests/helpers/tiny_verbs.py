"""Every verb that writes, on tiny inputs: its command line, and what is in its folder before it starts."""

from __future__ import annotations

import json
import pickle
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from helpers.fabricate import write_refer_dataset
from helpers.fabricate_answers import paint, row, save
from helpers.fabricate_instances import write_instances
from helpers.killed_verbs import Ended, Request, Runner
from helpers.original_mask2former import Weights
from helpers.original_querymatch import scores, vocabulary
from helpers.site_server import Page, Site
from helpers.tiny_original import original
from helpers.tiny_run import ALIGNMENT, TEXT, TRAINING, World, run


@dataclass(frozen=True)
class Case:
    """A verb on tiny inputs.

    Attributes:
        words: its command line; "OUT" stands for the folder that is watched.
        prepare: writes what is in the watched folder before the verb starts.
    """

    words: list[str]
    prepare: Callable[[Path], object] = lambda out: None


@dataclass(frozen=True)
class Bench:
    """A verb, and a folder in which it can be started again and again."""

    forks: Runner
    case: Case
    out: Path

    def fresh(self) -> None:
        """Empty the folder, and write what is there before the verb starts."""
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True)
        self.case.prepare(self.out)

    def run(self, **disturbance: Any) -> Ended:
        """Run the verb; the arguments are fields of `Request`."""
        words = [word.replace("OUT", str(self.out)) for word in self.case.words]
        return self.forks.run(Request(words, str(self.out), **disturbance))

    def run_again(self) -> Ended:
        """Run the verb after a kill. The workers of a killed study end a moment after it."""
        deadline = time.monotonic() + 60
        while "is writing here" in (ended := self.run()).output and time.monotonic() < deadline:
            time.sleep(0.2)
        return ended


def make_cases(root: Path, world: World, site: Site) -> dict[str, Case]:
    data = ["--data.path", str(world.data.path), "--data.dataset", world.data.dataset]
    store = ["--store", str(world.store)]
    trained = root / "trained"
    run(world, trained, epochs=1)
    settings = root / "settings.yaml"
    training = {**asdict(TRAINING), "epochs": 2}
    settings.write_text(json.dumps({"alignment": asdict(ALIGNMENT), "text": asdict(TEXT), "training": training}))
    preset = root / "preset.yaml"
    preset.write_text(settings.read_text())
    pictures = paint(root / "pictures")
    answers = save(root / "runs", [row(number, pictures[0]) for number in range(2)])

    photos = write_refer_dataset(root / "small", splits={"train": 1, "val": 1, "testA": 1, "testB": 1}).config
    archive = Path(shutil.make_archive(str(root / "refcoco"), "zip", root / "small", "refcoco"))
    site.pages["/refcoco.zip"] = Page(archive.read_bytes())
    (root / "mirrors.toml").write_text(f'[["refcoco"]]\nurl = "{site.url("/refcoco.zip")}"\n')
    small = ["--data.path", str(photos.path), "--data.dataset", "refcoco"]

    made = original("swin")
    (root / "labels.txt").write_text("cat\ndog\ncup\ntree\nbus\n")
    (root / "model.pkl").write_bytes(pickle.dumps({"model": {k: v.numpy() for k, v in made.state.items()}}))
    querymatch_words = querymatch(root, world)

    def ours(out: Path) -> None:
        shutil.copytree(trained, out / "trained")

    def earlier_report(out: Path) -> None:
        (out / "report" / "data").mkdir(parents=True)
        (out / "report" / "page").mkdir()
        (out / "report" / "index.html").write_text("earlier")

    recipe = ["--recipe.train", "1", "--recipe.val", "1", "--recipe.test", "1"]
    tiny_detector = ["--recipe.pretraining_images", "2", "--recipe.images", "4", "--recipe.batch_size", "2"]
    instances = write_instances(root / "instances", photos=3)
    own_detector = ["--data", str(instances.path), "--images", str(instances.images), "--from", str(world.detector)]
    own_detector += ["--recipe.epochs", "2", "--recipe.batch_size", "2", "--recipe.validations", "2"]
    return {
        "data mojiref": Case(["data", "mojiref", "--out", "OUT/mojiref", *recipe]),
        "data prepare source": Case(
            [
                "data",
                "prepare",
                "refcoco",
                "--out",
                "OUT/data",
                "--source",
                str(archive),
                "--images",
                str(photos.path),
            ]
        ),
        "data prepare folder": Case(
            ["data", "prepare", "refcoco", "--out", "OUT/data", "--source", str(photos.path), "--images", str(root)]
        ),
        "data prepare mirror": Case(
            ["data", "prepare", "refcoco", "--out", "OUT/data", "--mirrors", str(root / "mirrors.toml")]
        ),
        "data check": Case(["data", "check", *small, "--missing", "OUT/missing.txt"]),
        "data convert refer": Case(["data", "convert", *small, "--to", "refer", "--out", "OUT/converted"]),
        "data convert simrec": Case(["data", "convert", *small, "--to", "simrec", "--out", "OUT/converted"]),
        "data convert jsonl": Case(["data", "convert", *small, "--to", "jsonl", "--out", "OUT/converted"]),
        "data phrases": Case(
            [
                "data",
                "phrases",
                *store,
                *data,
                "--recipe.confidence",
                "0.0",
                "--recipe.doubtful",
                "0.0",
                "--out",
                "OUT/made",
            ]
        ),
        "extract": Case(
            ["extract", *data, "--detector", str(world.detector), "--candidates", "3", "--out", "OUT/store"]
        ),
        "train": Case(["train", "--config", str(settings), *data, *store, "--out", "OUT/grounder"]),
        "evaluate": Case(
            ["evaluate", "--grounder", "OUT/trained", *data, *store, "--out", "OUT/results", "--model_card", "true"],
            ours,
        ),
        "report": Case(["report", str(answers), "--out", "OUT/report", "--figures", "true"]),
        "report again": Case(["report", str(answers), "--out", "OUT/report", "--figures", "false"], earlier_report),
        "audit": Case(
            ["audit", "--detector_images", str(photos.path / "refcoco/instances.json"), *small, "--out", "OUT/audit"]
        ),
        "ground": Case(
            ["ground", "--grounder", str(trained), str(pictures[0]), "red dog", "--overlay", "OUT/overlay.png"]
        ),
        "ground table": Case(
            ["ground", "OUT/table.csv", "--grounder", str(trained), "--out", "OUT/answers.json", "--format", "coco"],
            lambda out: table_of(pictures, out),
        ),
        "ground share": Case(
            [
                *("ground", "OUT/table.csv", "--grounder", str(trained), "--out", "OUT/answers.json"),
                *("--format", "coco", "--shards", "1/1"),
            ],
            lambda out: table_of(pictures[:3], out),
        ),
        "ground folder": Case(
            [
                *("ground", str(pictures[0].parent), "red dog", "couch", "--grounder", str(trained)),
                *("--out", "OUT/overlays", "--format", "overlay"),
            ]
        ),
        "detector import": Case(
            [
                "detector",
                "import",
                str(root / "model.pkl"),
                "OUT/detector",
                "--config",
                "swin-tiny",
                "--labels",
                str(root / "labels.txt"),
            ]
        ),
        "export detector": Case(["export", "detector", str(world.detector), "OUT/exported", "--to", "torch"]),
        "import querymatch": Case(querymatch_words),
        "detector train": Case(
            ["detector", "train", "--out", "OUT/detector", "--save_every", "1", "--device", "cpu", *own_detector]
        ),
        "detector train-mini": Case(
            ["detector", "train-mini", "--out", "OUT/mini", *tiny_detector, "--save_every", "1"]
        ),
        "quickstart": Case(["quickstart", "--out", "OUT/quickstart"]),
        "ablate": Case(
            [
                "ablate",
                "table5",
                *data,
                *store,
                "--out",
                "OUT/study",
                "--seeds",
                "[0]",
                "--preset",
                str(preset),
                "--workers",
                "1",
                "--splits",
                "[val]",
            ]
        ),
    }


def table_of(pictures: list[Path], out: Path) -> None:
    """Write a table of pictures and phrases, and the pictures beside it."""
    rows = ["image,phrase"]
    for picture in pictures:
        shutil.copy2(picture, out)
        rows += [f"{picture.name},red dog", f"{picture.name},couch"]
    (out / "table.csv").write_text("\n".join(rows))


def querymatch(root: Path, world: World) -> list[str]:
    document = {"train": [{"refs": ["the red cup", "left dog"]}], "val": [{"refs": ["big tree"]}]}
    weights = Weights(torch.Generator().manual_seed(0))
    features = torch.randn(9, 32, generator=torch.Generator().manual_seed(1))
    scores(weights, vocabulary(document), "the red cup", features, 6)
    (root / "anns.json").write_text(json.dumps(document))
    torch.save(
        {"state_dict": {f"module.{name}": each for name, each in weights.state.items()}}, root / "querymatch.pth"
    )
    return [
        *("import", "querymatch", str(root / "querymatch.pth"), "OUT/querymatch", "--annotations"),
        *(str(root / "anns.json"), "--detector", str(world.detector), "--max_words", "6"),
    ]
