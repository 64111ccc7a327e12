"""Training on several devices: two processes against one, kill and resume, and nodes that disagree."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import helpers.tiny_run
import pytest
import torch
from helpers.tiny_run import ALIGNMENT, TEXT, World, averaged, logged, run, weights
from torch.utils.data import SequentialSampler

from aligncat.alignment.losses import category_loss
from aligncat.errors import AligncatError, ConfigError
from aligncat.training.config import TrainingConfig
from aligncat.training.data import PartOfBatches
from aligncat.training.devices import on_devices
from aligncat.training.nodes import Node

LAUNCHERS = ("NODE_RANK", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK", "LOCAL_RANK")
TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "RANK": "0", "LOCAL_RANK": "0", "GROUP_RANK": "1", "WORLD_SIZE": "2"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in (*LAUNCHERS, "TORCHELASTIC_RUN_ID", "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_the_parts_of_two_devices_are_the_batches_of_one() -> None:
    sampler = SequentialSampler(range(14))
    first, second = (list(PartOfBatches(sampler, 4, rank, 2)) for rank in range(2))
    assert first == [[0, 1], [4, 5], [8, 9]]
    assert second == [[2, 3], [6, 7], [10, 11]]


def test_the_mean_of_the_devices_category_losses_is_the_loss_of_all_texts() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(6, 4), torch.tensor([1, -1, -1, 0, 3, -1])  # one is known to the first device
    parts = [category_loss(logits[part], labels[part], labels) for part in (slice(3), slice(3, 6))]
    torch.testing.assert_close(torch.stack(parts).mean(), category_loss(logits, labels))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"devices": 0}, "training.devices is 0; it must be at least 1"),
        ({"nodes": -1}, "training.nodes is -1; it must be at least 1"),
        ({"batch_size": 28, "devices": 4, "nodes": 2}, "training.nodes is 8; it must divide training.batch_size (28)"),
        ({"batch_size": 28, "devices": 4, "ranks": 2}, "set training.ranks to 1"),
    ],
)
def test_devices_that_do_not_fit_the_batch_are_an_error(changes: dict[str, int], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        TrainingConfig(**changes)  # type: ignore[arg-type]
    assert problem in str(caught.value)


def test_one_machine_needs_no_environment(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("NODE_RANK", "7")  # another program's
    assert Node.of(TrainingConfig(devices=2)) == Node()


@pytest.mark.parametrize(
    ("variables", "node"),
    [
        ({"NODE_RANK": "1", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "1234"}, Node(1, "10.0.0.1", 1234)),
        ({**TORCHRUN, "MASTER_ADDR": "10.0.0.2", "MASTER_PORT": "1235"}, Node(1, "10.0.0.2", 1235)),
    ],
)
def test_the_environment_says_which_node_this_is(
    environment: pytest.MonkeyPatch, variables: Mapping[str, str], node: Node
) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)
    assert Node.of(TrainingConfig(nodes=2)) == node


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({}, "training.nodes is 2 and NODE_RANK, MASTER_ADDR, MASTER_PORT not set"),
        ({"NODE_RANK": "one", "MASTER_ADDR": "a", "MASTER_PORT": "1"}, "must be whole numbers"),
        ({"NODE_RANK": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"}, "NODE_RANK is 2; with training.nodes 2"),
        ({**TORCHRUN, "WORLD_SIZE": "16"}, "the command was started 16 times: start it once on each node"),
        ({"SLURM_STEP_NUM_TASKS": "8"}, "the command was started 8 times"),
    ],
)
def test_a_node_that_is_not_started_as_it_should_is_an_error(
    environment: pytest.MonkeyPatch, variables: Mapping[str, str], problem: str
) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        Node.of(TrainingConfig(nodes=2))
    assert problem in str(caught.value)


def set_own_number(numbers: torch.Tensor) -> str:
    rank = int(os.environ["LOCAL_RANK"])
    numbers[rank] = rank + 1
    return f"device {rank}"


def fail(kind: str, failed: torch.Tensor) -> None:
    """Fail in device 1; device 0 then loses its connection, or would go on for a long time."""
    if os.environ["LOCAL_RANK"] == "1":
        failed[0] = 1
        if kind == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        raise ConfigError("a bad setting")
    while not failed[0]:
        time.sleep(0.01)
    if kind == "dies":
        time.sleep(3600)
    raise RuntimeError("Connection closed by peer")


def test_the_processes_share_the_memory_of_tensors_and_the_first_gives_the_result() -> None:
    numbers = torch.zeros(2)
    assert on_devices(set_own_number, (numbers,), TrainingConfig(devices=2), Node()) == "device 0"
    assert numbers.tolist() == [1, 2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "problem"), [("raises", "a bad setting"), ("dies", "the process of device 1 was killed")]
)
def test_the_error_is_that_of_the_process_that_caused_it(kind: str, problem: str) -> None:
    with pytest.raises(AligncatError, match=problem):
        on_devices(fail, (kind, torch.zeros(1)), TrainingConfig(devices=2), Node())
    assert not multiprocessing.active_children()  # the other does not go on


@pytest.mark.slow
@pytest.mark.parametrize(("ranks", "context"), [(1, "none"), (1, "relations"), (2, "relations")])
def test_two_devices_give_the_weights_of_one(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ranks: int, context: str
) -> None:
    # The devices draw other dropout. A larger eps keeps Adam from turning rounding errors into steps where the gradient
    # is 0 but for them, as for biases before a softmax.
    monkeypatch.setattr(helpers.tiny_run, "TEXT", replace(TEXT, dropout=0.0, unknown_rate=0.0))
    alignment = replace(ALIGNMENT, context=context)  # type: ignore[arg-type]
    for name, devices in (("one", 1), ("two", 2)):
        run(world, tmp_path / name, alignment=alignment, epochs=2, eps=1e-3, ranks=ranks, devices=devices)
    one, two = (averaged(tmp_path / name, "last") for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, rtol=0, atol=1e-5, msg=name)
    for key in ("train/total", "train/category", "val/rec"):
        assert logged(tmp_path / "two", key) == pytest.approx(logged(tmp_path / "one", key), rel=1e-5)


SCRIPT = """
import logging, sys
from pathlib import Path
from helpers.tiny_run import ALIGNMENT, TEXT, TRAINING
from dataclasses import replace
from aligncat.api.train import train
from aligncat.datasets.config import DataConfig
from aligncat.errors import AligncatError

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    data, store, out, changes = sys.argv[1:]
    training = replace(TRAINING, **eval(changes))
    try:
        train(
            data=DataConfig(Path(data), "refcoco"), store=store, out=out, alignment=ALIGNMENT, text=TEXT,
            training=training, progress=False,
        )
    except AligncatError as error:
        sys.exit(f"error: {error}")
"""


def start(world: World, script: Path, out: Path, changes: Mapping[str, int], **variables: str) -> subprocess.Popen[str]:
    """Train in a process of its own."""
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    words = [sys.executable, str(script), str(world.data.path), str(world.store), str(out), repr(dict(changes))]
    return subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_killed_on_two_devices_it_resumes_and_gives_the_same_weights(world: World, tmp_path: Path) -> None:
    changes = {"devices": 2, "epochs": 60}
    run(world, tmp_path / "whole", **changes)
    process = start(world, tmp_path / "train.py", tmp_path / "killed", changes)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch 3 of 60"):
            break
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.wait()
    assert len(children) >= 2
    for _ in range(200):
        if not any(Path("/proc", child).exists() for child in children):
            break
        time.sleep(0.1)
    else:
        pytest.fail("the processes of the devices outlive the command")
    run(world, tmp_path / "killed", **changes)
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")
    assert len(logged(tmp_path / "killed", "train/total", start=1)) < 60  # it did not start again


def together(world: World, folder: Path, changes: tuple[Mapping[str, int], Mapping[str, int]]) -> list[tuple[int, str]]:
    """Train on two nodes, which are processes here, and return the exit status and messages of each."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    nodes = [
        start(world, folder / f"{rank}.py", folder / "out", {"nodes": 2, **own}, NODE_RANK=str(rank), **place)
        for rank, own in enumerate(changes)
    ]
    said = [node.communicate(timeout=500)[1] for node in nodes]
    return [(node.returncode, text) for node, text in zip(nodes, said, strict=True)]


@pytest.mark.slow
def test_two_nodes_train_and_the_first_writes_the_grounder(world: World, tmp_path: Path) -> None:
    ended = together(world, tmp_path, ({}, {}))
    assert [status for status, _ in ended] == [0, 0], ended
    run(world, tmp_path / "devices", devices=2)
    assert weights(tmp_path / "out") == weights(tmp_path / "devices")


@pytest.mark.slow
def test_nodes_that_disagree_on_the_seed_are_one_clear_error(world: World, tmp_path: Path) -> None:
    ended = together(world, tmp_path, ({}, {"seed": 1}))
    for status, text in ended:
        assert status == 1
        assert "error: node 1 trains something else than node 0 (here): training.seed is 1 there and 0 here" in text
        assert text.count("error: ") == 1 and "Traceback" not in text
    assert not (tmp_path / "out" / "model.safetensors").exists()
