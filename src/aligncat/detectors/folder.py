"""The folder with a detector's config.json and weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from aligncat.errors import DetectorError

CONFIG = "config.json"
_IMAGE_SIZE_KEY = "aligncat_image_size"
_BACKEND_KEY = "aligncat_backend"


@dataclass(frozen=True, slots=True)
class DetectorFolder:
    """A detector's files, in the layout that transformers' `save_pretrained` writes.

    Attributes:
        name: the name that the user gave: "mini", a hub name, or a local folder.
        path: the folder.
        config: the content of its config.json.
    """

    name: str
    path: Path
    config: Mapping[str, Any]

    @classmethod
    def read(cls, name: str, path: Path) -> Self:
        """Read a folder's config.json.

        Raises:
            DetectorError: config.json is missing or not JSON.
        """
        file = path / CONFIG
        try:
            config = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise DetectorError(
                f"{path}: no config.json; give a folder that transformers' save_pretrained wrote."
            ) from error
        except ValueError as error:
            raise DetectorError(
                f"{file}: not valid JSON ({error}); download it again from the model's source."
            ) from error
        return cls(name, path, config if isinstance(config, dict) else {})

    @property
    def image_size(self) -> int | None:
        """Side of the square that the model was trained with, pixels, if config.json records it."""
        size: int | None = self.config.get(_IMAGE_SIZE_KEY)
        return size

    @property
    def backend(self) -> str:
        """The library that runs the weights; "torch" if config.json does not say."""
        return str(self.config.get(_BACKEND_KEY, "torch"))

    @property
    def config_file(self) -> Path:
        """The path of config.json."""
        return self.path / CONFIG

    def safetensors(self) -> list[Path]:
        """Return the weight files, sorted by name.

        Raises:
            DetectorError: the folder has none.
        """
        weights = sorted(self.path.glob("*.safetensors"))
        if not weights:
            raise DetectorError(
                f"{self.path}: no *.safetensors file. aligncat does not load pickled weights; convert the model with "
                "transformers' save_pretrained."
            )
        return weights
