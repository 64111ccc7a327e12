"""The options of a verb, read from the signature and the docstrings of its function."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from types import NoneType, SimpleNamespace
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from aligncat.files.settings_file import alternatives

REQUIRED: Any = inspect.Parameter.empty
"""The default of an option that must be given."""
NAMES_OR_PATHS = ("grounder", "detector", "text_encoder", "word_vectors", "detector_images", "preset", "from_")
"""Arguments that are a path, or the name of something that is shipped or on the Hugging Face hub."""


@dataclass(frozen=True)
class Option:
    """One option of a verb.

    Attributes:
        name: the argument's name; for a field of a group, both names: "training.epochs".
        kind: the type of its value.
        default: its default, or REQUIRED.
        text: its description in the docstring, on one line.
        group: the argument that it is a field of, or "".
        positional: whether it is given by its place instead of its name.
    """

    name: str
    kind: Any
    default: Any
    text: str
    group: str = ""
    positional: bool = False

    @property
    def required(self) -> bool:
        """Whether the option has no default."""
        return self.default is REQUIRED

    @property
    def written(self) -> str:
        """The option as the user writes it: without the underscore that sets a name apart from a word of Python."""
        return self.name if self.positional else f"--{self.name.removesuffix('_')}"


@dataclass(frozen=True)
class Group:
    """An argument of a verb that is a dataclass; its fields are options.

    Attributes:
        name: the argument's name.
        kind: the dataclass.
        text: its description, on one line.
        optional: whether the argument may be None.
    """

    name: str
    kind: Any
    text: str
    optional: bool


@dataclass(frozen=True)
class Options:
    """All options of a verb, in the order of the signature, and the groups that some of them belong to."""

    options: tuple[Option, ...]
    groups: tuple[Group, ...]

    @classmethod
    def of(cls, function: Callable[..., Any], positional: Sequence[str] = ()) -> Options:
        """Return the options of a function.

        Args:
            function: the verb's function.
            positional: the names of the arguments that are given by their place, in order.
        """
        types = argument_types(function)
        told = _descriptions(function)
        found: list[Option] = []
        groups: list[Group] = []
        for name, parameter in inspect.signature(function).parameters.items():
            plain = [each for each in alternatives(types[name]) if each is not NoneType]
            if len(plain) == 1 and is_dataclass(plain[0]):
                optional = NoneType in alternatives(types[name])
                groups.append(Group(name, plain[0], told[name], optional))
                found += _fields(name, plain[0], optional=optional)
            else:
                found.append(Option(name, types[name], parameter.default, told[name], positional=name in positional))
        first = sorted((each for each in found if each.positional), key=lambda each: positional.index(each.name))
        return cls((*first, *(each for each in found if not each.positional)), tuple(groups))

    def group(self, name: str) -> Group | None:
        """Return the group of that name, or None."""
        return next((group for group in self.groups if group.name == name), None)

    def option(self, name: str) -> Option | None:
        """Return the option of that name, or None."""
        return next((option for option in self.options if name in (option.name, option.name.removesuffix("_"))), None)


def argument_types(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the types of a function's arguments, as the command line reads them.

    The return type is skipped: its name may be imported under TYPE_CHECKING only. A path or a text is a path, except in
    NAMES_OR_PATHS: a path would lose the "./" that tells a folder from a name on the hub. An object that Python alone
    can give, such as a `Detector`, is left out.
    """
    arguments = {name: kind for name, kind in function.__annotations__.items() if name != "return"}
    types = get_type_hints(SimpleNamespace(__annotations__=arguments), function.__globals__)
    return {name: _one_of_path_and_text(kind, str if name in NAMES_OR_PATHS else Path) for name, kind in types.items()}


def is_list(kind: Any) -> bool:
    """Return whether a type is a list of any length, such as tuple[X, ...], list[X] or either of them or None."""
    return any(
        get_args(each)[1:] == (...,) or (get_origin(each) is not tuple and len(get_args(each)) == 1)
        for each in alternatives(kind)
        if get_origin(each) not in (None, Literal)
    )


def is_protocol(kind: Any) -> bool:
    """Return whether a type is a protocol, of which a command line can give no object."""
    return bool(getattr(kind, "_is_protocol", False))


def _one_of_path_and_text(kind: Any, kept: type) -> Any:
    kinds = alternatives(kind)
    if Path not in kinds or str not in kinds:
        return kind
    values = [each for each in kinds if not is_protocol(each)]
    rest = tuple(each for each in values if each not in (Path, str) or each is kept)
    return Union[rest]  # noqa: UP007  # the members are values here


def _fields(name: str, kind: Any, *, optional: bool) -> list[Option]:
    types, told = get_type_hints(kind), _descriptions(kind)
    found = []
    for field in fields(kind):
        default = field.default
        if field.default_factory is not MISSING:
            default = field.default_factory()
        elif default is MISSING:
            default = REQUIRED
        found.append(Option(f"{name}.{field.name}", types[field.name], default, told[field.name], group=name))
    return found


def _descriptions(documented: Any) -> dict[str, str]:
    """Return the descriptions of arguments or attributes in a docstring of Google's style, each on one line."""
    docstring = inspect.getdoc(documented) or ""
    found = re.findall(r"^    (\w+): (.+(?:\n {8}.+)*)", docstring, flags=re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}
