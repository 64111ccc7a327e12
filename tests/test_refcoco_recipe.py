"""recipes/refcoco.sh: its plan and errors, its downloads, and a whole run on a hundredth of RefCOCO's photos."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from helpers.fabricate import CATEGORIES, write_refer_dataset
from helpers.site_server import Page, Site
from helpers.tiny_detector import save_tiny_detector

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "recipes" / "refcoco.sh"
HUNDREDTH = {"train": 169, "val": 15, "testA": 7, "testB": 7}
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name != "HF_TOKEN"},
    "PYTHON": sys.executable,
    "PYTHONPATH": str(ROOT / "src"),
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "HF_HUB_OFFLINE": "1",
}


def recipe(*options: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    words = ["bash", str(RECIPE), *map(str, options)]
    return subprocess.run(words, capture_output=True, text=True, env={**ENVIRONMENT, **environment})


def shell(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code that calls functions of the recipe."""
    words = ["bash", "-c", f"source {RECIPE}; {code}"]
    return subprocess.run(words, capture_output=True, text=True, env={**ENVIRONMENT, **environment})


def steps_of(plan: str) -> list[str]:
    """Return the names of the steps in the output of --plan; each is followed by its command."""
    lines = plan.splitlines()
    return [line for line, following in pairwise(lines) if following.startswith("    ")]


def test_bash_can_parse_it_and_its_help_lists_every_option() -> None:
    assert subprocess.run(["bash", "-n", RECIPE]).returncode == 0
    shown = recipe("--help")
    assert shown.returncode == 0
    accepted = set(re.findall(r"--\w+", RECIPE.read_text().split("parse() {")[1].split("shift")[0]))
    assert set(re.findall(r"^  (--\w+)", shown.stdout, re.MULTILINE)) == accepted
    page = (ROOT / "docs" / "reproduction.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    recipes/refcoco.sh (.*)", page, re.MULTILINE)
    assert commands and set(re.findall(r"--\w+", " ".join(commands))) <= accepted


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing() -> None:
    assert subprocess.run(["shellcheck", RECIPE]).returncode == 0


def test_the_plan_names_the_steps_in_order_and_writes_nothing(tmp_path: Path) -> None:
    shown = recipe("--plan", "--out", tmp_path / "out", "--datasets", "refcoco,refcocog-umd", "--seeds", "0,1")
    assert shown.returncode == 0, shown.stderr
    models = [f"{model}-seed{seed}" for model in ("aligncat", "aligncat-plus") for seed in (0, 1)]
    each = []
    for name in ("refcoco", "refcocog-umd"):
        each += [f"check {name}", f"leak audit {name}", f"extract {name}"]
        each += [f"{verb} {name}/{model}" for model in models for verb in ("train", "evaluate")]
        each += [f"report {name}"]
    first = ["prepare refcoco", "prepare refcocog-umd", "photos", "word vectors"]
    last = [f"hub {name}/{model}" for name in ("refcoco", "refcocog-umd") for model in models]
    assert steps_of(shown.stdout) == [*first, *each, *last]
    assert "--detector_images coco-train2017" in shown.stdout and "--data.split_by umd" in shown.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--epoch", "3"], 2, "unknown option --epoch"),
        (["--epochs"], 2, "--epochs needs a value"),
        (["--epochs", "0"], 2, "a whole number from 1"),
        (["--datasets", "refcocog"], 2, "no dataset refcocog"),
        (["--seeds", "a"], 2, "numbers separated by commas"),
        (["--push", "mine"], 2, "user/words"),
        (["--photos", "nowhere"], 1, "nowhere is no folder"),
        (["--word_vectors", "nowhere.txt"], 1, "no file nowhere.txt"),
    ],
)
def test_a_wrong_option_is_said(options: list[str], status: int, said: str) -> None:
    ended = recipe(*options)
    assert ended.returncode == status
    assert said in ended.stderr


def path_with_free_space(folder: Path, gigabytes: int) -> str:
    """A PATH on which `df` says that so much of the disk is free, whatever this machine has."""
    df = folder / "bin" / "df"
    df.parent.mkdir(exist_ok=True)
    df.write_text(f"#!/bin/sh\necho Filesystem 1024-blocks Used Available\necho disk 1 1 {gigabytes * 1024000}\n")
    df.chmod(0o755)
    return f"{df.parent}:{os.environ['PATH']}"


def test_a_missing_installation_gpu_token_or_disk_is_said_before_the_first_step(tmp_path: Path) -> None:
    out = tmp_path / "out"
    missing = recipe("--out", out, PYTHON="/bin/false")
    assert missing.returncode == 1 and "pip install ." in missing.stderr
    token = recipe("--out", out, "--push", "me/grounder", HF_HOME=str(tmp_path))
    assert token.returncode == 1 and "HF_TOKEN" in token.stderr
    gpu = recipe("--out", out, PATH=path_with_free_space(tmp_path, 100))
    assert gpu.returncode == 1 and "about 16.2 hours; --cpu goes on" in gpu.stderr  # 11 + 2 x 2.6
    disk = recipe("--out", out, PATH=path_with_free_space(tmp_path, 1))
    assert disk.returncode == 1
    # 0.5 annotations, 27.2 photos, 7.9 vectors, 0.6 store, 2 x 0.5 runs, 2 x 0.03 results, 0.6 report
    assert "has 1 GB free, and about 37.9 GB are needed" in disk.stderr and "photos 27.2 GB" in disk.stderr
    assert not out.exists()


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_broken_download_continues_and_is_unpacked(site: Site, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("train2014/a.jpg", bytes(range(256)) * 400)
    content = (tmp_path / "photos.zip").read_bytes()
    site.pages["/photos.zip"] = Page(content, breaks_after=[50_000])
    out = tmp_path / "out"
    ended = shell(f"fetch {site.url('/photos.zip')} {len(content)} train2014 {out}")
    assert ended.returncode == 0, ended.stderr
    assert (out / "train2014" / "a.jpg").read_bytes() == bytes(range(256)) * 400
    assert [path.name for path in out.iterdir()] == ["train2014"]
    [(_, first), (_, second)] = site.asked
    assert first is None and second is not None and 0 < int(second[6:-1]) <= 50_000


@pytest.mark.parametrize("size", [9, 11])
def test_a_file_of_another_size_is_refused(site: Site, tmp_path: Path, size: int) -> None:
    site.pages["/photos.zip"] = Page(bytes(10))
    ended = shell(f"download {site.url('/photos.zip')} {size} {tmp_path}/out/photos.zip")
    assert ended.returncode == 1
    assert f"has 10 bytes, not {size}" in ended.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos.zip").write_bytes(b"no zip")
    ended = shell(f"unpack {tmp_path}/photos.zip train2014 {tmp_path}/out")
    assert ended.returncode == 1
    assert "cannot be unpacked" in ended.stderr
    assert not (tmp_path / "out" / "train2014").exists()


def test_data_with_faults_is_refused_unless_they_are_accepted(tmp_path: Path) -> None:
    write_refer_dataset(tmp_path, splits={"train": 1, "val": 1})  # whose counts are not RefCOCO's
    check = f"check_data {tmp_path}/check.json --data.path {tmp_path} --data.dataset refcoco"
    refused = shell(check)
    assert refused.returncode == 1 and "--accept_faults goes on" in refused.stderr
    accepted = shell(f"accept=yes; {check}")
    assert accepted.returncode == 0 and "going on with these faults" in accepted.stdout


@pytest.mark.slow
def test_a_stopped_run_continues_to_the_end_and_a_third_one_skips_every_step(tmp_path: Path) -> None:
    """The steps, settings and the preset are the real ones; only the files are local, the epochs few, the model one."""
    files = write_refer_dataset(tmp_path / "given", splits=HUNDREDTH)
    # COCO's photos are JPEGs in a folder train2014; the fabricated ones are PNGs in one of the same name.
    photos = shutil.make_archive(str(tmp_path / "photos"), "zip", files.image_folder.parent, "train2014")
    shutil.make_archive(str(tmp_path / "annotations" / "refcoco"), "zip", tmp_path / "given", "refcoco")
    words = sorted({word for ref in files.refs for each in ref["sentences"] for word in each["tokens"]})
    rng = np.random.default_rng(0)
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("".join(f"{word} {' '.join(map(str, rng.normal(size=300).round(3)))}\n" for word in words))
    detector = save_tiny_detector(tmp_path / "detector", labels=tuple(CATEGORIES.values()))
    out = tmp_path / "my out"
    options: list[str | Path] = ["--out", out, "--annotations", tmp_path / "annotations", "--photos_zip", photos]
    options += ["--word_vectors", vectors, "--detector", detector, "--detector_images", "coco-train2017"]
    options += ["--epochs", "2", "--cpu", "--models", "aligncat", "--accept_faults"]

    run = out / "runs" / "refcoco" / "aligncat-seed0"
    process = subprocess.Popen(
        ["bash", str(RECIPE), *map(str, options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=ENVIRONMENT,
    )
    while not (run / "run" / "last.ckpt").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 143, said
    assert "stopped in 'train refcoco/aligncat-seed0'. Repeat the same command to continue" in said
    assert re.search(r"^train refcoco/aligncat-seed0 +stopped ", said, re.MULTILINE)
    assert not (out / "results").exists()

    whole = recipe(*options)
    assert whole.returncode == 0, whole.stdout + whole.stderr
    assert "== extract refcoco: done before" in whole.stdout
    summary = whole.stdout.split("h:m:s")[1].splitlines()[1:10]
    assert all(re.fullmatch(r".+ done( before)? +\d+:\d\d:\d\d +(\d\S*|-)", line) for line in summary), summary
    epochs = [
        {row["epoch"] for row in csv.DictReader(path.open())} for path in sorted((run / "run" / "csv").rglob("*.csv"))
    ]
    assert len(epochs) == 2 and epochs[1] == {"1"}, "training did not continue after its first epoch"
    results = out / "results" / "refcoco" / "aligncat-seed0"
    found = {path.stem.split("-")[-1]: json.loads(path.read_text()) for path in results.glob("*-*[!s].json")}
    assert {"val", "testA", "testB"} <= set(found)
    assert "testA" in (run / "README.md").read_text()
    assert "as user/words-refcoco-aligncat; read its README.md first" in whole.stdout
    assert (out / "report" / "refcoco" / "index.html").is_file()
    assert len(list((out / "report" / "refcoco" / "images").iterdir())) == 15 + 7 + 7

    third = recipe(*options, "--push", "me/grounder", HF_TOKEN="hf_none")
    assert third.returncode == 1
    assert "me/grounder-refcoco-aligncat was not pushed" in third.stderr
    assert "failed: 'hub refcoco/aligncat-seed0'. Repeat the same command" in third.stderr
    *before, hub = third.stdout.split("h:m:s")[1].splitlines()[1:10]
    assert len(before) == 8 and all("done before" in line for line in before)
    assert hub.startswith("hub refcoco/aligncat-seed0 ") and "failed" in hub
