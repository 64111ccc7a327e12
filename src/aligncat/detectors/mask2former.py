"""Mask2Former detectors, loaded with transformers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from transformers import Mask2FormerForUniversalSegmentation

from aligncat.detectors.candidates import CONFIDENCE_RULE, RawOutput
from aligncat.detectors.colour import COLOUR
from aligncat.detectors.description import DetectorDescription
from aligncat.detectors.folder import DetectorFolder
from aligncat.detectors.levels import LEVELS, STAGES, pooled_levels
from aligncat.detectors.masks import MaskMode
from aligncat.detectors.preprocessing import Preprocessing
from aligncat.detectors.query_detector import QueryDetector
from aligncat.errors import DetectorError
from aligncat.files.hashes import files_sha256
from aligncat.loading import model_loading, unlike_files
from aligncat.wording import first_line

# Measured on 2 cores: at 128 px, one pass over eight images takes half the time of eight passes. At 416 px, one image
# per pass is fastest.
_SMALL_IMAGE = 256
_SMALL_IMAGE_BATCH = 8
# Tensors that may be missing, because a frozen detector does not use them: the norm after the last stage of a Swin
# classifier, and the class weights of the loss.
_UNREAD = ("swin.layernorm.weight", "swin.layernorm.bias", "criterion.empty_weight")


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
        model: Any = _load(folder)  # transformers' calls are untyped, and its labels optional
        config = model.config
        self._model = model.eval().to(device)
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
            labels=[str(config.id2label[index]) for index in range(config.num_labels)],
            feature_dim=int(config.hidden_dim),
            device=device,
            batch_size=_SMALL_IMAGE_BATCH if preprocessing.size <= _SMALL_IMAGE or device != "cpu" else 1,
            columns=(COLOUR, LEVELS) if appearance else (),
        )

    def forward(self, pixels: NDArray[np.float32]) -> RawOutput:
        """Run the model on a batch of squares.

        The query feature is the decoder's output after its final LayerNorm, which is also the input of the class and
        mask heads. transformers returns the output before that norm.

        Args:
            pixels: (B, 3, size, size), from `normalize`.

        Returns:
            The raw output, with mask logits on a grid of size/4, and the column LEVELS if the detector gives it.
        """
        appearance = LEVELS in self.columns
        with torch.inference_mode():
            output = self._model(
                pixel_values=torch.from_numpy(pixels).to(self.device), output_hidden_states=appearance or None
            )
            decoder = self._model.model.transformer_module.decoder
            features = decoder.layernorm(output.transformer_decoder_last_hidden_state)
            parts = [output.class_queries_logits, output.masks_queries_logits, features]
            if appearance:
                maps = [*output.encoder_hidden_states[:STAGES], output.pixel_decoder_last_hidden_state]
                parts.append(pooled_levels(maps, output.masks_queries_logits))
            return RawOutput(*(part.float().cpu().numpy() for part in parts))

    def confidences(self, class_logits: NDArray[np.float32], mask_logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the rule of `pair_confidences` in torch.

        Numpy's softmax, sigmoid and sum differ from torch's in the last bits, and existing stores were made with torch.
        """
        classes = torch.from_numpy(class_logits).softmax(dim=-1)[:, :-1]
        cells = torch.from_numpy(mask_logits).flatten(1)
        inside = cells > 0
        means = (cells.sigmoid() * inside).sum(dim=1) / inside.sum(dim=1).clamp(min=1)
        result: NDArray[np.float32] = (classes * means[:, None]).numpy()
        return result


def _load(folder: DetectorFolder) -> Mask2FormerForUniversalSegmentation:
    model: Mask2FormerForUniversalSegmentation
    info: dict[str, Any]
    try:
        with model_loading():
            model, info = Mask2FormerForUniversalSegmentation.from_pretrained(
                folder.path,
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
            )  # type: ignore[misc]  # the annotation omits the pair that output_loading_info returns
            # Checked here too, because other code in the process may load a model at the same time.
            unlike = unlike_files(model, folder.safetensors(), allowed=_UNREAD)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise DetectorError(
            f"{folder.path}: the weights cannot be loaded ({first_line(error)}); download them again from the model's "
            "source."
        ) from error
    # transformers initialises missing tensors at random and only logs a warning.
    if missing := sorted(name for name in info["missing_keys"] if not name.endswith(_UNREAD)):
        raise DetectorError(
            f"{folder.path}: {len(missing)} tensors are missing from the weights, such as {missing[0]}; download "
            "them again from the model's source."
        )
    if unlike:
        raise DetectorError(
            f"{folder.path}: {len(unlike)} tensors differ from the weight files after loading, such as {unlike[0]}; if "
            "another thread was loading a model, load this one again."
        )
    return model
