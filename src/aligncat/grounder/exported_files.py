"""The folder of an exported grounder.

grounder.json      what the grounder's config.json says; the hash of every other file, and of its own content
grounder.onnx      the model, with the reference images of its calibration, for ONNX Runtime; or
grounder.xml       the same, and grounder.bin, its weights, for OpenVINO
vocabulary.json    the words that it knows
tokenizer.json     the tokenizer, if its text encoder is a transformer
detector/          its detector, exported too, unless it was left out
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aligncat.detectors.exported import FORMATS
from aligncat.errors import ConfigError
from aligncat.files.documents import read_json
from aligncat.files.seals import SEAL, check_seal

EXPORTED = "grounder.json"
VOCABULARY = "vocabulary.json"
TOKENIZER = "tokenizer.json"
DETECTOR = "detector"

FORMAT = 2
ONNXRUNTIME, OPENVINO = "onnxruntime", "openvino"
"""What runs the graph."""
GRAPHS: Mapping[str, tuple[str, ...]] = {ONNXRUNTIME: ("grounder.onnx",), OPENVINO: ("grounder.xml", "grounder.bin")}
"""The files of the graph by what runs it."""
OPSETS: Mapping[str, int] = {runtime: FORMATS[runtime][-1] for runtime in GRAPHS}
"""The version of the graph's operations by what runs it: ONNX's opset, or of OpenVINO's IR."""
INPUTS = ("features", "categories", "valid", "confidences", "boxes", "tokens")
"""The names of the graph's inputs: those of `Images`, and the token ids."""

CONTENTS, HASHES, SPECIAL, SOURCE, RUNTIME = "grounder", "sha256", "special_pieces", "source", "runtime"
"""Keys of grounder.json: the content of the source's config.json; the hashes of the files; the ids of the tokenizer's
special symbols; the fingerprint of the grounder it was made from, which is inside the graph too; and what runs the
graph, ONNX Runtime if it is not said."""
REMEDY = "export the grounder again, or restore the folder from a copy"


def is_exported(name_or_folder: str | Path) -> bool:
    """Return whether this is the folder of an exported grounder."""
    return (Path(name_or_folder) / EXPORTED).is_file()


def read_exported(folder: Path) -> dict[str, Any]:
    """Return the content of grounder.json.

    Raises:
        ConfigError: the file is missing or damaged, or a newer version wrote it.
    """
    path = folder / EXPORTED
    if not path.is_file():
        raise ConfigError(
            f"{folder}: no exported grounder, because {EXPORTED} is missing; give a folder that "
            "`aligncat export grounder` wrote"
        )
    try:
        content = read_json(path, ConfigError)
    except ConfigError as error:
        raise ConfigError(f"{error}; {REMEDY}") from error
    if not isinstance(content, dict) or SEAL not in content:
        raise ConfigError(f"{path}: not the record of an exported grounder; {REMEDY}")
    check_seal(content, str(path), REMEDY, error=ConfigError)
    runtime = runtime_of(content)
    found = (content.get("format"), content.get("opset"))
    if runtime not in GRAPHS or found != (FORMAT, OPSETS[runtime]):
        known = " or ".join(f"{version} for {name}" for name, version in OPSETS.items())
        raise ConfigError(
            f"{path}: of format {found[0]} with opset {found[1]} for {runtime}, but this version of aligncat reads "
            f"format {FORMAT} with opset {known}; update aligncat, or export the grounder again with this version"
        )
    return content


def runtime_of(record: Mapping[str, Any]) -> str:
    """Return what runs the graph, one of GRAPHS in a record of `read_exported`."""
    return str(record.get(RUNTIME, ONNXRUNTIME))


def check_files(folder: Path, record: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the content of the files, but for the detector's, which have hashes of their own.

    Args:
        folder: the folder.
        record: the content of grounder.json.

    Raises:
        ConfigError: a file is missing, or differs from the one that was written.
    """
    hashes = record.get(HASHES)
    graphs = GRAPHS[runtime_of(record)]
    known = (*graphs, VOCABULARY, TOKENIZER)
    if not isinstance(hashes, dict) or not set(graphs) <= hashes.keys() <= set(known):
        raise ConfigError(f"{folder / EXPORTED}: its hashes are not those of {', '.join(known)}; {REMEDY}")
    files = {}
    for name, sha256 in hashes.items():
        path = folder / name
        if not path.is_file():
            raise ConfigError(f"{path}: the file is missing; {REMEDY}")
        files[name] = path.read_bytes()
        if hashlib.sha256(files[name]).hexdigest() != sha256:
            raise ConfigError(f"{path}: damaged or replaced: its hash differs from that in {EXPORTED}; {REMEDY}")
    return files
