"""The folder with a detector's config.json and weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from aligncat.errors import DetectorError
from aligncat.files.documents import read_json
from aligncat.files.fields import shorten
from aligncat.files.hashes import files_sha256
from aligncat.files.seals import check_seal, sealed

CONFIG = "config.json"
IMAGE_SIZE, BACKEND = "aligncat_image_size", "aligncat_backend"
"""The keys of config.json with the side of the square, pixels, and the library that runs the model."""
_WEIGHTS_KEY = "aligncat_weights_sha256"
_SEAL_KEY = "aligncat_config_sha256"
_REMEDY = "get the detector again from where it came from"


def with_hashes(config: Mapping[str, Any], weights: Sequence[Path]) -> dict[str, Any]:
    """Return the content of a config.json with the hash of the weights and of the content itself.

    `DetectorFolder` checks these hashes. A folder that another program wrote has none.

    Args:
        config: the content of the detector's config.json.
        weights: the detector's weight files, sorted by name.
    """
    return sealed({**config, _WEIGHTS_KEY: files_sha256(weights)}, _SEAL_KEY)


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
            DetectorError: config.json is missing, not a JSON object, or damaged. If a folder "detector" in it has one,
                as that of an exported grounder has, the message names it.
        """
        file = path / CONFIG
        if not file.is_file():
            if (path / "detector" / CONFIG).is_file():
                raise DetectorError(f"{path}: an exported grounder; give its detector, {path / 'detector'}")
            raise DetectorError(f"{path}: no config.json; give a folder that transformers' save_pretrained wrote.")
        try:
            config = read_json(file, DetectorError)
        except DetectorError as error:
            raise DetectorError(f"{error}; {_REMEDY}") from error
        if not isinstance(config, dict):
            raise DetectorError(f"{file}: must be a mapping of settings, not {type(config).__name__}; {_REMEDY}")
        check_seal(config, str(file), _REMEDY, error=DetectorError, key=_SEAL_KEY)
        size = config.get(IMAGE_SIZE)
        if size is not None and type(size) is not int:
            raise DetectorError(f"{file}: {IMAGE_SIZE} must be a whole number of pixels, not {shorten(size)}")
        return cls(name, path, config)

    @property
    def image_size(self) -> int | None:
        """Side of the square that the model was trained with, pixels, if config.json records it."""
        size: int | None = self.config.get(IMAGE_SIZE)
        return size

    @property
    def backend(self) -> str:
        """The library that runs the weights; "torch" if config.json does not say."""
        return str(self.config.get(BACKEND, "torch"))

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

    @property
    def recorded_weights_sha256(self) -> str | None:
        """The hash of the weight files that config.json records, if aligncat wrote it."""
        found: str | None = self.config.get(_WEIGHTS_KEY)
        return found

    def weights_sha256(self) -> str:
        """Return the hash of the weight files.

        Raises:
            DetectorError: the folder has none, or they are not those whose hash config.json has.
        """
        found = files_sha256(self.safetensors())
        if self.config.get(_WEIGHTS_KEY, found) != found:
            raise DetectorError(
                f"{self.path}: the weights are damaged or replaced: their hash differs from that in {CONFIG}; {_REMEDY}"
            )
        return found
