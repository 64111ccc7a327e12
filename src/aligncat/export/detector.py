"""Export a detector for another runtime. Importing this module does not load torch."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from aligncat.datasets.photos import photos_in
from aligncat.detectors.description import TORCH_BF16
from aligncat.detectors.exported import FORMATS, RECORD, ExportRecord, Precision
from aligncat.detectors.folder import BACKEND, CONFIG, IMAGE_SIZE, DetectorFolder, with_hashes
from aligncat.detectors.known import KnownDetector, known_detector, started_from_credits
from aligncat.detectors.preprocessing import PreprocessingMode
from aligncat.detectors.registry import detector_folder, open_detector
from aligncat.detectors.rows import EXPORTED_FAMILIES
from aligncat.detectors.training_record import STARTED_FROM, TrainingRecord, continued
from aligncat.errors import ConfigError, DetectorError
from aligncat.files.atomic import write_atomic
from aligncat.files.hashes import file_sha256
from aligncat.files.new_folder import new_folder
from aligncat.files.writable import check_writable
from aligncat.versions import installed_versions

if TYPE_CHECKING:
    from aligncat.detectors.mask2former import Mask2FormerDetector

Runtime = Literal["onnx", "openvino", "torch"]

_BACKENDS: dict[Runtime, str] = {"onnx": "onnxruntime", "openvino": "openvino", "torch": TORCH_BF16}
_PRECISIONS: dict[Runtime, tuple[Precision, ...]] = {
    "onnx": ("fp32",),
    "openvino": ("fp32", "bf16", "int8"),
    "torch": ("bf16",),
}
_MODULES: dict[Runtime, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "openvino": ("openvino", "nncf"),
    "torch": (),
}

_CHECKED = 3  # squares; the graphs were traced with two
_MOST_DIFFERENCE = 0.1

logger = logging.getLogger(__name__)


def export_detector(
    detector: str | Path,
    out: str | Path,
    *,
    to: Runtime,
    precision: Precision | None = None,
    images: str | Path | None = None,
    image_size: int | None = None,
    preprocessing: PreprocessingMode | None = None,
) -> Path:
    """Export a detector for ONNX Runtime or OpenVINO, which run it faster and without torch.

    The folder is used like any other detector: --detector FOLDER. It is for one preprocessing and one size of the
    square; batches can have any size.

    Args:
        detector: the detector: "mini", "mini2", or a Mask2Former by hub name or local folder.
        out: the folder to write. It must not exist or must be empty.
        to: the runtime: onnx (extra [onnx]), openvino (extra [openvino]), or torch, which is for bf16 alone.
        precision: the numbers to compute with: fp32, bf16, or int8 (openvino alone); by default fp32, or bf16 for
            torch. Only fp32 gives the source's candidates but for rounding; docs/export.md says what the others cost.
        images: a folder of photos like those that the detector is for, with which int8 is calibrated.
        image_size: the side of the square, pixels; by default the detector's own.
        preprocessing: how images are fitted into the square, as for `aligncat extract`.

    Returns:
        The folder.

    Raises:
        ConfigError: the extra is not installed, the runtime does not have the precision, int8 and photos are not given
            together, or the detector's family cannot be exported.
        DetectorError: the detector cannot be loaded, or the exported one gives something else.
        DataError: the folder of photos has none, the folder to write is not empty, or another process is writing it.
        ImageError: a photo for int8 cannot be read.
        WriteError: the folder cannot be written, for example because the disk is full.
    """
    chosen = precision or _PRECISIONS[to][0]
    _check_options(to, chosen, images)
    if to == "torch" and (image_size is not None or preprocessing is not None):
        raise ConfigError(
            "--to torch keeps the size and preprocessing of its source; give them where it is used instead"
        )
    check_writable(out)
    photos = [] if images is None else [each.path for each in photos_in(Path(images))]
    source = detector_folder(str(detector))
    _check_family(source)
    from aligncat.detectors.mask2former import Mask2FormerDetector  # here, so that help is quick

    opened = open_detector(str(detector), image_size=image_size, preprocessing=preprocessing, appearance=True)
    assert isinstance(opened, Mask2FormerDetector)  # EXPORTED_FAMILIES has no others
    record = _record(opened, to, chosen)
    with new_folder(Path(out)) as folder:
        if to == "torch":
            _write_weights(source, record, folder)
        else:
            _write_graph(source, opened, record, folder, photos)
            _check_against_source(opened, folder, chosen)
    logger.info("exported the detector %s for %s in %s", source.name, to, chosen)
    return Path(out)


def _check_options(to: Runtime, precision: Precision, images: str | Path | None) -> None:
    if missing := [name for name in _MODULES[to] if find_spec(name) is None]:
        raise ConfigError(
            f"--to {to}: needs {', '.join(missing)}, which is not installed; run pip install 'aligncat[{to}]'"
        )
    if precision not in _PRECISIONS[to]:
        raise ConfigError(f"--precision {precision}: --to {to} has {', '.join(_PRECISIONS[to])}; choose one of these")
    if (precision == "int8") != (images is not None):
        raise ConfigError("--images and --precision int8 go together: give photos to calibrate int8, and for it alone")


def _check_family(source: DetectorFolder) -> None:
    kind = source.config.get("model_type")
    if source.backend != "torch":
        raise ConfigError(
            f"{source.name}: exported already, for {source.backend}; export the detector it was made from"
        )
    if kind not in EXPORTED_FAMILIES:
        raise ConfigError(
            f"{source.name}: a {kind} detector cannot be exported, only {' and '.join(EXPORTED_FAMILIES)}; use it with "
            "torch"
        )


def _record(opened: Mask2FormerDetector, to: Runtime, precision: Precision) -> ExportRecord:
    """Return the record of an export, without the hashes of the files that are to be written."""
    made = opened.description()
    known = known_detector(made.name, made.weights_sha256)
    credit, _ = started_from_credits(TrainingRecord.started_from_of(made.name, made.weights_sha256))
    credit += [known.credit] if known is not None and known.credit is not None else []
    return ExportRecord(
        description=replace(made, name=_shown_name(made.name), backend=_BACKENDS[to], precision=precision),
        format=FORMATS[_BACKENDS[to]][-1] if to != "torch" else 0,
        labels=opened.labels,
        feature_dim=opened.feature_dim,
        queries=opened.queries,
        levels=True,
        files={},
        versions=installed_versions(("aligncat", "torch", "transformers", *_MODULES[to])),
        licence=_licence(known, made.name),
        credit=" ".join(dict.fromkeys(credit)) or None,
    )


def _shown_name(name: str) -> str:
    """Return a detector's name without the folders that it is in, which are this machine's."""
    return Path(name).name if Path(name).is_dir() else name


def _licence(known: KnownDetector | None, name: str) -> str | None:
    return None if known is None or known.licence is None else known.licence.format(name=name)


def _write_graph(
    source: DetectorFolder,
    opened: Mask2FormerDetector,
    record: ExportRecord,
    folder: Path,
    photos: Sequence[Path],
) -> None:
    """Write the graph of a detector, config.json and the lists of the images that the detector has seen."""
    inside = json.dumps(record.inside())
    if record.description.backend == "onnxruntime":
        from aligncat.export.onnx_graph import write_onnx

        names = write_onnx(opened, folder, record.format, inside)
    else:
        from aligncat.export.openvino_graph import write_openvino

        names = write_openvino(opened, folder, record.description.precision, inside, photos)
    record = replace(record, files={name: file_sha256(folder / name) for name in names})
    made = record.description
    seen = continued(source.name, made.weights_sha256, (), ())
    seen.write(folder)
    config = {
        "model_type": made.architecture,
        BACKEND: made.backend,
        IMAGE_SIZE: made.image_size,
        STARTED_FROM: list(seen.started_from),
        RECORD: record.to_json(),
    }
    _write_config(folder, with_hashes(config, source.safetensors()))


def _write_weights(source: DetectorFolder, record: ExportRecord, folder: Path) -> None:
    """Write a copy of a detector's folder that torch runs in bf16."""
    from aligncat.detectors.torch_bf16 import SOURCE_CONFIG

    for file in source.safetensors():
        write_atomic(folder / file.name, file.read_bytes())
    made = record.description
    seen = continued(source.name, made.weights_sha256, (), ())
    seen.write(folder)
    config = {
        **source.config,
        BACKEND: made.backend,
        SOURCE_CONFIG: made.config_sha256,
        STARTED_FROM: list(seen.started_from),
    }
    _write_config(folder, with_hashes(config, source.safetensors()))


def _check_against_source(source: Mask2FormerDetector, folder: Path, precision: Precision) -> None:
    """Run an exported detector and its source on a few squares, and compare what they give.

    Raises:
        DetectorError: a number is not finite, or in fp32 the class logits differ by more than rounding.
    """
    import numpy as np

    from aligncat.detectors.exported_detector import ExportedDetector  # here, so that help is quick

    exported = open_detector(folder, appearance=True)
    assert isinstance(exported, ExportedDetector)
    size = source.preprocessing.size
    noise = np.random.default_rng(0).normal(size=(_CHECKED, 3, 4, 4)).astype(np.float32)
    pixels = np.repeat(np.repeat(noise, -(-size // 4), axis=2), -(-size // 4), axis=3)[:, :, :size, :size]
    expected, found = source.forward(pixels), exported.forward(pixels)
    for part in (found.mask_logits, found.features, found.levels):
        if part is not None and not np.isfinite(part).all():
            raise DetectorError("the exported detector gives numbers that are not finite, so nothing was written")
    difference = float(np.abs(found.class_logits - expected.class_logits).max())
    if not np.isfinite(difference) or (precision == "fp32" and difference > _MOST_DIFFERENCE):
        raise DetectorError(
            f"the exported detector gives other class logits than its source (by up to {difference:.2g}), so nothing "
            "was written; install the versions of torch and of the runtime that aligncat was tested with"
        )
    logger.info(
        "compared with its source on %d made-up images: the scores of classes (logits) differ by at most %.2g",
        _CHECKED,
        difference,
    )


def _write_config(folder: Path, config: dict[str, Any]) -> None:
    write_atomic(folder / CONFIG, (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode())
