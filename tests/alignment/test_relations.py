"""Relations between candidates, by hand and against plain numpy."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from aligncat.alignment.box_geometry import (
    NEIGHBOUR_IOU,
    PLACE_DIM,
    box_iou_of_pairs,
    box_places,
    find_neighbours,
    pair_geometry,
)
from aligncat.alignment.config import GEOMETRY, AlignmentConfig, RelationPart, Sizes
from aligncat.alignment.inputs import ImageTensors, Labels
from aligncat.alignment.model import AlignmentModel
from aligncat.alignment.orders import ORDERS, order_index, places_in_orders
from aligncat.alignment.relations import (
    CATEGORY_WEIGHT,
    HIDDEN,
    ORDER_WEIGHT,
    RelationSpace,
    object_weights,
    read_loss,
    relation_score,
    relation_scores,
)
from aligncat.alignment.result import Alignment, Relations
from aligncat.geometry import SAME_OBJECT_IOU, box_iou

BATCH, SLOTS, WORDS = 5, 6, 4
SIZES = Sizes(visual_dim=7, text_dim=8, classes=3)
PLUS = AlignmentConfig(dim=8, keep=3, negatives_per_image=2, context="relations")


class Inputs:
    """Candidates and words of a batch; the third image has one candidate, the last has none."""

    def __init__(self, seed: int = 0) -> None:
        draw = torch.Generator().manual_seed(seed)
        self.valid = torch.arange(SLOTS) < torch.tensor([6, 4, 1, 5, 0])[:, None]
        low = torch.rand(BATCH, SLOTS, 2, generator=draw) * 0.7
        self.boxes = torch.cat([low, low + 0.05 + torch.rand(BATCH, SLOTS, 2, generator=draw) * 0.25], dim=-1)
        self.boxes[0, 1] = self.boxes[0, 0]  # one object, proposed twice
        self.boxes *= self.valid[..., None]
        self.features = torch.randn(BATCH, SLOTS, 7, generator=draw) * self.valid[..., None]
        self.categories = torch.randint(0, 3, (BATCH, SLOTS), generator=draw)
        self.words = torch.randn(BATCH, WORDS, 8, generator=draw)
        self.mask = torch.arange(WORDS) < torch.tensor([4, 1, 2, 3, 4])[:, None]
        self.second = torch.tensor([2, -1, 0, 1, 0])
        self.confidences = torch.rand(BATCH, SLOTS, generator=draw).sort(descending=True).values * self.valid
        self.orders = torch.tensor([order_index("left", 1), -1, order_index("top", 0), 6, -1])

    @property
    def images(self) -> ImageTensors:
        return ImageTensors(self.features, self.categories, self.valid, self.confidences, self.boxes)

    @property
    def labels(self) -> Labels:
        return Labels(self.categories[:, 0], self.second, self.orders)

    def relate(self, space: RelationSpace) -> Relations:
        relations: Relations = space(self.images, self.words, self.mask, self.labels)
        return relations

    def align(self, model: AlignmentModel) -> Alignment:
        aligned: Alignment = model(self.images, self.words[:, 0], self.words, self.mask, self.labels)
        return aligned


def space(without: RelationPart | None = None) -> RelationSpace:
    torch.manual_seed(0)
    return RelationSpace(replace(PLUS, context_without=without), SIZES)


def test_the_geometry_of_two_boxes_by_hand() -> None:
    # Centres (.2, .3) and (.5, .7): the offset to the first is (-.3, -.4), of length .5. The areas are .04 and .16.
    boxes = torch.tensor([[[0.1, 0.2, 0.3, 0.4], [0.3, 0.5, 0.7, 0.9]]])
    terms = {name: values[0, 0, 1].tolist() for name, values in pair_geometry(boxes).items()}
    assert terms["direction"] == pytest.approx([-0.3, -0.4, -0.6, -0.8, -1, -1, 0.6, 0.8])
    assert terms["distance"] == pytest.approx([0.5, 0.5 / (3 * (0.2 + 0.4))])
    assert terms["overlap"] == [0]
    assert terms["size"] == pytest.approx([math.log(0.25) / 3])


def test_the_geometry_of_empty_and_of_equal_boxes_is_finite() -> None:
    boxes = torch.tensor([[[0.0, 0.0, 0.0, 0.0], [0.2, 0.2, 0.2, 0.6], [0.1, 0.1, 0.4, 0.4], [0.1, 0.1, 0.4, 0.4]]])
    terms = pair_geometry(boxes)
    assert tuple(terms) == GEOMETRY
    assert all(values.isfinite().all() for values in terms.values())
    assert terms["direction"][0, 2, 3].tolist() == [0] * 8 and terms["overlap"][0, 2, 3].item() == 1


def test_the_iou_of_pairs_is_that_of_geometry() -> None:
    inputs = Inputs()
    found = box_iou_of_pairs(inputs.boxes)
    for row, boxes in enumerate(inputs.boxes.numpy()):
        np.testing.assert_allclose(found[row], box_iou(boxes, boxes), atol=1e-6)


def test_neighbours_are_other_objects_and_no_padding() -> None:
    boxes = torch.tensor([[[0, 0, 0.4, 0.4], [0, 0, 0.4, 0.39], [0.2, 0, 0.6, 0.4], [0, 0, 0, 0]]])
    found = find_neighbours(boxes, torch.tensor([[True, True, True, False]]))
    assert NEIGHBOUR_IOU == SAME_OBJECT_IOU
    # The second box repeats the first object; the third overlaps both by an IoU of a third.
    assert found[0].int().tolist() == [[0, 0, 1, 0], [0, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]]


def test_scores_against_numpy() -> None:
    inputs, relations = Inputs(), Inputs().relate(space())
    found = relation_scores(relations).detach()
    own = relation_score(relations, object_weights(relations)).detach()
    objects, geometry, near, places, u_object, u_relation, u_place, gates = (
        getattr(relations, name).detach().numpy()
        for name in (
            *("objects", "geometry", "neighbours", "places"),
            *("object_texts", "relation_texts", "place_texts", "gates"),
        )
    )
    for t, b, i in itertools.product(range(BATCH), range(BATCH), range(SLOTS)):
        others = [j for j in range(SLOTS) if near[b, i, j]]
        weights = np.array([math.exp(objects[b, j] @ u_object[t]) for j in others])
        said = [geometry[b, i, j] @ u_relation[t] for j in others]
        expected = gates[t] * (weights / weights.sum()) @ said if others else 0.0
        expected += places[b, i] @ u_place[t]
        assert found[t, b, i].item() == pytest.approx(expected, abs=1e-5)
        if t == b:
            assert own[b, i].item() == pytest.approx(expected, abs=1e-5)
    assert inputs.valid[3].sum() == 5 and found[:, 3, :5].all()


def test_a_candidate_without_neighbours_has_score_0_and_finite_gradients() -> None:
    inputs, net = Inputs(), space("place")
    inputs.orders[:] = -1
    relations = inputs.relate(net)
    weights = object_weights(relations)
    scores, own = relation_scores(relations), relation_score(relations, weights)
    assert not scores[:, 2].any() and not scores[:, 4].any() and not scores[:, ~Inputs().valid].any()
    assert not weights[2].any() and not own[2].any() and not own[4].any()
    (scores.sum() + own.sum()).backward()  # type: ignore[no-untyped-call]
    for name, parameter in net.named_parameters():
        # The losses of what is read train its classifiers, not the scores.
        # The place is left out here.
        assert name.startswith(("second", "order", "place")) or (
            parameter.grad is not None and parameter.grad.isfinite().all()
        ), name


def test_scores_are_finite_where_one_object_is_far_more_likely_than_the_others() -> None:
    """The likely object is no neighbour of itself, so that its own score has only unlikely ones."""
    relations = Inputs().relate(space())
    objects = torch.zeros_like(relations.objects)
    objects[0, 2] = 1e4
    relations = replace(relations, objects=objects, object_texts=torch.ones_like(relations.object_texts))
    scores = relation_scores(relations)
    own = relation_score(relations, object_weights(relations))
    assert scores.isfinite().all()
    torch.testing.assert_close(scores[range(BATCH), range(BATCH)], own)


def test_which_objects_an_image_has_changes_no_score_where_the_geometry_says_nothing() -> None:
    """Otherwise a text could tell images apart by their objects, without choosing one of them."""
    inputs = Inputs()
    inputs.orders[:] = -1
    relations = inputs.relate(space("place"))
    geometry = torch.ones_like(relations.geometry) * relations.neighbours[..., None]
    other = replace(relations, geometry=geometry, objects=torch.randn_like(relations.objects))
    scores = relation_scores(replace(relations, geometry=geometry))
    torch.testing.assert_close(scores, relation_scores(other))
    alone = relations.neighbours.any(dim=-1)
    assert all(row[alone].std() < 1e-5 for row in scores)


def test_chunks_are_the_parts_of_a_batch() -> None:
    whole = Inputs().relate(space())
    parts = whole.chunk(BATCH)
    assert len(parts) == BATCH
    for row, part in enumerate(parts):
        assert torch.equal(part.geometry[0], whole.geometry[row]) and torch.equal(
            part.gates, whole.gates[row : row + 1]
        )


@pytest.mark.parametrize("without", GEOMETRY)
def test_a_part_of_the_geometry_can_be_left_out(without: RelationPart) -> None:
    inputs = Inputs()
    dims = {"direction": 8, "distance": 2, "overlap": 1, "size": 1}
    net = space(without)
    assert net.geometry.in_features == 12 - dims[without]
    assert inputs.relate(net).geometry.shape == (BATCH, SLOTS, SLOTS, net.geometry.out_features)


def test_without_the_object_all_neighbours_count_alike() -> None:
    relations = Inputs().relate(space("object"))
    share = relations.neighbours / relations.neighbours.sum(dim=-1, keepdim=True).clamp(min=1)
    torch.testing.assert_close(object_weights(relations), share)


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
def test_candidates_of_the_second_objects_category_count_exp_of_beta_times(training: bool) -> None:
    """Training reads the category from the labels, inference from the classifier; -1 and the last class are none."""
    inputs, net = Inputs(), space().train(training)
    related = inputs.relate(net)
    assert related.second_logits is not None and related.second_logits.shape == (BATCH, 4)
    read = inputs.second if training else related.second_logits.argmax(dim=1)
    plain = space("category")
    plain.load_state_dict({key: value for key, value in net.state_dict().items() if "second" not in key})
    without = inputs.relate(plain)
    assert without.second_logits is None
    for row, image in itertools.product(range(BATCH), range(BATCH)):
        own = math.e**CATEGORY_WEIGHT if read[row] < 3 else 1.0
        gain = torch.where(inputs.categories[image] == read[row], own, 1.0)
        logits = without.objects[image] @ without.object_texts[row] + gain.log()
        assert torch.allclose(related.objects[image] @ related.object_texts[row], logits, atol=1e-4)


def test_an_image_without_the_second_objects_category_is_scored_as_if_none_was_read() -> None:
    inputs, net = Inputs(), space().train()
    inputs.categories[:] = 1
    inputs.second[:] = 0
    related = inputs.relate(net)
    inputs.second[:] = -1
    torch.testing.assert_close(relation_scores(related), relation_scores(inputs.relate(net)))


def test_the_loss_of_the_second_category_is_the_cross_entropy_with_none_as_last_class() -> None:
    logits = torch.tensor([[1.0, 2.0, 0.5], [0.0, 0.0, 3.0]])
    rows = logits.double().numpy()
    expected = np.mean([np.log(np.exp(row).sum()) - row[wanted] for row, wanted in zip(rows, (1, 2), strict=True)])
    assert read_loss(logits, torch.tensor([1, -1])).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
def test_a_place_in_an_order_adds_gamma_for_the_candidates_that_have_it(training: bool) -> None:
    """Training reads the place from the labels, inference from the classifier; -1 and the last class are none."""
    inputs, net = Inputs(), space().train(training)
    related = inputs.relate(net)
    assert related.order_logits is not None and related.order_logits.shape == (BATCH, ORDERS + 1)
    read = inputs.orders if training else related.order_logits.argmax(dim=1)
    plain = replace(related, place_texts=related.place_texts.index_fill(1, torch.arange(HIDDEN, HIDDEN + ORDERS), 0.0))
    added = relation_scores(related) - relation_scores(plain)
    places = places_in_orders(inputs.categories, inputs.boxes, inputs.confidences, related.neighbours, inputs.valid)
    for row in range(BATCH):
        expected = ORDER_WEIGHT * places[..., read[row]] if 0 <= read[row] < ORDERS else torch.zeros(BATCH, SLOTS)
        torch.testing.assert_close(added[row], expected, atol=1e-5, rtol=1e-5)
    own = relation_score(related, object_weights(related)) - relation_score(plain, object_weights(plain))
    torch.testing.assert_close(own, added[range(BATCH), range(BATCH)], atol=1e-5, rtol=1e-5)


def test_without_the_order_nothing_is_counted() -> None:
    inputs, net = Inputs(), space("order")
    related = inputs.relate(net)
    assert related.order_logits is None and related.places.shape[-1] == related.place_texts.shape[-1] == HIDDEN
    assert "order.weight" not in net.state_dict()


def test_where_a_box_lies_by_hand() -> None:
    found = box_places(torch.tensor([[[0.1, 0.2, 0.5, 0.3], [0.0, 0.0, 1.0, 1.0], [0.3, 0.3, 0.3, 0.3]]]))[0]
    assert found[0].tolist() == pytest.approx([-0.8, -0.6, 0.0, -0.4, -0.4, -0.5, -0.2, -0.8, -0.6])
    assert found[1].tolist() == [-1, -1, 1, 1, 0, 0, 1, 1, 1] and found.shape[1] == PLACE_DIM
    assert found[2].isfinite().all()


def test_where_a_candidate_lies_adds_the_product_of_its_box_and_the_text() -> None:
    inputs, net = Inputs(), space("order")
    related = inputs.relate(net)
    hidden = (box_places(inputs.boxes) @ net.place.weight.T + net.place.bias).clamp(min=0)
    torch.testing.assert_close(related.places, hidden * inputs.valid[..., None])
    others = relation_scores(replace(related, place_texts=torch.zeros_like(related.place_texts)))
    added = torch.einsum("tk,bok->tbo", related.place_texts, related.places)
    torch.testing.assert_close(relation_scores(related), others + added)
    assert added[0, 0].std() > 0


def test_without_the_place_only_orders_are_counted() -> None:
    related = Inputs().relate(space("place"))
    assert not related.place_texts[:, :HIDDEN].any() and related.place_texts[:, HIDDEN:].any()


def test_without_the_gate_no_factor_depends_on_the_text() -> None:
    assert Inputs().relate(space("gate")).gates.tolist() == [1] * BATCH
    assert len(set(Inputs().relate(space()).gates.tolist())) == BATCH


def model(**changes: object) -> AlignmentModel:
    torch.manual_seed(0)
    return AlignmentModel(replace(PLUS, **changes), SIZES)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("without", "in_global", "in_fine"),
    [(None, 1, 1), ("global", 0, 1), ("fine", 1, 0)],
    ids=["none", "global", "fine"],
)
def test_the_score_is_added_to_both_similarities(without: str | None, in_global: int, in_fine: int) -> None:
    inputs, net = Inputs(), model(context_without=without)
    aligned = inputs.align(net)
    related = aligned.relation_scores
    assert related is not None and aligned.fine_scores is not None and related[inputs.valid].any()
    for scores, queries, texts, added in (
        (aligned.global_scores, aligned.global_queries, aligned.global_texts, in_global),
        (aligned.fine_scores, aligned.fine_queries, aligned.fine_texts, in_fine),
    ):
        assert queries is not None and texts is not None
        expected = torch.einsum("bod,bd->bo", queries, texts) + added * related
        torch.testing.assert_close(scores[inputs.valid], expected[inputs.valid])
        assert (scores[~inputs.valid] == float("-inf")).all()


def test_the_objects_weights_are_those_that_the_choice_sees() -> None:
    inputs, net = Inputs(), model()
    aligned = inputs.align(net)
    assert aligned.object_weights is not None and aligned.relations is not None
    weights = object_weights(aligned.relations)
    for row in range(BATCH):
        torch.testing.assert_close(aligned.object_weights[row], weights[row, aligned.choice[row]])
    assert aligned.object_weights.sum(dim=1).tolist() == pytest.approx([1, 1, 0, 1, 0])


def test_the_loss_adds_the_score_for_positives_and_negatives() -> None:
    """Against a model without relations whose texts and queries have the scores as further dimensions."""
    inputs, net = Inputs(), model(order="coarse", category_train="none", category_infer="none")
    keep = torch.tensor([0, 1, 3])
    for name in ("valid", "boxes", "confidences", "features", "categories", "words", "mask", "second", "orders"):
        setattr(inputs, name, getattr(inputs, name)[keep])
    aligned = inputs.align(net)
    assert aligned.relations is not None
    related = relation_scores(aligned.relations)
    scores = torch.einsum("td,bod->tbo", aligned.global_texts, aligned.global_queries) + related
    logits = []
    for row in range(3):
        others = [b for b in range(3) if b != row]
        picked = [scores[row, b][inputs.valid[b]] for b in others]
        logits.append(torch.cat([scores[row, row, aligned.choice[row]][None], *picked]))
    # With as many negatives as candidates, all of the other images' candidates are negatives.
    net.config = replace(net.config, negatives_per_image=SLOTS)
    net.objective.config = net.config
    loss = net.losses(aligned, inputs.valid, torch.arange(3), None)["global"]
    expected = torch.stack([row.logsumexp(0) - row[0] for row in logits]).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_gradients_reach_every_part_of_the_relations() -> None:
    inputs, net = Inputs(), model().train()
    losses = net.losses(inputs.align(net), inputs.valid, torch.arange(BATCH), inputs.labels)
    losses["total"].backward()  # type: ignore[no-untyped-call]
    assert net.relations is not None
    for name, parameter in net.relations.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), name


def pass_words_on(gru: torch.nn.GRU) -> None:
    """Give a Bi-GRU whose weights are all 0 the weights that return one-hot words as they are.

    Its update gate, the second third of the biases, stays shut; tanh(50) is 1.
    """
    half = gru.hidden_size
    for weight, bias, first in (
        (gru.weight_ih_l0, gru.bias_ih_l0, 0),
        (gru.weight_ih_l0_reverse, gru.bias_ih_l0_reverse, half),
    ):
        bias[half : 2 * half] = -200.0
        weight[2 * half :, first : first + half] = 50.0 * torch.eye(half)


def left_of_the_second_kind(kinds: Tensor, boxes: Tensor, *, names_first: bool) -> Alignment:
    """The alignment of "(first kind) left of (second kind)" by hand-set weights. A candidate's feature is its kind.

    The words are one-hot: 0 and 1 are the kinds, 2 is "left of". The Bi-GRU passes them on.
    """
    net = AlignmentModel(
        AlignmentConfig(order="coarse", category_train="none", category_infer="none", dim=2, context="relations"),
        Sizes(visual_dim=2, text_dim=4, classes=2),
    ).eval()
    assert net.relations is not None
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        net.global_query.weight.copy_(torch.eye(2))
        net.global_text.weight[0, 0] = 5.0  # the first kind
        relations = net.relations
        pass_words_on(relations.gru)
        relations.weigh.weight[0, 1] = relations.weigh.weight[1, 2] = 50.0  # the object's words, and the relation's
        relations.object_query.weight[0, 1] = 50.0
        relations.object_text.weight[0, 1] = 1.0
        relations.geometry.weight[0, 4] = -1.0  # the sign of the horizontal offset
        relations.relation_text.weight[0, 2] = 1.0
        relations.gate.weight[0, 2] = 1.0
        assert relations.order is not None
        relations.order.bias[-1] = 1.0  # no place in an order
    words = torch.eye(4)[[0, 2, 1] if names_first else [2, 2, 1]][None]
    sentence = torch.eye(4)[[0 if names_first else 2]]
    valid, mask = torch.ones(kinds.shape, dtype=torch.bool), torch.ones(1, 3, dtype=torch.bool)
    images = ImageTensors(torch.eye(2)[kinds], kinds, valid, torch.ones(kinds.shape), boxes)
    aligned: Alignment = net(images, sentence, words, mask)
    return aligned


# Two of the first kind, with one of the second between them.
KINDS = torch.tensor([[0, 0, 1]])
BOXES = torch.tensor([[[0.1, 0.4, 0.3, 0.6], [0.7, 0.4, 0.9, 0.6], [0.4, 0.4, 0.6, 0.6]]])
MIRRORED = torch.stack([1 - BOXES[..., 2], BOXES[..., 1], 1 - BOXES[..., 0], BOXES[..., 3]], dim=-1)


def test_left_of_chooses_the_left_one_and_in_a_mirrored_scene_the_other() -> None:
    aligned = left_of_the_second_kind(KINDS, BOXES, names_first=True)
    assert aligned.choice.item() == 0
    assert aligned.object_weights is not None and aligned.object_weights[0].tolist() == pytest.approx([0, 0, 1])
    assert left_of_the_second_kind(KINDS, MIRRORED, names_first=True).choice.item() == 1


def test_a_phrase_that_names_the_second_object_only_chooses_by_the_relation() -> None:
    assert left_of_the_second_kind(KINDS, BOXES, names_first=False).choice.item() == 0
    assert left_of_the_second_kind(KINDS, MIRRORED, names_first=False).choice.item() == 1


def test_with_one_candidate_the_relation_changes_nothing() -> None:
    aligned = left_of_the_second_kind(KINDS[:, :1], BOXES[:, :1], names_first=True)
    assert aligned.choice.item() == 0 and aligned.global_scores.tolist() == [[5.0]]
    assert aligned.object_weights is not None and aligned.object_weights.tolist() == [[0.0]]
