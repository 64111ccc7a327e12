"""Export a grounder for another runtime. Importing this module does not load torch."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from aligncat.detectors.exported import is_exported as is_exported_detector
from aligncat.detectors.registry import detector_folder, load_detector, renamed
from aligncat.errors import ConfigError
from aligncat.export.detector import export_detector
from aligncat.files.atomic import write_atomic
from aligncat.files.hashes import file_sha256
from aligncat.files.new_folder import new_folder
from aligncat.files.seals import sealed
from aligncat.files.writable import check_writable
from aligncat.grounder.exported_files import (
    CONTENTS,
    DETECTOR,
    EXPORTED,
    FORMAT,
    GRAPHS,
    HASHES,
    ONNXRUNTIME,
    OPENVINO,
    OPSETS,
    RUNTIME,
    SOURCE,
    SPECIAL,
    TOKENIZER,
    VOCABULARY,
    is_exported,
)
from aligncat.grounder.names import TRAINING_FREE
from aligncat.versions import installed_versions
from aligncat.wording import first_line

if TYPE_CHECKING:
    from aligncat.detectors.preprocessing import PreprocessingMode
    from aligncat.grounder.grounder import Grounder

GrounderRuntime = Literal["onnx", "openvino"]

_BACKENDS: dict[GrounderRuntime, str] = {"onnx": ONNXRUNTIME, "openvino": OPENVINO}
_MODULES: dict[GrounderRuntime, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "openvino": ("onnx", "onnxscript", "openvino", "nncf"),  # its graph is converted from ONNX's
}
_EXTRAS: dict[GrounderRuntime, str] = {"onnx": "onnx", "openvino": "onnx,openvino"}
_MOST_DIFFERENCE = 1e-4  # of probabilities, and of scores in units of their size

logger = logging.getLogger(__name__)


def export_grounder(
    grounder: str | Path,
    out: str | Path,
    *,
    to: GrounderRuntime,
    detector: str | Path | None = None,
    without_detector: bool = False,
    text_encoder: str | Path | None = None,
) -> Path:
    """Export a grounder for ONNX Runtime or OpenVINO, with its detector, so that it answers without torch.

    `aligncat ground --grounder FOLDER` and `aligncat serve FOLDER` answer from the folder, as the grounder does but for
    rounding.

    Args:
        grounder: a folder that `aligncat train` wrote, or a hub name.
        out: the folder to write. It must not exist or must be empty.
        to: the runtime: onnx (extra [onnx]), or openvino (extras [onnx] and [openvino]; answers need the second alone).
        detector: the folder or hub name of the grounder's detector, if it has moved since training; or an export of it,
            which is copied.
        without_detector: do not export the detector. Then answers need it, and torch, or --detector with an export.
        text_encoder: the folder or hub name of the grounder's frozen transformer, if it has moved since training.

    Returns:
        The folder.

    Raises:
        ConfigError: the extra is not installed, the grounder does not exist or is exported already, its text encoder
            or its detector cannot be exported, or the exported one gives something else.
        DetectorError: the detector cannot be loaded, or is not the grounder's.
        DataError: the folder is not empty, or another process is writing it.
        WriteError: the folder cannot be written, for example because the disk is full.
    """
    _check(grounder, to, without_detector=without_detector, detector=detector)
    check_writable(out)
    from aligncat.grounder.grounder import Grounder

    source = Grounder.from_pretrained(grounder, text_encoder=text_encoder)
    with new_folder(Path(out)) as folder:
        _write(source, to, folder)
        if not without_detector:
            _write_detector(source, to, detector, folder / DETECTOR)
        _check_against_source(source, folder)
    logger.info("%s: %s on %s", out, grounder, _BACKENDS[to])
    return Path(out)


def _check(grounder: str | Path, to: GrounderRuntime, *, without_detector: bool, detector: str | Path | None) -> None:
    if missing := [name for name in _MODULES[to] if find_spec(name) is None]:
        raise ConfigError(
            f"--to {to}: needs {', '.join(missing)}, which is not installed; run pip install 'aligncat[{_EXTRAS[to]}]'"
        )
    if without_detector and detector is not None:
        raise ConfigError("--detector and --without_detector contradict each other; give one")
    if str(grounder) == TRAINING_FREE:
        raise ConfigError(
            f"the {TRAINING_FREE} grounder has nothing to export: export a detector (`aligncat export detector`), and "
            f"give it with --grounder {TRAINING_FREE} --detector FOLDER"
        )
    if is_exported(grounder):
        raise ConfigError(f"{grounder}: exported already; give the grounder that it was made from")


def _write(source: Grounder, to: GrounderRuntime, folder: Path) -> None:
    """Write everything but the detector."""
    contents, fingerprint = source.contents(), source.fingerprint()
    try:
        names = _write_graph(source, to, {SOURCE: fingerprint}, folder)
    except Exception as error:  # the exporter raises many kinds of errors
        name = contents.model.config.text.encoder
        encoder = "the model" if contents.model.config.text.recurrent else f"the text encoder {name!r}"
        raise ConfigError(
            f"{encoder} cannot be exported with the versions of torch and transformers that are installed here "
            f"({first_line(error)}); use the grounder with torch"
        ) from error
    files = {}
    if contents.listed is not None:
        files[VOCABULARY] = json.dumps(contents.listed.to_dict(), ensure_ascii=False).encode()
    special: dict[str, Any] = {}
    if contents.pretrained is not None:
        pieces = contents.pretrained.pieces
        files[TOKENIZER] = pieces.to_json().encode()
        special = {SPECIAL: sorted(pieces.special)}
    for name, content in files.items():
        write_atomic(folder / name, content)
    hashes = {name: file_sha256(folder / name) for name in (*names, *files)}
    record = {
        "format": FORMAT,
        RUNTIME: _BACKENDS[to],
        "opset": OPSETS[_BACKENDS[to]],
        SOURCE: fingerprint,
        CONTENTS: contents.config(),
        **special,
        "versions": installed_versions(("aligncat", "torch", "transformers", *_MODULES[to])),
        HASHES: hashes,
    }
    write_atomic(folder / EXPORTED, (json.dumps(sealed(record), indent=2, ensure_ascii=False) + "\n").encode())


def _write_graph(source: Grounder, to: GrounderRuntime, notes: Mapping[str, str], folder: Path) -> tuple[str, ...]:
    """Write the graph, with notes inside, and return the names of its files."""
    from aligncat.export.grounder_graph import graph_bytes

    names = GRAPHS[_BACKENDS[to]]
    content = graph_bytes(source, notes)
    if to == "openvino":
        from aligncat.export.openvino_graph import convert_onnx

        convert_onnx(content, folder / names[0], "grounder", notes)
    else:
        write_atomic(folder / names[0], content)
    return names


def _write_detector(source: Grounder, to: GrounderRuntime, given: str | Path | None, out: Path) -> None:
    """Write the detector's export, or copy one that was made before."""
    description = source.detector_description
    if given is not None:
        found = detector_folder(str(given))
        if is_exported_detector(found):
            load_detector(renamed(description, str(given)), columns=[each.column for each in source.columns])
            shutil.copytree(found.path, out)
            return
    export_detector(
        given or description.name,
        out,
        to=to,
        precision="fp32",
        image_size=description.image_size,
        preprocessing=cast("PreprocessingMode", description.preprocessing_mode),  # it is checked there
    )
    load_detector(renamed(description, str(out)), columns=[each.column for each in source.columns])


def _check_against_source(source: Grounder, folder: Path) -> None:
    """Ground made-up phrases in made-up images, and compare what the export says with what its source says.

    Raises:
        ConfigError: they differ by more than rounding.
    """
    from aligncat.grounder.exported import ExportedGrounder
    from aligncat.grounder.images import Images

    exported, rng, slots = ExportedGrounder(folder), np.random.default_rng(0), 7
    length = source.model.alignment.sizes.visual_dim
    for texts in (["dog"], ["red dog on the left", "person", "the blue dog", "left"]):
        shape, corners = (len(texts), slots), rng.random((len(texts), slots, 2), np.float32) / 2
        images = Images(
            rng.normal(size=(*shape, length)).astype(np.float16),
            rng.integers(0, len(source.labels), shape),
            np.ones(shape, bool),
            rng.random(shape, np.float32),
            np.concatenate([corners, corners + rng.random((*shape, 2), np.float32) / 2], axis=-1),
        )
        arguments = (images, source.vocabulary.ids(texts, source.max_length))
        theirs = source.scorer.score(*arguments, relative=source.matcher is not None)
        ours = exported.scorer.score(*arguments, relative=source.matcher is not None)
        for expected, found in ((theirs.probabilities, ours.probabilities), (theirs.relative, ours.relative)):
            if expected is not None and (found is None or not _alike(expected, found)):
                raise ConfigError(
                    "the exported grounder gives other scores than its source, so nothing was written; install the "
                    "versions of torch and of the runtime that aligncat was tested with"
                )


def _alike(expected: NDArray[np.float32], found: NDArray[np.float32]) -> bool:
    """Return whether scores are equal but for rounding."""
    finite = np.isfinite(expected)
    size = max(1.0, float(np.abs(expected[finite]).max(initial=0)))
    return np.array_equal(finite, np.isfinite(found)) and np.allclose(
        expected[finite], found[finite], rtol=0, atol=_MOST_DIFFERENCE * size
    )
