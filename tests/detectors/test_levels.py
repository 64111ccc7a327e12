"""Pooled levels, against sums written out in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from aligncat.detectors.levels import LEVELS, STAGES, pooled_levels


def signs(channels: int, level: int) -> NDArray[np.float64]:
    """Return the projection, as numpy draws it from its old Mersenne Twister."""
    return np.random.RandomState(level).randint(0, 2, (channels, 16)) * 2.0 - 1


def test_the_mean_under_the_mask_is_normalised_and_projected() -> None:
    random = np.random.default_rng(0)
    maps = [random.normal(size=(2, channels, size, size)) for channels, size in ((5, 8), (7, 4))]
    logits = random.normal(size=(2, 3, 8, 8))
    found = pooled_levels([torch.from_numpy(each).float() for each in maps], torch.from_numpy(logits).float())
    assert found.shape == (2, 3, 32) and found.dtype == torch.float32
    for image in range(2):
        for query in range(3):
            expected = []
            for level, features in enumerate(maps):
                cell = 8 // features.shape[-1]  # each cell of the map counts by the share of it that the mask covers
                shares = (logits[image, query] > 0).reshape(8 // cell, cell, 8 // cell, cell).mean(axis=(1, 3))
                mean = (features[image] * shares).sum(axis=(1, 2)) / shares.sum()
                normal = (mean - mean.mean()) / np.sqrt(mean.var() + 1e-5)
                expected.append(normal @ signs(len(mean), level) / np.sqrt(len(mean)))
            np.testing.assert_allclose(found[image, query].numpy(), np.concatenate(expected), atol=1e-4)


def test_an_empty_mask_gives_zeros() -> None:
    found = pooled_levels([torch.randn(1, 6, 4, 4)], torch.full((1, 2, 4, 4), -1.0))
    assert found.tolist() == [[[0.0] * 16] * 2]


def test_what_lies_outside_the_mask_does_not_count() -> None:
    logits = torch.full((1, 1, 8, 8), -1.0)
    logits[..., :4, :4] = 1
    first = torch.randn(1, 6, 4, 4)
    second = first.clone()
    second[..., 2:, :] = 9
    assert torch.equal(pooled_levels([first], logits), pooled_levels([second], logits))


@pytest.mark.parametrize("channels", [12, 96])
def test_the_projection_never_changes(channels: int) -> None:
    assert np.abs(signs(channels, 0)).tolist() == np.ones((channels, 16)).tolist()
    assert signs(12, 0)[0].tolist() == [-1, 1, 1, -1, 1, 1, 1, 1, 1, 1, 1, -1, -1, 1, -1, -1]


def test_the_column_has_a_length_of_its_own_for_every_backbone() -> None:
    assert LEVELS.dim == 16 * (STAGES + 1) == 64
