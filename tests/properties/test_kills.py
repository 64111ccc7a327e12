"""A verb that is killed before any change to a file or folder, and run again, leaves what an undisturbed one leaves."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Thread

import pytest
import torch
import yaml
from helpers.fabricate import write_refer_dataset
from helpers.fabricate_answers import paint, row, save
from helpers.killed_verbs import Ended, Runner, runner
from helpers.original_mask2former import Weights
from helpers.original_querymatch import scores, vocabulary
from helpers.site_server import Page, Site
from helpers.tiny_original import original
from helpers.tiny_run import ALIGNMENT, TEXT, TRAINING, World, run

from aligncat.files.locks import folder_lock, path_lock

VERBS = (
    *("data mojiref", "data prepare source", "data prepare folder", "data prepare mirror", "data check"),
    *("data convert refer", "data convert simrec", "data convert jsonl", "extract", "train", "evaluate", "report"),
    *("report again", "audit", "ground", "detector import", "import querymatch", "detector train-mini", "quickstart"),
    "ablate",
)
# Verb -> every how many changes it is killed in the fast suite.
SAMPLE = {
    "data prepare mirror": 2,
    "data convert jsonl": 2,
    "detector import": 3,
    "extract": 9,
    "report again": 20,
    "train": 30,
}
# Logs and times: each start of a training writes logs of its own.
LOGS = ("run/csv", "run/tensorboard")


@dataclass(frozen=True)
class Case:
    """A verb on tiny inputs.

    Attributes:
        words: its command line; "OUT" stands for the folder that is watched.
        prepare: writes what is in the watched folder before the verb starts.
    """

    words: list[str]
    prepare: Callable[[Path], object] = lambda out: None


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with runner(tmp_path_factory.mktemp("log") / "log.txt") as started:
        yield started


@pytest.fixture(scope="module")
def cases(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Case]]:
    root = tmp_path_factory.mktemp("inputs")
    site = Site()
    Thread(target=site.serve_forever, daemon=True).start()
    try:
        yield make_cases(root, world, site)
    finally:
        site.shutdown()


def make_cases(root: Path, world: World, site: Site) -> dict[str, Case]:
    data = ["--data.path", str(world.data.path), "--data.dataset", world.data.dataset]
    store = ["--store", str(world.store)]
    trained = root / "trained"
    run(world, trained, epochs=1)
    settings = root / "settings.yaml"
    training = {**asdict(TRAINING), "epochs": 2}
    settings.write_text(
        yaml.safe_dump({"alignment": asdict(ALIGNMENT), "text": asdict(TEXT), "training": training}, sort_keys=False)
    )
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
                str(photos.images),
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
        "extract": Case(
            ["extract", *data, "--detector", str(world.detector), "--candidates", "3", "--out", "OUT/store"]
        ),
        "train": Case(["train", "--config", str(settings), *data, *store, "--out", "OUT/grounder"]),
        "evaluate": Case(
            ["evaluate", "--grounder", "OUT/trained", *data, *store, "--out", "OUT/results", "--model_card", "true"],
            ours,
        ),
        "report": Case(["report", str(answers), "--out", "OUT/report", "--figures", "false"]),
        "report again": Case(["report", str(answers), "--out", "OUT/report", "--figures", "true"], earlier_report),
        "audit": Case(
            ["audit", "--detector_images", str(photos.path / "refcoco/instances.json"), *small, "--out", "OUT/audit"]
        ),
        "ground": Case(
            ["ground", "--grounder", str(trained), str(pictures[0]), "red dog", "--overlay", "OUT/overlay.png"]
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
        "import querymatch": Case(querymatch_words),
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


def tree(folder: Path) -> dict[str, object]:
    """Return every file and folder with its content, without logs."""
    return {
        path.relative_to(folder).as_posix(): content(path)
        for path in sorted(folder.rglob("*"))
        if not any(log in path.as_posix() for log in LOGS)
    }


def content(path: Path) -> object:
    return path.read_bytes() if path.is_file() else None


@dataclass(frozen=True)
class Bench:
    """A verb, and a folder in which it can be started again and again."""

    forks: Runner
    case: Case
    out: Path

    def fresh(self) -> None:
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True)
        self.case.prepare(self.out)

    def run(self, kill_at: int | None = None, *, torn: bool = False, signal_number: int = signal.SIGKILL) -> Ended:
        words = [word.replace("OUT", str(self.out)) for word in self.case.words]
        return self.forks.run(words, self.out, kill_at, torn=torn, signal_number=signal_number)

    def run_again(self) -> Ended:
        """Run the verb after a kill. The workers of a killed study end a moment after it."""
        deadline = time.monotonic() + 60
        while "is writing here" in (ended := self.run()).output and time.monotonic() < deadline:
            time.sleep(0.2)
        return ended


@pytest.fixture
def bench(forks: Runner, cases: dict[str, Case], name: str, tmp_path: Path) -> Bench:
    return Bench(forks, cases[name], tmp_path / "watched")


def check_kills(bench: Bench, *, step: int = 1, torn: bool = False) -> None:
    """Kill a verb before every `step`-th change, run it again, and compare with an undisturbed run."""
    bench.fresh()
    whole = bench.run()
    expected = tree(bench.out)
    assert whole.status == 0 or "data check" in " ".join(bench.case.words), whole.output
    assert expected and not [name for name in expected if name.rpartition("/")[2].startswith(".")]
    for kill_at in range(1, whole.events + 1, step):
        bench.fresh()
        assert bench.run(kill_at, torn=torn).status == -signal.SIGKILL
        again = bench.run_again()
        found = tree(bench.out)
        where = f"killed before change {kill_at} of {whole.events}; then: {again.output}"
        assert found.keys() == expected.keys(), where
        assert [name for name in expected if found[name] != expected[name]] == [], where
        assert again.status == whole.status or "already contains" in again.output or "not empty" in again.output, where


@pytest.mark.parametrize("name", SAMPLE)
def test_after_a_kill_the_same_command_gives_the_same_files(bench: Bench, name: str) -> None:
    check_kills(bench, step=SAMPLE[name])


@pytest.mark.slow
@pytest.mark.parametrize("torn", [False, True], ids=["before", "file opened"])
@pytest.mark.parametrize("name", VERBS)
def test_after_a_kill_at_any_change_the_same_command_gives_the_same_files(bench: Bench, name: str, torn: bool) -> None:
    check_kills(bench, torn=torn)


@pytest.mark.parametrize(
    ("name", "locked", "inside"),
    [
        ("data mojiref", "mojiref", False),
        ("data prepare source", "data/refcoco", False),
        ("data convert jsonl", "converted", False),
        ("extract", "store", True),
        ("train", "grounder", True),
        ("evaluate", "results/trained-refcoco", False),
        ("report", "report", False),
        ("report again", "report", False),
        ("audit", "audit", True),
        ("detector import", "detector", True),
        ("import querymatch", "querymatch", True),
        ("detector train-mini", "mini", False),
        ("quickstart", "quickstart", True),
        ("ablate", "study", True),
    ],
)
def test_a_second_command_into_the_same_folder_is_refused(bench: Bench, name: str, locked: str, inside: bool) -> None:
    bench.fresh()
    before = tree(bench.out)
    with (folder_lock if inside else path_lock)(bench.out / locked):
        refused = bench.run()
        assert refused.status == 1 and "Traceback" not in refused.output
        assert f"{bench.out / locked}: another aligncat (pid {os.getpid()}, host " in refused.output
    assert {key: tree(bench.out).get(key) for key in before} == before


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
@pytest.mark.parametrize(
    ("name", "kill_at", "said"),
    [
        ("data convert jsonl", 6, ""),
        ("data prepare mirror", 14, ""),
        ("extract", 8, "0 of 20 images are saved in "),
        ("train", 20, "Run the same command again to resume"),
        ("report again", 20, ""),
    ],
)
def test_a_signal_ends_a_verb_like_ctrl_c(
    bench: Bench, name: str, kill_at: int, said: str, number: int, status: int
) -> None:
    bench.fresh()
    ended = bench.run(kill_at, signal_number=number)
    assert ended.status == status, ended.output
    assert said in ended.output and f"aligncat {' '.join(name.split()[:1])}" in ended.output
    assert ended.output.rstrip().endswith(": stopped") and "Traceback" not in ended.output
    hidden = [path.name for path in bench.out.rglob(".*")]
    assert not hidden, "no lock, temporary file or unfinished folder is left"
