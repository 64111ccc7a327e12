"""What the page says of a grounder before it is asked: what it finds, what it learned from, what it does not know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aligncat.datasets.known import known_dataset
from aligncat.detectors.known import known_detector
from aligncat.grounder.card_text import detector_name
from aligncat.grounder.photo_grounder import PhotoGrounder

_FOR_PHOTOS = "facebook/mask2former-swin-tiny-coco-instance"


@dataclass(frozen=True, slots=True)
class About:
    """What the page says of a grounder.

    Attributes:
        name: its name on this server.
        drawings: whether it knows drawings alone, so that its answers for photographs are worth nothing.
        facts: sentences.
        categories: what its detector finds.
        has_match: whether its answers have a `match`, without which there is no `several` and no `min_match`.
    """

    name: str
    drawings: bool
    facts: tuple[str, ...]
    categories: tuple[str, ...]
    has_match: bool


def about(grounders: Mapping[str, PhotoGrounder]) -> tuple[About, ...]:
    """Return what the page says of grounders, in order.

    Args:
        grounders: the grounders by name.
    """
    return tuple(_about(name, each) for name, each in grounders.items())


def advice(found: tuple[About, ...]) -> str | None:
    """Return how to start a page for photographs, if no grounder of this one knows any."""
    if not all(each.drawings for each in found):
        return None
    return f"aligncat page training-free --detector {_FOR_PHOTOS}"


def _about(name: str, grounder: PhotoGrounder) -> About:
    description = grounder.detector_description
    known = known_detector(description.name, description.weights_sha256)
    data = grounder.provenance.get("data")
    drawn = data is not None and known_dataset(data["dataset"]).photos == "mojiref"
    drawings = drawn or (known is not None and known.folder is not None)
    facts = tuple(_facts(grounder, drawings=drawings))
    return About(name, drawings, facts, tuple(grounder.labels), grounder.matcher is not None)


def _facts(grounder: PhotoGrounder, *, drawings: bool) -> list[str]:
    data = grounder.provenance.get("data")
    if grounder.alignment is None:
        learned = (
            "It is not trained: it takes the category from a lexicon, places and sizes from boxes, colours from pixels."
        )
    elif data:
        title = known_dataset(data["dataset"]).title or data["dataset"]
        learned = f"It learned from {data['expressions']:,} phrases about {data['images']:,} images of {title}."
    else:
        learned = "What it learned from is not recorded."
    found = (
        f"Its detector, {detector_name(grounder.detector_description.name)}, finds {len(grounder.labels)} categories."
    )
    match = (
        "It has no match: it always answers with an object, even if the photo shows nothing that fits."
        if grounder.matcher is None
        else "Its match says how probable it is that the photo shows what the phrase says."
    )
    limit = ["It knows the drawings of MojiRef, not photographs."] if drawings else []
    return [*limit, learned, found, match]
