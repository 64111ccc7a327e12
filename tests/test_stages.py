"""The stages of a long command: the times that are told, by hand on a clock of the test."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.progress import SpinnerColumn

from aligncat.console import further_columns, in_every_bar, progress_bar, track
from aligncat.stages import Stage, Stages

STAGES = (Stage("One", 10, has_bar=True), Stage("Two", 20), Stage("Three", 30))


class Clock:
    """A clock that stands still until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def stages(clock: Clock, output: io.StringIO) -> Stages:
    return Stages(STAGES, Console(file=output, width=100), clock)


def test_at_first_the_usual_times_are_told(stages: Stages, output: io.StringIO) -> None:
    with stages.next():
        assert stages.left() == 60
    assert "1/3 One (0:00 passed, about 1:00 left)" in output.getvalue()


def test_a_slow_machine_is_slow_in_the_later_stages_too(stages: Stages, clock: Clock, output: io.StringIO) -> None:
    with stages.next():
        clock.now = 30.0
    with stages.next():
        assert stages.left() == 3 * (20 + 30)
        clock.now = 130.0  # longer than expected: the stage is nearly done, and says 130 s for 30
        assert stages.left() == pytest.approx(30 * 130 / 30)
    assert "2/3 Two (0:30 passed, about 2:30 left)" in output.getvalue()
    assert "One: 30.0 s" in output.getvalue()


def test_the_share_of_a_bar_tells_the_time_of_its_stage(stages: Stages, clock: Clock) -> None:
    with stages.next():
        clock.now = 10.0
        assert stages.left(0.25) == 30 + 4 * (20 + 30)  # 40 s instead of 10
        assert stages.left(0.0) == stages.left() == 0 + 50
    with stages.next():
        assert stages.left(0.9) == 20 + 30, "a bar that is not about the whole stage"


def test_a_stage_that_was_done_before_says_nothing_of_the_speed(stages: Stages, clock: Clock) -> None:
    with stages.next():
        clock.now = 0.5
        assert stages.left(0.9) == pytest.approx(0.5 / 9 + 50)
    with stages.next():
        assert stages.left() == 50


def test_every_bar_of_a_stage_shows_the_times_of_all(
    stages: Stages, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with stages.next():
        clock.now = 5.0
        list(track(range(4), "working"))  # 5 s instead of 10
    assert "working" in (said := capsys.readouterr().err) and "(in all 0:05 passed, about 0:25 left)" in said
    list(track(range(4), "alone"))
    assert "passed" not in capsys.readouterr().err


def test_a_bar_that_does_not_know_its_end_shows_the_times(stages: Stages, capsys: pytest.CaptureFixture[str]) -> None:
    with stages.next(), progress_bar() as progress:
        progress.add_task("reading", total=None)
    assert "about 1:00 left" in capsys.readouterr().err


def test_the_column_goes_with_the_block_also_after_an_error() -> None:
    with pytest.raises(ValueError, match="end"), in_every_bar(SpinnerColumn):
        assert len(further_columns()) == 1
        raise ValueError("end")
    assert further_columns() == []
