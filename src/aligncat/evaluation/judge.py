"""A function that gives training the REC accuracy and RES mIoU of its choices, and nothing else about the truth."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from aligncat.evaluation.outcomes import Outcomes

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from aligncat.evaluation.overlaps import Overlaps


def judge_choices(overlaps: Overlaps) -> Callable[[NDArray[np.int64]], tuple[float, float | None]]:
    """Return a function that maps the choices for a split to their REC accuracy and RES mIoU.

    Training receives this function instead of the truth. The REC accuracy selects the best epoch.

    Args:
        overlaps: the overlaps of the E expressions.

    Returns:
        A function of the (E,) int64 indices of the chosen candidates. It returns the share of boxes with an IoU above
        0.5, and the mean IoU of the masks (None if no referent has a mask).
    """
    return partial(_judge, overlaps)  # which other processes can receive


def _judge(overlaps: Overlaps, choice: NDArray[np.int64]) -> tuple[float, float | None]:
    metrics = Outcomes.of(overlaps, choice).metrics(np.ones(len(overlaps), dtype=bool))
    return metrics.rec, metrics.res_miou
