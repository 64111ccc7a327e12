"""Locks of output folders: one process at a time, none left behind, and those of dead processes are taken over."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from aligncat.errors import DataError, WriteError
from aligncat.files import locks
from aligncat.files.locks import STALE_SECONDS, folder_lock, path_lock
from aligncat.files.owner import Owner

Lock = Callable[[Path], AbstractContextManager[None]]
ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"}
OURS = Owner.current()
# The same process id, but of a process that started at another time.
DEAD = replace(OURS, start=OURS.start + 1)
ELSEWHERE = replace(OURS, host="elsewhere", machine="0123abcd")


def in_another_process(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], env=ENVIRONMENT, capture_output=True, text=True, timeout=120
    )


def write_lock(folder: Path, owner: Owner, *, age: float = 0) -> Path:
    """Write the lock of a folder as another process would have."""
    folder.mkdir(exist_ok=True)
    lock = folder / ".aligncat.lock"
    lock.write_text(json.dumps({"aligncat": str(owner), "since": "2026-01-02 03:04:05+00:00", "token": "89abcdef"}))
    os.utime(lock, (time.time() - age,) * 2)
    return lock


@pytest.fixture(params=[folder_lock, path_lock])
def lock(request: pytest.FixtureRequest) -> Lock:
    found: Lock = request.param
    return found


def test_a_second_process_is_refused_and_told_who_is_first(tmp_path: Path, lock: Lock) -> None:
    code = f"import sys; from pathlib import Path; from aligncat.files.locks import {lock.__name__} as lock\n"
    code += "with lock(Path(sys.argv[1])): print('written')"
    with lock(tmp_path / "out"):
        refused = in_another_process(code, str(tmp_path / "out"))
        assert refused.returncode == 1
        assert (
            f"{tmp_path / 'out'}: another aligncat (pid {os.getpid()}, host {OURS.host}, since 20" in refused.stderr
        ) and "is writing here; wait until it has ended, or choose another folder\n" in refused.stderr
    assert in_another_process(code, str(tmp_path / "out")).stdout == "written\n"
    assert not list(tmp_path.iterdir()), "no lock is left, nor a folder that is still empty"


def test_a_second_thread_or_call_of_the_same_process_is_refused(tmp_path: Path, lock: Lock) -> None:
    with lock(tmp_path / "out"):
        with pytest.raises(DataError, match="is writing here"), lock(tmp_path / "out"):
            pass
        with lock(tmp_path / "out" / "part"):  # a folder inside is another folder
            pass
        with pytest.raises(DataError, match="is writing here"), lock(tmp_path / "out"):
            pass


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_or_an_interruption_leaves_no_lock(tmp_path: Path, lock: Lock, error: type[BaseException]) -> None:
    with pytest.raises(error), lock(tmp_path / "new" / "out"):
        raise error
    assert not list(tmp_path.iterdir())
    with pytest.raises(error), lock(tmp_path / "new" / "out"):
        (tmp_path / "new" / "out").mkdir(exist_ok=True)
        (tmp_path / "new" / "out" / "file").touch()
        raise error
    assert [path.name for path in tmp_path.rglob("*")] == ["new", "out", "file"]


def test_the_lock_of_a_killed_process_is_taken_over_at_once(tmp_path: Path, lock: Lock) -> None:
    code = f"import os, sys; from pathlib import Path; from aligncat.files.locks import {lock.__name__} as lock\n"
    code += "with lock(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    assert in_another_process(code, str(tmp_path / "out")).returncode == -signal.SIGKILL
    assert list(tmp_path.rglob("*.lock"))
    with lock(tmp_path / "out"):
        pass
    assert not list(tmp_path.rglob("*.lock"))


def test_a_killed_process_that_waits_for_its_parent_is_dead(tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    for _ in range(1000):
        owner = replace(OURS, pid=pid)
        if owner.is_alive() is False:
            break
        time.sleep(0.01)
    write_lock(tmp_path, replace(OURS, pid=pid))
    with folder_lock(tmp_path):
        pass
    os.waitpid(pid, 0)


@pytest.mark.parametrize(
    ("owner", "age", "taken"),
    [
        (OURS, 10 * STALE_SECONDS, False),  # alive, and for instance stopped with Ctrl-Z
        (DEAD, 0, True),
        (ELSEWHERE, 0, False),
        (ELSEWHERE, STALE_SECONDS - 20, False),
        (ELSEWHERE, STALE_SECONDS + 1, True),
    ],
)
def test_a_dead_process_is_known_by_its_start_and_on_other_machines_by_its_sign_of_life(
    tmp_path: Path, owner: Owner, age: float, taken: bool
) -> None:
    write_lock(tmp_path, owner, age=age)
    if taken:
        with folder_lock(tmp_path):
            assert str(OURS) in (tmp_path / ".aligncat.lock").read_text()
        assert not list(tmp_path.iterdir())
        return
    with pytest.raises(DataError, match=rf"\(pid {owner.pid}, host {owner.host}, since 2026-01-02") as raised:
        folder_lock(tmp_path).__enter__()
    assert ("90 seconds after its last sign of life" in str(raised.value)) == (owner is ELSEWHERE)
    assert [path.name for path in tmp_path.iterdir()] == [".aligncat.lock"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[" * 900, b'{"aligncat": 1, "since": 2, "token": 3}', b"\xff\x1b[31m"]
)
def test_a_damaged_lock_counts_by_its_age_and_nothing_of_it_is_shown(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".aligncat.lock").write_bytes(content)
    with pytest.raises(DataError, match="another aligncat is writing here") as raised:
        folder_lock(tmp_path).__enter__()
    assert str(raised.value).isprintable()
    os.utime(tmp_path / ".aligncat.lock", (time.time() - STALE_SECONDS - 1,) * 2)
    with folder_lock(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_the_lock_is_renewed_while_it_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.01)
    with folder_lock(tmp_path):
        lock = tmp_path / ".aligncat.lock"
        os.utime(lock, (1, 1))
        deadline = time.monotonic() + 30
        while lock.stat().st_mtime < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert time.time() - lock.stat().st_mtime < 30


def test_a_lock_that_another_process_took_over_stays_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.01)
    with folder_lock(tmp_path):
        write_lock(tmp_path, ELSEWHERE)
        deadline = time.monotonic() + 30
        while "another one may be writing here" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.01)
    assert "elsewhere" in (tmp_path / ".aligncat.lock").read_text()
    assert "another one may be writing here" in caplog.text


def test_a_file_system_without_hard_links_has_locks_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write_lock(tmp_path, DEAD)
    with folder_lock(tmp_path), pytest.raises(DataError, match="is writing here"), folder_lock(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(WriteError, match=r"out: cannot be written \(File exists\); choose another folder"):
        folder_lock(tmp_path / "out").__enter__()
    assert (tmp_path / "out").read_text() == "mine"


RACE = """
import sys
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from test_locks import DEAD, write_lock
from aligncat.errors import DataError
from aligncat.files.locks import folder_lock

PROCESSES, ROUNDS = 6, 60

def compete(folder, begin, tried, wins):
    for number in range(ROUNDS):
        begin.wait()
        try:
            with folder_lock(folder / str(number)):
                with wins.get_lock():
                    wins[number] += 1
                tried.wait()
        except DataError:
            tried.wait()

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for number in range(ROUNDS):
        write_lock(folder / str(number), DEAD)
    context = get_context("fork")
    begin, tried = context.Barrier(PROCESSES), context.Barrier(PROCESSES)
    wins = context.Array("i", ROUNDS)
    processes = [context.Process(target=compete, args=(folder, begin, tried, wins)) for _ in range(PROCESSES)]
    for each in processes: each.start()
    for each in processes: each.join()
    print([*wins] == [1] * ROUNDS, [each.exitcode for each in processes], [*wins])
"""


def test_of_many_processes_that_find_a_dead_lock_one_wins(tmp_path: Path) -> None:
    environment = {**ENVIRONMENT, "PYTHONPATH": f"{ENVIRONMENT['PYTHONPATH']}:{Path(__file__).parent}"}
    script = tmp_path / "race.py"
    script.write_text(RACE)
    (tmp_path / "work").mkdir()
    done = subprocess.run(
        [sys.executable, script, tmp_path / "work"], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.startswith("True [0, 0, 0, 0, 0, 0]"), done.stdout + done.stderr
    assert not list((tmp_path / "work").rglob(".*"))


KILLED_WHILE_TAKING_OVER = """
import os, sys
from pathlib import Path
from helpers.killed_verbs import Request, watch
from test_locks import DEAD, write_lock
from aligncat.files.locks import folder_lock

def forked(folder, kill_at):
    pid = os.fork()
    if pid == 0:
        watch(Request([], str(folder), kill_at))
        with folder_lock(folder / "out"):
            pass
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

folder = Path(sys.argv[1])
statuses = []
for first in range(1, 100):
    write_lock(folder / "out", DEAD)
    statuses.append(forked(folder, first))
    second = 1 + first % 12
    forked(folder, second)  # mostly killed again, while it takes over what the first one left
    assert forked(folder, None) == 0, (first, second)
    assert not list((folder / "out").iterdir()), (first, [*(folder / "out").iterdir()])
    if statuses[-1] == 0:
        break
print(statuses.count(-9), statuses[-1])
"""


def test_a_process_killed_at_any_moment_of_taking_over_leaves_nothing_for_good(tmp_path: Path) -> None:
    environment = {**ENVIRONMENT, "PYTHONPATH": f"{ENVIRONMENT['PYTHONPATH']}:{Path(__file__).parent}"}
    done = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_TAKING_OVER, tmp_path],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    killed, last = map(int, done.stdout.split())
    assert killed >= 6 and last == 0, "the last of the first processes made all its changes"
