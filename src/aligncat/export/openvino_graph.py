"""Write a detector as a model of OpenVINO."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aligncat.datasets.photos import photos_in
from aligncat.detectors.exported import OUTPUTS, PIXELS, RECORD
from aligncat.detectors.mask2former import Mask2FormerDetector
from aligncat.detectors.openvino import without_telemetry
from aligncat.detectors.preprocessing import normalize
from aligncat.errors import DataError
from aligncat.export.tracing import ANY_BATCH, quiet_tracing, traceable
from aligncat.files.images import read_image

MODEL = "model.xml"
CALIBRATION_PHOTOS = 300
"""The most photos that int8 is calibrated with."""


def write_openvino(
    detector: Mask2FormerDetector, folder: Path, precision: str, record: str, images: str | Path | None
) -> list[str]:
    """Write model.xml and model.bin, for batches of any size.

    Args:
        detector: the detector.
        folder: an existing folder.
        precision: a `Precision`; "int8" quantises the graph; bf16 is the runtime's matter, so the weights stay float32.
        record: the text to keep inside the file.
        images: the folder of the photos that calibrate int8.

    Returns:
        The names of the files.

    Raises:
        DataError: there is no photo.
        ImageError: a photo cannot be read.
    """
    with without_telemetry(), quiet_tracing():
        import openvino

        graph, squares = traceable(detector)
        model = openvino.convert_model(torch.export.export(graph, (squares,), dynamic_shapes=ANY_BATCH))
        model.reshape([-1, *squares.shape[1:]])
        model.inputs[0].get_tensor().set_names({PIXELS})
        for output, name in zip(model.outputs, OUTPUTS, strict=True):
            output.get_tensor().set_names({name})
        if precision == "int8" and images is not None:
            model = _quantised(model, _calibration(detector, Path(images)))
        model.set_rt_info(record, [RECORD])
        openvino.save_model(model, folder / MODEL, compress_to_fp16=False)
    return [MODEL, Path(MODEL).with_suffix(".bin").name]


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


def _calibration(detector: Mask2FormerDetector, folder: Path) -> list[NDArray[np.float32]]:
    """Return the input for at most CALIBRATION_PHOTOS photos of a folder, evenly spaced in the order of their names."""
    found = [each.path for each in photos_in(folder)]
    if not found:
        raise DataError(f"{folder}: no photo in this folder; give photos like those that the detector is for")
    fit = detector.preprocessing
    step = -(-len(found) // CALIBRATION_PHOTOS)
    squares = (fit.square(read_image(path))[0] for path in found[::step])
    return [np.ascontiguousarray(normalize([square], fit.mean, fit.std)) for square in squares]
