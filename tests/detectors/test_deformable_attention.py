"""Deformable attention as a weighted sum of rows, against sampling of feature maps and a calculation by hand."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from helpers.tiny_families import _CONFIGS, MODELS, QUERIES, SIZE, save_tiny
from torch import Tensor
from transformers.models.mask2former.modeling_mask2former import multi_scale_deformable_attention
from transformers.models.rt_detr_v2.modeling_rt_detr_v2 import multi_scale_deformable_attention_v2

from aligncat.detectors.deformable_attention import WeightedRows, _weighted_shares, use_weighted_rows, weighted_rows

SHAPES = {
    "of a detector": [(4, 4), (8, 8), (16, 16)],
    "of all sides": [(5, 3), (9, 6)],
    "of one cell or one line": [(1, 1), (2, 1), (1, 7)],
}


def draw(shapes: list[tuple[int, int]], *, spread: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return values of 2 images and 4 heads, and points, in shares of a level, and weights of 11 queries."""
    generator = torch.Generator().manual_seed(0)
    cells = sum(rows * columns for rows, columns in shapes)
    values = torch.randn(2, cells, 4, 8, generator=generator)
    shares = torch.rand(2, 11, 4, len(shapes), 3, 2, generator=generator) * spread + (1 - spread) / 2
    weights = torch.randn(2, 11, 4, len(shapes), 3, generator=generator)
    return values, shares, weights


def in_cells(shares: Tensor, shapes: list[tuple[int, int]]) -> Tensor:
    return (shares * torch.tensor([(columns, rows) for rows, columns in shapes])[:, None] - 0.5).flatten(3, 4)


def rows_of(values: Tensor, shapes: list[tuple[int, int]], points: Tensor, weights: Tensor) -> Tensor:
    """Call `weighted_rows` with as many points in each level."""
    return weighted_rows(values, shapes, points, weights.flatten(3), [weights.shape[4]] * len(shapes))


@pytest.mark.parametrize("spread", [0.5, 1.0, 2.0, 20.0])  # 2: half of the points outside
@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
def test_it_equals_bilinear_sampling_with_zeros_outside(shapes: list[tuple[int, int]], spread: float) -> None:
    values, shares, weights = draw(shapes, spread=spread)
    expected = multi_scale_deformable_attention(values, shapes, shares, weights)
    found = rows_of(values, shapes, in_cells(shares, shapes), weights)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("counts", [[1, 5, 3], [2, 0, 7]])
def test_levels_may_have_different_numbers_of_points(counts: list[int]) -> None:
    shapes = SHAPES["of a detector"]
    values, shares, weights = draw(shapes, spread=1.5)
    shares, weights = shares.flatten(3, 4), weights.flatten(3)  # nine points
    sizes = [(columns, rows) for (rows, columns), count in zip(shapes, counts, strict=True) for _ in range(count)]
    expected = multi_scale_deformable_attention_v2(values, shapes, shares, weights, counts)
    found = weighted_rows(values, shapes, shares * torch.tensor(sizes) - 0.5, weights, counts)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)


def test_by_hand() -> None:
    values = torch.tensor([10.0, 20.0, 30.0, 40.0, 7.0]).view(1, 5, 1, 1)  # a level of 2 x 2 and one of 1 x 1
    points = torch.tensor([[0.25, 0.5], [0.0, 0.5]]).view(1, 1, 1, 2, 2)  # x, y
    weights = torch.tensor([1.0, 10.0]).view(1, 1, 1, 2)
    # 0.75 * (10 + 30) / 2 + 0.25 * (20 + 40) / 2 = 22.5, and 10 * 7 / 2, as the other half lies outside
    assert weighted_rows(values, [(2, 2), (1, 1)], points, weights, [1, 1]).item() == 22.5 + 35


def test_points_that_are_no_places_read_nothing_of_other_images() -> None:
    shapes = SHAPES["of a detector"]
    values, shares, weights = draw(shapes, spread=1.0)
    points = in_cells(shares, shapes)
    right = rows_of(values, shapes, points, weights)
    points[0, 0], points[0, 1], points[0, 2] = float("nan"), 1e30, float("-inf")
    found = rows_of(values, shapes, points, weights)
    assert found[0, 0].isnan().all() and (found[0, 1:3] == 0).all()
    assert torch.equal(found[0, 3:], right[0, 3:]) and torch.equal(found[1], right[1])


def test_an_image_reads_the_same_bits_alone_and_in_a_batch() -> None:
    shapes = SHAPES["of a detector"]
    values, shares, weights = draw(shapes, spread=1.0)
    points = in_cells(shares, shapes)
    alone = [rows_of(values[[row]], shapes, points[[row]], weights[[row]]) for row in range(2)]
    assert torch.equal(rows_of(values, shapes, points, weights), torch.cat(alone))


def replaced(model: Any) -> int:
    """Return how many modules of a model read weighted rows."""
    return sum(
        isinstance(part, WeightedRows) or getattr(part, "ms_deformable_attn_core", None) is _weighted_shares
        for part in model.modules()
    )


@pytest.mark.parametrize(
    "name",
    [
        *("deformable_detr", "lw_detr", "d_fine"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("rt_detr", "rf_detr", "deimv2")),
    ],
)
def test_a_model_with_it_gives_what_it_gave_and_other_models_are_left_alone(name: str, tmp_path: Path) -> None:
    model_class = getattr(transformers, MODELS[name][1])
    folder = save_tiny(name, tmp_path / "model")
    plain, ours = (model_class.from_pretrained(folder).eval() for _ in range(2))
    use_weighted_rows(ours)
    assert replaced(ours) and not replaced(plain)
    assert ours.state_dict().keys() == plain.state_dict().keys()
    pixels = torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, found, again = (each(pixel_values=pixels) for each in (plain, ours, copy.deepcopy(ours)))
    torch.testing.assert_close(found.logits, expected.logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.pred_boxes, expected.pred_boxes, rtol=0, atol=1e-5)
    assert found.pred_boxes.shape == (2, QUERIES, 4) and torch.equal(found.logits, again.logits)


def test_a_model_that_does_not_interpolate_is_left_alone() -> None:
    family, model_class = MODELS["d_fine"]
    model = getattr(transformers, model_class)(_CONFIGS[family]())
    for part in model.modules():
        if hasattr(part, "decoder_method"):
            part.decoder_method = "discrete"
    use_weighted_rows(model)
    assert not replaced(model)
