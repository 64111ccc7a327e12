"""Pictures: each photo with the boxes, masks and phrases of its answers drawn on it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from aligncat.files.given_images import as_rgb
from aligncat.grounder.overlay import draw_groundings, save_picture
from aligncat.grounder.writers.answer_set import AnswerSet


def write_overlays(answers: AnswerSet, out: Path) -> None:
    """Draw the answers of each photo into NAME.png. A picture that is there already is not drawn again.

    Args:
        answers: the answers.
        out: the folder.

    Raises:
        ImageError: a photo can no longer be read.
    """
    paths = {request.name: request.path for request in answers.requests}
    for photo in answers.photos():
        picture = out / PurePosixPath(photo.name).with_suffix(".png")
        if not picture.exists():
            picture.parent.mkdir(parents=True, exist_ok=True)
            save_picture(draw_groundings(as_rgb(paths[photo.name]), photo.groundings), picture)
