"""Draw docs/img/grounding.png: phrases that the shipped grounder grounds in MojiRef scenes.

    python docs/make_grounding_picture.py MOJIREF

MOJIREF is a folder that `aligncat data mojiref` wrote. The picture shows the first four scenes of val, not picked by
hand, each with the first phrase about every referent.
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
    """Draw the scenes side by side."""
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
