"""The help of a verb: every option in one sentence, grouped, or one option in full."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from aligncat.arguments.options import REQUIRED, Option, Options, is_list
from aligncat.files.settings_file import alternatives, in_words
from aligncat.wording import did_you_mean

_WIDEST = 110
_NAMES = 34  # width of the column of names
_ABBREVIATED = re.compile(r"(?:Eq|e\.g|i\.e|et al|cf|vs)\.$")
_CONFIG = Option("config", Path, None, "a YAML file with any of these options; `train` also takes a preset's name.")


def verb_help(verb: str, summary: str, options: Options) -> str:
    """Return the help of a verb: its required options first, then the others, then one section for each group.

    Args:
        verb: the verb's name.
        summary: what it does, in one sentence.
        options: its options.
    """
    needed = [option for option in options.options if option.required and not _is_of_optional_group(option, options)]
    names = [_placed(option) for option in needed if option.positional]
    names += [f"[{_placed(option)}]" for option in options.options if option.positional and option not in needed]
    names += [f"{option.written} {_metavar(option)}" for option in needed if not option.positional]
    config = [] if options.option("config") else [_CONFIG]
    plain = [option for option in options.options if not option.group and option not in needed]
    usage = " ".join(["usage: aligncat", verb, *names, "[options]"])
    lines = [
        *textwrap.wrap(usage, _width(), subsequent_indent="    "),
        "",
        *textwrap.wrap(summary, _width()),
        *_section("required", needed),
        *_section("options", [*plain, *config]),
    ]
    for group in options.groups:
        rest = [option for option in options.options if option.group == group.name and option not in needed]
        lines += _section(f"{group.name}: {_sentence(group.text)}", rest)
    lines += ["", f"`aligncat {verb} --help OPTION` explains an option in full; --print_config prints all settings."]
    return "\n".join(lines)


def option_help(verb: str, name: str, options: Options) -> str:
    """Return the full description of an option or a group.

    Args:
        verb: the verb's name.
        name: the option's name, with or without dashes in front.
        options: the verb's options.

    Raises:
        KeyError: the verb has no such option; the message says so.
    """
    wanted = name.lstrip("-").replace("-", "_")
    if (group := options.group(wanted)) is not None:
        members = [option for option in options.options if option.group == wanted]
        return "\n\n".join([_full(group.name, group.text), *map(_option_in_full, members)])
    option = _CONFIG if wanted == "config" else options.option(wanted)
    if option is None:
        known = [each.name for each in options.options] + [each.name for each in options.groups]
        raise KeyError(f"no option {name}{did_you_mean(wanted, known)}")
    return _option_in_full(option)


def _option_in_full(option: Option) -> str:
    return _full(f"{option.written}: {in_words(option.kind)}{_default(option)}", option.text)


def _full(title: str, text: str) -> str:
    body = textwrap.wrap(text, _width(), initial_indent="  ", subsequent_indent="  ")
    return "\n".join([*textwrap.wrap(title, _width()), *body])


def _is_of_optional_group(option: Option, options: Options) -> bool:
    group = options.group(option.group)
    return group is not None and group.optional


def _section(title: str, options: Sequence[Option]) -> Iterator[str]:
    """Yield the lines of a section; none if it has no options."""
    if not options:
        return
    yield ""
    yield f"{title}:"
    for option in options:
        name = _placed(option) if option.positional else f"{option.written} {_metavar(option)}"
        sentence = _sentence(option.text)
        text = f"{sentence}{_choices(option.kind, sentence)}{_default(option)}"
        wrapped = textwrap.wrap(text, _width() - _NAMES, break_on_hyphens=False)
        if len(name) > _NAMES - 4:
            yield f"  {name}"
            name = ""
        yield f"  {name:<{_NAMES - 2}}{wrapped[0]}"
        yield from (" " * _NAMES + line for line in wrapped[1:])


def _sentence(text: str) -> str:
    """Return the first sentence of a description, up to a semicolon unless that introduces the default.

    A semicolon in brackets stays: half a bracket would be left.
    """
    for stop in re.finditer(r"(?<=\S)(?:\.|;(?! by default| null))(?= )", text):
        before = text[: stop.end()]
        if not _ABBREVIATED.search(before) and before.count("(") == before.count(")"):
            return text[: stop.start()]
    return text.rstrip(".")


def _placed(option: Option) -> str:
    return f"{option.name.upper()} ..." if is_list(option.kind) else option.name.upper()


def _metavar(option: Option) -> str:
    """Return what stands for the value, such as PATH."""
    kinds = [kind for kind in alternatives(option.kind) if kind is not NoneType]
    if kinds == [bool]:
        return "[true|false]"
    named = {int: "N", float: "X", Path: "PATH"}
    words = [named.get(kind, "NAME") for kind in kinds]
    if is_list(option.kind):
        inner = next(get_args(kind)[0] for kind in kinds if get_args(kind))
        return f"{named.get(inner, 'NAME')} ..."
    return words[0] if get_origin(kinds[0]) is not tuple else "[X,X]"


def _choices(kind: Any, sentence: str) -> str:
    """Return the legal values of an option, unless its description names them."""
    values = [str(each) for one in alternatives(kind) if get_origin(one) is Literal for each in get_args(one)]
    return "" if all(value in sentence for value in values) else f": {', '.join(values)}"


def _default(option: Option) -> str:
    if option.default is REQUIRED or option.default in (None, [], ()):
        return ""
    value = option.default
    if value == Path():
        return " (default: the current folder)"
    if isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, tuple):
        value = " ".join(map(str, value))
    return f" (default: {value})"


def _width() -> int:
    """Return the width of the help: that of the terminal, within reason."""
    return min(shutil.get_terminal_size((_WIDEST, 24)).columns, _WIDEST) if sys.stdout.isatty() else _WIDEST
