"""Read the metrics of a stored result, and check the type and the range of every value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TypeVar

from aligncat.errors import DataError
from aligncat.evaluation.answer_sets import SetMetrics
from aligncat.evaluation.metrics import STORED_ERRORS, ErrorShares, Metrics
from aligncat.files.fields import as_mapping, optional_share, required, required_count, required_share

T = TypeVar("T")

_ROLES = ("needed", "redundant")


def read_metrics(values: object, where: str) -> Metrics:
    """Invert `Metrics.to_json`.

    Args:
        values: the plain values.
        where: their place, for messages.

    Raises:
        DataError: a value is missing, unknown, of the wrong type or out of its range.
    """
    row = as_mapping(values, where)
    check_keys(row, tuple(field.name for field in fields(Metrics)), where)
    expressions, with_mask = (required_count(row, key, where) for key in ("expressions", "with_mask"))
    if with_mask > expressions:
        raise DataError(f"{where}: 'with_mask' is {with_mask}, but there are only {expressions} expressions")
    precision, errors = required(row, "precision", where), required(row, "errors", where)
    return Metrics(
        expressions=expressions,
        rec=required_share(row, "rec", where),
        oracle_rec=required_share(row, "oracle_rec", where),
        with_mask=with_mask,
        res_miou=optional_share(row, "res_miou", where),
        res_oiou=optional_share(row, "res_oiou", where),
        oracle_res_miou=optional_share(row, "oracle_res_miou", where),
        precision=None if precision is None else _shares(precision, f"{where}, precision"),
        category_accuracy=optional_share(row, "category_accuracy", where),
        errors=None if errors is None else read_error_shares(errors, f"{where}, errors"),
        by_kind=_each(row.get("by_kind", {}), read_metrics, f"{where}, by_kind"),
        by_attribute=_each(row.get("by_attribute", {}), _read_roles, f"{where}, by_attribute"),
        sets=None if row.get("sets") is None else read_set_metrics(row["sets"], expressions, f"{where}, sets"),
    )


def read_set_metrics(values: object, expressions: int, where: str) -> SetMetrics:
    """Invert `SetMetrics.to_json`.

    Args:
        values: the plain values.
        expressions: the number of expressions that they are of.
        where: their place, for messages.

    Raises:
        DataError: a value is missing, unknown, of the wrong type or out of its range.
    """
    row = as_mapping(values, where)
    check_keys(row, tuple(field.name for field in fields(SetMetrics)), where)
    none, several = (required_count(row, key, where) for key in ("none", "several"))
    if none + several > expressions:
        raise DataError(f"{where}: {none} expressions without a target and {several} with several of {expressions}")
    shares = {key: optional_share(row, key, where) for key in ("min_match", "n_acc", "t_acc", "giou", "ciou")}
    return SetMetrics(none=none, several=several, precision=required_share(row, "precision", where), **shares)


def read_error_shares(values: object, where: str) -> ErrorShares:
    """Invert `ErrorShares.to_json`.

    Args:
        values: the plain values.
        where: their place, for messages.

    Raises:
        DataError: a share is missing, unknown or not from 0 to 1.
    """
    row = as_mapping(values, where)
    check_keys(row, tuple(STORED_ERRORS), where)
    return ErrorShares(**{name: required_share(row, key, where) for key, name in STORED_ERRORS.items()})


def check_keys(row: Mapping[str, object], known: tuple[str, ...], where: str) -> None:
    """Check that a row has no other keys than the known ones."""
    if unknown := [key for key in row if key not in known]:
        raise DataError(f"{where}: unknown key {unknown[0]!r:.60}; known keys are {', '.join(known)}")


def _read_roles(values: object, where: str) -> dict[str, Metrics]:
    check_keys(as_mapping(values, where), _ROLES, where)
    return _each(values, read_metrics, where)


def _shares(values: object, where: str) -> dict[str, float]:
    row = as_mapping(values, where)
    return {key: required_share(row, key, where) for key in row}


def _each(values: object, read: Callable[[object, str], T], where: str) -> dict[str, T]:
    return {key: read(value, f"{where} {key!r:.60}") for key, value in as_mapping(values, where).items()}
