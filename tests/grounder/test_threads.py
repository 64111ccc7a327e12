"""Threads that share a grounder get the answers of calls one after another."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import torch
from helpers.fabricate import CATEGORIES
from helpers.tiny_detector import save_tiny_detector
from helpers.tiny_text import save_tiny_text
from PIL import ExifTags, Image
from safetensors.torch import load_file

from aligncat.detectors.registry import open_detector
from aligncat.files.given_images import as_rgb
from aligncat.grounder.grounder import Grounder
from aligncat.language.pretrained import load_pretrained_text
from aligncat.loading import unlike_files

PHRASES = ["red person", "the dog on the left", "couch", "the big red dog on the right of the couch"]
CALLS = 2000
THREADS = 32


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    """Eight small pictures of noise, of different sizes."""
    rng = np.random.default_rng(0)
    sizes = [(20 + 4 * index, 48 - 4 * index, 3) for index in range(8)]
    return [Image.fromarray(rng.integers(0, 256, size, np.uint8)) for size in sizes]


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Let Python switch threads as often as it can, so that races show."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def at_once(count: int, call: Callable[[int], object]) -> list[object]:
    """Return the results of one call per thread, which all start at the same time."""
    barrier = Barrier(count)

    def start(index: int) -> object:
        barrier.wait()
        return call(index)

    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(start, index) for index in range(count)]]


def test_six_threads_that_first_use_a_grounder(trained: Path, pictures: list[Image.Image], eager_threads: None) -> None:
    serial = Grounder.from_pretrained(trained)
    right = [serial.ground(picture, PHRASES) for picture in pictures[:6]]
    for _ in range(12):
        grounder = Grounder.from_pretrained(trained)
        assert at_once(6, lambda index, grounder=grounder: grounder.ground(pictures[index], PHRASES)) == right


def test_six_threads_that_load_a_grounder_each(trained: Path, pictures: list[Image.Image], eager_threads: None) -> None:
    right = Grounder.from_pretrained(trained).ground(pictures[0], PHRASES)
    for _ in range(2):
        found = at_once(6, lambda _: Grounder.from_pretrained(trained).ground(pictures[0], PHRASES))
        assert found == [right] * 6


def test_the_detector_is_loaded_once(trained: Path) -> None:
    grounder = Grounder.from_pretrained(trained)
    detectors = at_once(6, lambda _: grounder.detector)
    assert all(detector is detectors[0] for detector in detectors)


@pytest.mark.parametrize("calls", [100, pytest.param(CALLS, marks=pytest.mark.slow)])
def test_many_threads_on_one_grounder_equal_serial_calls(
    calls: int, trained: Path, pictures: list[Image.Image], eager_threads: None
) -> None:
    grounder = Grounder.from_pretrained(trained)
    jobs = [(index % len(pictures), index % 3 + 1) for index in range(calls)]
    right = {
        (picture, count): grounder.ground(pictures[picture], PHRASES[:count]) for picture, count in dict.fromkeys(jobs)
    }
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda job: grounder.ground(pictures[job[0]], PHRASES[: job[1]]), jobs))
    assert sum(answer != right[job] for job, answer in zip(jobs, found, strict=True)) == 0


def test_threads_that_share_a_tokenizer(tmp_path: Path, eager_threads: None) -> None:
    """A tokenizer keeps the truncation of one call until the call ends; another thread must not see it."""
    pieces = load_pretrained_text(str(save_tiny_text(tmp_path / "bert"))).pieces
    long = "the red dog on the left " * 6

    def read(index: int) -> object:
        length = 2 + index % 9
        return pieces.encode([long, "red dog"], length).tolist(), pieces.weigh(long, [0.01] * 36)

    right = [read(index) for index in range(9)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(read, range(900)))
    assert found == right * 100


def test_threads_that_share_a_picture_that_is_not_decoded_yet(tmp_path: Path, eager_threads: None) -> None:
    rng = np.random.default_rng(0)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(rng.integers(0, 256, (60, 90, 3), np.uint8)).save(tmp_path / "turned.png", exif=exif)
    right = np.asarray(as_rgb(tmp_path / "turned.png"))
    assert right.shape == (90, 60, 3)
    for _ in range(20):
        with Image.open(tmp_path / "turned.png") as picture:
            found = at_once(6, lambda _, picture=picture: np.asarray(as_rgb(picture)))
        assert all(np.array_equal(each, right) for each in found)


class TestLoadedTensors:
    def test_a_tensor_that_is_not_in_the_files_is_named(self, tiny_detector: Path) -> None:
        detector = open_detector(str(tiny_detector), candidates=5)
        model = detector._model  # type: ignore[attr-defined]
        weights = tiny_detector / "model.safetensors"
        assert unlike_files(model, [weights]) == []
        with torch.no_grad():
            model.class_predictor.weight[0, 0] += 1e-6
        assert unlike_files(model, [weights]) == ["class_predictor.weight"]
        assert unlike_files(model, [weights], allowed=("class_predictor.",)) == []

    def test_half_precision_in_the_file_is_not_a_difference(self, tmp_path: Path) -> None:
        from transformers import BertModel

        folder = save_tiny_text(tmp_path / "bert")
        BertModel.from_pretrained(folder).half().save_pretrained(folder)
        assert {tensor.dtype for tensor in load_file(folder / "model.safetensors").values()} == {torch.float16}
        model = load_pretrained_text(str(folder)).model
        assert model.dtype == torch.float32
        assert unlike_files(model, [folder / "model.safetensors"]) == []

    def test_the_shipped_detector_and_a_swin_load_as_in_their_files(self, tmp_path: Path) -> None:
        for name in ("mini", str(save_tiny_detector(tmp_path / "tiny", labels=tuple(CATEGORIES.values())))):
            assert open_detector(name, candidates=5).feature_dim > 0
