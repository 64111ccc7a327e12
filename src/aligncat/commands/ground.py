"""`aligncat ground`: find the objects that phrases refer to in an image."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from aligncat.errors import ConfigError, DataError, ImageError
from aligncat.files.locks import remove_left
from aligncat.files.writable import check_writable

if TYPE_CHECKING:
    from aligncat.grounder.grounding import Grounding

logger = logging.getLogger(__name__)


def ground(
    image: str | Path,
    expressions: list[str],
    *,
    grounder: str | Path | None = None,
    detector: str | Path | None = None,
    text_encoder: str | Path | None = None,
    device: str | None = None,
    overlay: str | Path | None = None,
    several: bool = False,
    min_match: float | None = None,
) -> list[Grounding]:
    """Find the objects that phrases refer to in an image, and print them as JSON.

    Args:
        image: the image file.
        expressions: one or more phrases, each in quotes if it contains spaces. The detector runs once for all of them.
        grounder: a folder that `aligncat train` wrote, a hub name, or "training-free" for the grounder that needs a
            detector but no training; by default the shipped one, which knows the drawings of MojiRef, not photos.
        detector: the folder or hub name of the grounder's detector, if it has moved since training; the detector of
            "training-free".
        text_encoder: the folder or hub name of the grounder's frozen transformer, if it has moved since training.
        device: the device: "cpu", "cuda", "cuda:1", "mps" and so on; by default an accelerator if there is one.
        overlay: an image file to write: the input with boxes, masks and phrases drawn on it.
        several: answer a phrase for several objects, such as "both dogs", with all of them ("answers").
        min_match: leave out phrases whose match is lower, from 0 to 1. Match is the probability that the image has
            what the phrase says.

    Returns:
        One grounding per phrase that was not left out.

    Raises:
        ImageError: the image cannot be read.
        DataError: a phrase has no words, or is a second image.
        ConfigError: the grounder does not exist, the device is not available, the overlay cannot be written,
            `min_match` is not from 0 to 1, or the grounder has no match and is asked for it or for several answers.
        DetectorError: the detector cannot be loaded.
    """
    if min_match is not None and not 0 <= min_match <= 1:
        raise ConfigError(f"--min_match is {min_match}: give a probability from 0 to 1")
    overlay = None if overlay is None else Path(overlay)
    if overlay is not None:
        _check_overlay(overlay)
    from aligncat.detectors.device import check_device, default_device
    from aligncat.files.given_images import as_rgb
    from aligncat.grounder.folder import SHIPPED
    from aligncat.grounder.grounder import Grounder
    from aligncat.grounder.matcher import required_matcher
    from aligncat.grounder.overlay import draw_groundings, save_picture
    from aligncat.wording import visible_json

    chosen_device = device or default_device()
    check_device(chosen_device)
    for expression in expressions:
        _refuse_image(expression, image)
    picture = as_rgb(image)
    loaded = Grounder.from_pretrained(
        grounder or SHIPPED, device=chosen_device, detector=detector, text_encoder=text_encoder
    )
    if several or min_match is not None:
        required_matcher(loaded.matcher)
    found = loaded.ground(picture, expressions, several=several)
    if min_match is not None:
        found = [grounding for grounding in found if _matches(grounding, min_match)]
    if overlay is not None:
        remove_left(overlay.parent)
        save_picture(draw_groundings(picture, found), overlay)
    text = json.dumps([grounding.to_dict() for grounding in found], indent=2, ensure_ascii=False, allow_nan=False)
    print(visible_json(text))
    return found


def _matches(grounding: Grounding, min_match: float) -> bool:
    """Return whether a grounding's match is high enough; otherwise log that nothing matches."""
    match = grounding.match or 0.0
    if match < min_match:
        logger.warning("%s: nothing matches: match %.2f", grounding.expression, match)
    return match >= min_match


def _refuse_image(expression: str, image: str | Path) -> None:
    """Refuse a phrase that names an image file, since a verb for one image would take a second one for a phrase.

    Raises:
        DataError: the phrase ends in the suffix of an image, or is the path of a file that Pillow knows.
    """
    from PIL import Image

    path = Path(expression)
    if path.suffix.lower() in {*Image.registered_extensions(), ".heic", ".heif"} or _is_image(path):
        raise DataError(
            f"{expression} is an image, not a phrase, and {image} is given already; run the command once for each image"
        )


def _is_image(path: Path) -> bool:
    from aligncat.files.images import open_header

    try:
        if not path.is_file():
            return False
        with path.open("rb") as file, open_header(file, str(path)):
            return True
    except (ImageError, OSError):
        return False


def _check_overlay(path: Path) -> None:
    """Check that Pillow can write a file, before the slow work starts.

    Raises:
        ConfigError: the folder does not exist, or the suffix names no format that Pillow can write.
    """
    from PIL import Image

    if not path.parent.is_dir():
        raise ConfigError(f"{path}: the folder {path.parent} does not exist; create it first")
    check_writable(path.parent)
    if Image.registered_extensions().get(path.suffix.lower()) not in Image.SAVE:
        raise ConfigError(f"{path}: no image format that can be written has this suffix; use .png, for example")
