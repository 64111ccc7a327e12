"""The forward pass of Mask2Former, compared with that of transformers."""

from __future__ import annotations

import runpy
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.tiny_detector import STAGES, save_tiny_detector
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, ResNetConfig, SwinConfig

from aligncat.detectors import mask2former_forward
from aligncat.detectors.candidates import RawOutput
from aligncat.detectors.deformable_attention import weighted_rows
from aligncat.detectors.mask2former import Mask2FormerDetector
from aligncat.detectors.mask2former_forward import Mask2FormerForward
from aligncat.detectors.registry import open_detector
from aligncat.errors import DetectorError

REAL_SIZE = Path(__file__).resolve().parents[2] / "benchmarks" / "real_size.py"


def tiny_model(*, backbone: str = "swin", seed: int = 0, **settings: Any) -> Any:
    """Return a model whose masks are of all sizes: some queries see a few cells only."""
    torch.manual_seed(seed)
    kind: Any = (
        SwinConfig(embed_dim=12, depths=[1, 1, 2, 1], num_heads=[1, 2, 2, 4], window_size=4, out_features=STAGES)  # type: ignore[call-arg]
        if backbone == "swin"
        else ResNetConfig(  # type: ignore[call-arg]
            embedding_size=8,
            hidden_sizes=[8, 16, 24, 32],
            depths=[1, 1, 1, 1],
            layer_type=backbone,
            out_features=STAGES,
        )
    )
    config = Mask2FormerConfig(  # type: ignore[call-arg]
        backbone_config=kind,
        **{
            "feature_size": 32,
            "mask_feature_size": 32,
            "hidden_dim": 32,
            "num_queries": 8,
            "num_attention_heads": 4,
            "encoder_layers": 2,
            "decoder_layers": 5,
            "encoder_feedforward_dim": 64,
            "dim_feedforward": 64,
            "num_labels": 5,
            **settings,
        },
    )
    model = Mask2FormerForUniversalSegmentation(config)
    with torch.no_grad():
        model.model.transformer_module.decoder.mask_predictor.mask_embedder.layers[-1].layers[0].weight.mul_(10)
        for layer in model.model.pixel_level_module.decoder.encoder.layers:  # zeros in an untrained model
            layer.self_attn.sampling_offsets.weight.normal_(0, 0.1)
            layer.self_attn.attention_weights.weight.normal_(0, 0.3)
        for norm in model.modules():
            if isinstance(norm, torch.nn.LayerNorm):
                norm.weight.uniform_(0.5, 1.5)
    return model.eval()


def random_pixels(height: int, width: int | None = None, *, batch: int = 2) -> Tensor:
    coarse = torch.randn(batch, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.interpolate(coarse, (height, width or height), mode="bicubic")


def assert_equal_to_transformers(model: Any, pixels: Tensor) -> None:
    with torch.inference_mode():
        expected = model(pixel_values=pixels, output_hidden_states=True)
        states = model.model.transformer_module.decoder.layernorm(expected.transformer_decoder_last_hidden_state)
        found = Mask2FormerForward(model)(pixels)
    torch.testing.assert_close(found.class_logits, expected.class_queries_logits, rtol=0, atol=1e-4)
    torch.testing.assert_close(found.mask_logits, expected.masks_queries_logits, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(found.features, states, rtol=0, atol=1e-4)
    torch.testing.assert_close(found.pixel_embeddings, expected.pixel_decoder_last_hidden_state, rtol=0, atol=1e-4)
    for ours, theirs in zip(found.backbone_maps, expected.encoder_hidden_states, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"backbone": "basic"},
        {"backbone": "bottleneck"},
        {"pre_norm": True},
        {"enforce_input_projection": True},
        {"feature_size": 64},
        {"activation_function": "gelu"},
        {"feature_strides": [4, 8, 16, 32], "common_stride": 8},
        {"decoder_layers": 2},
    ],
    ids=str,
)
def test_it_equals_transformers_whatever_the_config(settings: dict[str, Any]) -> None:
    assert_equal_to_transformers(tiny_model(**settings), random_pixels(64))


@pytest.mark.parametrize("backbone", ["swin", "basic"])
def test_in_float64_it_differs_by_less_than_float32_can_tell(backbone: str) -> None:
    model = tiny_model(backbone=backbone).double()
    pixels = random_pixels(96).double()
    with torch.inference_mode():
        expected, found = model(pixel_values=pixels), Mask2FormerForward(model)(pixels)
    torch.testing.assert_close(found.class_logits, expected.class_queries_logits, rtol=0, atol=1e-9)
    torch.testing.assert_close(found.mask_logits, expected.masks_queries_logits, rtol=0, atol=1e-9)


@pytest.mark.parametrize("size", [(32, 32), (72, 72), (130, 130), (64, 96)])  # 32: the smallest map is one cell
def test_it_equals_transformers_at_every_size(size: tuple[int, int]) -> None:
    assert_equal_to_transformers(tiny_model(), random_pixels(*size))


def test_a_query_whose_mask_is_empty_looks_at_all_cells() -> None:
    model = tiny_model()
    with torch.no_grad():
        projection = model.model.pixel_level_module.decoder.mask_projection
        last = model.model.transformer_module.decoder.mask_predictor.mask_embedder.layers[-1].layers[0]
        for part, bias in ((projection, 1.0), (last, -1.0)):
            part.weight.zero_()
            part.bias.fill_(bias)
    pixels = random_pixels(64)
    with torch.inference_mode():
        assert (Mask2FormerForward(model)(pixels).mask_logits == -32).all()
    assert_equal_to_transformers(model, pixels)


def test_sampling_instead_of_weighted_rows_gives_the_same() -> None:
    """The way of other devices, here on a CPU."""
    torch.manual_seed(0)
    values, weights = torch.randn(1, 20, 2, 4), torch.rand(1, 5, 2, 2, 3)
    points = torch.rand(1, 5, 2, 2, 3, 2) * 5 - 1
    shapes = [(2, 2), (4, 4)]
    expected = weighted_rows(values, shapes, points.flatten(3, 4), weights.flatten(3), [3, 3])
    sampled = mask2former_forward._sampled(values, shapes, points, weights)
    torch.testing.assert_close(sampled, expected, rtol=0, atol=1e-5)


def test_two_runs_give_equal_bits_and_so_do_threads_with_images_of_two_sizes() -> None:
    run = Mask2FormerForward(tiny_model())
    pixels = [random_pixels(64), random_pixels(96)]

    def logits(number: int) -> Tensor:
        with torch.inference_mode():
            return run(pixels[number % 2]).mask_logits

    first = [logits(0), logits(1)]
    with ThreadPoolExecutor(4) as pool:
        for number, found in enumerate(pool.map(logits, range(24))):
            assert torch.equal(found, first[number % 2])


def test_a_model_of_other_parts_is_a_detector_error() -> None:
    model = tiny_model()
    del model.model.pixel_level_module.decoder.mask_projection
    with pytest.raises(DetectorError, match=r"does not know the Mask2Former of transformers .*mask_projection"):
        Mask2FormerForward(model)


def forward_of_transformers(detector: Mask2FormerDetector, pixels: NDArray[np.float32]) -> RawOutput:
    model = detector._model
    with torch.inference_mode():
        output = model(pixel_values=torch.from_numpy(pixels))
        features = model.model.transformer_module.decoder.layernorm(output.transformer_decoder_last_hidden_state)
        parts = (output.class_queries_logits, output.masks_queries_logits, features)
        return RawOutput(*(part.numpy() for part in parts))


def photos(count: int) -> list[Image.Image]:
    """Return pictures of soft shapes, of several sizes."""
    made = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        coarse = Image.fromarray(rng.integers(0, 256, (rng.integers(3, 9), rng.integers(3, 9), 3), dtype=np.uint8))
        made.append(coarse.resize((int(rng.integers(200, 640)), int(rng.integers(200, 640))), Image.Resampling.BICUBIC))
    return made


def assert_same_candidates(detector: Mask2FormerDetector, images: Sequence[Image.Image]) -> None:
    ids = [str(number) for number in range(len(images))]
    plain = copy(detector)
    plain.forward = partial(forward_of_transformers, detector)  # type: ignore[method-assign]
    for ours, theirs in zip(detector.detect(images, ids), plain.detect(images, ids), strict=True):
        np.testing.assert_array_equal(ours.queries, theirs.queries)
        np.testing.assert_array_equal(ours.categories, theirs.categories)
        np.testing.assert_allclose(ours.confidences, theirs.confidences, rtol=0, atol=1e-5)
        np.testing.assert_allclose(ours.boxes, theirs.boxes, rtol=0, atol=1)  # a logit of almost 0 can change its sign


@pytest.mark.parametrize("name", ["tiny", "mini"])
def test_the_candidates_of_a_detector_are_the_same(name: str, tmp_path: Path) -> None:
    detector = open_detector(name if name == "mini" else str(save_tiny_detector(tmp_path / "tiny")))
    assert isinstance(detector, Mask2FormerDetector)
    assert_same_candidates(detector, photos(8))


@pytest.mark.slow
def test_the_candidates_of_a_swin_tiny_of_real_size_are_the_same(tmp_path: Path) -> None:
    save = runpy.run_path(str(REAL_SIZE))["save_detector"]
    detector = open_detector(str(save(tmp_path / "swin-tiny")))
    assert isinstance(detector, Mask2FormerDetector)
    for photo in photos(3):
        assert_same_candidates(detector, [photo])
