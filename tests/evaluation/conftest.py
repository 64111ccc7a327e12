"""A small image with overlaps computed by hand, and stores of candidates."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from helpers.descriptions import detector_description

from aligncat.datasets.split import Split
from aligncat.evaluation.overlaps import AnnotatedObjects, Overlaps
from aligncat.geometry import encode_mask
from aligncat.store.ids import ids_sha256
from aligncat.store.manifest import FORMAT, Manifest
from aligncat.store.reader import Store
from aligncat.store.writer import StoreWriter
from aligncat.types import Candidates, Expression, Truth

LABELS = ("person", "dog", "cat")
WIDTH, HEIGHT = 20, 10


@pytest.fixture
def make_store(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Sequence[Candidates]], Store]:
    """Return a function that writes the candidates of some images as a store and opens it."""

    def make(images: Sequence[Candidates]) -> Store:
        manifest = Manifest(
            format=FORMAT,
            detector=detector_description(),
            labels=LABELS,
            feature_dim=4,
            candidates=max([len(image) for image in images], default=1),
            images=len(images),
            image_ids_sha256=ids_sha256([image.image_id for image in images]),
            shard_size=5,
            environment={},
        )
        folder = tmp_path_factory.mktemp("store")
        writer = StoreWriter.open(folder, manifest)
        for shard in writer.missing():
            writer.write(shard, [images[place] for place in manifest.images_of(shard)])
        writer.finish()
        return Store.open(folder)

    return make


def candidates_of(image_id: str, boxes: Sequence[Sequence[int]], categories: Sequence[str]) -> Candidates:
    """Return candidates whose masks fill their boxes."""
    count = len(boxes)
    return Candidates(
        image_id=image_id,
        width=WIDTH,
        height=HEIGHT,
        features=np.zeros((count, 4), dtype=np.float16),
        queries=np.arange(count, dtype=np.int32),
        categories=np.array([LABELS.index(name) for name in categories], dtype=np.int32),
        confidences=np.linspace(0.9, 0.5, count, dtype=np.float32),
        boxes=np.array(boxes, dtype=np.float32).reshape(count, 4),
        masks=tuple(encode_mask(filled(box)) for box in boxes),
    )


def filled(box: Sequence[int]) -> np.ndarray:
    x1, y1, x2, y2 = box
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[y1:y2, x1:x2] = True
    return mask


def truth_of(box: Sequence[int], category: str | None, *, mask: bool = True) -> Truth:
    return Truth.of_one(np.array(box, dtype=np.float64), encode_mask(filled(box)) if mask else None, category)


def split_of(expressions: Sequence[Expression]) -> Split:
    return Split("toy", "val", "unc", {}, tuple(expressions))


@pytest.fixture
def make() -> object:
    """The builders above, for tests that make their own overlaps."""

    class Make:
        candidates = staticmethod(candidates_of)
        truth = staticmethod(truth_of)
        split = staticmethod(split_of)

    return Make


LEFT, RIGHT, TOP_LEFT, ALL = (0, 0, 10, 10), (10, 0, 20, 10), (0, 0, 10, 5), (0, 0, 20, 10)

EXPRESSIONS = (
    Expression("e1", "left person", "i1", "person", kind="category", redundant=("place",)),
    Expression("e2", "left person", "i1", "red person", kind="color", needed=("color",)),
    Expression("e3", "right dog", "i1", "dog on the right", kind="color", needed=("color",), redundant=("place",)),
    Expression("e4", "both", "i1", "the two"),
)
TRUTH = {
    "left person": truth_of(LEFT, "person"),
    "right dog": truth_of(RIGHT, "dog"),
    "both": truth_of(ALL, "person"),
}
# Computed by hand for 20 x 10 pixels. IoU: left person 1, 0, 50/100; right dog 0, 1, 0; both 1/2, 1/2, 1/4.
CANDIDATES = candidates_of("i1", [LEFT, RIGHT, TOP_LEFT], ["person", "person", "dog"])


@pytest.fixture
def by_hand(make_store: Callable[[Sequence[Candidates]], Store]) -> Callable[..., Overlaps]:
    """Return a function that makes the overlaps of the image above, optionally with its annotated objects."""

    def build(objects: AnnotatedObjects | None = None) -> Overlaps:
        return Overlaps.of(make_store([CANDIDATES]), split_of(EXPRESSIONS), TRUTH, objects=objects)

    return build
