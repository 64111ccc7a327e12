"""Damaged checkpoints and settings of a run: one line that names the file to delete, after which training works."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.old_files import without_hashes
from helpers.tiny_run import World, checkpoint, run, weights

from aligncat.errors import ConfigError
from aligncat.training.checkpoints import read_checkpoint, write_checkpoint

EPOCHS = 2


@pytest.fixture(scope="module")
def whole(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    run(world, out, epochs=EPOCHS)
    return out


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def halved(content: bytes) -> bytes:
    return content[: len(content) // 2]


def empty(content: bytes) -> bytes:
    return b""


def zeros(content: bytes) -> bytes:
    return bytes(len(content))


def zeros_at_the_end(content: bytes) -> bytes:
    """As after a power cut, when the file has its length but not all of its content."""
    return content[:4096] + bytes(len(content) - 4096)


def beginning_of_a_zip(content: bytes) -> bytes:
    return b"PK\x03\x04" + bytes(100)


def pickled(content: bytes) -> bytes:
    return pickle.dumps({"epoch": 1})


def pickled_code(content: bytes) -> bytes:
    return pickle.dumps(print)


def text(content: bytes) -> bytes:
    return b"not a checkpoint"


def flipped_weight(content: bytes) -> bytes:
    """Flip a bit in the middle of the largest tensor, which torch.load does not notice."""
    damaged = bytearray(content)
    damaged[len(damaged) // 2] ^= 1
    return bytes(damaged)


DAMAGES = [
    halved,
    empty,
    zeros,
    zeros_at_the_end,
    beginning_of_a_zip,
    pickled,
    pickled_code,
    text,
    flipped_weight,
]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["last", "best"])
def test_a_damaged_checkpoint_is_one_line_that_names_the_file_to_delete(
    name: str, damage: Callable[[bytes], bytes], copy: Path, world: World
) -> None:
    path = copy / "run" / f"{name}.ckpt"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ConfigError) as error:
        run(world, copy, epochs=EPOCHS)
    message = str(error.value)
    assert message.startswith(f"{path}: damaged, or not written by aligncat") and "\n" not in message
    assert f"delete {copy / 'run' / 'last.ckpt'}, and the same command starts again" in message


@pytest.mark.parametrize("name", ["last", "best"])
def test_after_the_named_file_is_deleted_training_starts_again(
    name: str, whole: Path, copy: Path, world: World
) -> None:
    path = copy / "run" / f"{name}.ckpt"
    path.write_bytes(halved(path.read_bytes()))
    (copy / "model.safetensors").unlink()
    (copy / "run" / "last.ckpt").unlink()
    run(world, copy, epochs=EPOCHS)
    assert weights(copy) == weights(whole)


def test_a_missing_best_epoch_is_named_before_training_resumes(copy: Path, world: World) -> None:
    (copy / "run" / "best.ckpt").unlink()
    with pytest.raises(ConfigError, match=r"best\.ckpt: no such file.* delete .*last\.ckpt"):
        run(world, copy, epochs=EPOCHS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"state_dict": {}}, "the tensor .* is missing"),
        ({"state_dict": {"weight": 1}}, "values that are not tensors"),
        ({"state_dict": None}, "'state_dict' is missing or not of type dict"),
        ({"loops": None}, "'loops' is missing"),
        ({"epoch": "1"}, "'epoch' is missing or not of type int"),
        ({"current_model_state": {}}, "the tensor .* is missing"),
        ({"averaging_state": None}, "'averaging_state' is missing"),
        ({"optimizer_states": []}, "'optimizer_states' has 0 states, not 1"),
        ({"loops": {}}, "last.ckpt: damaged: .*fit_loop.* delete .*last.ckpt"),
        ({"optimizer_states": [{"state": 1}]}, "last.ckpt: damaged: .*param_groups.* delete .*last.ckpt"),
        ({"lr_schedulers": [5]}, "last.ckpt: damaged: .* delete .*last.ckpt"),
        ({"callbacks": {"AveragedWeights": 5}}, "last.ckpt: damaged: .* delete .*last.ckpt"),
        ({"averaging_state": {}}, "last.ckpt: damaged: .*AveragedModel.* delete .*last.ckpt"),
        ({"pytorch-lightning_version": "x.y"}, "last.ckpt: damaged: .*x.y.* delete .*last.ckpt"),
    ],
)
def test_a_torch_file_of_another_content_is_refused(
    changes: dict[str, Any], message: str, copy: Path, world: World
) -> None:
    torch.save({**checkpoint(copy, "last"), **changes}, copy / "run" / "last.ckpt")
    with pytest.raises(ConfigError, match=message):
        run(world, copy, epochs=EPOCHS)


def test_a_checkpoint_is_a_file_of_torch_and_comes_back_as_it_was(tmp_path: Path) -> None:
    parts = {"epoch": 3, "global_step": 9, "loops": {}, "callbacks": {}, "averaging_state": {}}
    parts |= {"optimizer_states": [{}], "lr_schedulers": [{}]}
    state = {"a": torch.arange(5.0), "b": torch.tensor([1, 2])}
    content = {**parts, "pytorch-lightning_version": "2", "state_dict": state, "current_model_state": state}
    write_checkpoint(content, tmp_path / "x.ckpt")
    for found in (torch.load(tmp_path / "x.ckpt", weights_only=True), read_checkpoint(tmp_path / "x.ckpt", state, "")):
        assert {key: found[key] for key in parts} == parts
        assert {name: tensor.tolist() for name, tensor in found["state_dict"].items()} == {
            "a": [0.0, 1.0, 2.0, 3.0, 4.0],
            "b": [1, 2],
        }


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"training has diverged.*smaller training\.learning_rate"):
        write_checkpoint({"state_dict": {"a": torch.tensor([1.0, float("nan")])}}, tmp_path / "x.ckpt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"3",
        b'{"alignment": null}',
        b'{"alignment": []}',
        b'{"text": 3}',
        b'{"training": "x"}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"training": {"seed": NaN}}',
        b'{"content_sha256": "0"}',
    ],
)
def test_damaged_settings_are_one_line_that_names_what_to_delete(content: bytes, copy: Path, world: World) -> None:
    path = copy / "run" / "settings.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as error:
        run(world, copy, epochs=EPOCHS)
    message = str(error.value)
    assert message.startswith(str(path)) and "\n" not in message
    assert f"delete {copy} to train it again from the first epoch" in message


def test_settings_of_which_a_part_is_missing_differ(copy: Path, world: World) -> None:
    path = copy / "run" / "settings.json"
    path.write_text(json.dumps({key: value for key, value in without_hashes(path).items() if key != "data"}))
    with pytest.raises(ConfigError, match="other settings: data"):
        run(world, copy, epochs=EPOCHS)


def test_edited_settings_are_found(copy: Path, world: World) -> None:
    path = copy / "run" / "settings.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(ConfigError, match=r"settings\.json: damaged or edited"):
        run(world, copy, epochs=EPOCHS, seed=1)
