"""Facts about published detectors: what they were trained on, their licences, and what a model card must say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

MINI, MINI2 = "mini", "mini2"
"""The shipped detectors: of MojiRef, and of its version 2."""
OPENMOJI_CREDIT = (
    "OpenMoji: its training scenes are made of OpenMoji drawings, changed in colour, size and surroundings. All "
    "emojis designed by [OpenMoji](https://openmoji.org), the open-source emoji and icon project. License: "
    "[CC BY-SA 4.0](https://creativecommons.org/licenses/by-sa/4.0/)."
)


@dataclass(frozen=True, slots=True)
class KnownDetector:
    """Facts about the checkpoints whose name matches a pattern.

    Attributes:
        name: a glob pattern for the detector's name.
        folder: the checkpoint's folder in this package, if the package ships it.
        trained_on: its training images. Either the name of an image set that `aligncat audit` knows, such as
            "coco-train2017", or a description of images that are in no evaluation split.
        seen: the datasets whose photos it has seen in training, in every split.
        unseen: a glob pattern for the datasets of which it has seen no image.
        licence: one sentence about its licence for model cards, in Markdown. "{name}" stands for the detector's name.
        limit: one sentence about the weakness of its query features for model cards, in Markdown.
        credit: the attribution that model cards must contain, in Markdown.
        sha256: the hashes of the weights and of config.json in `folder`, as a `DetectorDescription` has them.
    """

    name: str
    folder: Path | None = None
    trained_on: str | None = None
    seen: tuple[str, ...] = ()
    unseen: str | None = None
    licence: str | None = None
    limit: str | None = None
    credit: str | None = None
    sha256: tuple[str, str] | None = None

    def has_not_seen(self, dataset: str) -> bool:
        """Return whether it is known that the detector has seen no image of a dataset in training."""
        return self.unseen is not None and fnmatchcase(dataset, self.unseen)


_CC_BY_NC = (
    "The detector {name} is not in this folder; its weights are "
    "[CC BY-NC 4.0](https://creativecommons.org/licenses/by-nc/4.0/), so the two together may only be used for "
    "non-commercial purposes."
)
_SHIPPED = {
    MINI: (
        "798501df3ca8b7a62218d485b3979e4ef4857329913e50515f3a4ef1ad2f14be",
        "29ac4eb09b68d8a8a650fea2669adae3212397599795b90c3d1082036397131c",
    ),
    MINI2: (
        "20858eb1093c752c5194d147e3b75e120d8180e5a9c8836727960f4e0345148d",
        "ffe936cd753b4b2393570947ae5e00182318373085f7c5faa1b614c58bef0fcf",
    ),
}
"""The hashes of the shipped detectors' weights and of their config.json."""

KNOWN_DETECTORS: tuple[KnownDetector, ...] = (
    *(
        KnownDetector(
            name=name,
            folder=Path(__file__).resolve().parents[1] / "assets" / f"{name}-detector",
            trained_on="MojiRef scenes made for the detector",
            unseen="*mojiref*",
            licence=f"The {name} detector ships with aligncat and was trained on drawings of OpenMoji.",
            limit=f"Colour is weak: the query features of the {name} detector carry little colour information, so "
            "phrases that name a colour are answered worse than phrases that name a position or a size.",
            credit=OPENMOJI_CREDIT,
            sha256=sha256,
        )
        for name, sha256 in _SHIPPED.items()
    ),
    KnownDetector(
        name="facebook/mask2former*coco*",
        trained_on="coco-train2017",
        seen=("refcoco", "refcoco+", "refcocog"),
        licence=_CC_BY_NC,
    ),
    KnownDetector(name="facebook/mask2former*", licence=_CC_BY_NC),
    # The COCO checkpoints of the other families, in which every image of train2014 was trained on, as their papers say.
    *(
        KnownDetector(name=name, trained_on="coco-train2017", seen=("refcoco", "refcoco+", "refcocog"))
        for name in (
            "facebook/maskformer-swin-*-coco",
            "tue-mps/coco_*_eomt_*",
            "tue-mps/eomt-dinov3-coco-*",
            "facebook/detr-resnet-*",
            "microsoft/conditional-detr-resnet-*",
            "Roboflow/rf-detr-seg-*",
            "Roboflow/rf-detr-base",
            "Roboflow/rf-detr-large",
            "Roboflow/rf-detr-medium",
            "Roboflow/rf-detr-small",
            "Roboflow/rf-detr-nano",
            "PekingU/rtdetr_*",
            "ustc-community/dfine*coco*",
            "Intellindust/DEIMv2_*_COCO",
            "SenseTime/deformable-detr*",
            "AnnaZhang/lwdetr*_coco",
        )
    ),
)
"""The first row whose pattern matches a name applies."""

HUB_DETECTORS: tuple[str, ...] = (
    *(f"facebook/mask2former-swin-{size}-coco-instance" for size in ("tiny", "small", "base", "base-IN21k", "large")),
    "facebook/maskformer-swin-base-coco",
    "tue-mps/coco_panoptic_eomt_large_640",
    "facebook/detr-resnet-50-panoptic",
    "Roboflow/rf-detr-seg-medium",
    "PekingU/rtdetr_r50vd",
    "ustc-community/dfine-xlarge-coco",
    "SenseTime/deformable-detr",
    "AnnaZhang/lwdetr_small_60e_coco",
)
"""Some COCO checkpoints on the Hugging Face hub."""

DETECTOR_NAMES = (*_SHIPPED, *HUB_DETECTORS)
"""The names to complete, and to guess what a misspelt one means."""


def known_detector(name: str, weights_sha256: str | None = None) -> KnownDetector | None:
    """Return the facts about a detector, or None if neither its name nor its weights are known.

    Args:
        name: its name.
        weights_sha256: the hash of its weights, if known, which tells a copy of a shipped detector by another name.
    """
    named = (known for known in KNOWN_DETECTORS if fnmatchcase(name, known.name))
    copied = (known for known in KNOWN_DETECTORS if known.sha256 is not None and known.sha256[0] == weights_sha256)
    return next(named, None) or next(copied, None)


def started_from_credits(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what a model card must say of the detectors that a training started from.

    Args:
        names: their names.

    Returns:
        Their credits, in Markdown, and the names of those whose weights are CC BY-NC 4.0.
    """
    known = {name: found for name in names if (found := known_detector(name)) is not None}
    credits = dict.fromkeys(each.credit for each in known.values() if each.credit is not None)
    return [*credits], [name for name, each in known.items() if "BY-NC" in (each.licence or "")]
