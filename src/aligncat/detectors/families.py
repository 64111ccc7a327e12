"""The families of transformers that aligncat can load, as data: one row each, and one adapter per shape of output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aligncat.detectors.preprocessing import DEFAULT_MODE, PreprocessingMode

MASKS_OF_QUERIES = "aligncat.detectors.mask_queries:MaskQueryDetector"
"""The adapter for class and mask logits of queries."""
BOXES_OF_QUERIES = "aligncat.detectors.box_queries:BoxQueryDetector"
"""The adapter for class logits and boxes of queries, with mask logits or without."""


@dataclass(frozen=True, slots=True)
class ModelClass:
    """A model class of transformers.

    Attributes:
        name: its name in transformers, and in "architectures" of a checkpoint's config.json.
        head: the path of its class head, whose input is the query feature. A number is an index.
        has_masks: whether it gives mask logits.
    """

    name: str
    head: str
    has_masks: bool


@dataclass(frozen=True, slots=True)
class TransformersFamily:
    """An architecture of transformers.

    Attributes:
        name: `model_type` in a checkpoint's config.json.
        adapter: its adapter, as "module:attribute".
        models: its model classes.
        feature: the output that holds the query features. Queries come first in it.
        probabilities: how class logits become probabilities: softmax with a last class for "no object", or a sigmoid
            for each class.
        preprocessing: the mode that its checkpoints were trained with, or the nearest to it.
        size: side of the square if the folder does not say it, pixels.
        fixed_size: whether the model accepts only the size in its config.
        normalised: whether pixels are normalised with ImageNet's mean and standard deviation if the folder has no
            preprocessor_config.json; otherwise they are only scaled to [0, 1]. This is the default of the family's
            image processor in transformers.
    """

    name: str
    adapter: str
    models: tuple[ModelClass, ...]
    feature: str
    probabilities: Literal["softmax", "sigmoid"]
    preprocessing: PreprocessingMode = DEFAULT_MODE
    size: int = 640
    fixed_size: bool = False
    normalised: bool = True


_DETR_HEAD = "class_labels_classifier"
FAMILIES_OF_TRANSFORMERS: tuple[TransformersFamily, ...] = (
    TransformersFamily(
        name="maskformer",
        adapter=MASKS_OF_QUERIES,
        models=(ModelClass("MaskFormerForInstanceSegmentation", "class_predictor", has_masks=True),),
        feature="transformer_decoder_last_hidden_state",
        probabilities="softmax",
        size=800,
    ),
    *(
        TransformersFamily(
            name=name,
            adapter=MASKS_OF_QUERIES,
            models=(ModelClass(model, "class_predictor", has_masks=True),),
            feature="last_hidden_state",
            probabilities="softmax",
            fixed_size=True,
        )
        for name, model in (
            ("eomt", "EomtForUniversalSegmentation"),
            ("eomt_dinov3", "EomtDinov3ForUniversalSegmentation"),
        )
    ),
    TransformersFamily(
        name="detr",
        adapter=BOXES_OF_QUERIES,
        models=(
            ModelClass("DetrForSegmentation", f"detr.{_DETR_HEAD}", has_masks=True),
            ModelClass("DetrForObjectDetection", _DETR_HEAD, has_masks=False),
        ),
        feature="last_hidden_state",
        probabilities="softmax",
        size=800,
    ),
    TransformersFamily(
        name="conditional_detr",
        adapter=BOXES_OF_QUERIES,
        models=(
            ModelClass("ConditionalDetrForSegmentation", f"conditional_detr.{_DETR_HEAD}", has_masks=True),
            ModelClass("ConditionalDetrForObjectDetection", _DETR_HEAD, has_masks=False),
        ),
        feature="last_hidden_state",
        probabilities="sigmoid",
        size=800,
    ),
    TransformersFamily(
        name="rf_detr",
        adapter=BOXES_OF_QUERIES,
        models=(
            ModelClass("RfDetrForInstanceSegmentation", "model.class_embed", has_masks=True),
            ModelClass("RfDetrForObjectDetection", "class_embed", has_masks=False),
        ),
        feature="last_hidden_state",
        probabilities="sigmoid",
        preprocessing="squash",
    ),
    *(
        TransformersFamily(
            name=name,
            adapter=BOXES_OF_QUERIES,
            models=(ModelClass(model, "model.decoder.class_embed.-1", has_masks=False),),
            feature="last_hidden_state",
            probabilities="sigmoid",
            preprocessing="squash",
            normalised=False,
        )
        for name, model in (
            ("rt_detr", "RTDetrForObjectDetection"),
            ("rt_detr_v2", "RTDetrV2ForObjectDetection"),
            ("d_fine", "DFineForObjectDetection"),
            ("deimv2", "Deimv2ForObjectDetection"),
        )
    ),
    TransformersFamily(
        name="deformable_detr",
        adapter=BOXES_OF_QUERIES,
        models=(ModelClass("DeformableDetrForObjectDetection", "class_embed.-1", has_masks=False),),
        feature="last_hidden_state",
        probabilities="sigmoid",
        size=800,
    ),
    TransformersFamily(
        name="lw_detr",
        adapter=BOXES_OF_QUERIES,
        models=(ModelClass("LwDetrForObjectDetection", "class_embed", has_masks=False),),
        feature="last_hidden_state",
        probabilities="sigmoid",
        preprocessing="squash",
    ),
)


def transformers_family(model_type: object) -> TransformersFamily | None:
    """Return the row of a `model_type`, or None if there is none."""
    return next((each for each in FAMILIES_OF_TRANSFORMERS if each.name == model_type), None)
