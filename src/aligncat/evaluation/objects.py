"""Every object that a dataset annotates, which tells of what category the object in a wrong box is."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from aligncat.datasets.formats.refer import Instances
from aligncat.datasets.rows import as_mapping, required_id, required_list
from aligncat.errors import DataError
from aligncat.geometry import xywh_to_xyxy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from aligncat.datasets.config import DataConfig
    from aligncat.datasets.split import Split


def load_objects(config: DataConfig, split: Split) -> dict[str, tuple[NDArray[np.float64], list[str]]]:
    """Read the objects of a split's images from instances.json. Evaluation only.

    Crowds are left out: their box is not one object's. A box without area stays, and overlaps nothing.

    Args:
        config: where the dataset is.
        split: which images.

    Returns:
        image id -> boxes, (n, 4) xyxy pixels, and n category names. Empty where the format tells of the referents
        alone.

    Raises:
        DataError: instances.json is missing or not as COCO's format asks.
    """
    if config.file_format not in ("refer", "coco-csv"):
        return {}
    instances = Instances.read(config)
    found: dict[str, list[tuple[list[float], str]]] = defaultdict(list)
    for number, value in enumerate(required_list(instances.document, "annotations", str(instances.path))):
        where = f"{instances.path}: annotations[{number}]"
        row = as_mapping(value, where)
        image_id = required_id(row, "image_id", where)
        if image_id in split.images and not row.get("iscrowd"):
            found[image_id].append((_box(row, where), instances.category_name(row, where)))
    return {
        image_id: (xywh_to_xyxy([box for box, _ in objects]), [name for _, name in objects])
        for image_id, objects in found.items()
    }


def _box(row: Mapping[str, object], where: str) -> list[float]:
    """COCO's x, y, width, height."""
    box = required_list(row, "bbox", where)
    numbers = [float(side) for side in box if isinstance(side, int | float)]
    if len(box) != 4 or len(numbers) != 4 or not np.isfinite(numbers).all():
        raise DataError(f"{where}: the box must be four finite numbers [x, y, width, height], not {box!r:.60}")
    return numbers
