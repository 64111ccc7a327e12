"""The last line of each verb: what was written where, and the next command."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligncat.wording import percent

if TYPE_CHECKING:
    from aligncat.datasets.config import DataConfig


def closing_line(verb: str, arguments: Mapping[str, Any], result: Any) -> str:
    """Return the last line of a verb.

    Args:
        verb: the verb's name.
        arguments: the arguments of its function.
        result: what the function returned.
    """
    written, following = _CLOSINGS[verb](arguments, result)
    return f"{written} Next: {following}"


def _command(*words: str | Path) -> str:
    """Return a command that can be pasted into a shell."""
    return shlex.join(["aligncat", *map(str, words)])


def _data(data: DataConfig) -> list[str]:
    """Return the options that read a dataset."""
    plain = type(data)(data.path, data.dataset, format=data.format)
    words = ["--data.path", str(data.path), "--data.dataset", data.dataset]
    if data.format is not None:
        words += ["--data.format", data.format]
    for name in (field.name for field in fields(data) if field.name not in ("path", "dataset", "format")):
        if (value := getattr(data, name)) != getattr(plain, name):
            words += [f"--data.{name}", *(value if isinstance(value, tuple) else [str(value)])]
    return words


def _skipping(arguments: Mapping[str, Any]) -> list[str]:
    """Return the option to leave out bad rows, if the verb has left them out."""
    return ["--skip_bad_rows"] if arguments["skip_bad_rows"] else []


def _detector(data: DataConfig) -> list[str]:
    """Return the option that names a detector for a dataset's photos."""
    from aligncat.datasets.known import known_dataset
    from aligncat.detectors.known import HUB_DETECTORS

    return [] if known_dataset(data.dataset).photos == "mojiref" else ["--detector", HUB_DETECTORS[0]]


def _extract_next(data: DataConfig) -> str:
    return _command("extract", *_data(data), *_detector(data), "--out", Path("stores", data.dataset))


def _quickstart(arguments: Mapping[str, Any], result: Any) -> tuple[str, str]:
    out = Path(arguments["out"])
    page = (out / "report" / "index.html").absolute()
    written = f"The data, both grounders, their answers and some pictures are in {out}, and a report of every answer in"
    return f"{written} {page}: open {page.as_uri()} in a browser.", _command("page", out / "AlignCAT")


def _mojiref(arguments: Mapping[str, Any], result: Any) -> tuple[str, str]:
    from aligncat.datasets.config import DataConfig

    dataset = "mojiref" if arguments["version"] == 1 else "mojiref2"
    return f"MojiRef is in {result}.", _extract_next(DataConfig(result, dataset))


def _prepared(arguments: Mapping[str, Any], result: Any) -> tuple[str, str]:
    return f"The dataset is in {result.data.path / result.data.dataset}.", _extract_next(result.data)


def _checked(arguments: Mapping[str, Any], result: Any) -> tuple[str, str]:
    missing = arguments["missing"]
    written = "nothing was written" if missing is None else f"{missing} is empty, because no photo is missing"
    if arguments["out"] is not None:
        written = f"the counts are in {arguments['out']}"
    return f"No fault was found; {written}.", _extract_next(result.data)


def _converted(arguments: Mapping[str, Any], result: Any) -> tuple[str, str]:
    written = f"{result.dataset} is in {result.path} in format {result.format}; the photos stay where they are."
    return written, _extract_next(result)


def _phrases(arguments: Mapping[str, Any], result: Any) -> tuple[str, str]:
    words = (*_data(result.data), "--store", arguments["store"], "--out", Path("runs", result.data.dataset))
    without = [] if "val" in result.images else ["--val_split", "null"]
    written = f"The phrases are in {result.data.path}; they are no person's, and have no boxes."
    return written, _command("train", *words, *without)


def _preset(data: DataConfig) -> list[str]:
    """Return the option for the preset of a user's own data, for which there are no published settings."""
    from aligncat.datasets.known import known_dataset

    return ["--config", "own"] if known_dataset(data.dataset).photos is None else []


def _extracted(arguments: Mapping[str, Any], result: Any) -> tuple[str, str]:
    out, data = arguments["out"], arguments["data"]
    if result is None:
        written = f"Part {arguments['shards']} of {out} is written; the last of the other parts finishes the store."
        return written, "the same command without --shards writes what is missing, and finishes the store too"
    written = f"The candidates of {result.manifest.images:,} images are in {out}."
    if data is None:
        return written, "aligncat train --store STORE needs phrases too; docs/formats.md says how to write them"
    if arguments["every_query"]:
        words = ("--queries", out, *_data(data), *_skipping(arguments), "--grounder", "GROUNDER", "--store", "STORE")
        return written, _command("evaluate", *words)
    from aligncat.datasets.load import split_names

    without = [] if "val" in split_names(data) else ["--val_split", "null"]
    read = (*_preset(data), *_data(data), *_skipping(arguments))
    words = (*read, "--store", out, *without, "--out", Path("runs", data.dataset))
    return written, _command("train", *words)


def _trained(arguments: Mapping[str, Any], result: Any) -> tuple[str, str]:
    out, store = Path(arguments["out"]), arguments["store"]
    from aligncat.datasets.load import split_names

    if arguments["val_split"] not in split_names(arguments["data"]):  # nothing to evaluate on may be there
        return _grounder_made(arguments, result)
    data = (*_data(arguments["data"]), *_skipping(arguments))
    words = ("--grounder", out, *data, "--store", store, "--out", Path("answers", out.name))
    return f"The grounder is in {out}.", _command("evaluate", *words)


def _evaluated(arguments: Mapping[str, Any], result: Any) -> tuple[str, str]:
    out = arguments["out"]
    if out is None:
        name = Path(arguments["grounder"]).name
        return "The answers were not kept.", f"repeat with --out answers/{name}, then `aligncat report answers/{name}`"
    return f"The answers and metrics are in {out}.", _command("report", out, "--out", "report")


def _ablated(arguments: Mapping[str, Any], result: Any) -> tuple[str, str]:
    out, data = Path(arguments["out"]), arguments["data"]
    file = out / f"{arguments['study']}-{data.division}.json"
    return f"The results are in {file}, the runs beside it.", _command("report", out, "--out", "report")


def _published(arguments: Mapping[str, Any], result: Any) -> tuple[str, str]:
    return "Nothing was written.", "`aligncat evaluate` prints published results beside yours"


def _reported(arguments: Mapping[str, Any], result: Any) -> tuple[str, str]:
    return f"The report is in {arguments['out']}.", f"open {result} in a browser"


def _audited(arguments: Mapping[str, Any], result: Any) -> tuple[str, str]:
    if arguments["out"] is None:
        return "Nothing was written.", "--out FOLDER writes the images to leave out of the detector's training"
    listed = Path(arguments["detector_images"]).exists()
    lists = "leave-out.txt and train-on.txt are" if listed else "leave-out.txt is"
    following = "train the detector without these photos, then `aligncat extract --detector FOLDER`"
    return f"{lists} in {arguments['out']}.", following


def _grounded(arguments: Mapping[str, Any], result: Any) -> tuple[str, str]:
    if arguments["overlay"] is not None:
        return f"The answers are drawn in {arguments['overlay']}.", "look at it"
    if isinstance(result, list):
        return "Nothing was written.", "--overlay out.png draws the answers"
    if result.path is None:
        return "Nothing was written.", "--out answers.jsonl keeps the answers, also in other formats (docs/answers.md)"
    if result.by_others:
        written = (
            f"Share {arguments['shards']} of {result.path} is written; the last of the shares finishes the answers."
        )
        return written, "the same command without --shards writes what is missing, and finishes the answers too"
    if result.finished_before:
        return (
            f"The answers for {result.photos:,} photos are in {result.path} already.",
            "docs/answers.md says how to use them",
        )
    written = f"{result.answers:,} answers for {result.photos:,} photos are in {result.path}."
    return written, "docs/answers.md says how to open them in COCO tools and in Label Studio"


def _served(arguments: Mapping[str, Any], result: Any) -> tuple[str, str]:
    return f"Photos answered: {result:,}.", "docs/serving.md says how to run the server for others"


def _shown(arguments: Mapping[str, Any], result: Any) -> tuple[str, str]:
    return f"Photos answered: {result:,}.", "docs/own-data.md says how to train a grounder on your photos"


def _grounder_made(arguments: Mapping[str, Any], result: Any) -> tuple[str, str]:
    out = arguments["out"]
    return f"The grounder is in {out}.", _command("ground", "PHOTO", "PHRASE", "--grounder", out)


def _imported_detector(arguments: Mapping[str, Any], result: Any) -> tuple[str, str]:
    out = arguments["out"]
    following = _command("extract", "--images", "PHOTOS", "--detector", out, "--out", "stores/photos")
    return f"The detector is in {out}.", following


def _trained_detector(arguments: Mapping[str, Any], result: Any) -> tuple[str, str]:
    out = arguments["out"]
    words = ("--images", arguments["images"], "--detector", out, "--out", "stores/photos")
    from aligncat.detectors.training.fine_tune import measured

    quality = "No photo was held out, so it was not measured."
    if (best := measured(Path(out))) is not None:
        step, scores = best
        quality = (
            f"Of the {scores.objects:,} objects of held-out photos it finds {percent(scores.found)}%, and names the "
            f"right class for {percent(scores.right)}% of those (step {step:,})."
        )
    return f"The detector is in {out}. {quality}", _command("extract", *words)


def _exported_detector(arguments: Mapping[str, Any], result: Any) -> tuple[str, str]:
    following = _command("ground", "PHOTO", "PHRASE", "--grounder", "GROUNDER", "--detector", result)
    return f"The exported detector is in {result}.", following


def _exported_grounder(arguments: Mapping[str, Any], result: Any) -> tuple[str, str]:
    return f"The exported grounder is in {result}.", _command("ground", "PHOTO", "PHRASE", "--grounder", result)


_CLOSINGS: dict[str, Callable[[Mapping[str, Any], Any], tuple[str, str]]] = {
    "quickstart": _quickstart,
    "data mojiref": _mojiref,
    "data prepare": _prepared,
    "data check": _checked,
    "data convert": _converted,
    "data phrases": _phrases,
    "extract": _extracted,
    "train": _trained,
    "evaluate": _evaluated,
    "ablate": _ablated,
    "published": _published,
    "report": _reported,
    "audit": _audited,
    "ground": _grounded,
    "serve": _served,
    "page": _shown,
    "import querymatch": _grounder_made,
    "detector import": _imported_detector,
    "detector train": _trained_detector,
    "detector train-mini": _imported_detector,
    "export detector": _exported_detector,
    "export grounder": _exported_grounder,
}
"""The verb's name -> a function that returns what was written, as a sentence, and what to do next."""
