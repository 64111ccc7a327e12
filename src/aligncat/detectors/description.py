"""The record of everything that decides a detector's candidates."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from aligncat.detectors.preprocessing import DEFAULT_MODE
from aligncat.errors import DetectorError
from aligncat.files.differences import Difference, differences
from aligncat.types import JSON


@dataclass(frozen=True, slots=True)
class DetectorDescription:
    """Everything that decides which candidates a detector gives for an image.

    Stores, grounders and answers record it. Two detectors whose descriptions have no `differences` are the same.

    Attributes:
        name: "mini", a hub name, or a local folder. It does not count as a difference, because a folder can move.
        weights_sha256: hash of the weights' files.
        config_sha256: hash of the model's config.json.
        architecture: the detector family, as the registry names it.
        image_size: side of the square that the model takes, pixels.
        preprocessing: how an image becomes that square, from `Preprocessing.description`. Files written before there
            were several modes lack "mode" and mean the default one.
        feature: which state of the model is the query feature.
        confidence: the rule that ranks the candidates.
        candidates: O, the most candidates kept for an image.
        every_query: whether each of the N queries is kept once, under its most confident class.
        unknown: further keys of a file that another version wrote. They are kept, written back, and compared.
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
    unknown: Mapping[str, JSON] = field(default_factory=dict)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read the JSON object that `to_json` wrote, of this version or an older one.

        Raises:
            DetectorError: a key is missing, or its value has another type.
        """
        if missing := [name for name in _TYPES if name not in content and name != "every_query"]:
            raise DetectorError(
                f"the description of the detector lacks {', '.join(missing)}: extract the store or train again"
            )
        known = {name: content[name] for name in _TYPES if name in content}
        for name, value in known.items():
            if type(value) is not _TYPES[name]:
                raise DetectorError(
                    f"the description of the detector has {value!r} as its {name}: extract the store or train again"
                )
        return cls(**known, unknown={key: value for key, value in content.items() if key not in known})

    def to_json(self) -> dict[str, JSON]:
        """Return the description as files hold it: keys sorted, `every_query` only if it is set."""
        content = asdict(self)
        content |= content.pop("unknown")
        if not self.every_query:
            del content["every_query"]
        plain: dict[str, JSON] = json.loads(json.dumps(content, sort_keys=True))
        return plain

    def differences(self, other: DetectorDescription, *, ignoring: Collection[str] = ()) -> list[Difference]:
        """Return every setting in which another description differs; names do not count.

        Args:
            other: the description to compare with.
            ignoring: further keys that do not count.
        """
        first, second = self._settings(ignoring), other._settings(ignoring)
        return list(differences(first, second))

    def _settings(self, ignoring: Collection[str]) -> dict[str, JSON]:
        """Return what counts in a comparison, with the preprocessing mode that an older file leaves out."""
        preprocessing = {**self.preprocessing, "mode": self.preprocessing_mode}
        settings: dict[str, JSON] = {**self.to_json(), "preprocessing": preprocessing}
        return {key: value for key, value in settings.items() if key != "name" and key not in ignoring}

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
}
