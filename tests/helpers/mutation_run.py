"""Mutate one parser's file many times: python -m helpers.mutation_run NAME COUNT FOLDER [FIRST_SEED]."""

from __future__ import annotations

import resource
import signal
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

from aligncat.errors import UnsafePickleError
from helpers.mutations import damaged, mutated
from helpers.parsers import PARSERS, Parser, plain

SECONDS = 20
BYTES = 2 * 2**30


class Subject:
    """A parser's valid file, which is damaged, read and judged."""

    def __init__(self, parser: Parser, folder: Path) -> None:
        self.parser = parser
        self.path = parser.make(folder)
        self.content = self.path.read_bytes()
        self.accepted = 0
        self.tree = parser.codec.load(self.content)
        self.meaning = plain(parser.read(self.path))

    def check_valid(self) -> None:
        assert self.meaning == plain(self.parser.expected(self.tree, self.path))

    def check_structure(self, random: Random) -> None:
        content = self.parser.codec.dump(mutated(self.tree, random), random)
        if content is not None:
            self._check(content)

    def check_bytes(self, random: Random) -> None:
        self._check(damaged(self.content, random), undamaged_is_fine=True, meaning=not self.parser.byte_errors_only)

    def check_rewritten(self, random: Random) -> None:
        if self.parser.codec.rewrite is not None:
            self.path.write_bytes(self.parser.codec.rewrite(self.content, random))
            try:
                assert plain(self.parser.read(self.path)) == self.meaning
            finally:
                self.path.write_bytes(self.content)

    def _check(self, content: bytes, *, undamaged_is_fine: bool = False, meaning: bool = True) -> None:
        self.path.write_bytes(content)
        started = time.monotonic()
        try:
            found = self.parser.read(self.path)
        except (self.parser.error, UnsafePickleError) as error:
            assert str(error).strip()
            return
        finally:
            assert time.monotonic() - started < SECONDS
        self.accepted += 1
        if meaning and not (undamaged_is_fine and plain(found) == self.meaning):
            assert plain(found) == plain(self._expected(content)), "accepted with another meaning"

    def _expected(self, content: bytes) -> Any:
        try:
            return self.parser.expected(self.parser.codec.load(content), self.path)
        except Exception as error:  # the independent reading refuses what aligncat accepted
            return f"nothing that can be read ({error!r})"


def main(name: str, count: str, folder: str, first: str = "0") -> int:
    """Run the mutations with limits on time and memory, and return 1 at the first failure."""
    [parser] = [each for each in PARSERS if each.name == name]
    subject = Subject(parser, Path(folder))
    subject.check_valid()
    used = next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmSize" in line)
    resource.setrlimit(resource.RLIMIT_AS, (used * 1024 + BYTES,) * 2)
    failures = 0
    for seed in range(int(first), int(first) + int(count)):
        signal.alarm(SECONDS)
        random = Random(seed)
        try:
            (subject.check_structure if seed % 2 else subject.check_bytes)(random)
        except Exception as error:
            failures += 1
            print(f"seed {seed}: {type(error).__name__}: {str(error)[:1500]}", flush=True)
            if failures == 10:
                break
    signal.alarm(0)
    print(f"{name}: {failures} failures, {subject.accepted} of {count} documents accepted")
    return failures > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
