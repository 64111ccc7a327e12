"""The command line. Each verb is a public function, and its options are the function's arguments.

A verb's module is imported only when the verb runs, so `aligncat --help` is instant.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from argparse import ArgumentError
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace
from typing import Any, get_type_hints

from aligncat.cli_words import explicit_words
from aligncat.errors import AligncatError
from aligncat.quiet import log_to_standard_error
from aligncat.signals import stop_signals, stopped_status
from aligncat.wording import visible


@dataclass(frozen=True)
class Verb:
    """A command: a function and, where its result is printed, the function that prints it.

    Attributes:
        target: the function as "module:function"; its arguments become the command's options.
        summary: the first line of the function's docstring.
        show: the function that prints the result, as "module:function", or None.
    """

    target: str
    summary: str
    show: str | None = None

    def function(self) -> Callable[..., Any]:
        """Import and return the function."""
        return _import_function(self.target)

    def run(self, arguments: Mapping[str, Any]) -> None:
        """Call the function and print its result."""
        result = self.function()(**arguments)
        if self.show is not None:
            _import_function(self.show)(result)


def _import_function(target: str) -> Callable[..., Any]:
    module, name = target.split(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function


VERBS: dict[str, Verb] = {
    "quickstart": Verb(
        "aligncat.commands.quickstart:quickstart",
        "Train QueryMatch and AlignCAT on a small synthetic dataset and compare them, in a few minutes.",
    ),
    "data mojiref": Verb(
        "aligncat.mojiref.build:make_mojiref",
        "Make the MojiRef benchmark: scenes of OpenMoji objects, and phrases that fit exactly one object each.",
    ),
    "data prepare": Verb(
        "aligncat.api.prepare:prepare",
        "Prepare RefCOCO or a related dataset from an archive, a folder or a mirror, and check it.",
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
        "Run the frozen detector once on every image and write its candidates to a store.",
    ),
    "train": Verb(
        "aligncat.api.train:train",
        "Train a grounder from a store and a training split, without images, boxes or masks.",
    ),
    "evaluate": Verb(
        "aligncat.api.evaluate:evaluate",
        "Evaluate a grounder on the splits of a dataset: REC, RES, the oracle, and the causes of errors.",
        "aligncat.commands.evaluate:show",
    ),
    "ablate": Verb(
        "aligncat.api.ablate:ablate",
        "Train and evaluate the rows of an ablation study with several seeds, and compare them.",
        "aligncat.commands.ablate:show",
    ),
    "published": Verb(
        "aligncat.commands.published:published",
        "Print the published results: Tables 1 to 5 of the paper.",
    ),
    "report": Verb(
        "aligncat.api.report:write_report",
        "Write an HTML report that shows every answer of one or more runs and summarises their errors.",
        "aligncat.commands.report:show",
    ),
    "audit": Verb(
        "aligncat.commands.audit:audit",
        "Count the evaluation photos that a detector was trained on, and list the images to train on without them.",
    ),
    "ground": Verb(
        "aligncat.commands.ground:ground",
        "Find the objects that phrases refer to in an image, and print them as JSON.",
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


# Verbs with required arguments that have no option names. The one named here is a list.
POSITIONAL = {"ground": "expressions", "report": "runs"}
# Required arguments that come first, without option names, in other verbs.
FIRST = {
    "ablate": ("study",),
    "data prepare": ("name",),
    "detector import": ("model", "out"),
    "import querymatch": ("checkpoint", "out"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb.

    Args:
        arguments: the command line without the program's name; by default from sys.argv.

    Returns:
        The exit status: 0 for success, 1 for an error that the user can fix, 2 for a wrong command line, 130 for
        Ctrl-C, 143 for SIGTERM and 129 for SIGHUP.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(_usage())
        return 0
    if words[0] in {name.split()[0] for name in VERBS if " " in name} and words[1:] in (["-h"], ["--help"]):
        print(_usage(words[0]))
        return 0
    if words[0] == "--version":
        from importlib.metadata import version

        print(f"aligncat {version('aligncat')}")
        return 0
    name = next((verb for verb in VERBS if words[: len(verb.split())] == verb.split()), None)
    if name is None:
        print(f"aligncat: unknown verb {' '.join(words[:2])!r}\n\n{_usage()}", file=sys.stderr)
        return 2
    return _run(name, words[len(name.split()) :])


def _usage(group: str = "") -> str:
    """Return the list of all verbs, or of those of a group such as "data"."""
    names = [name for name in VERBS if group in ("", name.split()[0])]
    width = max(map(len, names)) + 2
    lines = [f"  {name:<{width}}{VERBS[name].summary}" for name in names]
    return "\n".join(
        [
            "usage: aligncat VERB [options]",
            "",
            "Weakly supervised visual grounding: find the object that a phrase refers to in a photo.",
            "It is learned from photos and phrases, without boxes or masks.",
            "",
            *lines,
            "",
            "`aligncat VERB --help` lists the options of a verb; `--config FILE.yaml` reads them from a file.",
        ]
    )


def _run(name: str, words: Sequence[str]) -> int:
    log_to_standard_error()
    with stop_signals() as received:
        return _call(name, words, received)


def _call(name: str, words: Sequence[str], received: Sequence[int]) -> int:
    try:
        arguments = settings(name, words)
        _use_all_cores()
        VERBS[name].run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of a pipe, such as `head`, closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (AligncatError, OSError) as error:  # OSError: for example, the disk is full or a folder is read-only
        print(f"aligncat {name}: {visible(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\naligncat {name}: stopped", file=sys.stderr)
        return stopped_status(received)
    return 0


def settings(name: str, words: Sequence[str]) -> dict[str, Any]:
    """Parse a verb's command line into the arguments of its function.

    Args:
        name: the verb.
        words: the command line after the verb.

    Raises:
        SystemExit: the command line is wrong (status 2, after a one-line message), or asked for help (status 0).
        ConfigError: the settings contradict each other.
    """
    from jsonargparse import ArgumentParser

    from aligncat.grounder.old_sizes import accept_old_sizes, drop_old_sizes

    function = VERBS[name].function()
    parser = ArgumentParser(prog=f"aligncat {name}", description=VERBS[name].summary, exit_on_error=False)
    types = argument_types(function)
    if "config" not in types:
        parser.add_argument("--config", action="config", help="a YAML file with any of these options")
    listed, first = POSITIONAL.get(name), FIRST.get(name, ())
    added_below: set[str | int] = {argument for argument in (listed, *first) if argument}
    parser.add_function_arguments(function, as_positional=listed is not None, skip=added_below)
    for argument in first:
        help_text = _argument_help(function, argument)
        parser.add_argument(argument, type=types[argument], metavar=argument, help=help_text)
    if "alignment" in types:
        accept_old_sizes(parser)
    if listed:
        parser.add_argument(listed, nargs="+", type=str, help=_argument_help(function, listed))
    try:
        values = parser.parse_args(explicit_words(words, types))
    except ArgumentError as error:
        reason = visible(" ".join(str(error).split()))
        print(f"aligncat {name}: {reason} (`aligncat {name} --help` lists the options)", file=sys.stderr)
        raise SystemExit(2) from error
    drop_old_sizes(values)
    values = parser.instantiate(values)
    if "config" not in types:
        values.pop("config", None)
    return dict(values.as_dict())


def argument_types(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the types of a function's arguments.

    The return type is skipped: its name may be imported under TYPE_CHECKING only.
    """
    arguments = {name: kind for name, kind in function.__annotations__.items() if name != "return"}
    return get_type_hints(SimpleNamespace(__annotations__=arguments), function.__globals__)


def _argument_help(function: Callable[..., Any], argument: str) -> str:
    """Return the description of an argument from the function's docstring, on one line."""
    docstring = inspect.getdoc(function) or ""
    found = re.search(rf"^    {argument}: (.+(?:\n {{8}}.+)*)", docstring, flags=re.MULTILINE)
    return " ".join(found[1].split()) if found else ""


def _use_all_cores() -> None:
    """Let torch use every core available to this process, unless OMP_NUM_THREADS is set."""
    if "OMP_NUM_THREADS" not in os.environ:
        import torch

        torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
