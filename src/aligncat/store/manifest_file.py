"""Read the manifest of a store and check every value."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import NamedTuple

from aligncat.detectors.description import DetectorDescription
from aligncat.errors import DataError, DetectorError, StoreError
from aligncat.files.documents import parse_json, read_bytes
from aligncat.files.fields import as_mapping, required, required_int, required_list, required_str, shorten
from aligncat.locations import Location
from aligncat.store.manifest import BOXES_FORMAT, FIRST_FORMAT, FORMAT, MANIFEST, Manifest
from aligncat.types import JSON, FeatureColumn

HASH = re.compile(r"[0-9a-f]{64}")
"""A SHA-256 in hexadecimal."""
MAX_IMAGES = 2**31 - 1
MAX_CANDIDATES = 2**16 - 1
MAX_DIM = 2**16
MAX_LABELS = 2**20
_COLUMN_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


class ManifestFile(NamedTuple):
    """A manifest and the hash of its file.

    Attributes:
        manifest: the manifest.
        sha256: the hash of the file, hexadecimal.
    """

    manifest: Manifest
    sha256: str


def read_manifest(folder: Location) -> ManifestFile:
    """Read the manifest of a store, of any format.

    Raises:
        StoreError: the manifest is missing, damaged, or has another format.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise StoreError(f"{folder}: not a store (no {MANIFEST}); create one with `aligncat extract`.")
    content = read_bytes(path, StoreError)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise StoreError(f"{path}: damaged (not UTF-8); delete the store and extract it again.") from error
    try:
        row = as_mapping(parse_json(text, str(path)), str(path))
        found = row.get("format")
        if type(found) is not int or found not in (FIRST_FORMAT, FORMAT, BOXES_FORMAT):
            raise StoreError(
                f"{path}: the store has format {shorten(found)}, but this version of aligncat reads formats "
                f"{FIRST_FORMAT}, {FORMAT} and {BOXES_FORMAT}; extract it again, or install a newer aligncat."
            )
        manifest = _manifest(row, found, str(path))
    except DataError as error:
        raise StoreError(f"{error}; delete the store and extract it again.") from error
    except DetectorError as error:
        raise StoreError(f"{path}: {error}") from error
    return ManifestFile(manifest, hashlib.sha256(content).hexdigest())


def _manifest(row: Mapping[str, object], version: int, where: str) -> Manifest:
    """Return the manifest in a JSON object, or raise a DataError or a DetectorError."""
    environment: Mapping[str, JSON] = as_mapping(required(row, "environment", where), f"{where}: environment")  # type: ignore[assignment]
    columns = {} if version == FIRST_FORMAT else as_mapping(required(row, "columns", where), f"{where}: columns")
    detector = DetectorDescription.from_json(as_mapping(required(row, "detector", where), f"{where}: detector"))
    if detector.has_masks == (version == BOXES_FORMAT):
        raise DataError(f"{where}: format {version} and the detector's masks {detector.masks!r} exclude each other")
    return Manifest(
        format=version,
        detector=detector,
        labels=_labels(row, where),
        feature_dim=bounded_int(row, "feature_dim", where, 1, MAX_DIM),
        candidates=bounded_int(row, "candidates", where, 1, MAX_CANDIDATES),
        images=bounded_int(row, "images", where, 0, MAX_IMAGES),
        image_ids_sha256=required_hash(row, "image_ids_sha256", where),
        shard_size=bounded_int(row, "shard_size", where, 1, MAX_IMAGES),
        environment=environment,
        columns=tuple(_column(name, value, f"{where}: columns") for name, value in sorted(columns.items())),
    )


def _labels(row: Mapping[str, object], where: str) -> list[str]:
    labels = required_list(row, "labels", where)
    if not 0 < len(labels) <= MAX_LABELS or not all(isinstance(each, str) for each in labels):
        raise DataError(f"{where}: 'labels' must be a list of 1 to {MAX_LABELS:,} names of categories")
    return [str(each) for each in labels]


def _column(name: str, value: object, where: str) -> FeatureColumn:
    if not _COLUMN_NAME.fullmatch(name):
        raise DataError(f"{where}: {shorten(name)} is not the name of a column")
    where = f"{where}.{name}"
    row = as_mapping(value, where)
    return FeatureColumn(
        name, bounded_int(row, "version", where, 1, MAX_DIM), bounded_int(row, "dim", where, 1, MAX_DIM)
    )


def bounded_int(row: Mapping[str, object], key: str, where: str, least: int, most: int) -> int:
    """Return a required integer from `least` to `most`, or raise a DataError."""
    value = required_int(row, key, where)
    if not least <= value <= most:
        raise DataError(f"{where}: {key!r} must be from {least} to {most}, not {value}")
    return value


def required_hash(row: Mapping[str, object], key: str, where: str) -> str:
    """Return a required SHA-256 in hexadecimal, or raise a DataError."""
    value = required_str(row, key, where)
    if not HASH.fullmatch(value):
        raise DataError(f"{where}: {key!r} must be a SHA-256 of 64 hexadecimal digits, not {shorten(value)}")
    return value
