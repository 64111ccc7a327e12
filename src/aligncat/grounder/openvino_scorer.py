"""Score candidates with an exported model on OpenVINO."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aligncat.detectors.openvino import OpenVinoGraph
from aligncat.errors import ConfigError
from aligncat.grounder.exported_files import INPUTS, SOURCE
from aligncat.grounder.images import Images
from aligncat.grounder.scored import Scored
from aligncat.threads import wanted_threads
from aligncat.wording import first_line


class OpenVinoScorer:
    """Scores candidates with the graph of an exported grounder, in float32. Threads can share it.

    Args:
        content: the content of the graph's file.
        weights: the content of the file with its weights.
        path: the graph's file, for error messages.

    Attributes:
        source: the fingerprint of the grounder that the graph was made from; None if it has none inside.

    Raises:
        ConfigError: OpenVINO is not installed, or cannot load the graph.
    """

    def __init__(self, content: bytes, weights: bytes, path: Path) -> None:
        try:
            self._graph = OpenVinoGraph(content, weights, key=SOURCE, precision="fp32", threads=wanted_threads())
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"{path}: this exported grounder needs openvino, which is not installed; run "
                "pip install 'aligncat[openvino]'"
            ) from error
        except Exception as error:  # the runtime raises many kinds of errors
            raise ConfigError(
                f"{path}: openvino cannot load the graph ({first_line(error)}); export the grounder again with the "
                "versions that are installed here"
            ) from error
        self.source = self._graph.note

    def score(self, images: Images, tokens: NDArray[np.int64], *, relative: bool = False) -> Scored:
        """Score the candidates of B images for B expressions; see `Scorer`. The relative scores are always given."""
        names = self._graph.outputs
        found = self._graph.run(dict(zip(INPUTS, (*images, tokens), strict=True)), names)
        return Scored.of(dict(zip(names, found, strict=True)))
