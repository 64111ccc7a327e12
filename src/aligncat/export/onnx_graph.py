"""Write a detector as an ONNX file."""

from __future__ import annotations

from pathlib import Path

import torch

from aligncat.detectors.exported import OUTPUTS, PIXELS, RECORD
from aligncat.detectors.mask2former import Mask2FormerDetector
from aligncat.export.tracing import ANY_BATCH, clear_traces, quiet_tracing, traceable

MODEL = "model.onnx"


def write_onnx(detector: Mask2FormerDetector, folder: Path, opset: int, record: str) -> list[str]:
    """Write model.onnx, with its weights, for batches of any size.

    Args:
        detector: the detector.
        folder: an existing folder.
        opset: the version of the operations.
        record: the text to keep inside the file.

    Returns:
        The names of the files.
    """
    with quiet_tracing():
        graph, squares = traceable(detector)
        program = torch.onnx.export(
            graph,
            (squares,),
            dynamo=True,
            dynamic_shapes=ANY_BATCH,
            input_names=[PIXELS],
            output_names=list(OUTPUTS),
            opset_version=opset,
            verbose=False,
        )
    assert program is not None
    clear_traces(program)
    program.model.metadata_props[RECORD] = record
    program.save(folder / MODEL, external_data=False)
    return [MODEL]
