"""The description of a detector, which identifies it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from aligncat.detectors.masks import DEFAULT_MASKS, NO_MASKS
from aligncat.detectors.preprocessing import DEFAULT_MODE
from aligncat.errors import DetectorError
from aligncat.files.differences import Difference, differences
from aligncat.types import JSON

TORCH, FULL_PRECISION = "torch", "fp32"
"""The usual backend and its precision. Descriptions do not write them."""
TORCH_BF16 = "torch-bf16"
"""The backend that runs a family on torch in bfloat16."""
BACKEND_SETTINGS = ("backend", "precision", "graph_sha256")
"""The settings in which an exported detector differs from its source."""


@dataclass(frozen=True, slots=True)
class DetectorDescription:
    """All settings that determine the candidates of a detector.

    Stores, grounders and answers record the description of their detector. Two detectors are the same if their
    descriptions have no `differences`.

    Attributes:
        name: "mini", a hub name, or a local folder. Names are not compared, because a folder can move.
        weights_sha256: hash of the weight files.
        config_sha256: hash of the model's config.json.
        architecture: the name of the detector family in the registry.
        image_size: side of the model's square input, pixels.
        preprocessing: how an image is converted into that square, as `Preprocessing.description` returns it. A file
            without "mode" is older and means the default mode.
        feature: the state of the model that serves as the query feature.
        confidence: the rule that ranks the candidates.
        candidates: O, the most candidates kept for an image.
        every_query: whether each of the N queries is kept once, under its most confident class.
        masks: how masks and boxes are made from the mask logits, a `MaskMode`, or "none" for boxes alone. They do not
            affect the query features or the confidences.
        backend: the library that runs the model: "torch", or that of an exported detector.
        precision: the numbers that the backend computes with: "fp32", "bf16" or "int8".
        graph_sha256: hash of an exported graph's files; empty if the backend runs the weights themselves.
        unknown: other keys of a file that a different version wrote. They are kept, compared and written back.
    """

    name: str
    weights_sha256: str
    config_sha256: str
    architecture: str
    image_size: int
    preprocessing: Mapping[str, JSON]
    feature: str
    confidence: str
    candidates: int
    every_query: bool = False
    masks: str = DEFAULT_MASKS
    backend: str = TORCH
    precision: str = FULL_PRECISION
    graph_sha256: str = ""
    unknown: Mapping[str, JSON] = field(default_factory=dict)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read a JSON object from `to_json` of this version or an older one.

        Raises:
            DetectorError: a key is missing, or a value has the wrong type.
        """
        if missing := [name for name in _TYPES if name not in content and name not in _DEFAULTS]:
            raise DetectorError(
                f"the description of the detector lacks {', '.join(missing)}; extract the store again, or "
                "train the grounder again"
            )
        known = {name: content[name] for name in _TYPES if name in content}
        for name, value in known.items():
            if type(value) is not _TYPES[name]:
                raise DetectorError(
                    f"the description of the detector has {value!r} as its {name}, which must be of type "
                    f"{_TYPES[name].__name__}; extract the store again, or train the grounder again"
                )
        return cls(**known, unknown={key: value for key, value in content.items() if key not in known})

    def to_json(self) -> dict[str, JSON]:
        """Return the description as a JSON object with sorted keys. Keys of `_DEFAULTS` are left out at their default.

        Older versions did not have them, and a store that does not use them has the same bytes as then.
        """
        content = asdict(self)
        content |= content.pop("unknown")
        content = {key: value for key, value in content.items() if key not in _DEFAULTS or value != _DEFAULTS[key]}
        plain: dict[str, JSON] = json.loads(json.dumps(content, sort_keys=True))
        return plain

    def differences(self, other: DetectorDescription, *, ignoring: Collection[str] = ()) -> list[Difference]:
        """Return the differences from another description, except in the name.

        Args:
            other: the description to compare with.
            ignoring: other keys that are not compared.
        """
        first, second = self._settings(ignoring), other._settings(ignoring)
        return list(differences(first, second))

    def _settings(self, ignoring: Collection[str]) -> dict[str, JSON]:
        """Return the settings to compare, including the preprocessing mode and the masks, which files may leave out."""
        preprocessing = {**self.preprocessing, "mode": self.preprocessing_mode}
        settings: dict[str, JSON] = {**self.to_json(), "masks": self.masks, "preprocessing": preprocessing}
        settings |= {"backend": self.backend, "precision": self.precision, "graph_sha256": self.graph_sha256}
        return {key: value for key, value in settings.items() if key != "name" and key not in ignoring}

    @property
    def has_masks(self) -> bool:
        """Whether candidates have masks, and not boxes alone."""
        return self.masks != NO_MASKS

    @property
    def preprocessing_mode(self) -> str:
        """The name of the preprocessing mode."""
        return str(self.preprocessing.get("mode", DEFAULT_MODE))


_TYPES: Mapping[str, type] = {
    "name": str,
    "weights_sha256": str,
    "config_sha256": str,
    "architecture": str,
    "image_size": int,
    "preprocessing": dict,
    "feature": str,
    "confidence": str,
    "candidates": int,
    "every_query": bool,
    "masks": str,
    "backend": str,
    "precision": str,
    "graph_sha256": str,
}
_DEFAULTS: Mapping[str, JSON] = {
    "every_query": False,
    "masks": DEFAULT_MASKS,
    "backend": TORCH,
    "precision": FULL_PRECISION,
    "graph_sha256": "",
}
