"""A verb that is killed before any change to a file or folder, and run again, leaves what an undisturbed one leaves."""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.tiny_verbs import Bench
from pyarrow import parquet

from aligncat.files.locks import folder_lock, path_lock

VERBS = (
    *("data mojiref", "data prepare source", "data prepare folder", "data prepare mirror", "data check"),
    *(
        "data convert refer",
        "data convert simrec",
        "data convert jsonl",
        "data phrases",
        "extract",
        "train",
        "evaluate",
    ),
    *(
        "report",
        "report again",
        "audit",
        "ground",
        "ground table",
        "ground share",
        "ground folder",
        "detector import",
        "import querymatch",
        "export detector",
        "detector train",
        "detector train-mini",
        "quickstart",
    ),
    "ablate",
)
# Verb -> every how many changes it is killed in the fast suite.
SAMPLE = {
    "data prepare mirror": 4,
    "data convert jsonl": 4,
    "data phrases": 9,
    "detector import": 5,
    "extract": 12,
    "ground table": 9,
    "ground folder": 15,
    "report again": 20,
    "train": 40,
}
# Logs and times: each start of a training writes logs of its own.
LOGS = ("run/csv", "run/tensorboard")


def tree(folder: Path) -> dict[str, object]:
    """Return every file and folder with its content, without the content of logs."""
    return {
        path.relative_to(folder).as_posix(): content(path)
        for path in sorted(folder.rglob("*"))
        if not any(log in path.as_posix() for log in LOGS)
    }


def content(path: Path) -> object:
    """Return a file's bytes, or a checkpoint's values: its pickle names equal objects once or twice.

    The quickstart makes its photos anew, so the times of its photos, which its store keeps, are left out.
    """
    if path.suffix == ".ckpt":
        return plain(torch.load(path, weights_only=True))
    if path.parts[-3:-1] == ("quickstart", "store"):
        if path.suffix == ".parquet":
            table = parquet.read_table(path)
            return {name: table[name].to_pylist() for name in table.schema.names if name != "source_modified"}
        if path.name == "complete.json":  # hashes of files with these times
            return [*json.loads(path.read_bytes())]
    return path.read_bytes() if path.is_file() else None


def plain(value: Any) -> object:
    """Return a value with the bytes of each tensor in its place."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.numpy().tobytes()
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value


def check_kills(bench: Bench, *, step: int = 1, torn: bool = False, worker: bool = False) -> None:
    """Kill a verb before every `step`-th change, run it again, and compare with an undisturbed run.

    Args:
        bench: the verb.
        step: every how many changes it is killed.
        torn: kill it only where it opens a file for writing, after the file was opened.
        worker: kill the worker of a study; the verb itself then ends with an error.
    """
    bench.fresh()
    whole = bench.run(torn=torn, worker=worker)
    expected = tree(bench.out)
    assert whole.status == 0 or "data check" in " ".join(bench.case.words), whole.output
    assert expected and not [name for name in expected if name.rpartition("/")[2].startswith(".")]
    assert whole.events
    for kill_at in range(1, whole.events + 1, step):
        bench.fresh()
        killed = bench.run(kill_at=kill_at, torn=torn, worker=worker)
        if worker:
            assert killed.status == 1 and killed.events == kill_at, killed.output
            assert "a worker process was killed" in killed.output and "Traceback" not in killed.output, killed.output
        else:
            assert killed.status == -signal.SIGKILL, killed.output
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


@pytest.mark.slow
@pytest.mark.parametrize("torn", [False, True], ids=["before", "file opened"])
@pytest.mark.parametrize("name", ["ablate"])
def test_after_a_kill_in_a_worker_the_same_command_gives_the_same_files(
    bench: Bench, name: str, torn: bool, tmp_path: Path
) -> None:
    one_run_left = tmp_path / "one run left"
    bench.fresh()
    assert bench.run().status == 0
    shutil.copytree(bench.out, one_run_left)
    shutil.rmtree(next(one_run_left.rglob("aligncat-seed0")))
    case = replace(bench.case, prepare=lambda out: shutil.copytree(one_run_left, out, dirs_exist_ok=True))
    check_kills(replace(bench, case=case), torn=torn, worker=True)


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
        ("ground table", "answers.json", False),
        ("ground folder", "overlays", False),
        ("detector import", "detector", True),
        ("import querymatch", "querymatch", True),
        ("detector train", "detector", False),
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


@pytest.mark.parametrize(
    ("name", "at", "said", "number", "status"),
    [
        ("data convert jsonl", ".unfinished", "", signal.SIGTERM, 143),
        ("data convert jsonl", ".unfinished", "", signal.SIGHUP, 129),
        ("data convert jsonl", ".unfinished", "", signal.SIGINT, 130),
        ("data prepare mirror", ".unfinished-", "", signal.SIGTERM, 143),
        ("extract", "shard-00000", "0 of 20 images are saved in ", signal.SIGTERM, 143),
        ("detector train", "detector.state.pt", "Run the same command again to resume", signal.SIGTERM, 143),
        ("train", "last.ckpt", "Run the same command again to resume", signal.SIGTERM, 143),
        ("report again", "index.html", "", signal.SIGTERM, 143),
    ],
)
def test_a_signal_ends_a_verb_like_ctrl_c(
    bench: Bench, name: str, at: str, said: str, number: int, status: int
) -> None:
    bench.fresh()
    ended = bench.run(kill_at=1, only=at, signal_number=number)
    assert ended.status == status, ended.output
    assert said in ended.output and f"aligncat {' '.join(name.split()[:1])}" in ended.output
    assert ended.output.rstrip().endswith(": stopped") and "Traceback" not in ended.output
    hidden = [path.name for path in bench.out.rglob(".*")]
    assert not hidden, "no lock, temporary file or unfinished folder is left"
