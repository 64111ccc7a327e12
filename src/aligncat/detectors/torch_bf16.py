"""Mask2Former in bfloat16 on torch: linear layers and convolutions compute in bf16, and the rest in float32."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from aligncat.detectors.candidates import RawOutput
from aligncat.detectors.description import TORCH_BF16
from aligncat.detectors.folder import DetectorFolder
from aligncat.detectors.mask2former import Mask2FormerDetector
from aligncat.detectors.masks import MaskMode
from aligncat.detectors.preprocessing import Preprocessing

SOURCE_CONFIG = "aligncat_source_config_sha256"
"""The key of config.json with the hash of the config.json that the folder was made from."""


class Mask2FormerBf16Detector(Mask2FormerDetector):
    """A frozen Mask2Former in bf16. Use `open_detector` to load one."""

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
        super().__init__(
            folder,
            preprocessing=preprocessing,
            candidates=candidates,
            every_query=every_query,
            masks=masks,
            device=device,
            appearance=appearance,
        )
        for part in self._model.modules():
            if isinstance(part, nn.Linear | nn.Conv2d):
                part.to(torch.bfloat16)
        source = folder.config.get(SOURCE_CONFIG)
        self._description = replace(
            self._description,
            config_sha256=source if isinstance(source, str) else self._description.config_sha256,
            backend=TORCH_BF16,
            precision="bf16",
        )

    def forward(self, pixels: NDArray[np.float32]) -> RawOutput:
        """Run the model on a batch of squares; see `QueryDetector.forward`."""
        with torch.autocast(torch.device(self.device).type, torch.bfloat16):
            return super().forward(pixels)
