"""Draw groundings on an image."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from aligncat.files.atomic import write_atomic
from aligncat.geometry import decode_mask
from aligncat.grounder.grounding import Grounding

# Colours that colour-blind people can distinguish (Okabe and Ito, 2008).
PALETTE = ((213, 94, 0), (0, 114, 178), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233))
_MASK_OPACITY = 0.25
_SHORTER_SIDE = 480  # pixels; smaller images are enlarged to about this size, so that phrases are legible
_LONGER_SIDE = 2000  # pixels; images are not enlarged beyond this
_LABEL_LENGTH = 60  # characters


def draw_groundings(image: Image.Image, groundings: Sequence[Grounding]) -> Image.Image:
    """Draw the masks, boxes and phrase of each grounding, each grounding in a different colour.

    The phrase is drawn once, at the best of several answers.

    Args:
        image: the image that was grounded, RGB.
        groundings: the groundings in the image.

    Returns:
        A new image, enlarged by a whole factor if the original is too small for legible phrases.
    """
    scale = max(1, min(-(-_SHORTER_SIDE // min(image.size)), _LONGER_SIDE // max(image.size)))
    pixels = np.asarray(image.convert("RGB"), np.float32).copy()
    for index, grounding in enumerate(groundings):
        tint = np.array(PALETTE[index % len(PALETTE)], np.float32)
        for mask in map(decode_mask, grounding.masks):
            pixels[mask] = (1 - _MASK_OPACITY) * pixels[mask] + _MASK_OPACITY * tint
    size = (image.width * scale, image.height * scale)
    canvas = Image.fromarray(pixels.astype(np.uint8)).resize(size, Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=max(14, min(size) // 28))
    labels: list[tuple[float, float, float, float]] = []
    for index, grounding in enumerate(groundings):
        color = PALETTE[index % len(PALETTE)]
        for x1, y1, x2, y2 in grounding.boxes:
            draw.rectangle((scale * x1, scale * y1, scale * x2 - 1, scale * y2 - 1), outline=color, width=3)
        x1, y1, _, _ = (scale * value for value in grounding.box)
        phrase = shorten(grounding.expression, _LABEL_LENGTH, placeholder="…")
        _, _, text_width, text_height = draw.textbbox((0, 0), phrase, font=font)
        width, height = text_width + 8, text_height + 6
        left = max(0.0, min(x1, size[0] - width))
        top = y1 - height if y1 > height else y1
        while any(_overlap((left, top, left + width, top + height), other) for other in labels):
            top += height
        labels.append((left, top, left + width, top + height))
        draw.rectangle(labels[-1], fill=color)
        draw.text((left + 4, top + 2), phrase, fill="white", font=font)
    return canvas


def _overlap(first: tuple[float, float, float, float], second: tuple[float, float, float, float]) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a picture atomically, in the format that the suffix of its path names.

    Raises:
        WriteError: the file cannot be written.
    """
    content = io.BytesIO()
    picture.save(content, format=Image.registered_extensions()[path.suffix.lower()])
    write_atomic(path, content.getvalue())
