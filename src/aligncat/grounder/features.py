"""The input feature of a candidate: f_q, and for `alignment.features` "query+appearance" columns of the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from aligncat.alignment.config import AlignmentConfig
from aligncat.detectors.colour import COLOUR
from aligncat.detectors.levels import LEVELS
from aligncat.errors import DataError, StoreError
from aligncat.files.fields import as_mapping, required, required_int, required_str
from aligncat.types import Candidates, FeatureColumn

if TYPE_CHECKING:
    from aligncat.store.reader import Store

COLUMNS_KEY = "columns"
"""The key of config.json and settings.json with the columns that a grounder reads beside f_q, if there are any."""


@dataclass(frozen=True, slots=True)
class ScaledColumn:
    """A further column that a grounder reads.

    Attributes:
        column: its name, version and length.
        scale: the factor of its values. f_q comes from a LayerNorm, so its values are of the order of 1.
    """

    column: FeatureColumn
    scale: float

    def to_json(self) -> dict[str, str | int | float]:
        """Return the entry of config.json."""
        column = self.column
        return {"name": column.name, "version": column.version, "dim": column.dim, "scale": self.scale}

    @classmethod
    def from_json(cls, content: object, where: str) -> Self:
        """Invert `to_json`.

        Raises:
            DataError: a value is missing or of the wrong type.
        """
        row = as_mapping(content, where)
        scale = required(row, "scale", where)
        if not isinstance(scale, float):
            raise DataError(f"{where}: 'scale' must be a number, not {scale!r}")
        column = FeatureColumn(
            required_str(row, "name", where), required_int(row, "version", where), required_int(row, "dim", where)
        )
        return cls(column, scale)


APPEARANCE = (ScaledColumn(COLOUR, 2.0), ScaledColumn(LEVELS, 1.0))
"""The columns of "query+appearance". A store has the ones that its detector gives, and always the first."""


def columns_of(store: Store, alignment: AlignmentConfig) -> tuple[ScaledColumn, ...]:
    """Return the columns that a new grounder reads from a store.

    Raises:
        StoreError: the grounder is to read appearance, and the store has none or another version of it.
    """
    if alignment.features == "query":
        return ()
    stored = {each.name for each in store.manifest.columns}
    if COLOUR.name not in stored:
        raise StoreError(
            f"{store.folder}: alignment.features is 'query+appearance', but the store has no appearance; "
            "extract into another folder with --appearance true, or set alignment.features to 'query'"
        )
    columns = tuple(each for each in APPEARANCE if each.column.name in stored)
    for each in columns:
        store.manifest.check_column(each.column, store.folder)
    return columns


def input_dim(feature_dim: int, columns: Iterable[ScaledColumn]) -> int:
    """Return the length of a candidate's input feature.

    Args:
        feature_dim: d_v, the length of f_q.
        columns: the columns beside it.
    """
    return feature_dim + sum(each.column.dim for each in columns)


def with_columns(
    features: NDArray[np.float16], columns: Sequence[ScaledColumn], values: Mapping[str, NDArray[np.float16]]
) -> NDArray[np.float16]:
    """Return the input features of candidates, (..., d_v + d_a): f_q, then each column times its scale.

    Args:
        features: (..., d_v), f_q.
        columns: the columns.
        values: the values of each column by name, (..., dim).
    """
    # In float32 and rounded once, as torch multiplies halves by a number (`aligncat.grounder.batches`).
    scaled = [(values[each.column.name] * np.float32(each.scale)).astype(np.float16) for each in columns]
    return np.concatenate([features, *scaled], axis=-1) if scaled else features


def found_features(candidates: Candidates, columns: Sequence[ScaledColumn]) -> NDArray[np.float16]:
    """Return the input features of one image's candidates, (O, d_v + d_a).

    Raises:
        StoreError: the candidates lack a column, or have it in another length.
    """
    for each in columns:
        values: NDArray[np.float16] | None = candidates.columns.get(each.column.name)
        if values is None or values.shape[1] != each.column.dim:
            raise StoreError(
                f"image {candidates.image_id!r}: its candidates lack {each.column}, which the grounder reads; take "
                "them from a store that was extracted with --appearance true, or from the grounder's detector"
            )
    return with_columns(candidates.features, columns, candidates.columns)
