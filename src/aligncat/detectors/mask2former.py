"""Mask2Former, through transformers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from transformers import Mask2FormerForUniversalSegmentation

from aligncat.detectors.candidates import CONFIDENCE_RULE, RawOutput
from aligncat.detectors.description import DetectorDescription
from aligncat.detectors.folder import DetectorFolder
from aligncat.detectors.preprocessing import Preprocessing
from aligncat.detectors.query_detector import QueryDetector
from aligncat.errors import DetectorError
from aligncat.files.hashes import files_sha256
from aligncat.quiet import quiet_loading
from aligncat.wording import first_line

# Measured on 2 cores: eight 128 px images in one pass take half the time of eight passes; at 416 px, one image per
# pass is the fastest.
_SMALL_IMAGE = 256
_SMALL_IMAGE_BATCH = 8
# No detector reads these: the norm after the last stage of a Swin classifier, which older files lack, and the loss.
_UNREAD = ("swin.layernorm.weight", "swin.layernorm.bias", "criterion.empty_weight")


class Mask2FormerDetector(QueryDetector):
    """A frozen Mask2Former; `open_detector` is the usual way to load one."""

    def __init__(
        self,
        folder: DetectorFolder,
        *,
        preprocessing: Preprocessing,
        candidates: int,
        every_query: bool,
        device: str,
    ) -> None:
        """Load the model in a folder; see `DetectorFactory`."""
        weights = folder.safetensors()
        model: Any = _load(folder)  # transformers leaves its calls untyped, and its labels optional
        config = model.config
        self._model = model.eval().to(device)
        super().__init__(
            DetectorDescription(
                name=folder.name,
                weights_sha256=files_sha256(weights),
                config_sha256=files_sha256([folder.config_file]),
                architecture="mask2former",
                image_size=preprocessing.size,
                preprocessing=preprocessing.description(),
                feature="decoder output after its final LayerNorm",
                confidence=CONFIDENCE_RULE,
                candidates=int(config.num_queries) if every_query else candidates,
                every_query=every_query,
            ),
            preprocessing,
            labels=[str(config.id2label[index]) for index in range(config.num_labels)],
            feature_dim=int(config.hidden_dim),
            device=device,
            batch_size=_SMALL_IMAGE_BATCH if preprocessing.size <= _SMALL_IMAGE or device != "cpu" else 1,
        )

    def forward(self, pixels: NDArray[np.float32]) -> RawOutput:
        """Run the model on a batch of squares; mask logits come on a grid of size/4.

        The model returns its decoder's state before the decoder's final LayerNorm. The feature is the state after it,
        which the class and mask heads read too.

        Args:
            pixels: (B, 3, size, size), from `normalize`.
        """
        with torch.inference_mode():
            output = self._model(pixel_values=torch.from_numpy(pixels).to(self.device))
            decoder = self._model.model.transformer_module.decoder
            features = decoder.layernorm(output.transformer_decoder_last_hidden_state)
            return RawOutput(
                *(
                    part.float().cpu().numpy()
                    for part in (output.class_queries_logits, output.masks_queries_logits, features)
                )
            )

    def confidences(self, class_logits: NDArray[np.float32], mask_logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what `pair_confidences` returns, computed in torch.

        Existing stores hold torch's bits: numpy's softmax, sigmoid and sum differ from them in the last places.
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
        with quiet_loading():
            model, info = Mask2FormerForUniversalSegmentation.from_pretrained(
                folder.path,
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
            )  # type: ignore[misc]  # its annotation leaves out the pair that output_loading_info gives
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise DetectorError(f"{folder.path}: the weights cannot be loaded ({first_line(error)}).") from error
    # transformers fills missing tensors with random numbers and only logs it.
    if missing := sorted(name for name in info["missing_keys"] if not name.endswith(_UNREAD)):
        raise DetectorError(
            f"{folder.path}: the weights lack {len(missing)} tensors, such as {missing[0]}; restore them from the "
            "model's source."
        )
    return model
