"""The rows of a batch are those of the store and the split."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.tiny_run import World

from aligncat.alignment.inputs import ImageTensors
from aligncat.alignment.orders import order_index
from aligncat.datasets.lexicon import Lexicon
from aligncat.datasets.load import load_split
from aligncat.datasets.split import Split
from aligncat.errors import DetectorError, StoreError
from aligncat.grounder.batches import SplitTensors
from aligncat.grounder.exported_files import INPUTS
from aligncat.grounder.images import Images
from aligncat.language.vocabulary import PAD, Vocabulary


@pytest.fixture
def split(world: World) -> Split:
    return load_split(world.data, "val")


def tensors_of(world: World, split: Split, *, with_labels: bool = True, max_length: int = 8) -> SplitTensors:
    vocabulary = Vocabulary.from_expressions(expression.text for expression in split.expressions)
    return SplitTensors(split, world.open(), vocabulary, max_length=max_length, with_labels=with_labels)


def test_rows_are_the_candidates_of_the_expressions_images(world: World, split: Split) -> None:
    rows = [5, 0, 11, 5]
    store = world.open()
    batch = tensors_of(world, split).gather(rows)
    assert batch.rows.tolist() == rows
    for place, row in enumerate(rows):
        expression = split.expressions[row]
        found = store.candidates(expression.image_id)
        count = len(found)
        images = batch.images
        assert images.valid[place].tolist() == [True] * count + [False] * (images.valid.shape[1] - count)
        assert torch.equal(images.features[place, :count], torch.from_numpy(found.features.copy()))
        assert images.categories[place, :count].tolist() == found.categories.tolist()
        assert images.confidences[place, :count].tolist() == found.confidences.tolist()
        assert store.labels[batch.labels.category[place]] == expression.category
        shares = found.boxes / [found.width, found.height, found.width, found.height]
        np.testing.assert_allclose(images.boxes[place, :count], shares, rtol=1e-6)
        assert images.boxes.dtype == torch.float32 and not images.boxes[place, count:].any()


def test_a_derived_category_that_the_detector_lacks_gives_no_label(world: World, split: Split) -> None:
    first, second, *rest = split.expressions
    expressions = (replace(first, category="forklift", derived=True), replace(second, derived=True), *rest)
    tensors = tensors_of(world, replace(split, expressions=expressions))
    assert tensors.gather([0]).labels.category.tolist() == [-1]
    assert world.open().labels[tensors.gather([1]).labels.category] == second.category
    assert tensors.labelled == len(expressions) - 1
    with pytest.raises(DetectorError, match="forklift"):
        tensors_of(world, replace(split, expressions=(replace(first, category="forklift"), *rest)))


def test_second_labels_are_the_categories_of_the_second_objects(world: World, split: Split) -> None:
    store = world.open()
    first, second, third, fourth, *rest = split.expressions
    texts = (
        f"thing left of the {store.labels[1]}",
        store.labels[0],
        f"{store.labels[0]} on the zeppelin",
        "cat on bed",
    )
    changed = [replace(each, text=text) for each, text in zip((first, second, third, fourth), texts, strict=True)]
    split = replace(split, expressions=(*changed, *rest))
    vocabulary = Vocabulary.from_expressions(["dog"])
    tensors = SplitTensors(
        split, store, vocabulary, max_length=8, with_labels=False, lexicon=Lexicon.load(categories=store.labels)
    )
    assert "bed" not in store.labels
    assert tensors.gather(range(4)).labels.second_category.tolist() == [1, -1, -1, -1]
    assert tensors_of(world, split).gather(range(4)).labels.second_category.tolist() == [-1] * 4


def test_order_labels_are_the_places_that_phrases_count(world: World, split: Split) -> None:
    texts = ("second dog from right", "leftmost dog", "left dog", "dog")
    first = split.expressions[: len(texts)]
    changed = [replace(each, text=text) for each, text in zip(first, texts, strict=True)]
    split = replace(split, expressions=(*changed, *split.expressions[len(texts) :]))
    store, vocabulary = world.open(), Vocabulary.from_expressions(["dog"])
    lexicon = Lexicon.load(categories=store.labels)
    tensors = SplitTensors(split, store, vocabulary, max_length=8, with_labels=False, lexicon=lexicon)
    assert tensors.gather(range(4)).labels.order.tolist() == [order_index("right", 1), order_index("left", 0), -1, -1]
    assert tensors_of(world, split).gather(range(4)).labels.order.tolist() == [-1] * 4


def test_image_index_is_equal_only_within_an_image(world: World, split: Split) -> None:
    index = tensors_of(world, split).gather(range(len(split.expressions))).image_index.tolist()
    ids = [expression.image_id for expression in split.expressions]
    for one, first in zip(index, ids, strict=True):
        for other, second in zip(index, ids, strict=True):
            assert (one == other) == (first == second)


def test_tokens_are_padded_to_the_longest_expression_of_the_batch(world: World, split: Split) -> None:
    lengths = [len(expression.text.split()) for expression in split.expressions]
    short, long = lengths.index(2), lengths.index(5)
    tensors = tensors_of(world, split)
    assert tensors.gather([short]).tokens.shape == (1, 2)
    both = tensors.gather([short, long]).tokens
    assert both.shape == (2, 5)
    assert (both[0] == PAD).tolist() == [False, False, True, True, True]
    assert tensors_of(world, split, max_length=3).gather([long]).tokens.shape == (1, 3)


def test_batches_hold_every_expression_once_in_order(world: World, split: Split) -> None:
    batches = list(tensors_of(world, split).batches(7))
    assert [len(batch.rows) for batch in batches] == [7, 7, 2]
    assert torch.cat([batch.rows for batch in batches]).tolist() == list(range(16))


def test_without_labels_every_label_is_unknown(world: World, split: Split) -> None:
    tensors = tensors_of(world, split, with_labels=False)
    assert tensors.labelled == 0
    assert set(tensors.gather(range(16)).labels.category.tolist()) == {-1}


def test_an_expression_without_a_category_has_no_label(world: World, split: Split) -> None:
    first, *rest = split.expressions
    tensors = tensors_of(world, replace(split, expressions=(replace(first, category=None), *rest)))
    assert tensors.labelled == 15
    assert tensors.gather([0]).labels.category.tolist() == [-1]


def test_a_category_that_the_detector_lacks_is_named(world: World, split: Split) -> None:
    first, *rest = split.expressions
    odd = replace(split, expressions=(replace(first, category="unicorn"), *rest))
    with pytest.raises(DetectorError, match="no category 'unicorn'"):
        tensors_of(world, odd)
    tensors_of(world, odd, with_labels=False)  # categories are not read


def test_an_image_that_the_store_lacks_is_named(world: World, split: Split) -> None:
    first, *rest = split.expressions
    with pytest.raises(StoreError, match="'nowhere' is not in the store"):
        tensors_of(world, replace(split, expressions=(replace(first, image_id="nowhere"), *rest)))


def test_arrays_tensors_and_exported_inputs_of_images_have_one_order() -> None:
    assert Images._fields == ImageTensors._fields == INPUTS[:-1]
