"""Draw the first scenes of MojiRef's val, each with one phrase and the referent's box.

python docs/make_contact_sheet.py       docs/img/mojiref.jpg
python docs/make_contact_sheet.py 2     docs/img/mojiref2.jpg, of version 2
"""

from __future__ import annotations

import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import load_split, load_truth
from aligncat.mojiref.build import make_mojiref
from aligncat.mojiref.recipe import MojiRefConfig
from aligncat.types import Expression

COLUMNS, ROWS = 5, 4
SIDE, GAP = 256, 26  # px
FLAVOURS = {"mojiref": ("MojiRef", "#b34700"), "mojiref+": ("MojiRef+", "#00629c"), "mojirefg": ("MojiRefg", "#007355")}
FLAVOURS_2 = {name.replace("mojiref", "mojiref2"): row for name, row in FLAVOURS.items()}
PAGE, INK = "#ffffff", "#1c1c1c"
IMAGES = Path(__file__).parent / "img"


def main(version: Literal[1, 2]) -> None:
    """Generate the scenes of a version in a temporary folder and draw the sheet."""
    flavours, name = (FLAVOURS, "mojiref") if version == 1 else (FLAVOURS_2, "mojiref2")
    cells = []
    with tempfile.TemporaryDirectory() as folder:
        recipe = MojiRefConfig(train=0, val=2 * COLUMNS * ROWS, test=0)
        root = make_mojiref(out=Path(folder) / name, version=version, recipe=recipe)
        configs = {flavour: DataConfig(root, flavour) for flavour in flavours}
        splits = {flavour: load_split(config, "val") for flavour, config in configs.items()}
        truths = {flavour: load_truth(config, "val") for flavour, config in configs.items()}
        shared = [i for i in splits[name].images if all(i in split.images for split in splits.values())]
        rng = np.random.default_rng(0)
        for number, image_id in enumerate(shared[: COLUMNS * ROWS]):
            flavour = list(flavours)[number % len(flavours)]
            phrases = [e for e in splits[flavour].expressions if e.image_id == image_id]
            expression = phrases[rng.integers(len(phrases))]
            with Image.open(splits[flavour].images[image_id].path) as picture:
                cells.append(_cell(picture, flavours[flavour], expression, truths[flavour][expression.referent_id].box))
    rows = [cells[start : start + COLUMNS] for start in range(0, len(cells), COLUMNS)]
    heights = [max(cell.height for cell in row) for row in rows]
    sheet = Image.new("RGB", (GAP + COLUMNS * (SIDE + GAP), sum(heights) + GAP * (ROWS + 1)), PAGE)
    for number, row in enumerate(rows):
        for column, cell in enumerate(row):
            sheet.paste(cell, (GAP + column * (SIDE + GAP), sum(heights[:number]) + GAP * (number + 1)))
    IMAGES.mkdir(exist_ok=True)
    sheet.save(IMAGES / f"{name}.jpg", quality=88, optimize=True)


def _cell(picture: Image.Image, flavour: tuple[str, str], expression: Expression, box: np.ndarray) -> Image.Image:
    """Return a picture of one scene with the phrase and its kinds of attributes below."""
    name, color = flavour
    scale = SIDE / max(picture.size)
    picture = picture.resize((round(scale * picture.width), round(scale * picture.height)), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(picture)
    for margin, width, shade in ((4, 5, "white"), (3, 3, color)):
        low = [max(0, round(scale * value) - margin) for value in box[:2]]
        high = [min(side, round(scale * value) + margin) - 1 for value, side in zip(box[2:], picture.size, strict=True)]
        draw.rectangle((*low, *high), outline=shade, width=width)
    kinds = [(expression.needed, "needed"), (expression.redundant, "added")]
    note = "; ".join(f"{', '.join(names)} {role}" for names, role in kinds if names) or "category only"
    lines = [(line, INK, 16, 20) for line in textwrap.wrap(expression.text, 33)]
    lines += [(line, color, 12, 16) for line in textwrap.wrap(f"{name}: {note}", 44)]
    cell = Image.new("RGB", (SIDE, SIDE + 6 + sum(line[3] for line in lines)), PAGE)
    cell.paste(picture, (0, SIDE - picture.height))
    y = SIDE + 6
    for text, ink, size, height in lines:
        ImageDraw.Draw(cell).text((0, y), text, ink, ImageFont.load_default(size=size))
        y += height
    return cell


if __name__ == "__main__":
    main(2 if sys.argv[1:] == ["2"] else 1)
