"""Say in one line, in the words of this program, what is wrong with a command line that jsonargparse refuses."""

from __future__ import annotations

import re
from argparse import ArgumentError
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any

from aligncat.arguments.options import Option, Options, is_list
from aligncat.errors import ConfigError
from aligncat.files.settings_file import alternatives, in_words, read_yaml, setting_mistakes, wrong_value
from aligncat.grounder.old_sizes import drop_old_names
from aligncat.wording import did_you_mean, listed_words, truncated

_SHOWN = 60  # characters of a wrong value in a message


class _Mistake(Exception):  # noqa: N818  # it is caught here and never reaches a caller
    """What is wrong with the command line."""


def explain(options: Options, words: Sequence[str], error: Exception) -> str:
    """Return what is wrong with a command line, in one line.

    Args:
        options: the options of the verb.
        words: the command line after the verb, written out by `explicit_words`.
        error: the parser's error, which is the answer if it is our own.

    Returns:
        The first mistake: in the options, in the files that they name, or that something is missing.
    """
    try:
        _find(options, words)
    except (_Mistake, ConfigError) as mistake:
        return str(mistake)
    return _plain(error, options)


def _find(options: Options, words: Sequence[str]) -> None:
    """Raise the first mistake.

    Raises:
        _Mistake: what is wrong.
        ConfigError: a file with settings cannot be read.
    """
    given: set[str] = set()
    placed: list[str] = []
    switch = ""
    for word, value in _pairs(options, words):
        if not word:
            _check_switch(options, switch, placed, value or "")
            placed.append(value or "")
            continue
        switch = word if value == "true" else ""
        name = word[2:]
        option = options.option(name)
        if option is not None and not option.positional:
            _check_value(option, word, value)
            given.add(name)
        elif name == "config" or options.group(name) is not None:
            given |= set(_check_settings(options, word, value))
        elif name != "print_config":
            known = [f"--{each}" for each in _names(options)]
            raise _Mistake(f"unknown option {truncated(word, _SHOWN)}{did_you_mean(word, known)}")
    _check_placed(options, placed, given)
    _check_missing(options, given)


def _pairs(options: Options, words: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Yield the options with their values, and ("", word) for each word that belongs to no option."""
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if re.fullmatch(r"-[A-Za-z]\w*", word):
            raise _Mistake(f"unknown option {word}{did_you_mean(word.lstrip('-'), ['h'])}; options begin with --")
        if not word.startswith("--") or word == "--":
            yield "", word
            continue
        name, equals, value = word.partition("=")
        if equals or name == "--print_config":
            yield name, value
        elif waiting and not waiting[0].startswith("--"):
            yield name, waiting.pop(0)
        else:
            yield name, None


def _names(options: Options) -> list[str]:
    """Return the names of all options and groups."""
    plain = [option.written[2:] for option in options.options if not option.positional]
    return [*plain, *(group.name for group in options.groups), "config", "print_config", "help"]


def _check_value(option: Option, word: str, value: str | None) -> None:
    """Check the value of an option, read as the parser reads it."""
    if value is None:
        raise _Mistake(f"{word} needs a value: {in_words(option.kind)}")
    wanted = wrong_value(_as_read(value, option.kind), option.kind)
    if wanted is not None:
        shown = truncated(value.strip("[]") if is_list(option.kind) else value, _SHOWN)
        choices = wanted.removeprefix("one of ").removesuffix(", or null").split(", ") if "one of" in wanted else []
        raise _Mistake(f"{word} {shown}: must be {wanted}{did_you_mean(value, choices)}")


def _as_read(value: str, kind: Any) -> Any:
    """Return a word of the command line as the value that it stands for."""
    import yaml

    if kind in (str, Path):
        return value
    try:
        read = yaml.safe_load(value)
    except (yaml.YAMLError, ValueError, RecursionError):
        return value
    kinds = alternatives(kind)
    if read is None and NoneType in kinds:
        return None
    return value if (str in kinds or Path in kinds) and not isinstance(read, list) else read


def _check_switch(options: Options, switch: str, placed: Sequence[str], word: str) -> None:
    """Check that a word after a switch, such as --progress, does not look like its value."""
    wanted = [option for option in options.options if option.positional]
    option = options.option(switch[2:])
    if option is not None and option.kind is bool and len(placed) >= len(wanted):
        raise _Mistake(f"{switch} {truncated(word, _SHOWN)}: must be true or false")


def _check_settings(options: Options, word: str, value: str | None) -> Iterator[str]:
    """Check the file or the text with settings that an option names; yield the names that it sets."""
    name = word[2:]
    kinds = _kinds(options)
    if value is None:
        preset = " or the name of a preset" if options.group("alignment") and name in ("config", "alignment") else ""
        raise _Mistake(f"{word} needs a value: a YAML file{preset}")
    group = options.group(name)
    content = _content(word, value)
    if group is not None:
        content = {name: content}
    for mistake in setting_mistakes(drop_old_names(content), kinds):
        raise _Mistake(f"{truncated(value, _SHOWN) if value.lstrip().startswith('{') else value}: {mistake}")
    for key, each in content.items():
        yield str(key)
        if isinstance(each, Mapping):
            yield from (f"{key}.{field}" for field in each)


def _content(word: str, value: str) -> Mapping[Any, Any]:
    """Return the settings in a file, or those that the value itself is."""
    import yaml

    if value.lstrip().startswith("{"):
        try:
            found = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise _Mistake(f"{word}: {truncated(value, _SHOWN)} is not YAML") from error
        if isinstance(found, dict):
            return found
    if word != "--config" and not Path(value).exists():
        raise _Mistake(f"{word} {truncated(value, _SHOWN)}: no such file; give a YAML file, or {word}.NAME VALUE")
    return read_yaml(Path(value))


def _kinds(options: Options) -> dict[str, Any]:
    """Return the types of the settings in a config file, by name; a group's is its dataclass."""
    plain = {option.name.removesuffix("_"): option.kind for option in options.options if not option.group}
    groups = {group.name: group.kind | None if group.optional else group.kind for group in options.groups}
    return plain | groups


def _check_placed(options: Options, placed: Sequence[str], given: set[str]) -> None:
    """Check the words that belong to no option against the arguments that are given by their place."""
    wanted = [option for option in options.options if option.positional]
    listed = bool(wanted) and is_list(wanted[-1].kind)
    if len(placed) > len(wanted) and not listed:
        extra = placed[len(wanted)]
        known = [f"--{name}" for name in _names(options)]
        raise _Mistake(f"{truncated(extra, _SHOWN)!r} belongs to no option{did_you_mean(extra, known)}")
    for option, word in zip(wanted, placed, strict=False):
        if not is_list(option.kind) and (must := wrong_value(word, option.kind)) is not None:
            choices = must.removeprefix("one of ").split(", ")
            raise _Mistake(f"{option.name} {truncated(word, _SHOWN)}: must be {must}{did_you_mean(word, choices)}")
    if missing := [each.name for each in wanted[len(placed) :] if each.required and each.name not in given]:
        raise _Mistake(f"{listed_words(missing)} missing: give {listed_words([name.upper() for name in missing])}")


def _check_missing(options: Options, given: set[str]) -> None:
    """Check that every required option is given, also those of an optional group of which something is given."""
    missing = []
    for option in options.options:
        group = options.group(option.group)
        used = group is None or not group.optional or any(name.split(".")[0] == group.name for name in given)
        if option.required and not option.positional and used and option.name not in given:
            missing.append(option.written)
    if missing:
        raise _Mistake(f"{listed_words(missing)} missing: {'it is' if len(missing) == 1 else 'they are'} required")


def _plain(error: Exception, options: Options) -> str:
    """Return an error's message, or that of an unforeseen one without the parser's terms."""
    text = " ".join(str(error).split())
    if isinstance(error, ArgumentError) and error.argument_name is None and "Parser key" not in text:
        return truncated(text, 400)
    key = re.search(r"[Pp]arser key \"?([\w.]+)|Key \"([\w.]+)", text)
    if key is None:
        return "an option has a wrong value"
    option = options.option(key[1] or key[2])
    return f"--{key[1] or key[2]} has a wrong value{'' if option is None else f': it must be {in_words(option.kind)}'}"
