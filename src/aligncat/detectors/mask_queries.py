"""Detectors of transformers that give class and mask logits of queries: MaskFormer, EoMT and their kin."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from aligncat.detectors.candidates import CONFIDENCE_RULE, RawOutput
from aligncat.detectors.colour import COLOUR
from aligncat.detectors.description import DetectorDescription
from aligncat.detectors.families import transformers_family
from aligncat.detectors.folder import DetectorFolder
from aligncat.detectors.masks import MaskMode
from aligncat.detectors.preprocessing import Preprocessing
from aligncat.detectors.preprocessor_config import normalised
from aligncat.detectors.pretrained_model import class_labels, load_model, model_class_of, submodule
from aligncat.detectors.query_detector import QueryDetector, usual_batch_size
from aligncat.errors import ConfigError, DetectorError
from aligncat.files.hashes import files_sha256


def torch_pair_confidences(
    class_logits: NDArray[np.float32], mask_logits: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Compute the rule of `pair_confidences` in torch.

    Numpy's softmax, sigmoid and sum differ from torch's in the last bits, and existing stores were made with torch.

    Raises:
        ValueError: there are no masks.
    """
    if mask_logits is None:
        raise ValueError("this confidence is made from masks, and there are none")
    classes = torch.from_numpy(class_logits).softmax(dim=-1)[:, :-1]
    cells = torch.from_numpy(mask_logits).flatten(1)
    inside = cells > 0
    means = (cells.sigmoid() * inside).sum(dim=1) / inside.sum(dim=1).clamp(min=1)
    result: NDArray[np.float32] = (classes * means[:, None]).numpy()
    return result


class MaskQueryDetector(QueryDetector):
    """A frozen detector that gives class and mask logits of queries. Use `open_detector` to load one."""

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
        family = transformers_family(folder.config.get("model_type"))
        if family is None:
            raise DetectorError(f"{folder.config_file}: model_type is no family of transformers that aligncat knows")
        fit = normalised(preprocessing, folder, family)
        model_class = model_class_of(folder, family)
        weights_sha256 = folder.weights_sha256()
        self._model = load_model(model_class.name, folder).to(device)
        self._feature = family.feature
        config = self._model.config
        if family.fixed_size and fit.size != config.image_size:
            raise ConfigError(
                f"image_size {fit.size}: {folder.name} accepts squares of {config.image_size} px only; leave "
                "image_size out"
            )
        self._queries = int(getattr(config, "num_queries", 0) or config.decoder_config.num_queries)
        super().__init__(
            DetectorDescription(
                name=folder.name,
                weights_sha256=weights_sha256,
                config_sha256=files_sha256([folder.config_file]),
                architecture=family.name,
                image_size=fit.size,
                preprocessing=fit.description(),
                feature="input of the class head",
                confidence=CONFIDENCE_RULE,
                candidates=self._queries if every_query else candidates,
                every_query=every_query,
                masks=masks,
            ),
            fit,
            labels=class_labels(self._model, folder),
            feature_dim=int(submodule(self._model, model_class.head).in_features),
            device=device,
            batch_size=usual_batch_size(fit.size, device),
            columns=(COLOUR,) if appearance else (),
        )

    def forward(self, pixels: NDArray[np.float32]) -> RawOutput:
        """Run the model on a batch of squares; see `QueryDetector.forward`."""
        with torch.inference_mode():
            output = self._model(pixel_values=torch.from_numpy(pixels).to(self.device))
            features = getattr(output, self._feature)[:, : self._queries]
            parts = (output.class_queries_logits, output.masks_queries_logits, features)
            return RawOutput(*(part.float().cpu().numpy() for part in parts))

    def confidences(
        self, class_logits: NDArray[np.float32], mask_logits: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        """Return the confidence of every (query, class) pair of one image, in torch."""
        return torch_pair_confidences(class_logits, mask_logits)
