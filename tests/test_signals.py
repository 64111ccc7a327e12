"""Signals that stop a command."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from aligncat.signals import signals_held, stop_signals, stopped_status


def send(number: int) -> None:
    """Send a signal to this process from a thread, as the system may deliver it to any thread."""
    thread = threading.Thread(target=os.kill, args=(os.getpid(), number))
    thread.start()
    thread.join()
    time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_held_signal_stops_the_command_after_the_block(number: int) -> None:
    seen = []
    with pytest.raises(KeyboardInterrupt), stop_signals(signal.SIGINT) as received:
        with signals_held():
            send(number)
            seen.append("the block ended")
        seen.append("not reached")
    assert seen == ["the block ended"] and stopped_status(received) == 128 + number


def test_holding_signals_restores_the_handlers() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with signals_held():
        pass
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
