"""Detectors that packages register by name: the worked example of docs/own-detector.md from photos to answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.fabricate import write_refer_dataset
from helpers.tiny_run import ALIGNMENT, TEXT, TRAINING
from PIL import Image

from aligncat.api.evaluate import evaluate
from aligncat.api.extract import extract
from aligncat.api.train import train
from aligncat.cli import main
from aligncat.datasets.load import load_split
from aligncat.detectors.registered import installed_names, registered_name
from aligncat.detectors.registry import load_detector, open_detector
from aligncat.errors import ConfigError, DetectorError
from aligncat.grounder.grounder import Grounder
from aligncat.store.reader import Store

PAGE = Path(__file__).resolve().parents[2] / "docs" / "own-detector.md"
EXAMPLE = PAGE.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return a function that installs a package, with its code and its entry points, until the test ends."""
    modules = []

    def made(package: str, code: str, **entries: str) -> None:
        site = tmp_path / f"site-{package}"
        (site / f"{package}-1.0.dist-info").mkdir(parents=True)
        (site / f"{package}.py").write_text(code)
        (site / f"{package}-1.0.dist-info" / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n"
        )
        lines = [f"{name} = {value}" for name, value in entries.items()]
        text = "[aligncat.detectors]\n" + "\n".join(lines) + "\n"
        (site / f"{package}-1.0.dist-info" / "entry_points.txt").write_text(text)
        monkeypatch.syspath_prepend(site)
        modules.append(package)

    yield made
    for package in modules:
        sys.modules.pop(package, None)


def test_the_worked_example_is_short() -> None:
    assert len(EXAMPLE.splitlines()) <= 60


def test_the_worked_example_as_an_object(tmp_path: Path) -> None:
    names: dict[str, Any] = {}
    exec(compile(EXAMPLE, "own-detector.md", "exec"), names)
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[5:15, 10:30, 0] = 250  # red is the first category, and larger
    pixels[20:25, 40:50, 2] = 250
    (tmp_path / "photos").mkdir()
    Image.fromarray(pixels).save(tmp_path / "photos" / "a.png")
    Image.new("RGB", (9, 9)).save(tmp_path / "photos" / "black.png")
    store = extract(images=tmp_path / "photos", out=tmp_path / "store", detector=names["BrightThings"](200))
    found = store.candidates("a.png")
    assert found.boxes.tolist() == [[10, 5, 30, 15], [40, 20, 50, 25]]
    assert found.categories.tolist() == [0, 2]
    assert found.masks is not None and len(store.candidates("black.png")) == 0


def test_from_photos_to_answers_by_name(install: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install("bright_package", EXAMPLE, bright="bright_package:make")
    files = write_refer_dataset(tmp_path / "data", splits={"train": 12, "val": 4})
    data = ["--data.path", str(tmp_path / "data"), "--data.dataset", "refcoco", "--data.split_by", "unc"]
    assert (
        main(["extract", *data, "--detector", "bright:100", "--candidates", "6", "--out", str(tmp_path / "store")]) == 0
    )
    store = Store.open(tmp_path / "store")
    assert (store.manifest.detector.name, store.manifest.candidates) == ("bright:100", 6)
    run = tmp_path / "run"
    train(
        data=files.config,
        store=tmp_path / "store",
        out=run,
        alignment=ALIGNMENT,
        text=TEXT,
        training=TRAINING,
        val_split=None,
        progress=False,
    )
    [answers] = evaluate(grounder=run, data=files.config, store=tmp_path / "store", splits=("val",))
    assert answers.result.detector == "bright:100" and answers.result.seen == "unknown"
    image = next(iter(load_split(files.config, "val").images.values())).path
    capsys.readouterr()
    assert main(["ground", str(image), "the dog", "--grounder", str(run)]) == 0
    [by_verb] = json.loads(capsys.readouterr().out)
    [by_name] = Grounder.from_pretrained(run).ground(image, "the dog")
    given = open_detector("bright:100", candidates=6)
    grounder = Grounder.from_pretrained(run, detector=given)
    assert grounder.to("cpu").detector.description() == given.description()
    [by_object] = grounder.ground(image, "the dog")
    assert by_object == by_name
    assert by_verb["box"] == list(by_name.box) and by_verb["mask"]["counts"] == by_name.mask["counts"].decode()  # type: ignore[index]
    with pytest.raises(DetectorError, match=r"'bright:100' has changed since it was last used .*weights_sha256"):
        Grounder.from_pretrained(run, detector=open_detector("bright:90", candidates=6))


def test_the_training_free_grounder_takes_a_name_or_an_object(install: Install, tmp_path: Path) -> None:
    install("bright_package", EXAMPLE, bright="bright_package:make")
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[5:15, 10:30, 0] = pixels[20:35, 40:50, 0] = 250
    photo = Image.fromarray(pixels)
    [by_name] = Grounder.from_pretrained("training-free", detector="bright:200").ground(photo, "left person")
    assert by_name.box == (10, 5, 30, 15)
    made = sys.modules["bright_package"].BrightThings(200)
    assert Grounder.from_pretrained("training-free", detector=made).ground(photo, "left person") == [by_name]


def test_a_folder_names_no_code_to_import(install: Install, tmp_path: Path) -> None:
    """A name that no entry point has is an error, and a module of that name is not imported."""
    install("bright_package", EXAMPLE, bright="bright_package:make")
    install("not_registered", "raise SystemExit('imported')")
    description = open_detector("bright:100").description()
    for name in ("not_registered:make", "os:system", "bright_package:make", "bright_package.make:100"):
        renamed = description.from_json({**description.to_json(), "name": name})
        with pytest.raises(
            DetectorError, match=r"no installed package has registered this name .*registered here: bright"
        ):
            load_detector(renamed)
    assert "not_registered" not in sys.modules


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "import no_such_module",
            r"broken_package:make of the package broken_package cannot be imported \(ModuleNotFound",
        ),
        ("1 / 0", "cannot be imported .*ZeroDivisionError"),
        ("other = 1", "cannot be imported .*AttributeError"),
        ("make = 3", "cannot make it .*TypeError"),
        (
            "def make(argument, *, candidates, device): raise OSError('no file ' + argument)",
            "cannot make it .*no file x",
        ),
        ("def make(argument, *, candidates, device): return 3", "detector broken:x: lacks labels"),
    ],
)
def test_an_entry_point_that_fails(install: Install, code: str, message: str) -> None:
    install("broken_package", code, broken="broken_package:make")
    with pytest.raises(DetectorError, match=message):
        open_detector("broken:x")


def test_two_entry_points_of_one_name(install: Install) -> None:
    install("one_package", EXAMPLE, bright="one_package:make")
    install("other_package", EXAMPLE, bright="other_package:make")
    with pytest.raises(
        DetectorError, match=r"bright: registered by one_package and other_package; uninstall all but one"
    ):
        open_detector("bright:100")


def test_a_misspelt_name_on_the_command_line(
    install: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install("bright_package", EXAMPLE, bright="bright_package:make")
    (tmp_path / "photos").mkdir()
    words = [
        "extract",
        "--images",
        str(tmp_path / "photos"),
        "--detector",
        "brigth:100",
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(words) != 0
    said = " ".join(capsys.readouterr().err.split())
    assert "detector brigth: no installed package has registered this name" in said and "did you mean" in said


def test_options_that_only_the_package_can_decide(install: Install) -> None:
    install("bright_package", EXAMPLE, bright="bright_package:make")
    assert installed_names() == ("bright",)
    assert open_detector("bright:100", candidates=3).candidates == 3
    with pytest.raises(ConfigError, match=r"image_size: a detector of your own decides this itself"):
        open_detector("bright:100", image_size=64)


@pytest.mark.parametrize("name", ["mini", "facebook/detr-resnet-50", "./folder", "C:/models", "C:\\models", ""])
def test_other_names_are_not_taken_for_registered_ones(name: str) -> None:
    assert registered_name(name) is None
    assert registered_name(f"yolo:{name}") == ("yolo", name)


def test_an_argument_may_be_longer_than_a_path() -> None:
    assert registered_name("bright:" + "x" * 5000) == ("bright", "x" * 5000)


def test_a_folder_with_a_colon_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run:1").mkdir()
    monkeypatch.chdir(tmp_path)
    assert registered_name("run:1") is None
