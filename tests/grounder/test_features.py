"""Columns beside f_q: numpy, which exports use, multiplies halves by a scale as torch does in training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aligncat.grounder.batches import _with_columns
from aligncat.grounder.features import ScaledColumn, with_columns
from aligncat.types import FeatureColumn

HALVES = np.arange(2**16, dtype=np.uint16).view(np.float16)
FINITE = HALVES[np.isfinite(HALVES)].reshape(-1, 8)


@pytest.mark.parametrize("scale", [1.2345, 2.0, 1.0, 0.1])
def test_a_scale_rounds_in_numpy_as_in_torch(scale: float) -> None:
    column = ScaledColumn(FeatureColumn("look", 1, 8), scale)
    features = np.zeros((len(FINITE), 3), np.float16)
    with np.errstate(over="ignore"):
        found = with_columns(features, [column], {"look": FINITE})
    expected = torch.from_numpy(FINITE) * scale  # by torch itself
    np.testing.assert_array_equal(found[:, 3:], expected.numpy())
    of_batches = _with_columns(torch.from_numpy(features), [column], {"look": torch.from_numpy(FINITE)})
    np.testing.assert_array_equal(found, of_batches.numpy())


def test_a_scale_that_was_rounded_first_would_give_other_numbers() -> None:
    with np.errstate(over="ignore"):
        twice = FINITE * np.float16(1.2345)
    assert (twice != (torch.from_numpy(FINITE) * 1.2345).numpy()).mean() > 0.1
