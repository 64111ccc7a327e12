"""The ablate verb: real studies with real worker processes on a tiny dataset."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from helpers.tiny_run import World

from aligncat.api.ablate import ablate
from aligncat.api.extract import extract
from aligncat.commands.ablate import show
from aligncat.datasets.config import DataConfig
from aligncat.errors import AligncatError, ConfigError
from aligncat.evaluation.answers import Answers
from aligncat.evaluation.results import Result
from aligncat.training.presets import preset_of

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
PRESET = """
alignment: {dim: 16, negatives_per_image: 2, keep: 4}
text: {word_dim: 16, dim: 16, blocks: 1, heads: 2, feedforward: 32, max_length: 8}
training: {epochs: 2, batch_size: 8, learning_rate: 0.02, warmup_epochs: 0.5, clip_norm: 1.0, ema_decay: 0.9}
"""


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("preset") / "tiny.yaml"
    path.write_text(PRESET)
    return path


@pytest.fixture(scope="module")
def done(world: World, preset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Table 5 with two seeds."""
    out = tmp_path_factory.mktemp("ablate")
    ablate(study="table5", data=world.data, store=world.store, out=out, seeds=(0, 1), preset=str(preset), workers=2)
    return out


def test_every_row_and_seed_has_a_grounder_and_answers(done: Path) -> None:
    rows = ("classifier-at-inference", "category-at-confidence", "aligncat")
    for row in rows:
        for seed in (0, 1):
            folder = done / "refcoco" / f"{row}-seed{seed}"
            config = json.loads((folder / "config.json").read_text())
            assert config["provenance"]["training"]["seed"] == seed
            assert (config["alignment"]["category_stage"] == "confidence") == (row == "category-at-confidence")
            answers = Answers.load(folder / "answers" / f"{row}-refcoco-val.parquet")
            assert len(answers) == answers.result.metrics.expressions == 16
            assert (answers.result.config, answers.result.seed) == (row, seed)


def test_the_file_of_the_study_has_every_result_and_comparison(done: Path) -> None:
    content = json.loads((done / "table5-refcoco.json").read_text())
    assert (content["study"], content["dataset"], content["seeds"]) == ("table5", "refcoco", [0, 1])
    trained_on = json.loads((done / "refcoco" / "aligncat-seed0" / "config.json").read_text())["provenance"]["data"]
    assert content["train"] == trained_on and trained_on["split"] == "train"
    assert [row["name"] for row in content["rows"]] == [
        "classifier-at-inference",
        "category-at-confidence",
        "aligncat",
    ]
    for row in content["rows"]:
        results = [Result.from_json(values, "here") for values in row["results"]]
        assert [(each.split, each.seed) for each in results] == [
            (split, seed) for split in ("val", "testA", "testB") for seed in (0, 1)
        ]
    # Three pairs on three splits. The row with the higher accuracy in Table 5 of the paper comes first.
    found = {(each["better"], each["worse"], each["split"]): each for each in content["orderings"]}
    assert len(found) == 9
    assert found["aligncat", "category-at-confidence", "testB"]["paper"] == pytest.approx(66.59 - 62.06)
    assert found["category-at-confidence", "aligncat", "testA"]["paper"] == pytest.approx(71.50 - 70.27)
    rec = {
        (row["name"], each["split"], each["seed"]): each["scores"]["rec"]
        for row in content["rows"]
        for each in row["results"]
    }
    for (better, worse, split), each in found.items():
        differences = [100 * (rec[better, split, seed] - rec[worse, split, seed]) for seed in (0, 1)]
        assert each["ours"] == pytest.approx(sum(differences) / 2)
        assert each["low"] <= each["ours"] <= each["high"]
        assert each["holds"] == ("yes" if each["low"] > 0 else "no" if each["high"] < 0 else "open")


def test_some_rows_of_a_finished_study_are_compared_alone(
    world: World, preset: Path, done: Path, tmp_path: Path
) -> None:
    rows, out = ("aligncat", "classifier-at-inference"), shutil.copytree(done, tmp_path / "copy")
    result = ablate(
        study="table5", data=world.data, store=world.store, out=out, seeds=(0, 1), preset=str(preset), rows=rows
    )
    assert [row.name for row in result.rows] == list(reversed(rows))
    assert {(each.better, each.worse) for each in result.orderings} == {rows}


def test_a_finished_row_is_not_trained_again(
    world: World, preset: Path, done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in done.rglob("*.safetensors")}
    assert len(before) == 6
    show(ablate(study="table5", data=world.data, store=world.store, out=done, seeds=(0, 1), preset=str(preset)))
    assert {path: path.stat().st_mtime_ns for path in done.rglob("*.safetensors")} == before
    output = capsys.readouterr().out
    baselines = ("most confident", "training-free")
    for word in ("Table 5", "coarse-grained alignment", "66.59", "refcoco", "unc", "95%", *baselines):
        assert word in output


def test_new_inputs_are_evaluated_without_training_again(
    world: World, preset: Path, done: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(done, out)
    queries = extract(out=tmp_path / "queries", data=world.data, detector=str(world.detector), every_query=True)
    weights = {path: path.read_bytes() for path in out.rglob("*.safetensors")}
    assert queries.manifest.candidates > world.open().manifest.candidates

    def seen() -> set[str]:
        return {Answers.load(path).result.seen for path in out.rglob("*.parquet")}

    assert seen() == {"unknown"}
    arguments = {"study": "table5", "store": world.store, "seeds": (0, 1), "preset": str(preset), "workers": 1}
    ablate(data=world.data, out=out, queries=tmp_path / "queries", seen="leaked", **arguments)  # type: ignore[arg-type]
    assert seen() == {"leaked"}
    with pytest.raises(ConfigError, match="--seen clean is wrong"):  # before anything is trained or answered
        ablate(data=world.data, out=tmp_path / "new", detector_images="coco-train2017", seen="clean", **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "new").exists()
    for path in out.rglob("*.parquet"):
        assert Answers.load(path).table["query_right"].null_count == 0
    assert {path: path.read_bytes() for path in out.rglob("*.safetensors")} == weights


def test_rows_with_other_settings_are_rejected(world: World, done: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(PRESET.replace("epochs: 2", "epochs: 3"))
    with pytest.raises(ConfigError, match=r"epochs was 2 and is 3"):
        ablate(study="table5", data=world.data, store=world.store, out=done, seeds=(0, 1), preset=str(other))


def test_a_preset_for_several_devices_is_rejected(world: World, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(PRESET.replace("batch_size: 8", "batch_size: 8, devices: 2"))
    with pytest.raises(ConfigError, match=r"a study trains its rows side by side, each on one device"):
        ablate(study="table5", data=world.data, store=world.store, out=tmp_path / "out", preset=str(other))


def test_rows_with_other_data_are_rejected(world: World, preset: Path, done: Path, tmp_path: Path) -> None:
    other = tmp_path / "data"
    shutil.copytree(world.data.path, other)
    refs = other / "refcoco" / "refs(unc).p"
    rows = pickle.loads(refs.read_bytes())
    sentence = next(ref for ref in rows if ref["split"] == "train")["sentences"][0]
    sentence["sent"] = sentence["raw"] = "something else"
    refs.write_bytes(pickle.dumps(rows))
    with pytest.raises(ConfigError, match=r"settings: data\.sha256 was"):
        ablate(
            study="table5",
            data=replace(world.data, path=other),
            store=world.store,
            out=done,
            seeds=(0, 1),
            preset=str(preset),
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": ()}, "at least one seed"),
        ({"seeds": (1, 1)}, "each seed only once"),
        ({"workers": 0}, "workers is 0"),
        ({"preset": "nothing"}, "unknown preset 'nothing'; known presets are mojiref, "),
        ({"study": "over-specification"}, "only MojiRef records"),
        ({"study": "candidates"}, "holds 6 candidates per image, but 10 are needed"),
    ],
)
def test_inputs_that_do_not_fit_are_an_error_before_training(
    change: dict[str, object], message: str, world: World, preset: Path, tmp_path: Path
) -> None:
    arguments = {"study": "table5", "seeds": (0,), "preset": str(preset), "workers": 1, **change}
    with pytest.raises(AligncatError, match=message):
        ablate(data=world.data, store=world.store, out=tmp_path / "out", **arguments)  # type: ignore[arg-type]
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_dataset_has_a_preset_or_an_error_asks_for_one() -> None:
    assert preset_of(DataConfig(Path(), "mojirefg")) == "mojiref"
    assert preset_of(DataConfig(Path(), "refcoco")) == "refcoco"
    assert preset_of(DataConfig(Path(), "refcocog", split_by="umd")) == "refcocog-umd"
    with pytest.raises(ConfigError, match="--preset: mojiref, own, refcoco, "):
        preset_of(DataConfig(Path(), "jsonl"))


@pytest.fixture
def command(world: World, preset: Path, tmp_path: Path) -> list[str]:
    return [
        *(sys.executable, "-c", "import sys; from aligncat.cli import main; sys.exit(main())", "ablate", "table5"),
        *("--data.path", str(world.data.path), "--data.dataset", "refcoco", "--store", str(world.store)),
        *("--out", str(tmp_path), "--seeds", "[0]", "--preset", str(preset), "--workers", "1", "--splits", "[val]"),
    ]


def started_until(command: list[str], ready: Callable[[psutil.Process], object]) -> subprocess.Popen[str]:
    """Start a command in its own session and return it as soon as it is `ready`."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT, start_new_session=True, text=True
    )
    watched = psutil.Process(process.pid)
    deadline = time.monotonic() + 120
    while not ready(watched) and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        time.sleep(0.05)
    return process


def stop_when(
    command: list[str], ready: Callable[[psutil.Process], object], number: signal.Signals = signal.SIGINT
) -> str:
    """Send Ctrl-C to a command and its workers as soon as it is `ready`, and return its standard error."""
    process = started_until(command, ready)
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, errors
    return errors


def workers(process: psutil.Process) -> list[psutil.Process]:
    """Return the worker processes of a command."""
    return [child for child in process.children() if "spawn_main" in " ".join(child.cmdline())]


def test_after_ctrl_c_the_same_command_continues(command: list[str], tmp_path: Path) -> None:
    first = tmp_path / "refcoco" / "classifier-at-inference-seed0"
    assert "Traceback" not in stop_when(command, lambda _: list((first / "answers").glob("*.parquet")))
    assert len(list(tmp_path.rglob("*.parquet"))) == 1, "no worker went on to the next row"
    weights = (first / "model.safetensors").stat().st_mtime_ns
    assert not (tmp_path / "table5-refcoco.json").exists()
    finished = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=240)
    assert finished.returncode == 0, finished.stderr
    assert (first / "model.safetensors").stat().st_mtime_ns == weights
    assert (tmp_path / "table5-refcoco.json").is_file()


def test_ctrl_c_while_workers_start_prints_no_traceback(command: list[str], tmp_path: Path) -> None:
    errors = stop_when(command, workers)
    assert "Traceback" not in errors and "aligncat ablate: stopped" in errors
    assert not list(tmp_path.rglob("*.safetensors"))


def test_sigterm_ends_a_study_like_ctrl_c_and_leaves_no_lock(command: list[str], tmp_path: Path) -> None:
    errors = stop_when(command, lambda _: list(tmp_path.rglob("last.ckpt")), signal.SIGTERM)
    assert "Traceback" not in errors and "aligncat ablate: stopped" in errors
    assert not list(tmp_path.rglob(".*")), "neither the study's lock nor that of the run is left"


def test_workers_end_when_their_parent_is_killed(command: list[str], tmp_path: Path) -> None:
    process = started_until(command, lambda _: list(tmp_path.rglob("settings.json")))
    left = workers(psutil.Process(process.pid))
    process.kill()
    process.communicate(timeout=60)  # returns only when the workers have closed the pipes
    _, alive = psutil.wait_procs(left, timeout=30)
    assert left and not alive
    assert not list(tmp_path.rglob("*.parquet"))
