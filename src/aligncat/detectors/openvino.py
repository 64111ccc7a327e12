"""Exported detectors on OpenVINO."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aligncat.detectors.exported import OUTPUTS, PIXELS, RECORD
from aligncat.detectors.exported_detector import ExportedDetector

_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
"""The type of the numbers that are not quantised. Without it OpenVINO takes bf16 where the processor has it."""


class OpenVinoDetector(ExportedDetector):
    """A detector on OpenVINO. Threads can share it: each pass has a request of its own."""

    def _load(self, graph: Path, precision: str, threads: int) -> None:
        with without_telemetry():
            import openvino

        core = openvino.Core()
        model = core.read_model(graph)
        given = {name for each in model.outputs for name in each.get_names()}
        self._outputs = [name for name in OUTPUTS if name in given]
        self._record_inside = model.get_rt_info([RECORD]).astype(str) if model.has_rt_info([RECORD]) else None
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._compiled = core.compile_model(model, "CPU", settings)
        self._requests: SimpleQueue[Any] = SimpleQueue()  # the idle ones

    def _inside(self) -> object:
        return None if self._record_inside is None else json.loads(self._record_inside)

    def _run(self, pixels: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        try:
            request = self._requests.get_nowait()
        except Empty:
            request = self._compiled.create_infer_request()
        try:
            request.infer({PIXELS: pixels})
            return [np.array(request.get_tensor(name).data, dtype=np.float32) for name in self._outputs]
        finally:
            self._requests.put(request)


@contextmanager
def without_telemetry() -> Iterator[None]:
    """Let OpenVINO and nncf send nothing to their makers, and write nothing into the home folder.

    Importing them is enough for either, except on a build machine, which CI names.
    """
    before = {name: os.environ.get(name) for name in ("CI", "NNCF_CI")}
    os.environ.update(dict.fromkeys(before, "true"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
