"""The folder of an exported detector: one graph for one preprocessing, and a record of what it was made from.

    config.json    what every detector's folder has: the family, the size of the square, the seal; and the record
    model.onnx     the graph, for ONNX Runtime; or
    model.xml      the graph, and model.bin, its weights, for OpenVINO

The same record, without the hashes of the files, is inside the graph, where its runtime's own tools show it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from aligncat.detectors.description import DetectorDescription
from aligncat.detectors.folder import CONFIG, DetectorFolder
from aligncat.errors import AligncatError, DetectorError
from aligncat.files.fields import as_mapping, optional_flag, optional_str, optional_strs, required_count, required_str
from aligncat.files.hashes import file_sha256
from aligncat.types import JSON

Precision = Literal["fp32", "bf16", "int8"]
RECORD = "aligncat_export"
"""The key of config.json with the record, and of the graph's metadata."""
PIXELS = "pixels"
"""The name of the graph's input, (B, 3, size, size) float32, normalised."""
OUTPUTS = ("class_logits", "mask_logits", "features", "levels")
"""The names of the graph's outputs, those of `RawOutput`. Not every family has the last one."""
FORMATS: Mapping[str, tuple[int, ...]] = {"onnxruntime": (20,), "openvino": (11,)}
"""The versions of the graphs that aligncat knows, the written one last: ONNX opsets, and versions of OpenVINO's IR."""

_REMEDY = "export the detector again, or get the folder again from where it came from"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRecord:
    """What a graph was made from, and how it is to be run.

    Attributes:
        description: the description of the detector that runs it, with the backend, the precision and the hash of the
            graph. Candidates, the way of making masks and the like are chosen when a detector is opened.
        format: the version of the graph's format, one of `FORMATS`.
        labels: the category names, by class index.
        feature_dim: d_v, the length of a query feature.
        queries: N, the number of queries.
        levels: whether the graph gives the column `levels`.
        files: the SHA-256 of each file of the graph, by name.
        versions: the versions of the packages that exported it.
        licence: what the source's licence says of the weights, if known.
        credit: the attribution that the weights need, if any.
    """

    description: DetectorDescription
    format: int
    labels: tuple[str, ...]
    feature_dim: int
    queries: int
    levels: bool
    files: Mapping[str, str]
    versions: Mapping[str, str]
    licence: str | None
    credit: str | None

    @classmethod
    def read(cls, folder: DetectorFolder) -> Self:
        """Read the record of a folder.

        Raises:
            DetectorError: it is missing or damaged.
        """
        where = f"{folder.config_file}: {RECORD}"
        try:
            content = as_mapping(folder.config.get(RECORD), where)
            return cls(
                description=DetectorDescription.from_json(as_mapping(content.get("description"), where)),
                format=required_count(content, "format", where),
                labels=optional_strs(content, "labels", where),
                feature_dim=required_count(content, "feature_dim", where),
                queries=required_count(content, "queries", where),
                levels=optional_flag(content, "levels", where),
                files=_texts(content, "files", where),
                versions=_texts(content, "versions", where),
                licence=optional_str(content, "licence", where),
                credit=optional_str(content, "credit", where),
            )
        except AligncatError as error:
            raise DetectorError(f"{error}; {_REMEDY}") from error

    def to_json(self) -> dict[str, JSON]:
        """Return the record as JSON."""
        return {**self.inside(), "description": self.description.to_json(), "files": dict(self.files)}

    def inside(self) -> dict[str, JSON]:
        """Return the record as it is inside the graph, which cannot hold its own hash."""
        description = self.description.to_json()
        description.pop("graph_sha256", None)
        return {
            "description": description,
            "format": self.format,
            "labels": list(self.labels),
            "feature_dim": self.feature_dim,
            "queries": self.queries,
            "levels": self.levels,
            "versions": dict(self.versions),
            "licence": self.licence,
            "credit": self.credit,
        }

    def graph_sha256(self) -> str:
        """Return one hash of all files of the graph."""
        return hashlib.sha256(b"".join(bytes.fromhex(each) for each in self.files.values())).hexdigest()

    def check(self, path: Path) -> None:
        """Check that aligncat knows the graph's format, and that its files are those that were exported.

        Args:
            path: the folder.

        Raises:
            DetectorError: it does not, or they are missing, damaged or replaced.
        """
        backend = self.description.backend
        if self.format not in FORMATS.get(backend, ()):
            known = " or ".join(map(str, FORMATS.get(backend, ())))
            raise DetectorError(
                f"{path / CONFIG}: the graph is of version {self.format} of its format (opset or IR), but aligncat "
                f"runs {known} on {backend}; export the detector again with this version of aligncat"
            )
        for name, sha256 in self.files.items():
            file = path / name
            if Path(name).name != name or not file.is_file():
                raise DetectorError(f"{file}: the file is missing; {_REMEDY}")
            if file_sha256(file) != sha256:
                raise DetectorError(
                    f"{file}: damaged, or the graph of another detector: its hash differs from that in {CONFIG}; "
                    f"{_REMEDY}"
                )

    def check_inside(self, found: object, file: Path) -> None:
        """Check that the record inside the graph is this one.

        Args:
            found: the record inside the graph, as JSON; None if there is none.
            file: the graph's file.

        Raises:
            DetectorError: it is another one.
        """
        if found != self.inside():
            raise DetectorError(
                f"{file}: the graph of another detector: the record inside it differs from that in {CONFIG}; {_REMEDY}"
            )


def is_exported(folder: DetectorFolder) -> bool:
    """Return whether a folder holds an exported detector."""
    return RECORD in folder.config


def is_exported_folder(name_or_folder: str | Path) -> bool:
    """Return whether this is the local folder of an exported detector.

    Raises:
        DetectorError: its config.json is damaged.
    """
    path = Path(name_or_folder)
    return (path / CONFIG).is_file() and is_exported(DetectorFolder.read(str(path), path))


def _texts(content: Mapping[str, Any], key: str, where: str) -> dict[str, str]:
    part = as_mapping(content.get(key), f"{where}.{key}")
    return {name: required_str(part, name, f"{where}.{key}") for name in part}
