"""Relations between candidates: where a candidate lies as seen from the second object, in an order, and in the photo.

This goes beyond the paper. As in CMN (Hu et al., CVPR 2017), a phrase has a subject, a relation and an object, each
read by an attention of its own; as in MAttNet (Yu et al., CVPR 2018), the place in the photo and the relation to
another object are scores that are added. "The cup left of the plate" says where the cup lies as seen from the plate.
A text t looks for its second object among the neighbours j of a candidate i, and asks the geometry of the pair (i, j)
whether i lies where the text says:

    a(t, i, j) = softmax over j of o_j . u_object(t) + beta [c_j = c2(t)]                       `object_weights`
    r(t, i)    = gate(t) * sum over j of a(t, i, j) * (MLP(g_ij) . u_relation(t))
                 + gamma [i has the place k(t)] + MLP(l_i) . u_place(t)                        `relation_scores`

c_j is the detector's category of candidate j, c2(t) the category of the text's second object, and beta is
`CATEGORY_WEIGHT`. As S_class has c* in training and c^T at inference, c2 is what the lexicon reads in the text in
training, and at inference what a classifier of the text says, which learns it on the way. A second object of no
category, or whose category no neighbour has, is looked for by o_j alone.

k(t) is the place in an order that the text gives its object: "second from the left", "leftmost" or "far left". It is
counted among the candidates of one category (`aligncat.alignment.orders`); gamma is `ORDER_WEIGHT`. k, too, is read
by rules in training, and by a classifier at inference. A text without one has no such term.

l_i says where the box of i lies in the photo (`box_places`), for "on the left" and "in the middle".

r(t, i) is added to the similarity of t and i in the shared spaces, for the candidates of the text's own image and for
those of the other images of a batch alike. The neighbours of i are the other candidates whose boxes overlap less than
those of one object do. Without neighbours, the sum is 0.

The weights a(t, i, .) sum to 1 in every image, so the sum reads where the second object lies, and not whether there is
one. A score that grows with "there is a plate" is the same for every candidate of an image. It lowers the contrastive
loss, and teaches nothing about which cup is meant.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aligncat.alignment.box_geometry import PAIR_DIMS, PLACE_DIM, box_places, find_neighbours, pair_geometry
from aligncat.alignment.config import GEOMETRY, AlignmentConfig, Sizes
from aligncat.alignment.inputs import ImageTensors, Labels
from aligncat.alignment.orders import ORDERS, places_in_orders
from aligncat.alignment.phrase_attention import bidirectional_gru, phrase_feature, word_weights
from aligncat.alignment.recurrent import read_words
from aligncat.alignment.result import Relations

HIDDEN = 64
"""The number of features of a pair of boxes and of a box, and the dimension in which objects are looked for."""

CATEGORY_WEIGHT = 10.0
"""beta, how much more the candidates of the second object's category count: exp(10) times."""

ORDER_WEIGHT = 10.0
"""gamma, how much is added for the candidate that has the place in an order which the text says."""

_LOWEST_LOGIT = -40.0  # below the largest; exp(-40) and its inverse are far from the limits of float32


def object_weights(relations: Relations) -> Tensor:
    """Return a(t, i, j) for each text t and the candidates of its own image.

    Args:
        relations: the relations of B pairs of a text and an image.

    Returns:
        (B, O, O), the weight of candidate j as the second object, as seen from candidate i. Each row sums to 1, or is 0
        if i has no neighbours.
    """
    logits = torch.einsum("bk,bok->bo", relations.object_texts, relations.objects)[:, None]
    return logits.masked_fill(~relations.neighbours, float("-inf")).softmax(dim=-1).nan_to_num(0.0)


def relation_score(relations: Relations, weights: Tensor) -> Tensor:
    """Return r(t, i) for each text t and the candidates of its own image.

    Args:
        relations: the relations of B pairs of a text and an image.
        weights: (B, O, O), a(t, i, j) of `object_weights`.

    Returns:
        (B, O).
    """
    said = torch.einsum("bijh,bh->bij", relations.geometry, relations.relation_texts)
    placed = torch.einsum("bk,bok->bo", relations.place_texts, relations.places)
    return relations.gates[:, None] * (weights * said).sum(dim=-1) + placed


def relation_scores(relations: Relations) -> Tensor:
    """Return r(t, i) for each of T texts t and the candidates of every one of B images; in training, T is B.

    The softmax over the neighbours of i is a quotient of two sums over all candidates j, so that the largest
    intermediate result has T B O O numbers.

    Args:
        relations: the relations of T texts and B images.

    Returns:
        (T, B, O); [t, b, i] is the score of text t with candidate i of image b.
    """
    batch, slots, _ = relations.neighbours.shape
    logits = (relations.object_texts @ relations.objects.flatten(0, 1).T).view(-1, batch, slots)
    is_neighbour = relations.neighbours.any(dim=1)
    largest = logits.detach().masked_fill(~is_neighbour, float("-inf")).amax(dim=-1, keepdim=True)
    largest = torch.where(largest > float("-inf"), largest, 0.0)
    weights = (logits - largest).clamp(min=_LOWEST_LOGIT, max=0.0).exp()
    said = (relations.relation_texts @ relations.geometry.flatten(0, 2).T).view(-1, batch, slots, slots)
    found = (said @ weights[..., None]).squeeze(-1)
    total = torch.einsum("tbj,bij->tbi", weights, relations.neighbours.to(weights.dtype))
    related = torch.where(total > 0, found / torch.where(total > 0, total, 1.0), 0.0)
    placed = (relations.place_texts @ relations.places.flatten(0, 1).T).view(-1, batch, slots)
    return relations.gates[:, None, None] * related + placed


class RelationSpace(nn.Module):
    """What r(t, i) is computed from: projections of candidates and words, MLPs of boxes and their pairs, c2, and k.

    A Bi-GRU reads each word with its context, so that the first noun of a phrase differs from the second, and "left" in
    "left of the plate" from "left" in "on the left".

    Args:
        config: the part to leave out, if any (`context_without`).
        sizes: the sizes of the inputs.
    """

    def __init__(self, config: AlignmentConfig, sizes: Sizes) -> None:
        super().__init__()
        self.without = config.context_without
        self.terms = tuple(name for name in GEOMETRY if name != self.without)
        self.geometry = nn.Linear(sum(PAIR_DIMS[name] for name in self.terms), HIDDEN)
        self.gru = bidirectional_gru(sizes.text_dim)
        # A bias of these two would cancel in the softmax over the candidates or the words.
        self.object_query = nn.Linear(sizes.visual_dim, HIDDEN, bias=False)
        self.weigh = nn.Linear(sizes.text_dim, 4, bias=False)
        self.object_text = nn.Linear(sizes.text_dim, HIDDEN)
        self.relation_text = nn.Linear(sizes.text_dim, HIDDEN)
        self.gate = nn.Linear(sizes.text_dim, 1)
        self.classes = sizes.classes
        by_category = self.without not in ("object", "category")
        self.second_category = nn.Linear(sizes.text_dim, sizes.classes + 1) if by_category else None
        self.order = None if self.without == "order" else nn.Linear(sizes.text_dim, ORDERS + 1)
        self.place = nn.Linear(PLACE_DIM, HIDDEN)
        self.place_text = nn.Linear(sizes.text_dim, HIDDEN)

    def forward(
        self, images: ImageTensors, words: Tensor, word_mask: Tensor, labels: Labels | None = None
    ) -> Relations:
        """Project candidates, pairs of candidates, and words.

        Args:
            images: the candidates.
            words: (B, L, d_t), F_w.
            word_mask: (B, L) bool, False at padding.
            labels: c2 and k, used in training mode only; None for no text to have one.
        """
        features, categories, valid, confidences, boxes = images
        words = read_words(self.gru, words, word_mask)
        of_object, of_relation, of_order, of_place = (
            phrase_feature(words, word_weights(scores, word_mask)) for scores in self.weigh(words).unbind(dim=-1)
        )
        terms = pair_geometry(boxes)
        pairs = self.geometry(torch.cat([terms[name] for name in self.terms], dim=-1)).relu()
        neighbours = find_neighbours(boxes, valid)
        gates = self.gate(of_relation).squeeze(-1)
        objects, object_texts, logits = self.object_query(features), self.object_text(of_object), None
        if self.second_category is not None:
            # beta [c_j = c2] as a further part of the dot product of a candidate and a text.
            logits = self.second_category(of_object)
            named = CATEGORY_WEIGHT * self._one_hot(logits, None if labels is None else labels.second_category)
            object_texts = torch.cat([object_texts, named], dim=1)
            of_class = torch.arange(self.classes, device=categories.device)
            objects = torch.cat([objects, (categories[..., None] == of_class).to(objects.dtype)], dim=2)
        places, place_texts, order_logits = self.place(box_places(boxes)).relu(), self.place_text(of_place), None
        if self.without == "place":
            place_texts = torch.zeros_like(place_texts)
        if self.order is not None:
            # gamma [i has the place k], as above.
            order_logits = self.order(of_order)
            counted = ORDER_WEIGHT * self._one_hot(order_logits, None if labels is None else labels.order)
            place_texts = torch.cat([place_texts, counted], dim=1)
            orders = places_in_orders(categories, boxes, confidences, neighbours, valid)
            places = torch.cat([places, orders.to(places.dtype)], dim=2)
        return Relations(
            objects=objects,
            geometry=pairs.masked_fill(~neighbours[..., None], 0.0),
            neighbours=neighbours,
            object_texts=torch.zeros_like(object_texts) if self.without == "object" else object_texts,
            relation_texts=self.relation_text(of_relation),
            gates=torch.ones_like(gates) if self.without == "gate" else gates,
            second_logits=logits,
            places=places.masked_fill(~valid[..., None], 0.0),
            place_texts=place_texts,
            order_logits=order_logits,
        )

    def _one_hot(self, logits: Tensor, labels: Tensor | None) -> Tensor:
        """Return which class each text has, (B, C), 1 or 0: in training mode that of its label, else the likeliest one.

        Args:
            logits: (B, C + 1); the last one is for none.
            labels: (B,) int64, -1 for none. None for no text to have one in training mode.
        """
        one_hot = torch.zeros_like(logits[:, :-1])
        chosen = labels if self.training else logits.detach().argmax(dim=1)
        if chosen is None:
            return one_hot
        return (chosen[:, None] == torch.arange(one_hot.shape[1], device=logits.device)).to(logits.dtype)


def read_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of a classifier of what is read in a text: c2 or k.

    Args:
        logits: (B, C + 1); the last one is for texts without it.
        labels: (B,) int64; -1 for none.
    """
    return F.cross_entropy(logits, torch.where(labels >= 0, labels, logits.shape[1] - 1))
