"""The command line: each verb is a public function, its options are that function's arguments.

Nothing heavy is imported until a verb is chosen, so that `aligncat --help` answers at once.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from argparse import ArgumentError
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args, get_origin, get_type_hints

from aligncat.errors import AligncatError


@dataclass(frozen=True)
class Verb:
    """A command: a function, and what prints its result.

    Attributes:
        target: "module:function"; its arguments are the command line's options.
        summary: the first line of the function's docstring.
        show: "module:function" that prints what the function returns; None where nothing is printed.
    """

    target: str
    summary: str
    show: str | None = None

    def function(self) -> Callable[..., Any]:
        """Import the function."""
        return _imported(self.target)

    def run(self, arguments: Mapping[str, Any]) -> None:
        """Call the function and print its result."""
        result = self.function()(**arguments)
        if self.show is not None:
            _imported(self.show)(result)


def _imported(target: str) -> Callable[..., Any]:
    module, name = target.split(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function


VERBS: dict[str, Verb] = {
    "quickstart": Verb(
        "aligncat.commands.quickstart:quickstart",
        "Make a small MojiRef, train QueryMatch and AlignCAT on it, and compare them, in a few minutes.",
    ),
    "data mojiref": Verb(
        "aligncat.mojiref.build:make_mojiref",
        "Make the MojiRef benchmark: scenes of OpenMoji objects, and phrases that fit exactly one object each.",
    ),
    "data prepare": Verb(
        "aligncat.api.prepare:prepare",
        "Bring RefCOCO or one of its kin into place, from an archive, a folder or a mirror, and check it.",
        "aligncat.commands.data:show_prepared",
    ),
    "data check": Verb(
        "aligncat.commands.data:check_data",
        "Check a dataset: counts against the published ones, every bad row, every missing photo.",
    ),
    "data convert": Verb(
        "aligncat.datasets.convert.convert:convert_dataset",
        "Write a dataset in another format: REFER's layout, SimREC's JSON with masks, or JSON lines.",
        "aligncat.commands.convert:show",
    ),
    "extract": Verb(
        "aligncat.api.extract:extract",
        "Run the frozen detector once over every image and keep its candidates in a store.",
    ),
    "train": Verb(
        "aligncat.api.train:train",
        "Train a grounder from a store and a training split, without images, boxes or masks.",
    ),
    "evaluate": Verb(
        "aligncat.api.evaluate:evaluate",
        "Measure a grounder on every sentence of the splits: REC, RES, the oracle, and where it errs.",
        "aligncat.commands.evaluate:show",
    ),
    "ablate": Verb(
        "aligncat.api.ablate:ablate",
        "Train and evaluate the rows of an ablation study over seeds, and compare them.",
        "aligncat.commands.ablate:show",
    ),
    "published": Verb(
        "aligncat.commands.published:published",
        "Print the figures that the paper published, Tables 1 to 5.",
    ),
    "report": Verb(
        "aligncat.api.report:write_report",
        "Make a folder with a page that shows every answer of some runs in pictures, and where they err, in tables.",
        "aligncat.commands.report:show",
    ),
    "audit": Verb(
        "aligncat.commands.audit:audit",
        "Count the evaluation photos that a detector was trained on, and list the images to train on without them.",
    ),
    "ground": Verb(
        "aligncat.commands.ground:ground",
        "Find the objects that phrases mean in one image, and print them as JSON.",
    ),
    "import querymatch": Verb(
        "aligncat.checkpoints.querymatch.folder:import_querymatch",
        "Turn a trained QueryMatch into a grounder that gives the same scores.",
    ),
    "detector import": Verb(
        "aligncat.checkpoints.mask2former.folder:import_detector",
        "Turn an original (detectron2) Mask2Former checkpoint into a folder that transformers and aligncat load.",
    ),
    "detector train-mini": Verb(
        "aligncat.mojiref.detector:train_mini_detector",
        "Train the mini detector and save it as a Hugging Face folder with float16 weights.",
    ),
}


CONFIGS = Path(__file__).resolve().parent / "configs"
_NAME = re.compile(r"[\w.+/][\w.+/-]*")  # of a preset or a file; not settings in YAML or JSON, nor an option
# Verbs whose required arguments come without option names, and which of these is a list.
POSITIONAL = {"ground": "expressions", "report": "runs"}
# Verbs of which some required arguments come first, without option names.
FIRST = {
    "ablate": ("study",),
    "data prepare": ("name",),
    "detector import": ("model", "out"),
    "import querymatch": ("checkpoint", "out"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb.

    Args:
        arguments: the command line without the program's name; sys.argv's by default.

    Returns:
        The exit status: 0, 1 for an error that the user can mend, 2 for a command line that is wrong, 130 for
        Ctrl-C.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(_usage())
        return 0
    if words[0] == "--version":
        from importlib.metadata import version

        print(f"aligncat {version('aligncat')}")
        return 0
    name = next((verb for verb in VERBS if words[: len(verb.split())] == verb.split()), None)
    if name is None:
        print(f"aligncat: there is no verb {' '.join(words[:2])!r}\n\n{_usage()}", file=sys.stderr)
        return 2
    return _run(name, words[len(name.split()) :])


def _usage() -> str:
    width = max(len(name) for name in VERBS) + 2
    lines = [f"  {name:<{width}}{verb.summary}" for name, verb in VERBS.items()]
    return "\n".join(
        [
            "usage: aligncat VERB [options]",
            "",
            "Find the object that a phrase means; learn it from photos and phrases, without boxes.",
            "",
            *lines,
            "",
            "`aligncat VERB --help` lists a verb's options; `--config FILE.yaml` reads them from a file.",
        ]
    )


def _run(name: str, words: Sequence[str]) -> int:
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("aligncat").setLevel(logging.INFO)
    try:
        arguments = settings(name, words)
        _use_all_cores()
        VERBS[name].run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads the output, as `head` does, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (AligncatError, OSError) as error:  # the latter: a full disk, a folder that may not be written
        print(f"aligncat {name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\naligncat {name}: stopped", file=sys.stderr)
        return 130
    return 0


def settings(name: str, words: Sequence[str]) -> dict[str, Any]:
    """The arguments that a command line gives a verb's function.

    Args:
        name: the verb.
        words: the command line after it.

    Raises:
        SystemExit: status 2 where the command line is wrong, after a line that says how; 0 after --help.
        ConfigError: the settings do not fit each other.
    """
    from jsonargparse import ArgumentParser

    from aligncat.alignment.old_sizes import accept_old_sizes, drop_old_sizes

    function = VERBS[name].function()
    parser = ArgumentParser(prog=f"aligncat {name}", description=VERBS[name].summary, exit_on_error=False)
    types = argument_types(function)
    if "config" not in types:
        parser.add_argument("--config", action="config", help="a YAML file with any of these options")
    listed, first = POSITIONAL.get(name), FIRST.get(name, ())
    apart: set[str | int] = {argument for argument in (listed, *first) if argument}
    parser.add_function_arguments(function, as_positional=listed is not None, skip=apart)
    for argument in first:
        kind = "a path" if types[argument] is Path else "which"
        parser.add_argument(argument, type=types[argument], metavar=argument, help=kind)
    if "alignment" in types:
        accept_old_sizes(parser)
    if listed:
        parser.add_argument(listed, nargs="+", type=str, help="one or more; in quotes if there are blanks in it")
    try:
        flags = {f"--{argument}" for argument, kind in types.items() if kind is bool}
        lists = {f"--{argument}" for argument, kind in types.items() if _is_list(kind)}
        words = list(_with_true(map(_with_underscores, words), flags))
        words = list(_with_presets(_with_lists(words, lists), needed="alignment" in types))
        values = parser.parse_args(words)
    except ArgumentError as error:
        reason = " ".join(str(error).split())
        print(f"aligncat {name}: {reason} (`aligncat {name} --help` lists the options)", file=sys.stderr)
        raise SystemExit(2) from error
    drop_old_sizes(values)
    values = parser.instantiate(values)
    if "config" not in types:
        values.pop("config", None)
    return dict(values.as_dict())


def argument_types(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the types of a function's arguments; its return type may be importable by type checkers alone."""
    arguments = {name: kind for name, kind in function.__annotations__.items() if name != "return"}
    return get_type_hints(SimpleNamespace(__annotations__=arguments), function.__globals__)


def _with_underscores(word: str) -> str:
    """--skip-bad-rows as well as --skip_bad_rows, the name of the argument in Python."""
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value


def _with_true(words: Iterable[str], flags: set[str]) -> Iterator[str]:
    """A switch alone means yes: --skip_bad_rows is --skip_bad_rows=true."""
    for word, following in pairwise([*words, ""]):
        yield f"{word}=true" if word in flags and following not in ("true", "false") else word


def _is_list(kind: Any) -> bool:
    """Whether a type is tuple[X, ...], or that or None."""
    return any(get_args(each)[1:] == (...,) for each in (kind, *get_args(kind)) if get_origin(each) is tuple)


def _with_lists(words: Iterable[str], lists: set[str]) -> Iterator[str]:
    """--seeds 0 1 2, --seeds 0 and --seeds 0,1,2 are --seeds=[0,1,2]; what stands in brackets is as it was."""
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
        yield f"{option}={listed}" if listed.startswith("[") or listed == "null" else f"{option}=[{listed}]"


def _with_presets(words: Iterable[str], *, needed: bool) -> Iterator[str]:
    """Replace the names of presets by what they stand for: --config refcoco, --alignment querymatch.

    Raises:
        ArgumentError: the verb takes presets, and a name is neither a preset's nor a file's.
    """
    presets = {"--config": _config_presets, "--alignment": _alignment_presets}
    previous = ""
    for word in words:
        option, equals, value = word.partition("=") if word.startswith("--") else (previous, "", word)
        known = presets[option]() if option in presets and _NAME.fullmatch(value) else {}
        if needed and known and value not in known and not Path(value).exists():
            there = ", ".join(sorted(known))
            raise ArgumentError(None, f"{option} {value}: no such file, and no preset of this name; there are {there}")
        found = known.get(value)
        yield word if found is None else f"{option}={found}" if equals else found
        previous = word


def _config_presets() -> dict[str, str]:
    """The path of each preset of `--config`, by name."""
    return {path.stem: str(path) for path in CONFIGS.glob("*.yaml")}


def _alignment_presets() -> dict[str, str]:
    """The stages of each preset of `--alignment` as JSON, by name; other settings keep their values."""
    from aligncat.alignment.config import PRESETS

    return {name: json.dumps(config.stages) for name, config in PRESETS.items()}


def _use_all_cores() -> None:
    """Let torch use the cores that this process may run on, unless the user has said how many."""
    if "OMP_NUM_THREADS" not in os.environ:
        import torch

        torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
