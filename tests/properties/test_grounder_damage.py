"""A single flipped bit in a grounder's folder or in a training run is an error, or changes no answer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from operator import eq
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.old_files import without_hashes
from helpers.tiny_run import World
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aligncat.errors import AligncatError, ConfigError
from aligncat.grounder.folder import read_config
from aligncat.grounder.grounder import Grounder
from aligncat.training.checkpoints import read_checkpoint
from aligncat.training.run_folder import check_settings
from aligncat.types import Candidates

PHRASES = ["red person", "the dog on the left", "couch"]
FILES = ["config.json", "model.safetensors", "vocabulary.json"]
FAST = 60  # flips of each file
MANY = 10_000


@dataclass(frozen=True)
class Run:
    """A copy of a trained run to damage, and what is right before that."""

    folder: Path
    candidates: Candidates
    answers: list[dict[str, Any]]
    settings: dict[str, Any]
    checkpoint: dict[str, Any]

    def answer(self) -> list[dict[str, Any]]:
        return [
            found.to_dict()
            for found in Grounder.from_pretrained(self.folder).ground_candidates(self.candidates, PHRASES)
        ]

    def read_checkpoint(self) -> dict[str, Any]:
        return read_checkpoint(self.folder / "run" / "last.ckpt", self.checkpoint["state_dict"], "delete it")


@pytest.fixture(scope="module")
def damaged_run(trained: Path, world: World, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = Path(shutil.copytree(trained, tmp_path_factory.mktemp("damage") / "copy"))
    candidates = world.open().candidates("1000")
    found = Grounder.from_pretrained(folder).ground_candidates(candidates, PHRASES)
    return Run(
        folder,
        candidates,
        [each.to_dict() for each in found],
        without_hashes(folder / "run" / "settings.json"),
        torch.load(folder / "run" / "last.ckpt", weights_only=True),
    )


def flips(path: Path, check: Callable[[], None], count: int) -> None:
    """Flip one bit of a file at a time, check, and restore the file."""
    content = path.read_bytes()

    @given(st.integers(0, 8 * len(content) - 1))
    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def flip(bit: int) -> None:
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        check()

    try:
        flip()
    finally:
        path.write_bytes(content)


def error_or_equal(read: Callable[[], Any], right: Any, equal: Callable[[Any, Any], bool] = eq) -> None:
    try:
        found = read()
    except ConfigError as error:
        assert "\n" not in str(error)
    else:
        assert equal(found, right)


def same(one: Any, other: Any) -> bool:
    """Return whether two checkpoints are equal, tensors bit for bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def check_files(run: Run, count: int) -> None:
    for name in FILES:
        flips(run.folder / name, partial(error_or_equal, run.answer, run.answers), count)


def check_run(run: Run, count: int) -> None:
    last = run.folder / "run" / "last.ckpt"
    flips(last, partial(error_or_equal, run.read_checkpoint, run.checkpoint, same), count)
    matches = partial(check_settings, run.folder, run.settings)
    flips(run.folder / "run" / "settings.json", partial(error_or_equal, matches, None), count)


def test_a_flipped_bit_in_a_grounder(damaged_run: Run) -> None:
    check_files(damaged_run, FAST)


def test_a_flipped_bit_in_a_run(damaged_run: Run) -> None:
    check_run(damaged_run, FAST)


@pytest.mark.slow
def test_many_flipped_bits(damaged_run: Run) -> None:
    check_files(damaged_run, MANY)
    check_run(damaged_run, MANY)


@pytest.mark.slow
def test_every_byte_of_config_and_settings(damaged_run: Run) -> None:
    """A flipped bit in the name of a key that may be missing is the hardest case, so try every byte."""
    readers: dict[str, Callable[[], Any]] = {
        "config.json": partial(read_config, damaged_run.folder),
        "run/settings.json": partial(check_settings, damaged_run.folder, damaged_run.settings),
    }
    for name, read in readers.items():
        path = damaged_run.folder / name
        content, expected = path.read_bytes(), read()
        for place in range(len(content)):
            damaged = bytearray(content)
            damaged[place] ^= 1 << place % 8
            path.write_bytes(damaged)
            try:
                found = read()
            except ConfigError:
                continue
            finally:
                path.write_bytes(content)
            assert found is None or {key: found[key] for key in expected if key in found} == {
                key: value for key, value in expected.items() if key in found
            }


def test_a_checkpoint_of_an_earlier_version_has_a_crc(damaged_run: Run) -> None:
    """Without our hash at its end, the CRC-32 of each member finds the flipped bit."""
    path = damaged_run.folder / "run" / "last.ckpt"
    content = path.read_bytes()
    try:
        torch.save(damaged_run.checkpoint, path)
        flips(path, partial(error_or_equal, damaged_run.read_checkpoint, damaged_run.checkpoint, same), FAST)
    finally:
        path.write_bytes(content)


def test_a_folder_of_an_earlier_version_ends_in_no_traceback(damaged_run: Run, tmp_path: Path) -> None:
    """Without hashes a flipped bit can change an answer, but every error is one of ours."""
    folder = Path(shutil.copytree(damaged_run.folder, tmp_path / "old"))
    (folder / "config.json").write_text(json.dumps(without_hashes(folder / "config.json")))
    for name in FILES:

        def read() -> None:
            try:
                Grounder.from_pretrained(folder)
            except AligncatError as error:
                assert "\n" not in str(error)

        flips(folder / name, read, FAST)
