"""Exported detectors on ONNX Runtime."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aligncat.detectors.exported import OUTPUTS, PIXELS, RECORD
from aligncat.detectors.exported_detector import ExportedDetector


class OnnxRuntimeDetector(ExportedDetector):
    """A detector on ONNX Runtime, in float32. Threads can share it."""

    def _load(self, graph: Path, precision: str, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors, which are raised too
        self._session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        given = [each.name for each in self._session.get_outputs()]
        self._outputs = [name for name in OUTPUTS if name in given]

    def _inside(self) -> object:
        text = self._session.get_modelmeta().custom_metadata_map.get(RECORD)
        return None if text is None else json.loads(text)

    def _run(self, pixels: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        found: list[NDArray[np.float32]] = self._session.run(self._outputs, {PIXELS: pixels})
        return found
