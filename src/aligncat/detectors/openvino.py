"""Exported detectors, and any other graph, on OpenVINO."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
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


class OpenVinoGraph:
    """A graph on OpenVINO, on the CPU. Threads can share it: each pass has a request of its own.

    Args:
        graph: its file, model.xml, beside its weights; or the content of that file.
        weights: the content of the file with the weights, if the other file's content is given.
        key: the key of the text that its maker noted inside.
        precision: the numbers to compute with, a `Precision`.
        threads: the number of threads.

    Attributes:
        outputs: the names of its outputs.
        note: the text; None if there is none.
    """

    def __init__(self, graph: Path | bytes, weights: bytes = b"", *, key: str, precision: str, threads: int) -> None:
        with without_telemetry():
            import openvino

        core = openvino.Core()
        model = core.read_model(graph) if isinstance(graph, Path) else core.read_model(graph, weights)
        self.outputs = [name for each in model.outputs for name in each.get_names()]
        self.note: str | None = model.get_rt_info([key]).astype(str) if model.has_rt_info([key]) else None
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._compiled = core.compile_model(model, "CPU", settings)
        self._requests: SimpleQueue[Any] = SimpleQueue()  # the idle ones

    def run(self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """Return outputs, by name, for inputs by name."""
        try:
            request = self._requests.get_nowait()
        except Empty:
            request = self._compiled.create_infer_request()
        try:
            request.infer(inputs)
            return [np.array(request.get_tensor(name).data) for name in outputs]
        finally:
            self._requests.put(request)


class OpenVinoDetector(ExportedDetector):
    """A detector on OpenVINO. Threads can share it."""

    def _load(self, graph: Path, precision: str, threads: int) -> None:
        self._graph = OpenVinoGraph(graph, key=RECORD, precision=precision, threads=threads)
        self._outputs = [name for name in OUTPUTS if name in self._graph.outputs]

    def _inside(self) -> object:
        return None if self._graph.note is None else json.loads(self._graph.note)

    def _run(self, pixels: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        return self._graph.run({PIXELS: pixels}, self._outputs)


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
