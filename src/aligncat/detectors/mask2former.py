"""Mask2Former through transformers, as a source of candidates.

The query feature and the confidence follow QueryMatch (ACM MM 2024), on which AlignCAT builds; `preprocessing` says
what comes before.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor
from transformers import Mask2FormerForUniversalSegmentation

from aligncat.detectors.preprocessing import DEFAULT_MODE, Preprocessing, PreprocessingMode, normalize
from aligncat.detectors.protocol import JSON
from aligncat.errors import ConfigError, DetectorError
from aligncat.files.hashes import files_sha256
from aligncat.geometry import Letterbox, encode_mask, largest_component_box
from aligncat.quiet import quiet_loading
from aligncat.types import RLE, Candidates

IMAGE_SIZE_KEY = "aligncat_image_size"
MINI = "mini"
MINI_FOLDER = Path(__file__).resolve().parents[1] / "assets" / "mini-detector"
_CONFIDENCE_RULE = "class probability times mean mask probability inside the mask, over (query, class) pairs"
# Measured on 2 cores: eight 128 px images in one pass take half the time of eight passes; at 416 px, one by
# one is the fastest.
_SMALL_IMAGE = 256
_SMALL_IMAGE_BATCH = 8


# No detector reads them: the norm behind the last stage of a Swin classifier, which older files lack, and the loss.
_UNREAD = ("swin.layernorm.weight", "swin.layernorm.bias", "criterion.empty_weight")


class Mask2FormerDetector:
    """A frozen Mask2Former that keeps the best candidates of each image."""

    def __init__(
        self,
        model: Mask2FormerForUniversalSegmentation,
        *,
        identity: dict[str, JSON],
        candidates: int,
        preprocessing: Preprocessing,
        device: str,
        every_query: bool = False,
    ) -> None:
        """Wrap a loaded model; `from_pretrained` is the usual way in.

        Args:
            model: the model, on any device.
            identity: its name and the hashes of its files, the first part of the description.
            candidates: O, the (query, class) pairs kept for an image.
            preprocessing: how an image becomes the square that the model takes.
            device: where to run it.
            every_query: keep each of the N queries once, under its surest class, instead of the O best pairs.
        """
        frozen: Any = model  # transformers leaves its calls untyped, and its labels optional
        self._model = frozen.eval().to(device)
        self._identity = identity
        self.preprocessing = preprocessing
        self.image_size = preprocessing.size
        self.device = device
        self.every_query = every_query
        self.candidates = int(frozen.config.num_queries) if every_query else candidates
        config: Any = model.config  # transformers types its labels as optional, which they are not once loaded
        self.labels = tuple(str(config.id2label[index]) for index in range(config.num_labels))
        self.feature_dim = int(config.hidden_dim)
        small = self.image_size <= _SMALL_IMAGE or device != "cpu"
        self.batch_size = _SMALL_IMAGE_BATCH if small else 1

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str,
        *,
        candidates: int = 20,
        image_size: int | None = None,
        preprocessing: PreprocessingMode = DEFAULT_MODE,
        device: str = "cpu",
        every_query: bool = False,
    ) -> Self:
        """Load a Mask2Former from the hub, from a local folder, or the one that aligncat ships.

        Args:
            name_or_folder: a hub name such as "facebook/mask2former-swin-tiny-coco-instance", a folder with
                config.json and safetensors, or "mini".
            candidates: O, the (query, class) pairs kept for an image, best first.
            image_size: side of the letterbox that images are fitted into, pixels; by default what the model's
                config.json says under "aligncat_image_size", else 416. The other preprocessings have a size.
            preprocessing: how an image becomes that square, by name; see `aligncat.detectors.preprocessing`.
            device: "cpu", "cuda", "cuda:1" and so on.
            every_query: keep each of the N queries once, under its surest class, whatever `candidates` says.

        Raises:
            DetectorError: there is no such model, it is not a Mask2Former, or its weights are incomplete,
                damaged or not in safetensors.
            ConfigError: candidates or image_size is out of range, or the preprocessing has another size.
        """
        folder = _resolve(name_or_folder)
        config = _read_config(folder)
        fit = Preprocessing.of(preprocessing, image_size, config.get(IMAGE_SIZE_KEY))
        if candidates < 1:
            raise ConfigError(f"candidates {candidates}: at least one candidate must be kept.")
        weights = sorted(folder.glob("*.safetensors"))
        if not weights:
            raise DetectorError(
                f"{folder}: no *.safetensors file; aligncat loads no pickled weights: convert the model to "
                "safetensors (transformers' save_pretrained writes it)."
            )
        identity: dict[str, JSON] = {
            "name": name_or_folder,
            "weights_sha256": files_sha256(weights),
            "config_sha256": files_sha256([folder / "config.json"]),
        }
        return cls(
            _load(folder),
            identity=identity,
            candidates=candidates,
            preprocessing=fit,
            device=device,
            every_query=every_query,
        )

    def description(self) -> dict[str, JSON]:
        """Everything that decides the candidates of an image; see `Detector.description`."""
        return {
            **self._identity,
            "architecture": "mask2former",
            "image_size": self.image_size,
            "preprocessing": self.preprocessing.description(),
            "feature": "decoder output after its final LayerNorm",
            "confidence": _CONFIDENCE_RULE,
            "candidates": self.candidates,
            **({"every_query": True} if self.every_query else {}),
        }

    def detect(self, images: Sequence[Image.Image], ids: Sequence[str]) -> list[Candidates]:
        """The best candidates of each image, in one forward pass.

        Only the masks of the queries that are kept are brought to the photo's size, each once, one image
        after another. A pair whose mask has no pixel there is passed over, so fewer than O may come back.

        Args:
            images: RGB, of any size.
            ids: their image ids, one each.

        Raises:
            DetectorError: the model's output is not finite.
        """
        if not images:
            return []
        squares, boxes = zip(*map(self.preprocessing.square, images), strict=True)
        class_logits, mask_logits, features = self.forward(normalize(squares))
        return [
            self._candidates(image_id, box, class_logits[row], mask_logits[row], features[row])
            for row, (image_id, box) in enumerate(zip(ids, boxes, strict=True))
        ]

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The model's raw answer for squares, on the CPU.

        Args:
            pixels: (B, 3, size, size), from `normalize`.

        Returns:
            Class logits (B, N, C+1), the last being no-object; mask logits (B, N, size/4, size/4); and the
            query features (B, N, d_v). The model hands out its decoder's state before the decoder's final
            LayerNorm; the feature is the state after it, which the class and mask heads read too.
        """
        with torch.inference_mode():
            output = self._model(pixel_values=pixels.to(self.device))
            decoder = self._model.model.transformer_module.decoder
            features = decoder.layernorm(output.transformer_decoder_last_hidden_state)
            return (
                output.class_queries_logits.float().cpu(),
                output.masks_queries_logits.float().cpu(),
                features.float().cpu(),
            )

    def _candidates(
        self, image_id: str, box: Letterbox, class_logits: Tensor, mask_logits: Tensor, features: Tensor
    ) -> Candidates:
        inner = mask_logits[(slice(None), *box.inner_cells(*mask_logits.shape[1:]))]
        confidences = pair_confidences(class_logits, inner).numpy()
        if not np.isfinite(confidences).all():
            raise DetectorError(f"image {image_id}: the detector's output is not finite; its weights are damaged.")
        if self.every_query:
            surest = confidences.argmax(axis=1)[:, None] == np.arange(confidences.shape[1])
            confidences = np.where(surest, confidences, 0)
        kept: list[tuple[int, int]] = []
        shapes: dict[int, tuple[NDArray[np.float32], RLE] | None] = {}
        # Stable, so that equal confidences keep the order of query and class.
        for pair in np.argsort(-confidences, axis=None, kind="stable"):
            query, category = (int(index) for index in np.unravel_index(pair, confidences.shape))
            if confidences[query, category] == 0 or len(kept) == self.candidates:
                break
            if query not in shapes:
                shapes[query] = _box_and_mask(self.preprocessing.mask_to_photo(mask_logits[query].numpy(), box))
            if shapes[query] is not None:
                kept.append((query, category))
        queries, categories = np.array(kept, dtype=np.int32).reshape(-1, 2).T
        found = [shape for query in queries.tolist() if (shape := shapes[query]) is not None]
        return Candidates(
            image_id=image_id,
            width=box.width,
            height=box.height,
            features=features.numpy()[queries].astype(np.float16),
            queries=queries.copy(),
            categories=categories.copy(),
            confidences=confidences[queries, categories],
            boxes=np.array([bounds for bounds, _ in found], dtype=np.float32).reshape(-1, 4),
            masks=tuple(mask for _, mask in found),
        )


def pair_confidences(class_logits: Tensor, mask_logits: Tensor) -> Tensor:
    """QueryMatch's confidence of every (query, class) pair of one image.

    The probability of the class, no-object being one of the softmax's choices, × the mean mask probability
    where that is above 1/2. The mean is taken on the detector's own grid over the cells that the image
    touches, where QueryMatch takes it after upsampling all masks with their padding: the same quantity, for
    a hundredth of the work, and grey borders have no say in it.

    Args:
        class_logits: (N, C+1), the last being no-object.
        mask_logits: (N, h, w), without the padding.

    Returns:
        (N, C); 0 for a query whose mask is empty.
    """
    classes = class_logits.softmax(dim=-1)[:, :-1]
    flat = mask_logits.flatten(1)
    inside = flat > 0
    mean = (flat.sigmoid() * inside).sum(dim=1) / inside.sum(dim=1).clamp(min=1)
    return classes * mean[:, None]


def _box_and_mask(mask: NDArray[np.bool_]) -> tuple[NDArray[np.float32], RLE] | None:
    return (largest_component_box(mask), encode_mask(mask)) if mask.any() else None


def _resolve(name_or_folder: str) -> Path:
    if name_or_folder == MINI:
        if not MINI_FOLDER.is_dir():
            raise DetectorError("this installation has no mini detector in aligncat/assets; reinstall aligncat.")
        return MINI_FOLDER
    if Path(name_or_folder).is_dir():
        return Path(name_or_folder)
    try:
        return Path(snapshot_download(name_or_folder, allow_patterns=["config.json", "*.safetensors"]))
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise DetectorError(
            f"{name_or_folder}: neither a folder here nor a model that the hub gives out "
            f"({type(error).__name__}); check the name and the network, or download it and give its folder."
        ) from error


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DetectorError(f"{folder}: no config.json; give a folder that save_pretrained wrote.") from error
    except ValueError as error:
        raise DetectorError(f"{path}: not JSON ({error}); restore it from the model's source.") from error
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind != "mask2former":
        raise DetectorError(f"{path}: model_type is {kind!r}, not 'mask2former'; give a Mask2Former.")
    return dict(config)


def _load(folder: Path) -> Mask2FormerForUniversalSegmentation:
    model: Mask2FormerForUniversalSegmentation
    info: dict[str, Any]
    try:
        with quiet_loading():
            model, info = Mask2FormerForUniversalSegmentation.from_pretrained(
                folder,
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
            )  # type: ignore[misc]  # its annotation leaves out the pair that output_loading_info gives
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise DetectorError(f"{folder}: the weights cannot be loaded ({reason}).") from error
    # transformers fills what is missing with random numbers and only logs it: no detector at all.
    if missing := sorted(name for name in info["missing_keys"] if not name.endswith(_UNREAD)):
        raise DetectorError(
            f"{folder}: the weights lack {len(missing)} tensors, such as {missing[0]}; restore them from the "
            "model's source."
        )
    return model
