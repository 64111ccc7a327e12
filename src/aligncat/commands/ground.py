"""aligncat ground: find what phrases mean in one image."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from aligncat.detectors.device import default_device
from aligncat.errors import ConfigError
from aligncat.files.images import read_image
from aligncat.grounder.folder import SHIPPED
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.overlay import draw_groundings
from aligncat.grounder.plain import to_json
from aligncat.types import Grounding


def ground(
    image: Path,
    expressions: list[str],
    *,
    grounder: str = str(SHIPPED),
    detector: str | None = None,
    text_encoder: str | None = None,
    device: str | None = None,
    overlay: Path | None = None,
) -> list[Grounding]:
    """Find the objects that phrases mean in one image, and print them as JSON.

    Args:
        image: the photo.
        expressions: one or more phrases; all share one pass of the detector.
        grounder: a folder that `aligncat train` wrote, or a hub name; by default the one that is shipped, which knows
            MojiRef's drawings and no photos.
        detector: where the grounder's detector is now, if not where it was in training: a folder or hub name.
        text_encoder: the same for a frozen transformer that reads its phrases.
        device: where to compute: "cpu", "cuda", "cuda:1", "mps" and so on; by default an accelerator if there is one.
        overlay: a picture to write with the boxes, masks and phrases drawn on the photo.

    Returns:
        One grounding for each phrase.

    Raises:
        ImageError: the image cannot be read.
        DataError: a phrase has no words.
        ConfigError: there is no such grounder or device, or the overlay cannot be written there.
        DetectorError: its detector cannot be loaded.
    """
    if overlay is not None:
        _check_overlay(overlay)
    picture = read_image(image)
    loaded = Grounder.from_pretrained(
        grounder, device=device or default_device(), detector=detector, text_encoder=text_encoder
    )
    found = loaded.ground(picture, expressions)
    if overlay is not None:
        draw_groundings(picture, found).save(overlay)
    text = json.dumps([to_json(grounding) for grounding in found], indent=2, ensure_ascii=False, allow_nan=False)
    print(text)
    return found


def _check_overlay(path: Path) -> None:
    """Find out before the slow work whether Pillow can write it."""
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: there is no folder {path.parent}; make it first")
    if Image.registered_extensions().get(path.suffix.lower()) not in Image.SAVE:
        raise ConfigError(f"{path}: its suffix names no image format that can be written; .png is one")
