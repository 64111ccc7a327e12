"""Parse a verb's command line and its config files with jsonargparse."""

from __future__ import annotations

import sys
from argparse import ArgumentError
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from aligncat.arguments.mistakes import explain
from aligncat.arguments.options import Options, is_list
from aligncat.arguments.words import explicit_words
from aligncat.errors import AligncatError, ConfigError
from aligncat.files.settings_file import read_yaml
from aligncat.wording import visible

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser


def parse(verb: str, function: Callable[..., Any], positional: Sequence[str], words: Sequence[str]) -> dict[str, Any]:
    """Parse a verb's command line into the arguments of its function.

    Args:
        verb: the verb's name.
        function: the verb's function.
        positional: the arguments that are given by their place, in order.
        words: the command line after the verb.

    Raises:
        SystemExit: the command line or a config file is wrong (status 2, after a one-line message).
        ConfigError: the settings contradict each other.
    """
    from aligncat.grounder.old_sizes import drop_old_sizes

    options = Options.of(function, positional)
    parser = build_parser(verb, options)
    try:
        explicit = explicit_words(words, options)
        _check_files(options, explicit)
    except (ArgumentError, ConfigError) as error:
        _stop(verb, str(error))
    try:
        values = parser.parse_args(explicit)
        drop_old_sizes(values)
        found = dict(parser.instantiate(values).as_dict())
    except (ArgumentError, OSError, RecursionError, TypeError, ValueError) as error:
        if (own := _own_error(error)) is not None:
            raise own from error
        _stop(verb, explain(options, explicit, error))
    if options.option("config") is None:
        found.pop("config", None)
    return found


def _check_files(options: Options, words: Sequence[str]) -> None:
    """Read the YAML files of `--config` and of groups with our own reader, whose limits the parser's reader lacks."""
    names = {"--config", *(f"--{group.name}" for group in options.groups)}
    previous = ""
    for word in words:
        option, _, value = word.partition("=") if word.startswith("--") else (previous, "", word)
        if option in names and value and Path(value).exists():
            read_yaml(Path(value))
        previous = word


def _own_error(error: BaseException | None) -> AligncatError | None:
    """Return the error of ours, such as an impossible value of a group, that an error of the parser stands for."""
    while error is not None and not isinstance(error, AligncatError):
        error = error.__cause__ or error.__context__
    return error


def _stop(verb: str, message: str) -> NoReturn:
    """Print what is wrong with the command line, and end with status 2."""
    print(f"aligncat {verb}: {visible(message)} (`aligncat {verb} --help` lists the options)", file=sys.stderr)
    raise SystemExit(2)


def build_parser(verb: str, options: Options) -> ArgumentParser:
    """Return the parser of a verb."""
    from jsonargparse import ArgumentParser

    from aligncat.grounder.old_sizes import accept_old_sizes

    parser = ArgumentParser(prog=f"aligncat {verb}", exit_on_error=False, add_help=False, allow_abbrev=False)
    if options.option("config") is None:
        parser.add_argument("--config", action="config")
    for group in options.groups:
        if group.optional:
            parser.add_argument(f"--{group.name}", type=group.kind | None, default=None)
        else:
            parser.add_class_arguments(group.kind, group.name)
    for option in options.options:
        if option.group:
            continue
        if option.positional and is_list(option.kind):
            parser.add_argument(option.name, nargs="+" if option.required else "*", type=str)
        elif option.positional:
            parser.add_argument(option.name, type=option.kind)
        elif option.required:
            parser.add_argument(option.written, type=option.kind, required=True)
        else:
            parser.add_argument(option.written, dest=option.name, type=option.kind, default=option.default)
    if options.group("alignment") is not None:
        accept_old_sizes(parser)
    return parser
