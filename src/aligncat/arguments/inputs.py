"""Find missing files among the arguments of a verb, before anything heavy is imported."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from aligncat.errors import ConfigError
from aligncat.locations import is_remote, location
from aligncat.wording import did_you_mean

# Argument -> what to do if its file is missing. For arguments that may also be a name, see `_check_name`.
_FILES = {
    "phrases": "give a text file of phrases, one a line, or - for the standard input",
    "checkpoint": "give the checkpoint's file",
    "annotations": "give the annotations that the checkpoint was trained with",
    "labels": "give a text file with one category name per line",
    "mirrors": "give a TOML file, or leave it out for the shipped list",
    "data": "give COCO's instances.json",
    "val": "give COCO's instances.json",
    "data.lexicon": "give a TOML file (docs/language.md)",
}
_PIPED = ("phrases",)  # these are read once, so they may come through a pipe
_FOLDERS = {
    "store": "`aligncat extract` writes it",
    "queries": "`aligncat extract --every_query` writes it",
    "images": "give the folder of the photos",
    "val_images": "give the folder of the photos",
    "data.path": "give the folder of the dataset",
    "data.images": "give the folder of the photos",
}
_EITHER = {
    "source": "give an archive, or a folder with one",
    "model": "give the checkpoint's file",
    "runs": "`aligncat evaluate --out` writes answers",
}
_REMOTE = ("store", "queries", "images", "image")  # these may be on a remote file system
_READS_PHOTOS = ("extract",)  # the other verbs accept a dataset whose photos are elsewhere
_PHOTOS = ("data.images",)


def check_inputs(verb: str, arguments: Mapping[str, Any]) -> None:
    """Check that the files and folders exist that a verb is to read.

    Args:
        verb: the verb's name.
        arguments: the arguments of its function.

    Raises:
        ConfigError: one is missing.
        DetectorError: no package, or several, have registered the name of the detector.
    """
    for name, value in _flat(arguments).items():
        if value is None or (name in _PHOTOS and verb not in _READS_PHOTOS):
            continue
        for each in value if isinstance(value, list | tuple) else (value,):
            _check(name, each)
    if is_dataclass(data := arguments.get("data")):
        _check_dataset(data)


def _flat(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments by name, with "data.path" and the like for the fields of the dataset."""
    plain = {name: value for name, value in arguments.items() if not is_dataclass(value)}
    data = arguments.get("data")
    return plain if not is_dataclass(data) else plain | {f"data.{name}": value for name, value in vars(data).items()}


def _check(name: str, value: Any) -> None:
    if name in _REMOTE and is_remote(value):
        location(value)  # whether its files are there is seen when they are read
        return
    if name == "image" and not Path(value).exists() and not glob.has_magic(str(value)):
        raise ConfigError(f"{value}: no such file; give a photo, a folder, a pattern or a table of photos and phrases")
    if name in _FILES and not Path(value).is_file() and not (name in _PIPED and _is_piped(str(value))):
        kind = "is a folder" if Path(value).is_dir() else "no such file"
        raise ConfigError(f"{value}: {kind}; {_FILES[name]}")
    if name in _FOLDERS and not Path(value).is_dir():
        kind = "is not a folder" if Path(value).exists() else "no such folder"
        raise ConfigError(f"{value}: {kind}; {_FOLDERS[name]} (--{name})")
    if name in _EITHER and not Path(value).exists():
        raise ConfigError(f"{value}: no such file or folder; {_EITHER[name]}")
    if name in ("grounder", "init", "detector", "from_", "word_vectors", "detector_images", "preset"):
        _check_name(name, str(value))


def _is_piped(value: str) -> bool:
    """Return whether a value is - for the standard input, or a pipe such as /dev/stdin and bash's <(...)."""
    path = Path(value)
    return value == "-" or path.is_fifo() or path.is_char_device() or path.is_socket()


def _check_name(name: str, value: str) -> None:
    """Check an argument that is a path or a name: of something that is shipped, or on the Hugging Face hub."""
    from aligncat.detectors.known import DETECTOR_NAMES
    from aligncat.detectors.registered import find_registered, registered_name
    from aligncat.grounder.names import TRAINING_FREE
    from aligncat.training.presets import preset_names

    known, remedy = {
        "grounder": ((TRAINING_FREE,), "give the folder that `aligncat train` wrote"),
        "init": ((), "give the folder that `aligncat train` wrote"),
        "detector": (
            DETECTOR_NAMES,
            "give mini, mini2, a folder, a name on the Hugging Face hub, or name:argument of a package",
        ),
        "from_": (DETECTOR_NAMES, "give mini, mini2, a folder, or a name on the Hugging Face hub"),
        "word_vectors": (("glove-50d",), "give a text file of word vectors, or glove-50d"),
        "detector_images": (("coco-train2014", "coco-train2017"), "give a list of images, or the name of a known set"),
        "preset": (tuple(preset_names()), "give a YAML file or a preset"),
    }[name]
    if name == "detector" and (own := registered_name(value)) is not None:
        find_registered(own.name)
        return
    on_hub = name in ("grounder", "init", "detector", "from_") and _may_be_on_the_hub(value)
    if value not in known and not Path(value).exists() and not on_hub:
        raise ConfigError(
            f"{value}: no such file or folder; {remedy} (--{name.removesuffix('_')}){did_you_mean(value, known)}"
        )


def _may_be_on_the_hub(value: str) -> bool:
    """Return whether a name is OWNER/NAME, and OWNER is not a folder here."""
    owner, _, name = value.partition("/")
    return bool(name) and "/" not in name and owner not in ("", ".", "..", "~") and not Path(owner).is_dir()


def _check_dataset(data: Any) -> None:
    """Check that the dataset's folder exists if its name looks misspelt.

    Raises:
        ConfigError: there is no such folder, and the name resembles another one's or that of a known dataset.
    """
    from aligncat.datasets.formats import USUAL_FORMAT
    from aligncat.datasets.known import KNOWN

    path = Path(data.path)
    if data.file_format != USUAL_FORMAT or data.dataset in KNOWN or (path / data.dataset).exists():
        return
    known = [*KNOWN, *(each.name for each in path.iterdir() if each.is_dir())]
    if near := did_you_mean(data.dataset, known):
        raise ConfigError(f"{path / data.dataset}: no such dataset{near} (--data.dataset)")
