"""Detectors of transformers that give class logits and boxes of queries: DETR and its kin, with masks or without."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, softmax

from aligncat.detectors.candidates import RawOutput
from aligncat.detectors.colour import COLOUR
from aligncat.detectors.deformable_attention import use_weighted_rows
from aligncat.detectors.description import DetectorDescription
from aligncat.detectors.families import transformers_family
from aligncat.detectors.folder import DetectorFolder
from aligncat.detectors.masks import DEFAULT_MASKS, NO_MASKS, MaskMode
from aligncat.detectors.preprocessing import Preprocessing
from aligncat.detectors.preprocessor_config import normalised
from aligncat.detectors.pretrained_model import class_labels, load_model, model_class_of, submodule
from aligncat.detectors.query_detector import QueryDetector, usual_batch_size
from aligncat.errors import ConfigError, DetectorError
from aligncat.files.hashes import files_sha256


class BoxQueryDetector(QueryDetector):
    """A frozen detector that gives class logits and boxes of queries. Use `open_detector` to load one.

    The confidence is the class probability alone, as in the models' own post-processing, and boxes are the model's own
    even if it gives masks.
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
        """Load the model from a folder; see `DetectorFactory`."""
        family = transformers_family(folder.config.get("model_type"))
        if family is None:
            raise DetectorError(f"{folder.config_file}: model_type is no family of transformers that aligncat knows")
        model_class = model_class_of(folder, family)
        if masks != DEFAULT_MASKS:
            gives = "boxes of its own" if model_class.has_masks else "boxes alone, without masks"
            raise ConfigError(f"masks {masks}: {folder.name} gives {gives}; leave --masks out")
        fit = normalised(preprocessing, folder, family)
        weights_sha256 = folder.weights_sha256()
        self._model = load_model(model_class.name, folder).to(device)
        use_weighted_rows(self._model)
        self._feature = family.feature
        self._has_masks = model_class.has_masks
        self._softmax = family.probabilities == "softmax"
        config = self._model.config
        super().__init__(
            DetectorDescription(
                name=folder.name,
                weights_sha256=weights_sha256,
                config_sha256=files_sha256([folder.config_file]),
                architecture=family.name,
                image_size=fit.size,
                preprocessing=fit.description(),
                feature="input of the class head",
                confidence=f"class probability ({family.probabilities}), over (query, class) pairs",
                candidates=int(config.num_queries) if every_query else candidates,
                every_query=every_query,
                masks=masks if model_class.has_masks else NO_MASKS,
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
            centres, sizes = output.pred_boxes.float().split(2, dim=-1)
            corners = torch.cat([centres - sizes / 2, centres + sizes / 2], dim=-1)
            return RawOutput(
                class_logits=output.logits.float().cpu().numpy(),
                mask_logits=output.pred_masks.float().cpu().numpy() if self._has_masks else None,
                features=getattr(output, self._feature).float().cpu().numpy(),
                boxes=corners.cpu().numpy(),
            )

    def confidences(
        self, class_logits: NDArray[np.float32], mask_logits: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        """Return the class probability of every (query, class) pair of one image, (N, C)."""
        with np.errstate(invalid="ignore"):  # the caller checks for output that is not finite
            found = softmax(class_logits, axis=-1)[:, :-1] if self._softmax else expit(class_logits)
        return np.asarray(found, dtype=np.float32)
