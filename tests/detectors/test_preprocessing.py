"""The three preprocessing modes, from a photo to the detector's square and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.fabricate import write_image
from PIL import Image

from aligncat.detectors.description import DetectorDescription
from aligncat.detectors.preprocessing import Preprocessing, PreprocessingMode, normalize, squash_image
from aligncat.detectors.protocol import Detector
from aligncat.detectors.registry import load_detector, open_detector
from aligncat.errors import ConfigError, DetectorError, StoreError
from aligncat.geometry import letterbox_image, mask_to_original
from aligncat.grounder.folder import SHIPPED
from aligncat.store.extract import extract_images
from aligncat.store.manifest_file import read_manifest
from aligncat.types import ImageRecord

MODES: tuple[PreprocessingMode, ...] = ("letterbox-416", "letterbox-416-to-800", "hub-384")
SIZES = [(640, 480), (427, 640), (100, 37), (31, 900)]


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def bilinear(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resize with torch, without antialiasing; the pixel centres are those of cv2."""
    stack = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].double()
    return F.interpolate(stack, (height, width), mode="bilinear", align_corners=False)[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_letterbox_416_is_letterbox_image(width: int, height: int) -> None:
    square, place = Preprocessing.of("letterbox-416").square(picture(width, height))
    expected, expected_place = letterbox_image(picture(width, height), 416)
    assert (square.tobytes(), place) == (expected.tobytes(), expected_place)
    small, _ = Preprocessing.of("letterbox-416", own_size=64).square(picture(width, height))
    assert small.size == (64, 64)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_letterbox_416_to_800_step_by_step(width: int, height: int) -> None:
    """QueryMatch uses grey 127, int() sizes, a centred image, no antialiasing, and then PIL's bilinear to 800."""
    image = picture(width, height)
    square, _ = Preprocessing.of("letterbox-416-to-800").square(image)
    aspect = width / height
    inner_width = int(416 if aspect >= 1 else 416 * aspect)
    inner_height = int(416 / aspect if aspect >= 1 else 416)
    left, top = (416 - inner_width) // 2, (416 - inner_height) // 2
    canvas = np.full((416, 416, 3), 127.0)
    resized = bilinear(np.asarray(image), inner_width, inner_height)
    canvas[top : top + inner_height, left : left + inner_width] = resized
    before = np.asarray(letterbox_image(image, 416, antialias=False)[0])
    assert np.abs(before - canvas).max() <= 0.5 + 1e-3  # rounded to whole levels
    expected = Image.fromarray(before).resize((800, 800), Image.Resampling.BILINEAR)
    assert square.size == (800, 800)
    assert square.tobytes() == expected.tobytes()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_hub_384_agrees_with_the_image_processor_of_transformers(width: int, height: int) -> None:
    module = pytest.importorskip("transformers.models.mask2former.image_processing_pil_mask2former")
    # The settings of preprocessor_config.json in facebook/mask2former-swin-*-coco-instance.
    processor = module.Mask2FormerImageProcessorPil(
        size={"height": 384, "width": 384},
        resample=2,
        size_divisor=32,
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    image = picture(width, height)
    expected = processor(images=[image], return_tensors="pt")["pixel_values"]
    square, _ = Preprocessing.of("hub-384").square(image)
    torch.testing.assert_close(torch.from_numpy(normalize([square])), expected, rtol=0, atol=1e-4)


def test_squash_by_hand() -> None:
    square, place = squash_image(Image.new("RGB", (200, 100), (9, 8, 7)), 50)
    np.testing.assert_array_equal(np.asarray(square), np.full((50, 50, 3), (9, 8, 7)))
    assert (place.left, place.top, place.inner_width, place.inner_height) == (0, 0, 50, 50)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("width", "height"), [(640, 480), (240, 320)])
def test_a_mask_is_mapped_back_to_the_drawn_object(mode: PreprocessingMode, width: int, height: int) -> None:
    """Draw a white rectangle on black, and use the square itself, averaged over 4 px cells, as the mask output."""
    pixels = np.zeros((height, width, 3), np.uint8)
    x1, y1, x2, y2 = 40, 60, 160, 200
    pixels[y1:y2, x1:x2] = 255
    preprocessing = Preprocessing.of(mode)
    square, place = preprocessing.square(Image.fromarray(pixels))
    size = preprocessing.size // 4
    light = np.asarray(square)[..., 0].reshape(size, 4, size, 4).mean(axis=(1, 3))
    mask = mask_to_original(light - 128, place)  # the grey padding, 127, is outside
    assert mask.shape == (height, width)
    wrong = mask != (pixels[..., 0] > 0)
    cell = 4 * max(width, height) / preprocessing.size  # pixels of the photo
    border = 2 * (x2 - x1 + y2 - y1) * cell
    assert wrong.sum() < border / 4
    ys, xs = np.nonzero(mask)
    found = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
    np.testing.assert_allclose(found, (x1, y1, x2, y2), atol=cell / 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "letterbox"}, "unknown preprocessing 'letterbox'; use one of letterbox-416, letterbox-416-to"),
        ({"mode": "hub-384", "image_size": 416}, "image_size 416: preprocessing hub-384 is always 384 px"),
        ({"mode": "letterbox-416-to-800", "image_size": 416}, "is always 800 px"),
        ({"mode": "letterbox-416", "image_size": 31}, "at least 32 pixels"),
    ],
)
def test_an_unknown_mode_or_an_impossible_size_is_a_config_error(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Preprocessing.of(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mode", "asked", "own", "size"),
    [
        ("letterbox-416", None, None, 416),
        ("letterbox-416", None, 160, 160),
        ("letterbox-416", 96, 160, 96),
        ("letterbox-416-to-800", None, 160, 800),
        ("hub-384", 384, 160, 384),
    ],
)
def test_the_size_is_the_requested_one_or_the_detectors_or_the_modes(
    mode: PreprocessingMode, asked: int | None, own: int | None, size: int
) -> None:
    assert Preprocessing.of(mode, asked, own).size == size


@pytest.fixture(scope="module")
def hub_detector(tiny_detector: Path) -> Iterator[Detector]:
    yield open_detector(str(tiny_detector), preprocessing="hub-384")


def test_candidates_lie_in_the_photo_in_every_mode(tiny_detector: Path) -> None:
    for mode in MODES:
        detector = open_detector(str(tiny_detector), preprocessing=mode, candidates=3)
        assert (
            detector.description().image_size
            == {"letterbox-416": 64, "letterbox-416-to-800": 800, "hub-384": 384}[mode]
        )
        [found] = detector.detect([picture(50, 30)], ["a"])
        assert (found.width, found.height, len(found)) == (50, 30, 3)
        assert all(mask["size"] == [30, 50] for mask in found.masks)
        assert (found.boxes[:, 2:] <= (50, 30)).all()


def test_the_mode_is_in_the_description_and_is_used_on_reload(hub_detector: Detector) -> None:
    description = hub_detector.description()
    assert description.preprocessing["mode"] == description.preprocessing_mode == "hub-384"
    again = load_detector(description)
    assert again.description() == description


def test_a_store_of_another_mode_is_refused(hub_detector: Detector, tiny_detector: Path, tmp_path: Path) -> None:
    images = [ImageRecord("a", write_image(tmp_path / "a.png", 0))]
    store = extract_images(images=images, detector=hub_detector, out=tmp_path / "store")
    assert store.manifest.detector.preprocessing["mode"] == "hub-384"
    for mode in ("letterbox-416", "letterbox-416-to-800"):
        other = open_detector(str(tiny_detector), preprocessing=mode)  # type: ignore[arg-type]
        with pytest.raises(StoreError, match=f'preprocessing.mode: the store has "hub-384", not "{mode}"'):
            extract_images(images=images, detector=other, out=tmp_path / "store")


def test_older_descriptions_without_a_mode_mean_the_letterbox(tiny_detector: Path, tmp_path: Path) -> None:
    detector = open_detector(str(tiny_detector))
    now = detector.description()
    content = now.to_json()
    del content["preprocessing"]["mode"]  # type: ignore[union-attr,arg-type]
    before = DetectorDescription.from_json(content)
    # The shipped grounder has the same preprocessing, of the mini detector.
    shipped = json.loads((SHIPPED / "config.json").read_text())["detector"]
    assert {k: v for k, v in shipped["preprocessing"].items() if k != "mode"} == before.preprocessing
    assert load_detector(before).description() == now
    assert before.differences(now) == now.differences(before) == []
    other = open_detector(str(tiny_detector), preprocessing="hub-384").description()
    assert "preprocessing.mode" in [each.path for each in before.differences(other)]
    with pytest.raises(DetectorError, match="differs in weights_sha256"):
        load_detector(replace(before, weights_sha256="0"))
    images = [ImageRecord("a", write_image(tmp_path / "a.png", 0))]
    extract_images(images=images, detector=detector, out=tmp_path / "store")
    manifest = json.loads((tmp_path / "store/manifest.json").read_text())
    del manifest["detector"]["preprocessing"]["mode"]
    (tmp_path / "older").mkdir()
    (tmp_path / "older/manifest.json").write_text(json.dumps(manifest))
    store = extract_images(images=images, detector=detector, out=tmp_path / "older")
    assert store.manifest == read_manifest(tmp_path / "older").manifest
    assert "mode" not in store.manifest.detector.preprocessing
