"""A row of the registry of detectors, and the rows of the backends that `aligncat export detector` writes for."""

from __future__ import annotations

from dataclasses import dataclass

from aligncat.detectors.description import TORCH, TORCH_BF16
from aligncat.detectors.preprocessing import DEFAULT_MODE, PreprocessingMode


@dataclass(frozen=True, slots=True)
class DetectorFamily:
    """An architecture whose checkpoints aligncat can load, on one backend.

    Attributes:
        name: `model_type` in a checkpoint's config.json.
        factory: the family's `DetectorFactory`, as "module:attribute".
        extra: the extra of aligncat that the family needs, or None if the base install is enough.
        modules: the modules that the extra installs.
        backend: the library that runs the model: "aligncat_backend" in config.json, where "torch" is the default.
        weights: glob patterns of the weight files, to download from the hub.
        preprocessing: the mode that is used if the user chooses none.
    """

    name: str
    factory: str
    extra: str | None = None
    modules: tuple[str, ...] = ()
    backend: str = TORCH
    weights: tuple[str, ...] = ("*.safetensors",)
    preprocessing: PreprocessingMode = DEFAULT_MODE

    @property
    def loaded_by_transformers(self) -> bool:
        """Whether transformers loads the weights. Loading an exported graph must not import it."""
        return self.backend in (TORCH, TORCH_BF16)


EXPORTED_FAMILIES = ("mask2former",)
"""The families that `aligncat export detector` can export."""

EXPORTED: tuple[DetectorFamily, ...] = (
    DetectorFamily(
        name="mask2former", factory="aligncat.detectors.torch_bf16:Mask2FormerBf16Detector", backend=TORCH_BF16
    ),
    *(
        DetectorFamily(
            name=name,
            factory="aligncat.detectors.onnx_runtime:OnnxRuntimeDetector",
            extra="onnx",
            modules=("onnxruntime",),
            backend="onnxruntime",
            weights=("model.onnx",),
        )
        for name in EXPORTED_FAMILIES
    ),
    *(
        DetectorFamily(
            name=name,
            factory="aligncat.detectors.openvino:OpenVinoDetector",
            extra="openvino",
            modules=("openvino",),
            backend="openvino",
            weights=("model.xml", "model.bin"),
        )
        for name in EXPORTED_FAMILIES
    ),
)
