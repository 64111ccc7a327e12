"""Training examples: a photo's square with the masks and classes of its objects, changed at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from torch import Tensor
from torch.utils.data import Dataset

from aligncat.detectors.preprocessing import normalize
from aligncat.detectors.training.labelled import LabelledObject, LabelledPhoto
from aligncat.detectors.training.recipe import DetectorRecipe
from aligncat.files.images import read_image
from aligncat.geometry import PADDING_GREY, Letterbox, decode_mask, letterbox_image

_ZOOM = (0.7, 1.8)  # how much larger an object of a cropped example appears
_FEWEST_VISIBLE = 0.3  # an object of which a crop shows less is not learned in it
_JITTER = 0.35  # the largest change of brightness, contrast and saturation


@dataclass(frozen=True)
class Example:
    """An image as the model reads it, and its objects.

    Attributes:
        pixels: (3, S, S) float32, normalised.
        masks: (n, S, S), 0 or 1.
        classes: (n,) int64.
    """

    pixels: Tensor
    masks: Tensor
    classes: Tensor


def fit_masks(masks: NDArray[np.bool_], place: Letterbox) -> Tensor:
    """Resize masks as an image is resized into its square.

    Args:
        masks: (n, H, W), at the image's size.
        place: where the image lies in the square.

    Returns:
        (n, S, S) bool; the pixels of the square that masks cover by more than a half.
    """
    fitted = torch.zeros(len(masks), place.size, place.size, dtype=torch.bool)
    if len(masks):
        whole = torch.from_numpy(masks).float()
        inner = F.interpolate(whole[None], (place.inner_height, place.inner_width), mode="area")[0] > 0.5
        rows = slice(place.top, place.top + place.inner_height)
        fitted[:, rows, place.left : place.left + place.inner_width] = inner
    return fitted


class PhotoExamples(Dataset[Example]):
    """The examples of a training, in order: in every epoch each photo once, shuffled.

    An example depends only on the seed and its number, so a training that resumes reads the same ones.

    Args:
        photos: the photos.
        recipe: how they are changed.
        size: the side of the square, pixels.
        first: the number of the first example.
        count: the number of examples.
    """

    def __init__(
        self, photos: Sequence[LabelledPhoto], recipe: DetectorRecipe, size: int, first: int, count: int
    ) -> None:
        self._photos, self._recipe, self._size = photos, recipe, size
        self._first, self._count = first, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, item: int) -> Example:
        epoch, place = divmod(self._first + item, len(self._photos))
        order = np.random.default_rng([self._recipe.seed, 1, epoch]).permutation(len(self._photos))
        rng = np.random.default_rng([self._recipe.seed, 2, self._first + item])
        return _example(self._photos[order[place]], self._recipe, self._size, rng)


def _example(photo: LabelledPhoto, recipe: DetectorRecipe, size: int, rng: np.random.Generator) -> Example:
    image = read_image(photo.path)
    objects = [each for each in photo.objects if not each.crowd]
    masks = np.zeros((len(objects), image.height, image.width), dtype=bool)
    for mask, each in zip(masks, objects, strict=True):
        mask[:] = object_mask(each, image.width, image.height)
    visible = masks.any(axis=(1, 2))
    if rng.random() < recipe.crop:
        before = masks.sum(axis=(1, 2))
        image, masks = _zoom(image, masks, objects, rng)
        visible &= masks.sum(axis=(1, 2)) >= _FEWEST_VISIBLE * before
    if rng.random() < recipe.colour:
        image = _recolour(image, rng)
    if recipe.mirror and rng.random() < 0.5:
        image, masks = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), masks[:, :, ::-1]
    square, place = letterbox_image(image, size)
    fitted = fit_masks(np.ascontiguousarray(masks), place)
    kept = torch.from_numpy(visible) & fitted.any(dim=2).any(dim=1)
    classes = torch.tensor([each.category for each in objects], dtype=torch.int64)
    return Example(torch.from_numpy(np.ascontiguousarray(normalize([square])[0])), fitted[kept], classes[kept])


def object_mask(labelled: LabelledObject, width: int, height: int) -> NDArray[np.bool_]:
    """Return an object's mask, (height, width): the area of its box if it has no other."""
    if labelled.mask is not None:
        return decode_mask(labelled.mask)
    mask = np.zeros((height, width), dtype=bool)
    x1, y1, x2, y2 = labelled.box
    mask[max(round(y1), 0) : max(round(y2), 0), max(round(x1), 0) : max(round(x2), 0)] = True
    return mask


def _zoom(
    image: Image.Image, masks: NDArray[np.bool_], objects: Sequence[LabelledObject], rng: np.random.Generator
) -> tuple[Image.Image, NDArray[np.bool_]]:
    """Cut out a random window that holds the middle of a random object, or put the image into a larger grey one."""
    width, height = image.size
    zoom = float(np.exp(rng.uniform(*np.log(_ZOOM))))
    wide, high = max(round(width / zoom), 1), max(round(height / zoom), 1)
    box = objects[int(rng.integers(len(objects)))].box if objects else (0, 0, width, height)
    left = _start(rng, width, wide, (box[0] + box[2]) / 2)
    top = _start(rng, height, high, (box[1] + box[3]) / 2)
    window = Image.new("RGB", (wide, high), (PADDING_GREY,) * 3)
    window.paste(image, (-left, -top))
    shown = np.zeros((len(masks), high, wide), dtype=bool)
    from_x, from_y, to_x, to_y = max(left, 0), max(top, 0), min(left + wide, width), min(top + high, height)
    shown[:, from_y - top : to_y - top, from_x - left : to_x - left] = masks[:, from_y:to_y, from_x:to_x]
    return window, shown


def _start(rng: np.random.Generator, side: int, window: int, middle: float) -> int:
    """Return where a window starts along one side: anywhere around the image, or inside it around a point."""
    if window >= side:
        return -int(rng.integers(window - side + 1))
    lowest, highest = max(0, int(middle) + 1 - window), min(side - window, int(middle))
    return int(rng.integers(min(lowest, highest), max(lowest, highest) + 1))


def _recolour(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhance(image).enhance(float(rng.uniform(1 - _JITTER, 1 + _JITTER)))
    return image
