"""Score candidates with an exported model on ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aligncat.errors import ConfigError
from aligncat.grounder.exported_files import INPUTS, SOURCE
from aligncat.grounder.images import Images
from aligncat.grounder.scored import Scored
from aligncat.threads import wanted_threads
from aligncat.wording import first_line


class OnnxScorer:
    """Scores candidates with the graph of an exported grounder. Threads can share it.

    Args:
        content: the content of the graph's file.
        path: the file, for error messages.

    Attributes:
        source: the fingerprint of the grounder that the graph was made from; None if it has none inside.

    Raises:
        ConfigError: ONNX Runtime is not installed, or cannot load the graph.
    """

    def __init__(self, content: bytes, path: Path) -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"{path}: an exported grounder needs onnxruntime, which is not installed; run "
                "pip install 'aligncat[onnx]'"
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = wanted_threads()
        options.log_severity_level = 3  # errors, which are raised too
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime has many classes of errors, which share no other base
            raise ConfigError(
                f"{path}: onnxruntime cannot load the graph ({first_line(error)}); export the grounder again with the "
                "versions that are installed here"
            ) from error
        self.source: str | None = self._session.get_modelmeta().custom_metadata_map.get(SOURCE)
        self._names = [each.name for each in self._session.get_outputs()]

    def score(self, images: Images, tokens: NDArray[np.int64], *, relative: bool = False) -> Scored:
        """Score the candidates of B images for B expressions; see `Scorer`. The relative scores are always given."""
        found = self._session.run(self._names, dict(zip(INPUTS, (*images, tokens), strict=True)))
        return Scored.of(dict(zip(self._names, found, strict=True)))
