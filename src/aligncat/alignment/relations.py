"""Relations between candidates: where a candidate lies as seen from the second object, and its place in an order.

This goes beyond the paper. "The cup left of the plate" says where the cup lies as seen from the plate. A text t looks
for its second object among the neighbours j of a candidate i, and asks the geometry of the pair (i, j) whether i lies
where the text says:

    a(t, i, j) = softmax over j of o_j . u_object(t) + beta [c_j = c2(t)]                       `object_weights`
    r(t, i)    = gate(t) * sum over j of a(t, i, j) * (MLP(g_ij) . u_relation(t)) + gamma [i has the place k(t)]

c_j is the detector's category of candidate j, c2(t) the category of the text's second object, and beta is
`CATEGORY_WEIGHT`. As S_class has c* in training and c^T at inference, c2 is what the lexicon reads in the text in
training, and at inference what a classifier of the text says, which learns it on the way. A second object of no
category, or whose category no neighbour has, is looked for by o_j alone.

k(t) is the place in an order that the text gives its object: "second from the left", "leftmost" or "far left". It is
counted among the candidates of one category (`aligncat.alignment.orders`); gamma is `ORDER_WEIGHT`. k, too, is read
by rules in training, and by a classifier at inference. A text without one has no such term.

r(t, i) is added to the similarity of t and i in the shared spaces, for the candidates of the text's own image and for
those of the other images of a batch alike. The neighbours of i are the other candidates whose boxes overlap less than
those of one object do. Without neighbours, r(t, i) is 0.

The weights a(t, i, .) sum to 1 in every image, so r(t, i) reads where the second object lies, and not whether there is
one. A score that grows with "there is a plate" is the same for every candidate of an image. It lowers the contrastive
loss, and teaches nothing about which cup is meant.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aligncat.alignment.config import GEOMETRY, AlignmentConfig, Sizes
from aligncat.alignment.orders import ORDERS, places_in_orders
from aligncat.alignment.phrase_attention import bidirectional_gru, phrase_feature, word_weights
from aligncat.alignment.recurrent import read_words
from aligncat.alignment.result import Relations

HIDDEN = 64
"""The number of geometry features, and the dimension in which objects are looked for."""

CATEGORY_WEIGHT = 10.0
"""beta, how much more the candidates of the second object's category count: exp(10) times."""

ORDER_WEIGHT = 10.0
"""gamma, how much is added for the candidate that has the place in an order which the text says."""

NEIGHBOUR_IOU = 0.5
"""The largest IoU of the boxes of two neighbours; a larger one means the same object (`geometry.SAME_OBJECT_IOU`)."""

_SMALLEST_SIDE = 1e-3  # in shares of the photo, so that the logarithm of an empty box's area is finite
_LOWEST_LOGIT = -40.0  # below the largest; exp(-40) and its inverse are far from the limits of float32


def box_iou_of_pairs(boxes: Tensor) -> Tensor:
    """Return the IoU of each pair of candidates of an image, (B, O, O), from boxes (B, O, 4)."""
    low = torch.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    high = torch.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    shared = (high - low).clamp(min=0).prod(dim=-1)
    areas = (boxes[..., 2:] - boxes[..., :2]).prod(dim=-1)
    union = areas[:, :, None] + areas[:, None] - shared
    return torch.where(union > 0, shared / torch.where(union > 0, union, 1.0), 0.0)


def find_neighbours(boxes: Tensor, valid: Tensor) -> Tensor:
    """Return which candidates are neighbours: not padding, and not the same object by the IoU of their boxes.

    Args:
        boxes: (B, O, 4), in shares of the photo.
        valid: (B, O) bool, False at padding.

    Returns:
        (B, O, O) bool.
    """
    itself = torch.eye(valid.shape[1], dtype=torch.bool, device=valid.device)
    return (box_iou_of_pairs(boxes) <= NEIGHBOUR_IOU) & ~itself & valid[:, :, None] & valid[:, None]


def pair_geometry(boxes: Tensor) -> dict[str, Tensor]:
    """Return g_ij, the geometry of candidate i as seen from candidate j.

    Args:
        boxes: (B, O, 4), in shares of the photo.

    Returns:
        The terms, by the name of their part in `GEOMETRY`:
        "direction": (B, O, O, 8), the offset from the centre of j to that of i, its direction, its signs, and its
        absolute direction.
        "distance": (B, O, O, 2), the length of the offset, and the length over three times the sum of the square roots
        of both areas.
        "overlap": (B, O, O, 1), the IoU.
        "size": (B, O, O, 1), a third of the logarithm of the area of i over that of j.
    """
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2
    areas = (boxes[..., 2:] - boxes[..., :2]).clamp(min=_SMALLEST_SIDE).prod(dim=-1)
    offset = centres[:, :, None] - centres[:, None]
    length = offset.norm(dim=-1)
    direction = offset / length.clamp(min=_SMALLEST_SIDE)[..., None]
    sides = areas.sqrt()
    return {
        "direction": torch.cat([offset, direction, offset.sign(), direction.abs()], dim=-1),
        "distance": torch.stack([length, length / (3 * (sides[:, :, None] + sides[:, None]))], dim=-1),
        "overlap": box_iou_of_pairs(boxes)[..., None],
        "size": (areas[:, :, None] / areas[:, None]).log()[..., None] / 3,
    }


_DIMS = {"direction": 8, "distance": 2, "overlap": 1, "size": 1}


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
    ordered = torch.einsum("bk,bok->bo", relations.order_texts, relations.orders)
    return relations.gates[:, None] * (weights * said).sum(dim=-1) + ordered


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
    ordered = (relations.order_texts @ relations.orders.flatten(0, 1).T).view(-1, batch, slots)
    return relations.gates[:, None, None] * related + ordered


class RelationSpace(nn.Module):
    """What r(t, i) is computed from: projections of candidates and words, an MLP of pairs of boxes, c2, and k.

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
        self.geometry = nn.Linear(sum(_DIMS[name] for name in self.terms), HIDDEN)
        self.gru = bidirectional_gru(sizes.text_dim)
        # A bias of these two would cancel in the softmax over the candidates or the words.
        self.object_query = nn.Linear(sizes.visual_dim, HIDDEN, bias=False)
        self.weigh = nn.Linear(sizes.text_dim, 2 if self.without == "order" else 3, bias=False)
        self.object_text = nn.Linear(sizes.text_dim, HIDDEN)
        self.relation_text = nn.Linear(sizes.text_dim, HIDDEN)
        self.gate = nn.Linear(sizes.text_dim, 1)
        self.classes = sizes.classes
        by_category = self.without not in ("object", "category")
        self.second_category = nn.Linear(sizes.text_dim, sizes.classes + 1) if by_category else None
        self.order = None if self.without == "order" else nn.Linear(sizes.text_dim, ORDERS + 1)

    def forward(  # noqa: PLR0917 - one argument for each input
        self,
        features: Tensor,
        categories: Tensor,
        confidences: Tensor,
        boxes: Tensor,
        valid: Tensor,
        words: Tensor,
        word_mask: Tensor,
        *,
        second_labels: Tensor | None = None,
        order_labels: Tensor | None = None,
    ) -> Relations:
        """Project candidates, pairs of candidates, and words.

        Args:
            features: (B, O, d_v), f_q.
            categories: (B, O) int64, c^V.
            confidences: (B, O), the detector's confidences, highest first.
            boxes: (B, O, 4), in shares of the photo.
            valid: (B, O) bool, False at padding.
            words: (B, L, d_t), F_w.
            word_mask: (B, L) bool, False at padding.
            second_labels: (B,) int64, c2 from the lexicon, -1 for none; used in training mode only.
            order_labels: (B,) int64, k by `orders.order_index`, -1 for none; used in training mode only.
        """
        words = read_words(self.gru, words, word_mask)
        of_object, of_relation, *of_order = (
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
            named = CATEGORY_WEIGHT * self._one_hot(logits, second_labels)
            object_texts = torch.cat([object_texts, named], dim=1)
            of_class = torch.arange(self.classes, device=categories.device)
            objects = torch.cat([objects, (categories[..., None] == of_class).to(objects.dtype)], dim=2)
        order_logits = None if self.order is None else self.order(*of_order)
        orders = places_in_orders(categories, boxes, confidences, neighbours, valid).to(objects.dtype)
        order_texts = orders.new_zeros(len(orders), ORDERS)
        if order_logits is not None:
            order_texts = ORDER_WEIGHT * self._one_hot(order_logits, order_labels)
        return Relations(
            objects=objects,
            geometry=pairs.masked_fill(~neighbours[..., None], 0.0),
            neighbours=neighbours,
            object_texts=torch.zeros_like(object_texts) if self.without == "object" else object_texts,
            relation_texts=self.relation_text(of_relation),
            gates=torch.ones_like(gates) if self.without == "gate" else gates,
            second_logits=logits,
            orders=orders,
            order_texts=order_texts,
            order_logits=order_logits,
        )

    def _one_hot(self, logits: Tensor, labels: Tensor | None) -> Tensor:
        """Return which class each text has, (B, C), 1 or 0: its label's in training mode, else the most likely one.

        Args:
            logits: (B, C + 1); the last one is for none.
            labels: (B,) int64, -1 for none.
        """
        chosen = labels if self.training and labels is not None else logits.detach().argmax(dim=1)
        return (chosen[:, None] == torch.arange(logits.shape[1] - 1, device=logits.device)).to(logits.dtype)


def read_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of a classifier of what is read in a text: c2 or k.

    Args:
        logits: (B, C + 1); the last one is for texts without it.
        labels: (B,) int64; -1 for none.
    """
    return F.cross_entropy(logits, torch.where(labels >= 0, labels, logits.shape[1] - 1))
