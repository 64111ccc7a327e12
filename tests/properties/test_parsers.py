"""Damage to every kind of file that is read: an error of the declared class, or what the damaged file says.

`helpers/mutations.py` makes the damage and `helpers/parsers.py` lists the readers. Neither is silent nor slow: a
document that is accepted must mean what an independent reading of it means, and no mutation takes 20 seconds. The long
run also limits the memory.

atheris was left out: it finds faults by the coverage of one parser's branches and needs clang, while these readers
delegate the bytes to json, tomllib, pickle, Arrow and torch, and fail on the structure.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from helpers.mutation_run import Subject
from helpers.parsers import PARSERS, Parser
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

each_parser = pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
quick = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
LONG = 10_000


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Subject]:
    """The valid file of each parser, by the parser's name."""
    return {parser.name: Subject(parser, tmp_path_factory.mktemp("parser")) for parser in PARSERS}


@each_parser
def test_the_valid_file_means_what_an_independent_reading_says(parser: Parser, subjects: dict[str, Subject]) -> None:
    subjects[parser.name].check_valid()


@each_parser
@quick
@given(seed=st.integers(0, 2**32 - 1))
def test_a_changed_document_is_refused_or_means_what_it_says(
    parser: Parser, subjects: dict[str, Subject], seed: int
) -> None:
    subjects[parser.name].check_structure(Random(seed))


@each_parser
@quick
@given(seed=st.integers(0, 2**32 - 1))
def test_damaged_bytes_are_refused_or_mean_what_they_say(
    parser: Parser, subjects: dict[str, Subject], seed: int
) -> None:
    subjects[parser.name].check_bytes(Random(seed))


@each_parser
@settings(quick, max_examples=5)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_same_document_in_other_bytes_means_the_same(
    parser: Parser, subjects: dict[str, Subject], seed: int
) -> None:
    subjects[parser.name].check_rewritten(Random(seed))


@each_parser
@pytest.mark.slow
def test_ten_thousand_mutations_within_two_gigabytes(parser: Parser, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "helpers.mutation_run", parser.name, str(LONG), str(tmp_path)]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
