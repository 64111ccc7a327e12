"""Draw docs/img/mojiref.jpg: the first scenes of MojiRef's val, each with one phrase and the referent's box.

python docs/make_contact_sheet.py
"""

from __future__ import annotations

import tempfile
import textwrap
from pathlib import Path

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
PAGE, INK = "#ffffff", "#1c1c1c"
OUT = Path(__file__).parent / "img" / "mojiref.jpg"


def main() -> None:
    """Generate the scenes in a temporary folder and draw the sheet."""
    cells = []
    with tempfile.TemporaryDirectory() as folder:
        root = make_mojiref(out=Path(folder) / "mojiref", recipe=MojiRefConfig(train=0, val=2 * COLUMNS * ROWS, test=0))
        configs = {name: DataConfig(root, name) for name in FLAVOURS}
        splits = {name: load_split(config, "val") for name, config in configs.items()}
        truths = {name: load_truth(config, "val") for name, config in configs.items()}
        shared = [i for i in splits["mojiref"].images if all(i in split.images for split in splits.values())]
        rng = np.random.default_rng(0)
        for number, image_id in enumerate(shared[: COLUMNS * ROWS]):
            flavour = list(FLAVOURS)[number % len(FLAVOURS)]
            phrases = [e for e in splits[flavour].expressions if e.image_id == image_id]
            expression = phrases[rng.integers(len(phrases))]
            with Image.open(splits[flavour].images[image_id].path) as picture:
                cells.append(_cell(picture, flavour, expression, truths[flavour][expression.referent_id].box))
    rows = [cells[start : start + COLUMNS] for start in range(0, len(cells), COLUMNS)]
    heights = [max(cell.height for cell in row) for row in rows]
    sheet = Image.new("RGB", (GAP + COLUMNS * (SIDE + GAP), sum(heights) + GAP * (ROWS + 1)), PAGE)
    for number, row in enumerate(rows):
        for column, cell in enumerate(row):
            sheet.paste(cell, (GAP + column * (SIDE + GAP), sum(heights[:number]) + GAP * (number + 1)))
    OUT.parent.mkdir(exist_ok=True)
    sheet.save(OUT, quality=88, optimize=True)


def _cell(picture: Image.Image, flavour: str, expression: Expression, box: np.ndarray) -> Image.Image:
    """Return a picture of one scene with the phrase and its kinds of attributes below."""
    name, color = FLAVOURS[flavour]
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
    main()
