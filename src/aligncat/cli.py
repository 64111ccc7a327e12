# PYTHON_ARGCOMPLETE_OK
"""The command line. Each verb is a public function, and its options are the function's arguments.

A verb's module is imported only when the verb runs, so `aligncat --help` is instant.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from aligncat.arguments.completion import complete, is_asked
from aligncat.arguments.options import Options
from aligncat.errors import AligncatError
from aligncat.quiet import log_to_standard_error
from aligncat.signals import stop_signals, stopped_status
from aligncat.threads import THREADS, usable_cores
from aligncat.wording import did_you_mean, visible


@dataclass(frozen=True)
class Verb:
    """A command: a function and, where its result is printed, the function that prints it.

    Attributes:
        target: the function as "module:function"; its arguments become the command's options.
        summary: the first line of the function's docstring.
        show: the function that prints the result, as "module:function", or None.
        positional: the arguments that are given by their place, without the name of an option, in order.
    """

    target: str
    summary: str
    show: str | None = None
    positional: tuple[str, ...] = ()

    def function(self) -> Callable[..., Any]:
        """Import and return the function."""
        return _import_function(self.target)

    def run(self, arguments: Mapping[str, Any]) -> Any:
        """Call the function, print its result and return it."""
        result = self.function()(**arguments)
        if self.show is not None:
            _import_function(self.show)(result)
        return result


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
        positional=("name",),
    ),
    "data check": Verb(
        "aligncat.commands.data:check_data",
        "Check a dataset: counts against the published ones, every bad row, every missing photo.",
    ),
    "data convert": Verb(
        "aligncat.datasets.convert.convert:convert_dataset",
        "Write a dataset in another format: REFER's layout, SimREC's JSON with masks, JSON lines, or COCO with a CSV.",
    ),
    "data phrases": Verb(
        "aligncat.api.phrases:make_phrases",
        "Make phrases from a store alone, to train on photos without phrases of people.",
        "aligncat.commands.data:show_phrases",
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
        positional=("study",),
    ),
    "published": Verb(
        "aligncat.commands.published:published",
        "Print the published results: Tables 1 to 5 of the paper, and later systems.",
    ),
    "report": Verb(
        "aligncat.api.report:write_report",
        "Write an HTML report that shows every answer of one or more runs and summarises their errors.",
        positional=("runs",),
    ),
    "audit": Verb(
        "aligncat.commands.audit:audit",
        "Count the evaluation photos that a detector was trained on, and list the images to train on without them.",
    ),
    "ground": Verb(
        "aligncat.commands.ground:ground",
        "Find the objects that phrases refer to in photos, and print or write the answers.",
        "aligncat.commands.ground:report_written",
        positional=("image", "expressions"),
    ),
    "serve": Verb(
        "aligncat.commands.serve:serve",
        "Answer photos and phrases over HTTP, with one or several grounders.",
        positional=("grounders",),
    ),
    "page": Verb(
        "aligncat.commands.page:page",
        "Try phrases on photos in the browser, with one or several grounders.",
        positional=("grounders",),
    ),
    "import querymatch": Verb(
        "aligncat.checkpoints.querymatch.folder:import_querymatch",
        "Turn a trained QueryMatch into a grounder that gives the same scores.",
        positional=("checkpoint", "out"),
    ),
    "detector import": Verb(
        "aligncat.checkpoints.mask2former.folder:import_detector",
        "Turn an original (detectron2) Mask2Former checkpoint into a folder that transformers and aligncat load.",
        positional=("model", "out"),
    ),
    "detector train": Verb(
        "aligncat.api.train_detector:train_detector",
        "Fine-tune a detector on your own categories, from photos with the boxes and masks of their objects.",
    ),
    "detector train-mini": Verb(
        "aligncat.mojiref.train_detector:train_mini_detector",
        "Train the mini detector and save it as a Hugging Face folder with float16 weights.",
    ),
    "export detector": Verb(
        "aligncat.export.detector:export_detector",
        "Export a detector for ONNX Runtime or OpenVINO, which run it faster and without torch.",
        positional=("detector", "out"),
    ),
    "export grounder": Verb(
        "aligncat.export.grounder:export_grounder",
        "Export a grounder for ONNX Runtime or OpenVINO, with its detector, so that it answers without torch.",
        positional=("grounder", "out"),
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb.

    Args:
        arguments: the command line without the program's name; by default from sys.argv.

    Returns:
        The exit status: 0 for success, 1 for an error that the user can fix, 2 for a wrong command line, 130 for
        Ctrl-C, 143 for SIGTERM and 129 for SIGHUP.
    """
    if is_asked():
        complete({name: verb.summary for name, verb in VERBS.items()}, _options)
    try:
        status = _main(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of a pipe, such as `head`, closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _main(words: list[str]) -> int:
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
        print(f"aligncat: {visible(_unknown_verb(words))}", file=sys.stderr)
        return 2
    rest = words[len(name.split()) :]
    asked = next((place for place, word in enumerate(rest) if word in ("-h", "--help")), None)
    return _run(name, rest) if asked is None else _help(name, rest[asked + 1 :])


def _unknown_verb(words: Sequence[str]) -> str:
    """Return what is wrong with the first words of a command line, and the verbs that they resemble."""
    group = [name.split()[1] for name in VERBS if " " in name and name.split()[0] == words[0]]
    if len(group) == 1:
        return f"{words[0]} is followed by {group[0]}: aligncat {words[0]} {group[0]}"
    if group and (len(words) == 1 or words[1].startswith("-")):
        return f"{words[0]} needs one of {', '.join(group)} (`aligncat {words[0]} --help` explains them)"
    if group:
        return f"unknown verb '{words[0]} {words[1]}'{did_you_mean(words[1], group)} {words[0]} has {', '.join(group)}"
    near = did_you_mean(" ".join(words[:2]), VERBS) or did_you_mean(words[0], {*VERBS, *(v.split()[0] for v in VERBS)})
    return f"unknown verb {words[0]!r}{near} (`aligncat --help` lists all)"


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
    from aligncat.arguments.inputs import check_inputs
    from aligncat.commands.closing import closing_line

    try:
        arguments = settings(name, words)
        check_inputs(name, arguments)
        _use_all_cores()
        result = VERBS[name].run(arguments)
        sys.stdout.flush()
        print(visible(closing_line(name, arguments, result)), file=sys.stderr)
    except BrokenPipeError:
        raise
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
        SystemExit: the command line is wrong; status 2, after a one-line message.
        ConfigError: the settings contradict each other.
    """
    from aligncat.arguments.parser import parse

    return parse(name, VERBS[name].function(), VERBS[name].positional, words)


def _options(name: str) -> Options:
    """Return the options of a verb."""
    return Options.of(VERBS[name].function(), VERBS[name].positional)


def _help(name: str, about: Sequence[str]) -> int:
    """Print the help of a verb, or of the options that are named after --help."""
    from aligncat.arguments.help import option_help, verb_help

    options = _options(name)
    try:
        texts = [option_help(name, each, options) for each in about] or [verb_help(name, VERBS[name].summary, options)]
    except KeyError as error:
        print(f"aligncat {name}: {visible(error.args[0])}", file=sys.stderr)
        return 2
    print("\n\n".join(texts))
    return 0


def _use_all_cores() -> None:
    """Let torch, which is imported later, use every core that this process may use, unless OMP_NUM_THREADS is set."""
    os.environ.setdefault(THREADS, str(usable_cores()))
