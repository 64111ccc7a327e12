"""Makes docs/img/grounding.png: phrases grounded by the shipped grounder in scenes of a MojiRef.

    python docs/make_grounding_picture.py MOJIREF

The scenes are the first four of val, not picked by hand; each gets its first phrase about every referent.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import load_split
from aligncat.grounder.folder import SHIPPED
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.overlay import draw_groundings

TILE, GAP, COLUMNS = 480, 12, 4


def main() -> None:
    split = load_split(DataConfig(path=Path(sys.argv[1]), dataset="mojiref"), "val")
    grounder = Grounder.from_pretrained(SHIPPED)
    sheet = Image.new("RGB", (COLUMNS * (TILE + GAP) + GAP, TILE + 2 * GAP), "white")
    for column, record in enumerate(list(split.images.values())[:COLUMNS]):
        phrases: dict[str, str] = {}
        for expression in split.expressions:
            if expression.image_id == record.id:
                phrases.setdefault(expression.referent_id, expression.text)
        with Image.open(record.path) as file:
            image = file.convert("RGB")
        tile = draw_groundings(image, grounder.ground(image, list(phrases.values())))
        tile.thumbnail((TILE, TILE), Image.Resampling.LANCZOS)
        sheet.paste(tile, (GAP + column * (TILE + GAP) + (TILE - tile.width) // 2, GAP + (TILE - tile.height) // 2))
    sheet.quantize(192).save(Path(__file__).parent / "img" / "grounding.png", optimize=True)


if __name__ == "__main__":
    main()
