"""A store of real photos from a full-size detector. Slow, and skipped if the photos are absent."""

from __future__ import annotations

import json
import multiprocessing
import resource
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.direct import largest_component, photo_logits
from PIL import Image
from pycocotools import mask as coco_mask
from transformers import Mask2FormerForUniversalSegmentation

from aligncat.detectors.registry import open_detector
from aligncat.store.extract import extract_images
from aligncat.store.reader import Store
from aligncat.types import ImageRecord

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = ROOT.parent / "shared" / "real" / "photos"
SIZE, KEPT = 416, 20

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PHOTOS.is_dir(), reason="the folder of real photos is not on this machine"),
]


def photos() -> list[ImageRecord]:
    return [ImageRecord(path.stem, path) for path in sorted((PHOTOS / "images").glob("*.jpg"))]


def extract_and_weigh(detector_folder: Path, out: Path, report: Path) -> None:
    """Extract, and write how much more memory that took than the detector by itself."""
    detector = open_detector(str(detector_folder), candidates=KEPT)
    for _ in range(2):
        detector.forward(np.zeros((1, 3, SIZE, SIZE), np.float32))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    extract_images(images=photos(), detector=detector, out=out)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report.write_text(json.dumps({"extra_megabytes": (after - before) / 1024}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the detector, the store of all photos, and the memory that the extraction took."""
    folder = tmp_path_factory.mktemp("real")
    runpy.run_path(str(ROOT / "benchmarks" / "real_size.py"))["save_detector"](folder / "detector")
    process = multiprocessing.get_context("spawn").Process(
        target=extract_and_weigh, args=(folder / "detector", folder / "store", folder / "memory.json")
    )
    process.start()
    process.join()
    assert process.exitcode == 0
    return folder


def test_the_store_has_every_photo_at_its_own_size(folder: Path) -> None:
    store = Store.open(folder / "store")
    annotated = json.loads((PHOTOS / "instances.json").read_text())["images"]
    sizes = {Path(each["file_name"]).stem: (each["width"], each["height"]) for each in annotated}
    assert set(store.image_ids) == set(sizes) and len(store) == 100
    for image_id in store.image_ids:
        found = store.candidates(image_id)
        assert (found.width, found.height) == sizes[image_id]
        assert len(found) == KEPT
        assert {tuple(mask["size"]) for mask in found.masks} == {(found.height, found.width)}
        x1, y1, x2, y2 = found.boxes.T
        assert (x1 >= 0).all() and (y1 >= 0).all() and (x1 < x2).all() and (y1 < y2).all()
        assert (x2 <= found.width).all() and (y2 <= found.height).all()


@pytest.mark.parametrize("number", [0, 41, 77])
def test_boxes_and_masks_agree_with_a_direct_computation(folder: Path, number: int) -> None:
    """Compute the candidates independently with transformers, PIL and numpy formulas."""
    record = photos()[number]
    photo = Image.open(record.path).convert("RGB")
    scale = SIZE / max(photo.size)
    inner = tuple(int(side * scale + 1e-9) for side in photo.size)
    corner = tuple((SIZE - side) // 2 for side in inner)
    square = Image.new("RGB", (SIZE, SIZE), (127, 127, 127))
    square.paste(photo.resize(inner, Image.Resampling.BILINEAR), corner)
    pixels = np.asarray(square, np.float32).transpose(2, 0, 1) / 255
    pixels = (pixels - np.float32([0.485, 0.456, 0.406])[:, None, None]) / np.float32([0.229, 0.224, 0.225])[
        :, None, None
    ]
    model = Mask2FormerForUniversalSegmentation.from_pretrained(folder / "detector").eval()
    with torch.no_grad():
        output = model(pixel_values=torch.from_numpy(pixels)[None])
    masks = output.masks_queries_logits[0].numpy()
    cells = masks.shape[1]
    columns, rows = (
        slice(int(before * cells / SIZE), int(np.ceil((before + side) * cells / SIZE)))
        for before, side in zip(corner, inner, strict=True)
    )
    probabilities = 1 / (1 + np.exp(-masks[:, rows, columns].astype(np.float64)))
    inside = probabilities > 0.5
    means = (probabilities * inside).sum((1, 2)) / np.maximum(inside.sum((1, 2)), 1)
    confidences = output.class_queries_logits[0].double().softmax(-1)[:, :-1].numpy() * means[:, None]

    found = Store.open(folder / "store").candidates(record.id)
    np.testing.assert_allclose(found.confidences, np.sort(confidences.ravel())[::-1][:KEPT], rtol=1e-4)
    np.testing.assert_allclose(found.confidences, confidences[found.queries, found.categories], rtol=1e-4)
    checked_boxes: set[int] = set()
    for place, query in enumerate(found.queries.tolist()):
        direct = photo_logits(masks[query], *photo.size, SIZE)
        stored = coco_mask.decode(found.masks[place]).astype(bool)
        wrong = stored != (direct > 0)
        assert wrong.mean() < 1e-4 and np.abs(direct[wrong]).max(initial=0) < 1e-3
        if query not in checked_boxes and len(checked_boxes) < 3:  # the plain flood fill takes a second per box
            checked_boxes.add(query)
            assert found.boxes[place].tolist() == largest_component(stored)


def test_only_the_masks_of_a_few_images_are_in_memory(folder: Path) -> None:
    extra = json.loads((folder / "memory.json").read_text())["extra_megabytes"]
    # At one byte per pixel, the candidates of all photos take 580 MB. The hundred queries of one photo, upsampled as
    # floats, take 120 MB.
    assert extra < 200, f"extraction took {extra:.0f} MB more than the detector by itself"
