"""Read YAML files with settings, and say what is wrong with a setting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from aligncat.errors import ConfigError
from aligncat.files.documents import read_text
from aligncat.wording import did_you_mean, truncated

MAX_BYTES = 1_000_000
"""The largest size of a file with settings. The largest preset has 1 KB."""
MAX_VALUES = 100_000
"""The most values in a file with settings, each as often as an alias (*name) repeats it."""
_SHOWN = 40  # characters of a wrong value in a message


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the settings in a YAML file.

    Raises:
        ConfigError: the file is missing, no regular file, too large, not UTF-8 or not YAML, repeats values endlessly,
            or holds something other than settings.
    """
    import yaml

    if not path.is_file():  # a pipe can be read only once, and jsonargparse reads the file again
        found_instead = "a folder" if path.is_dir() else "not a regular file" if path.exists() else "no such file"
        raise ConfigError(f"{path}: {found_instead}; give a YAML file")
    text = read_text(path, ConfigError, limit=MAX_BYTES)
    try:
        found = yaml.safe_load(text)
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply for settings; give a YAML file") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: for example, the date 2026-13-45
        mark = getattr(error, "problem_mark", None)
        place = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        raise ConfigError(f"{path}: {place}not YAML ({problem})") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: holds no settings; write them as `name: value`, one in a line")
    _check_size(found, path)
    return found


def _check_size(settings: object, path: Path) -> None:
    """Check how many values there are. With aliases, a small file can hold billions, or a list that holds itself."""
    waiting, seen = [settings], 0
    while waiting:
        value = waiting.pop()
        items = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        seen += len(items)
        if seen > MAX_VALUES:
            raise ConfigError(
                f"{path}: holds more than {MAX_VALUES:,} values, through aliases (*name) perhaps; write out what they "
                "repeat"
            )
        waiting += items


def setting_mistakes(content: Mapping[Any, Any], kinds: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield what is wrong with settings: unknown names, and values of a wrong type.

    Args:
        content: the settings, as read from YAML.
        kinds: the type of each setting by name; a dataclass stands for settings with the names of its fields.
        prefix: the name of the setting that these are parts of, with a dot.
    """
    for name, value in content.items():
        first, dot, rest = str(name).partition(".")
        if first not in kinds:
            yield f"unknown setting {prefix}{truncated(str(name), _SHOWN)}{did_you_mean(first, kinds)}"
        elif dot:
            yield from setting_mistakes({first: {rest: value}}, kinds, prefix)
        else:
            yield from _value_mistakes(f"{prefix}{first}", value, kinds[first])


def wrong_value(value: Any, kind: Any) -> str | None:
    """Return what a value must be, such as "a whole number", or None if it has the type.

    Args:
        value: the value, as read from YAML.
        kind: the type.
    """
    return None if _fits(value, kind) else in_words(kind)


def in_words(kind: Any) -> str:
    """Return a type in words, such as "a whole number" or "one of rec, res"."""
    members = alternatives(kind)
    named = [_one_in_words(each) for each in members if each is not NoneType]
    return f"{' or '.join(named)}{', or null' if NoneType in members else ''}"


def alternatives(kind: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the type itself."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _value_mistakes(name: str, value: Any, kind: Any) -> Iterator[str]:
    members = alternatives(kind)
    group = next((each for each in members if is_dataclass(each)), None)
    if group is not None and isinstance(value, Mapping):
        yield from setting_mistakes(value, get_type_hints(group), f"{name}.")
    elif group is not None and not (value is None and NoneType in members):
        example = f"{name}: {{{fields(group)[0].name}: ...}}"
        yield f"{name} is {_shown(value)}, but must be settings such as `{example}`; leave it out to keep the defaults"
    elif group is None and (wanted := wrong_value(value, kind)) is not None:
        near = "" if not isinstance(value, str) else did_you_mean(value, map(str, _choices(kind)))
        yield f"{name} is {_shown(value)}, but must be {wanted}{near}"


def _choices(kind: Any) -> tuple[Any, ...]:
    return tuple(choice for each in alternatives(kind) if get_origin(each) is Literal for choice in get_args(each))


def _shown(value: Any) -> str:
    return "null" if value is None else truncated(repr(value), _SHOWN)


def _fits(value: Any, kind: Any) -> bool:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(_fits(value, each) for each in arguments)
    if origin is Literal:
        return any(value == each and type(value) is type(each) for each in arguments)
    if origin is tuple and arguments[1:] != (...,):
        return _is_list(value) and len(value) == len(arguments) and all(map(_fits, value, arguments))
    if origin is not None:
        return _is_list(value) and all(_fits(each, arguments[0]) for each in value)
    if kind in (int, float) and isinstance(value, bool):
        return False
    return isinstance(value, {Path: str, float: int | float}.get(kind, kind)) or (kind is float and _is_number(value))


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _is_number(value: Any) -> bool:
    """Return whether a text is a number: YAML 1.1 reads 1e-4 as text."""
    try:
        return isinstance(value, str) and bool(value) and float(value) is not None
    except ValueError:
        return False


def _one_in_words(kind: Any) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin is tuple and arguments[1:] != (...,):
        return f"{len(arguments)} values, each {in_words(arguments[0])}"
    if origin is not None:
        return f"a list of values, each {in_words(arguments[0])}"
    named = {int: "a whole number", float: "a number", bool: "true or false", str: "text", Path: "a path"}
    return named.get(kind, "settings")
