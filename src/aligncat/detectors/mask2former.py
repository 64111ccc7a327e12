"""Mask2Former detectors, loaded with transformers."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aligncat.detectors.candidates import CONFIDENCE_RULE, RawOutput
from aligncat.detectors.colour import COLOUR
from aligncat.detectors.description import DetectorDescription
from aligncat.detectors.folder import DetectorFolder
from aligncat.detectors.levels import LEVELS, STAGES, pooled_levels
from aligncat.detectors.mask2former_forward import Mask2FormerForward, Mask2FormerOutput
from aligncat.detectors.mask_queries import torch_pair_confidences
from aligncat.detectors.masks import MaskMode
from aligncat.detectors.preprocessing import Preprocessing
from aligncat.detectors.pretrained_model import class_labels, load_model
from aligncat.detectors.query_detector import QueryDetector, usual_batch_size
from aligncat.files.hashes import files_sha256


class Mask2FormerDetector(QueryDetector):
    """A frozen Mask2Former. Use `open_detector` to load one."""

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
        """Load the model from a folder; see `DetectorFactory`."""
        weights_sha256 = folder.weights_sha256()
        self._model = load_model("Mask2FormerForUniversalSegmentation", folder, check_values=True).to(device)
        self._run = Mask2FormerForward(self._model)
        config = self._model.config
        super().__init__(
            DetectorDescription(
                name=folder.name,
                weights_sha256=weights_sha256,
                config_sha256=files_sha256([folder.config_file]),
                architecture="mask2former",
                image_size=preprocessing.size,
                preprocessing=preprocessing.description(),
                feature="decoder output after its final LayerNorm",
                confidence=CONFIDENCE_RULE,
                candidates=int(config.num_queries) if every_query else candidates,
                every_query=every_query,
                masks=masks,
            ),
            preprocessing,
            labels=class_labels(self._model, folder),
            feature_dim=int(config.hidden_dim),
            device=device,
            batch_size=usual_batch_size(preprocessing.size, device),
            columns=(COLOUR, LEVELS) if appearance else (),
        )

    def forward(self, pixels: NDArray[np.float32]) -> RawOutput:
        """Run the model on a batch of squares.

        The query feature is the decoder's output after its final LayerNorm, which is also the input of the class and
        mask heads. The output of transformers is the one before that norm.

        Args:
            pixels: (B, 3, size, size), from `normalize`.

        Returns:
            The raw output, with mask logits on a grid of size/4, and the column LEVELS if the detector gives it.
        """
        with torch.inference_mode():
            output = self._run(torch.from_numpy(pixels).to(self.device))
            parts = _parts(output, levels=LEVELS in self.columns)
            return RawOutput(*(part.float().cpu().numpy() for part in parts))

    def confidences(
        self, class_logits: NDArray[np.float32], mask_logits: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        """Return the confidence of every (query, class) pair of one image, in torch."""
        return torch_pair_confidences(class_logits, mask_logits)

    @property
    def queries(self) -> int:
        """N, the number of queries."""
        return int(self._model.config.num_queries)

    def graph(self) -> nn.Module:
        """Return a module that computes what `forward` gives, from operations that other runtimes have."""
        return _Graph(self._model)


class _Graph(nn.Module):
    """A model as a function of pixels, (B, 3, size, size), with the outputs of `RawOutput`, including `levels`."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model.requires_grad_(False)  # so that its tensors are registered
        self._run = Mask2FormerForward(model, for_export=True)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        return tuple(_parts(self._run(pixels), levels=True))


def _parts(output: Mask2FormerOutput, *, levels: bool) -> list[Tensor]:
    """Return the parts of `RawOutput`, in order."""
    parts = [output.class_logits, output.mask_logits, output.features]
    if levels:
        maps = [*output.backbone_maps[:STAGES], output.pixel_embeddings]
        parts.append(pooled_levels(maps, output.mask_logits))
    return parts
