"""Write detectors and grounders as models of OpenVINO."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aligncat.detectors.exported import OUTPUTS, PIXELS, RECORD
from aligncat.detectors.mask2former import Mask2FormerDetector
from aligncat.detectors.openvino import without_telemetry
from aligncat.detectors.preprocessing import normalize
from aligncat.export.tracing import ANY_BATCH, quiet_tracing, traceable
from aligncat.files.images import read_image

MODEL = "model.xml"
CALIBRATION_PHOTOS = 300
"""The most photos that int8 is calibrated with."""


def write_openvino(
    detector: Mask2FormerDetector, folder: Path, precision: str, record: str, photos: Sequence[Path]
) -> list[str]:
    """Write model.xml and model.bin, for batches of any size.

    Args:
        detector: the detector.
        folder: an existing folder.
        precision: a `Precision`; "int8" quantises the graph; bf16 is the runtime's matter, so the weights stay float32.
        record: the text to keep inside the file.
        photos: the photos that calibrate int8; none for other precisions.

    Returns:
        The names of the files.

    Raises:
        ImageError: a photo cannot be read.
    """
    pixels = _calibration(detector, photos)  # first: a photo that cannot be read is told before the slow work
    with without_telemetry(), quiet_tracing():
        import openvino

        graph, squares = traceable(detector)
        model = openvino.convert_model(torch.export.export(graph, (squares,), dynamic_shapes=ANY_BATCH))
        model.reshape([-1, *squares.shape[1:]])
        model.inputs[0].get_tensor().set_names({PIXELS})
        for output, name in zip(model.outputs, OUTPUTS, strict=True):
            output.get_tensor().set_names({name})
        if precision == "int8":
            model = _quantised(model, pixels)
        _name_by_place(model, "detector")
        model.set_rt_info(record, [RECORD])
        openvino.save_model(model, folder / MODEL, compress_to_fp16=False)
    return [MODEL, Path(MODEL).with_suffix(".bin").name]


def convert_onnx(content: bytes, graph: Path, name: str, notes: Mapping[str, str]) -> None:
    """Write an ONNX graph as a model of OpenVINO, with its weights in a file beside it.

    Args:
        content: the content of the ONNX file.
        graph: the file to write, with the suffix .xml, in an existing folder.
        name: the model's name.
        notes: texts to keep inside the model, by key.
    """
    with without_telemetry(), TemporaryDirectory() as folder:
        import openvino

        source = Path(folder) / "graph.onnx"  # from bytes, OpenVINO leaves out the inputs that no operation reads
        source.write_bytes(content)
        model = openvino.Core().read_model(source)
        _name_by_place(model, name)
        for key, text in notes.items():
            model.set_rt_info(text, [key])
        openvino.save_model(model, graph, compress_to_fp16=False)


def _name_by_place(model: Any, name: str) -> None:
    """Name the model and its operations anew where OpenVINO named them by numbers that it counts in each process.

    Without this, the second export of a process would have other bytes than the first one.
    """
    model.set_friendly_name(name)
    for place, operation in enumerate(model.get_ordered_ops()):
        if numbered := re.fullmatch(r"(\w+)_\d+", operation.get_friendly_name()):
            operation.set_friendly_name(f"{numbered[1]}_{place}")


def _quantised(model: Any, pixels: list[NDArray[np.float32]]) -> Any:
    """Return the model with weights and activations in int8 where nncf finds that it pays."""
    import nncf

    return nncf.quantize(
        model,
        nncf.Dataset(pixels),
        subset_size=len(pixels),
        preset=nncf.QuantizationPreset.MIXED,
        model_type=nncf.ModelType.TRANSFORMER,
    )


def _calibration(detector: Mask2FormerDetector, photos: Sequence[Path]) -> list[NDArray[np.float32]]:
    """Return the input for at most CALIBRATION_PHOTOS photos, evenly spaced in their order."""
    fit = detector.preprocessing
    step = max(1, -(-len(photos) // CALIBRATION_PHOTOS))
    squares = (fit.square(read_image(path))[0] for path in photos[::step])
    return [np.ascontiguousarray(normalize([square], fit.mean, fit.std)) for square in squares]
