from __future__ import annotations

import pytest

from aligncat.datasets.categories import ALIASES, COCO_CATEGORIES, COCO_NAMES, canonical_category, category_index
from aligncat.errors import DetectorError

# COCO's names with the spellings of VOC and darknet.
DARKNET = [*COCO_NAMES]
for place, spelling in {
    3: "motorbike",
    4: "aeroplane",
    57: "sofa",
    58: "pottedplant",
    60: "diningtable",
    62: "tvmonitor",
}.items():
    DARKNET[place] = spelling


def test_coco_has_80_categories_in_the_order_of_their_ids() -> None:
    assert len(COCO_NAMES) == len(set(COCO_NAMES)) == 80
    assert list(COCO_CATEGORIES) == sorted(COCO_CATEGORIES)
    assert (COCO_NAMES[0], COCO_NAMES[11], COCO_NAMES[79]) == ("person", "stop sign", "toothbrush")
    assert set(range(1, 91)) - set(COCO_CATEGORIES) == {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}


def test_coco_names_and_darknet_labels_have_the_same_indices() -> None:
    assert [category_index(name, DARKNET) for name in COCO_NAMES] == list(range(80))
    assert [category_index(name, COCO_NAMES) for name in DARKNET] == list(range(80))


@pytest.mark.parametrize("name", ["Dining Table", "dining_table", "dining-table", "diningtable", " dining table "])
def test_case_and_spaces_do_not_matter(name: str) -> None:
    assert category_index(name, COCO_NAMES) == COCO_NAMES.index("dining table")


def test_every_alias_stands_for_a_coco_name() -> None:
    assert set(ALIASES.values()) <= set(COCO_NAMES)
    assert not {canonical_category(alias) for alias in ALIASES} - {canonical_category(n) for n in COCO_NAMES}


def test_no_two_coco_names_share_a_key() -> None:
    assert len({canonical_category(name) for name in COCO_NAMES}) == 80


def test_an_unknown_category_is_an_error_with_a_remedy() -> None:
    with pytest.raises(DetectorError, match=r"no category 'zebra' among its 2 labels.*Use a detector trained on"):
        category_index("zebra", ["dog", "cat"])
    with pytest.raises(DetectorError, match=r"closest labels: 'dog'"):
        category_index("dogs", ["dog", "cat"])


def test_the_exact_label_wins_if_a_detector_has_two_spellings() -> None:
    assert category_index("sofa", ["couch", "sofa"]) == 1
    assert category_index("couch", ["couch", "sofa"]) == 0
    with pytest.raises(DetectorError, match="'couch', 'sofa'"):
        category_index("Sofa", ["couch", "sofa"])
