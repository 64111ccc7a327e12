"""COCO's 80 categories and their other spellings; the mapping from a category's name to a detector's class index."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from functools import lru_cache

from aligncat.errors import DetectorError

# The ids have gaps, because COCO defined 91 categories and annotated 80 of them (arXiv:1405.0312, appendix II).
COCO_CATEGORIES: dict[int, str] = {
    1: "person",
    2: "bicycle",
    3: "car",
    4: "motorcycle",
    5: "airplane",
    6: "bus",
    7: "train",
    8: "truck",
    9: "boat",
    10: "traffic light",
    11: "fire hydrant",
    13: "stop sign",
    14: "parking meter",
    15: "bench",
    16: "bird",
    17: "cat",
    18: "dog",
    19: "horse",
    20: "sheep",
    21: "cow",
    22: "elephant",
    23: "bear",
    24: "zebra",
    25: "giraffe",
    27: "backpack",
    28: "umbrella",
    31: "handbag",
    32: "tie",
    33: "suitcase",
    34: "frisbee",
    35: "skis",
    36: "snowboard",
    37: "sports ball",
    38: "kite",
    39: "baseball bat",
    40: "baseball glove",
    41: "skateboard",
    42: "surfboard",
    43: "tennis racket",
    44: "bottle",
    46: "wine glass",
    47: "cup",
    48: "fork",
    49: "knife",
    50: "spoon",
    51: "bowl",
    52: "banana",
    53: "apple",
    54: "sandwich",
    55: "orange",
    56: "broccoli",
    57: "carrot",
    58: "hot dog",
    59: "pizza",
    60: "donut",
    61: "cake",
    62: "chair",
    63: "couch",
    64: "potted plant",
    65: "bed",
    67: "dining table",
    70: "toilet",
    72: "tv",
    73: "laptop",
    74: "mouse",
    75: "remote",
    76: "keyboard",
    77: "cell phone",
    78: "microwave",
    79: "oven",
    80: "toaster",
    81: "sink",
    82: "refrigerator",
    84: "book",
    85: "clock",
    86: "vase",
    87: "scissors",
    88: "teddy bear",
    89: "hair drier",
    90: "toothbrush",
}

COCO_NAMES: tuple[str, ...] = tuple(COCO_CATEGORIES.values())

# Names from PASCAL VOC and darknet, which the hub's COCO checkpoints use as labels, and common variants. Letter case,
# spaces, hyphens and underscores are ignored, so "dining_table" and "diningtable" need no entry.
ALIASES: dict[str, str] = {
    "motorbike": "motorcycle",
    "aeroplane": "airplane",
    "sofa": "couch",
    "tvmonitor": "tv",
    "television": "tv",
    "doughnut": "donut",
    "hair dryer": "hair drier",
    "mobile phone": "cell phone",
    "ski": "skis",
    "tennis racquet": "tennis racket",
    "fridge": "refrigerator",
}


def _squash(name: str) -> str:
    return name.casefold().translate({ord(character): None for character in " -_\t"})


_SQUASHED_ALIASES = {_squash(alias): _squash(name) for alias, name in ALIASES.items()}


def canonical_category(name: str) -> str:
    """Return a key that all spellings of a category share, such as "Motorbike" and "motorcycle".

    Args:
        name: a category's name in any spelling.

    Returns:
        COCO's spelling in lower case without spaces, hyphens and underscores; not for display.
    """
    squashed = _squash(name)
    return _SQUASHED_ALIASES.get(squashed, squashed)


@lru_cache(maxsize=8)
def _positions(labels: tuple[str, ...]) -> dict[str, list[int]]:
    positions: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        positions.setdefault(canonical_category(label), []).append(index)
    return positions


def category_index(name: str, labels: Sequence[str]) -> int:
    """Return a detector's class index for a category, whose spelling may differ from the detector's label.

    Args:
        name: the category's name in the dataset.
        labels: the detector's labels, in the order of its class indices.

    Raises:
        DetectorError: no label, or more than one, matches the category.
    """
    labels = tuple(labels)
    found = _positions(labels).get(canonical_category(name), [])
    if len(found) == 1:
        return found[0]
    if name in labels:
        return labels.index(name)
    if found:
        spellings = ", ".join(repr(labels[index]) for index in found)
        raise DetectorError(
            f"category {name!r} matches several of the detector's labels: {spellings}; use one of these spellings"
        )
    close = get_close_matches(name, labels, n=3)
    hint = f"; closest labels: {', '.join(map(repr, close))}" if close else ""
    raise DetectorError(
        f"the detector has no category {name!r} among its {len(labels)} labels{hint}. Use a detector trained on this "
        "dataset's categories, rename the category in the data, or remove its expressions from the data"
    )
