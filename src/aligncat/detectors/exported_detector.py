"""The base class of exported detectors, which a runtime runs on the CPU without torch and transformers."""

from __future__ import annotations

import logging
from abc import abstractmethod
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aligncat.detectors.candidates import RawOutput
from aligncat.detectors.colour import COLOUR
from aligncat.detectors.exported import OUTPUTS, ExportRecord
from aligncat.detectors.folder import DetectorFolder
from aligncat.detectors.levels import LEVELS
from aligncat.detectors.masks import MaskMode
from aligncat.detectors.preprocessing import Preprocessing
from aligncat.detectors.query_detector import QueryDetector, usual_batch_size
from aligncat.errors import ConfigError, DetectorError
from aligncat.threads import wanted_threads
from aligncat.wording import first_line

logger = logging.getLogger(__name__)


class ExportedDetector(QueryDetector):
    """An exported detector. A subclass loads the graph with its runtime and runs it. Use `open_detector` to load one.

    Its confidences are those of `pair_confidences`, in numpy.
    """

    def __init__(
        self,
        folder: DetectorFolder,
        *,
        preprocessing: Preprocessing,
        candidates: int,
        every_query: bool,
        masks: MaskMode,
        device: str,
        appearance: bool,
    ) -> None:
        """Load the graph from a folder; see `DetectorFactory`. It runs on the CPU, whatever the device is."""
        record = ExportRecord.read(folder)
        record.check(folder.path)
        made = record.description
        if (preprocessing.mode, preprocessing.size) != (made.preprocessing_mode, made.image_size):
            raise ConfigError(
                f"{folder.path}: exported for {made.preprocessing_mode} at {made.image_size} px, not for "
                f"{preprocessing.mode} at {preprocessing.size} px; leave --preprocessing and --image_size out, or "
                "export the detector again with them"
            )
        if device != "cpu":
            logger.info("%s: an exported detector runs on the CPU, not on %s", folder.path, device)
        self._record = record
        graph = folder.path / next(iter(record.files))
        try:
            self._load(graph, record.description.precision, wanted_threads())
        except Exception as error:  # each runtime has exceptions of its own
            raise DetectorError(
                f"{graph}: {made.backend} cannot load the graph ({first_line(error)}); export the detector again with "
                "the versions that are installed here"
            ) from error
        record.check_inside(self._inside(), graph)
        columns = (COLOUR, LEVELS) if record.levels else (COLOUR,)
        super().__init__(
            replace(
                made,
                name=folder.name,
                candidates=record.queries if every_query else candidates,
                every_query=every_query,
                masks=masks,
                graph_sha256=record.graph_sha256(),
            ),
            preprocessing,
            labels=record.labels,
            feature_dim=record.feature_dim,
            device="cpu",
            batch_size=usual_batch_size(preprocessing.size, "cpu"),
            columns=columns if appearance else (),
        )

    @abstractmethod
    def _load(self, graph: Path, precision: str, threads: int) -> None:
        """Load the graph.

        Args:
            graph: its file.
            precision: the numbers to compute with, a `Precision`.
            threads: the number of threads.
        """

    @abstractmethod
    def _inside(self) -> object:
        """Return the record inside the graph, as JSON; None if there is none."""

    @abstractmethod
    def _run(self, pixels: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return the outputs for a batch, in the order of `OUTPUTS`."""

    def forward(self, pixels: NDArray[np.float32]) -> RawOutput:
        """Run the graph on a batch of squares; see `QueryDetector.forward`."""
        found = dict(zip(OUTPUTS, self._run(np.ascontiguousarray(pixels)), strict=False))
        if LEVELS not in self.columns:
            found.pop("levels", None)
        return RawOutput(**found)
