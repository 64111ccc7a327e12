"""Fixtures shared by the tests of several packages."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from helpers.tiny_detector import save_tiny_detector
from helpers.tiny_run import World, make_world, run

from aligncat.datasets.load import load_split
from aligncat.grounder.grounder import Grounder
from aligncat.training.calibration import calibrate


def pytest_configure() -> None:
    """Let signals end the tests' processes where the shell started the tests in the background, which ignores them."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def tiny_detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a tiny Mask2Former with random weights."""
    return save_tiny_detector(tmp_path_factory.mktemp("detector") / "tiny")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return a dataset and a store to train on. Tests only read it."""
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def trained(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an AlignCAT grounder that was trained for four epochs. Tests only read it."""
    out = tmp_path_factory.mktemp("trained") / "AlignCAT"
    run(world, out)
    return out


@pytest.fixture(scope="session")
def calibrated(trained: Path, world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the same grounder with a calibration, which the tiny validation split is too small for."""
    split = load_split(world.data, "train")
    bare = Grounder.from_pretrained(trained)
    calibration = calibrate(
        bare.model, bare.vocabulary, store=world.open(), split=split, references=list(split.images), seed=0
    )
    found = Grounder(
        bare.model, bare.vocabulary, bare.labels, bare.detector_description, bare.provenance, calibration=calibration
    )
    found.save_pretrained(out := tmp_path_factory.mktemp("calibrated") / "AlignCAT")
    return out
