"""Rewrite the words of a command line for jsonargparse: dashes, switches without a value, lists and presets."""

from __future__ import annotations

import json
import re
from argparse import ArgumentError
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from aligncat.arguments.options import Options, is_list
from aligncat.wording import did_you_mean

_NAME = re.compile(r"[\w.+/][\w.+/-]*")  # a preset or a file; settings in YAML or JSON and options do not match


def explicit_words(words: Sequence[str], options: Options) -> list[str]:
    """Return a verb's words with all short forms written out.

    Args:
        words: the command line after the verb.
        options: the verb's options.

    Raises:
        ArgumentError: the name of a preset is unknown, or a list is empty.
    """
    flags = {option.written for option in options.options if option.kind is bool}
    lists = {option.written for option in options.options if is_list(option.kind) and not option.positional}
    switched = _with_true(map(_with_underscores, words), flags)
    written = list(_with_presets(_with_lists(switched, lists), needed=options.group("alignment") is not None))
    optional = any(option.positional and not option.required for option in options.options)
    return _with_placed_first(written) if optional else written


def _with_underscores(word: str) -> str:
    """Write an option's name with underscores, as in Python: --skip-bad-rows becomes --skip_bad_rows."""
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value


def _with_true(words: Iterable[str], flags: set[str]) -> Iterator[str]:
    """Give a switch without a value the value true: --skip_bad_rows becomes --skip_bad_rows=true."""
    for word, following in pairwise([*words, ""]):
        yield f"{word}=true" if word in flags and following not in ("true", "false") else word


def _with_lists(words: Iterable[str], lists: set[str]) -> Iterator[str]:
    """Put the values of a list in brackets: --seeds 0 1 2 and --seeds 0,1,2 become --seeds=[0,1,2]."""
    waiting = [*words]
    while waiting:
        option, equals, value = waiting.pop(0).partition("=")
        if option not in lists:
            yield option + equals + value
            continue
        values = [value] if equals else []
        while waiting and not equals and not waiting[0].startswith("--"):
            values.append(waiting.pop(0))
        listed = ",".join(values)
        if listed in ("", "[]"):
            raise ArgumentError(None, f"{option} needs at least one value; leave it out for the default")
        yield f"{option}={listed}" if listed.startswith("[") or listed == "null" else f"{option}=[{listed}]"


def _with_presets(words: Iterable[str], *, needed: bool) -> Iterator[str]:
    """Replace the names of presets (--config refcoco, --alignment querymatch) by a path or by their settings.

    Args:
        words: the command line.
        needed: whether a name has to be a preset or an existing file.

    Raises:
        ArgumentError: a name is neither a preset nor an existing file.
    """
    presets = {"--config": _config_presets, "--alignment": _alignment_presets}
    previous = ""
    for word in words:
        option, equals, value = word.partition("=") if word.startswith("--") else (previous, "", word)
        known = presets[option]() if option in presets and _NAME.fullmatch(value) else {}
        if needed and known and value not in known and not Path(value).exists():
            names = ", ".join(sorted(known))
            near = did_you_mean(value, known)
            raise ArgumentError(None, f"{option} {value}: no such file or preset; known presets are {names}{near}")
        found = known.get(value)
        yield word if found is None else f"{option}={found}" if equals else found
        previous = word


def _with_placed_first(words: Sequence[str]) -> list[str]:
    """Put the words that belong to no option first: the parser takes an optional list from one place only."""
    placed, others = [], []
    waiting = [*words]
    while waiting:
        word = waiting.pop(0)
        if not word.startswith("--"):
            placed.append(word)
            continue
        others.append(word)
        if "=" not in word and waiting and not waiting[0].startswith("--"):
            others.append(waiting.pop(0))
    return [*placed, *others]


def _config_presets() -> dict[str, str]:
    """Return the path of each preset of `--config`, by name."""
    from aligncat.training.presets import FOLDER, preset_names

    return {name: str(FOLDER / f"{name}.yaml") for name in preset_names()}


def _alignment_presets() -> dict[str, str]:
    """Return the stages of each preset of `--alignment` as JSON, by name; other settings keep their values."""
    from aligncat.alignment.config import ALL_PRESETS

    return {name: json.dumps(config.stages) for name, config in ALL_PRESETS.items()}
