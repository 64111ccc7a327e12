"""A small model learns relations from pairs of images and phrases alone, and chooses by them.

Scenes hold five objects of six kinds. A phrase has three words: the kind of the referent, a relation, and the kind of a
second object. In half of the training scenes, another object has the referent's kind, but not the relation; in the
others, the phrase says more than is needed. In all scenes of the tests there is such an object.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from aligncat.alignment.config import AlignmentConfig, Context, Sizes
from aligncat.alignment.inputs import ImageTensors, Labels
from aligncat.alignment.model import AlignmentModel
from aligncat.alignment.result import Alignment

KINDS, SLOTS, SIDE = 6, 5, 0.08
LEFT, RIGHT, NEAR = RELATIONS = range(3)
WORDS = KINDS + len(RELATIONS)  # a word's feature: which word it is, then its place in the phrase
SIZES = Sizes(visual_dim=KINDS, text_dim=WORDS + 3, classes=KINDS)


class Scenes(NamedTuple):
    kinds: Tensor
    boxes: Tensor
    phrases: Tensor
    referent: Tensor

    def align(self, model: AlignmentModel) -> Alignment:
        words = torch.cat([torch.eye(WORDS)[self.phrases], torch.eye(3).expand(len(self.phrases), 3, 3)], dim=-1)
        there = torch.ones(len(words), 3, dtype=torch.bool)
        valid = torch.ones(self.kinds.shape, dtype=torch.bool)
        sentences, confidences = words[:, :2].sum(dim=1), torch.ones(self.kinds.shape)
        images = ImageTensors(torch.eye(KINDS)[self.kinds], self.kinds, valid, confidences, self.boxes)
        aligned: Alignment = model(images, sentences, words, there, self.labels)
        return aligned

    @property
    def labels(self) -> Labels:
        """Both kinds, and no place in an order."""
        return Labels(self.phrases[:, 0], self.phrases[:, 2], torch.full((len(self.phrases),), -1))

    def pick(self, rows: Tensor) -> Scenes:
        return Scenes(*(tensor[rows] for tensor in self))


def holds(relation: Tensor, offset: Tensor, *, clearly: bool) -> Tensor:
    """Whether a relation holds (or, not clearly, may hold) for an offset from the second object, (n, 2)."""
    margin, reach = (0.1, 0.25) if clearly else (-0.1, 0.4)
    ways = torch.stack([-offset[:, 0] > margin, offset[:, 0] > margin, offset.norm(dim=1) < reach], dim=1)
    return ways.gather(1, relation[:, None])[:, 0]


def make_scenes(count: int, seed: int, *, needed: bool) -> Scenes:
    draw = torch.Generator().manual_seed(seed)
    order = torch.rand(count, KINDS, generator=draw).argsort(dim=1)
    kinds = order[:, :SLOTS].clone()  # the referent, the second object, and three others
    twin = torch.ones(count, dtype=torch.bool) if needed else torch.arange(count) % 2 == 0
    kinds[:, 2] = torch.where(twin, kinds[:, 0], kinds[:, 2])
    relation = torch.randint(0, len(RELATIONS), (count,), generator=draw)
    corners = torch.rand(count, SLOTS, 2, generator=draw) * (1 - SIDE)
    offsets = corners - corners[:, 1:2]
    usable = holds(relation, offsets[:, 0], clearly=True) & ~(twin & holds(relation, offsets[:, 2], clearly=False))
    shuffled = torch.rand(count, SLOTS, generator=draw).argsort(dim=1)
    scenes = Scenes(
        kinds=kinds.gather(1, shuffled),
        boxes=torch.cat([corners, corners + SIDE], dim=-1).gather(1, shuffled[..., None].expand(-1, -1, 4)),
        phrases=torch.stack([kinds[:, 0], KINDS + relation, kinds[:, 1]], dim=1),
        referent=(shuffled == 0).int().argmax(dim=1),
    )
    return scenes.pick(usable.nonzero()[:, 0])


def train(context: Context) -> AlignmentModel:
    torch.manual_seed(0)
    config = AlignmentConfig(dim=16, negatives_per_image=2, context=context)
    model = AlignmentModel(config, SIZES).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    scenes, batch = make_scenes(12_000, 1, needed=False), 32
    draw = torch.Generator().manual_seed(2)
    for _ in range(600):
        part = scenes.pick(torch.randint(0, len(scenes.kinds), (batch,), generator=draw))
        valid = torch.ones_like(part.kinds, dtype=torch.bool)
        loss = model.losses(part.align(model), valid, torch.arange(batch), part.labels)["total"]
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return model.eval()


@pytest.fixture(scope="module")
def model() -> AlignmentModel:
    return train("relations")


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return make_scenes(2_000, 3, needed=True)


def right(aligned: Alignment, scenes: Scenes, relation: int) -> float:
    of_relation = scenes.phrases[:, 1] == KINDS + relation
    return (aligned.choice == scenes.referent)[of_relation].float().mean().item()


def test_relations_choose_between_two_objects_of_one_kind(model: AlignmentModel, scenes: Scenes) -> None:
    aligned = scenes.align(model)
    assert all(right(aligned, scenes, relation) > 0.9 for relation in RELATIONS)


@pytest.mark.slow
def test_without_relations_the_choice_between_them_is_a_guess(scenes: Scenes) -> None:
    aligned = scenes.align(train("none"))
    assert all(right(aligned, scenes, relation) < 0.65 for relation in RELATIONS)


def test_in_a_mirrored_scene_left_and_right_change_places(model: AlignmentModel, scenes: Scenes) -> None:
    """Only the boxes are mirrored. The object that lies left of the second one now lies right of it."""
    left, top, r, bottom = scenes.boxes.unbind(dim=-1)
    mirrored = scenes._replace(boxes=torch.stack([1 - r, top, 1 - left, bottom], dim=-1))
    aligned = mirrored.align(model)
    assert right(aligned, scenes, LEFT) < 0.1 and right(aligned, scenes, RIGHT) < 0.1
    assert right(aligned, scenes, NEAR) > 0.9


def test_the_weight_of_objects_is_on_the_second_noun(model: AlignmentModel, scenes: Scenes) -> None:
    weights = scenes.align(model).object_weights
    assert weights is not None
    named = scenes.kinds == scenes.phrases[:, 2:]
    assert (weights * named).sum(dim=1).mean() > 0.9
