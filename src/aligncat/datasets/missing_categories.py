"""Tell early which categories of a dataset a detector does not have."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence

from aligncat.datasets.categories import canonical_category
from aligncat.errors import DetectorError

_NAMED = 8  # the most categories that a message names

logger = logging.getLogger(__name__)


def missing_categories(categories: Iterable[str | None], labels: Sequence[str]) -> dict[str, int]:
    """Return the categories that no label of a detector matches, with the number of their expressions, most first.

    Args:
        categories: the category of each expression; None, or a category that several labels match, is not missing.
        labels: the detector's labels.
    """
    known = {canonical_category(label) for label in labels}
    counts = Counter(each for each in categories if each is not None)
    return {name: count for name, count in counts.most_common() if canonical_category(name) not in known}


def check_categories(
    categories: Iterable[str | None], labels: Sequence[str], detector: str, *, skip: bool = False
) -> None:
    """Check that a detector has all categories of a dataset.

    Args:
        categories: the category of each expression; None counts as none.
        labels: the detector's labels.
        detector: its name, for the message.
        skip: warn instead of raising an error.

    Raises:
        DetectorError: some are missing, and `skip` is False.
    """
    missing = missing_categories(categories, labels)
    if not missing:
        return
    message = missing_message(missing, labels, detector)
    if not skip:
        raise DetectorError(
            f"{message} Use a detector that has them, rename them in the data, or remove their expressions; or give "
            "--skip_bad_rows to extract the photos all the same"
        )
    logger.warning("%s", message)


def missing_message(missing: dict[str, int], labels: Sequence[str], detector: str) -> str:
    """Return one sentence that names missing categories and how many expressions have them.

    Args:
        missing: what `missing_categories` returned, not empty.
        labels: the detector's labels.
        detector: its name.
    """
    named = ", ".join(f"{name!r} ({count:,})" for name, count in list(missing.items())[:_NAMED])
    more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
    return (
        f"the detector {detector} lacks {len(missing)} of the data's categories among its {len(labels)} labels, with "
        f"{sum(missing.values()):,} expressions: {named}{more}."
    )
