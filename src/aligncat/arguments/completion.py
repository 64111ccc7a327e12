"""Completion in the shell, with argcomplete: verbs, their options, the legal values of options, and files.

The shell runs the program with the line typed so far; argcomplete answers from an argparse parser, which is built here
for the one verb that the line names.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeAlias, get_args, get_origin

from aligncat.arguments.options import NAMES_OR_PATHS, Option, Options, is_list
from aligncat.files.settings_file import alternatives

Completer: TypeAlias = Callable[..., Iterable[str]]


def is_asked() -> bool:
    """Return whether this process was started by a shell to complete a line."""
    return "_ARGCOMPLETE" in os.environ


def complete(summaries: Mapping[str, str], options_of: Callable[[str], Options]) -> None:
    """Answer the shell and end the process.

    Args:
        summaries: the summary of each verb, by name.
        options_of: returns the options of a verb.
    """
    import argcomplete

    words = os.environ.get("COMP_LINE", "").split()[1:]
    parser = ArgumentParser("aligncat")
    parser.add_argument("--version", action="store_true", help="the version")
    first = parser.add_subparsers()
    groups: dict[str, _SubParsersAction[ArgumentParser]] = {}
    for verb, summary in summaries.items():
        *group, name = verb.split()
        if group and group[0] not in groups:
            groups[group[0]] = first.add_parser(group[0], add_help=False).add_subparsers()
        own = (groups[group[0]] if group else first).add_parser(name, help=summary)
        if words[: len(group) + 1] == verb.split():
            _add_options(own, options_of(verb))
    argcomplete.autocomplete(parser)


def _add_options(parser: ArgumentParser, options: Options) -> None:
    for option in options.options:
        values = _values(option)
        several: dict[str, Any] = (
            {"nargs": "+"} if is_list(option.kind) else {"nargs": "?"} if values == ["true", "false"] else {}
        )
        named: dict[str, Any] = {} if option.positional else {"help": option.text}
        action: Any = parser.add_argument(option.written, **named, **several)
        action.completer = _completer(option, values)
    for group in options.groups:
        action = parser.add_argument(f"--{group.name}", help=group.text)
        action.completer = _files_and(_presets() if group.name == "alignment" else [])
    if options.option("config") is None:
        action = parser.add_argument("--config", help="a YAML file with any of these options")
        action.completer = _files_and(_config_presets() if options.group("alignment") else [])
    parser.add_argument("--print_config", action="store_true", help="print all settings")


def _values(option: Option) -> list[str]:
    """Return the legal values of an option, if there is a list of them."""
    kinds = [kind for kind in alternatives(option.kind) if kind is not NoneType]
    if kinds == [bool]:
        return ["true", "false"]
    return [str(value) for kind in kinds if get_origin(kind) is Literal for value in get_args(kind)]


def _completer(option: Option, values: list[str]) -> Completer:
    name = option.name.rpartition(".")[2]
    known = values or _known(name)
    kinds = alternatives(option.kind)
    takes_files = Path in kinds or name in ("runs", *NAMES_OR_PATHS)
    if takes_files and not values:
        return _files_and(known)
    return lambda prefix, **_: [value for value in known if value.startswith(prefix)]


def _known(name: str) -> list[str]:
    """Return the names that are known for an option that also takes others."""
    from aligncat.datasets.formats import FORMATS
    from aligncat.datasets.known import KNOWN
    from aligncat.detectors.known import DETECTOR_NAMES

    known: dict[str, Iterable[str]] = {
        "dataset": KNOWN,
        "format": FORMATS,
        "to": FORMATS,
        "detector": DETECTOR_NAMES,
        "from_": DETECTOR_NAMES,
        "device": ("cpu", "cuda", "mps"),
        "encoder": ("recurrent", "minilm"),
        "detector_images": ("coco-train2014", "coco-train2017"),
        "word_vectors": ("glove-50d",),
    }
    return list(_config_presets() if name == "preset" else known.get(name, ()))


def _config_presets() -> list[str]:
    from aligncat.training.presets import preset_names

    return preset_names()


def _presets() -> list[str]:
    from aligncat.alignment.config import ALL_PRESETS

    return list(ALL_PRESETS)


def _files_and(names: Iterable[str]) -> Completer:
    """Return a completer for files and some names."""
    from argcomplete.completers import FilesCompleter

    files = FilesCompleter()
    known = list(names)

    def found(prefix: str, **named: Any) -> list[str]:
        return [*(name for name in known if name.startswith(prefix)), *files(prefix, **named)]

    return found
