"""Prepare a detector for torch's exporter."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from aligncat.detectors.mask2former import Mask2FormerDetector

ANY_BATCH = ({0: torch.export.Dim("batch")},)
"""Which sizes of the input can change: the first one."""


def traceable(detector: Mask2FormerDetector) -> tuple[nn.Module, Tensor]:
    """Return a detector's graph, and an input to trace it with: two squares, because a batch of one would be fixed."""
    graph, size = detector.graph().eval(), detector.preprocessing.size
    squares = torch.zeros(2, 3, size, size)
    graph(squares)  # what depends on the size alone is made now, and is a constant when the graph is traced
    return graph, squares


def clear_traces(program: torch.onnx.ONNXProgram) -> None:
    """Remove what torch's exporter notes of each operation: stack traces, with the paths of this machine's files.

    With them, the bytes of a graph would depend on the folder that aligncat runs from.
    """
    from onnxscript.ir.passes.common import ClearMetadataAndDocStringPass

    ClearMetadataAndDocStringPass()(program.model)


@contextmanager
def quiet_tracing() -> Iterator[None]:
    """Hide the warnings of torch's exporter, which are for its developers, and record no gradients."""
    before = {name: logging.getLogger(name).level for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")}
    try:
        for name in before:
            logging.getLogger(name).setLevel(logging.ERROR)
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
