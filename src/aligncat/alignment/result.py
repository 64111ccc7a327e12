"""What one forward pass computes. The symbols are those of `aligncat.types`; B is the number of pairs."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Relations:
    """What the relations of B pairs of a text and an image are computed from (`aligncat.alignment.relations`).

    Every text can be scored with every image: the fields of texts and those of images are separate.

    Attributes:
        objects: (B, O, h), each candidate as the second object of an expression; its category is part of it.
        geometry: (B, O, O, h), features of where candidate i lies as seen from candidate j; 0 if they are no
            neighbours.
        neighbours: (B, O, O) bool, whether candidates i and j are neighbours; padding has none.
        object_texts: (B, h), which second object the text names.
        relation_texts: (B, h), where the referent lies as seen from it.
        gates: (B,), the factor of what the text says of the second object.
        second_logits: (B, C + 1), the classifier's logits of the second object's category c2, of which the last one is
            for none; None if the config leaves it out.
        places: (B, O, p), features of where each candidate lies, and 1 for each of its places in an order, otherwise 0;
            0 at padding.
        place_texts: (B, p), where the text says that its object lies.
        order_logits: (B, ORDERS + 1), the classifier's logits of that place, of which the last one is for none; None if
            the config leaves it out.
    """

    objects: Tensor
    geometry: Tensor
    neighbours: Tensor
    object_texts: Tensor
    relation_texts: Tensor
    gates: Tensor
    second_logits: Tensor | None
    places: Tensor
    place_texts: Tensor
    order_logits: Tensor | None

    def chunk(self, count: int) -> list[Relations]:
        """Return the relations as `count` equal parts, in order; B must be a multiple of `count`."""
        values = (getattr(self, each.name) for each in fields(self))
        chunks = zip(*((None,) * count if value is None else value.chunk(count) for value in values), strict=True)
        return [Relations(*parts) for parts in chunks]

    def with_images(self, other: Relations) -> Relations:
        """Return the texts of these relations with the images of other ones."""
        return replace(
            self,
            objects=other.objects,
            geometry=other.geometry,
            neighbours=other.neighbours,
            places=other.places,
        )


@dataclass(frozen=True, slots=True)
class Alignment:
    """All scores and choices from one forward pass over B (image, expression) pairs with O candidates each.

    The losses, metrics, figures and answers are all computed from it. A score that the config does not use is None.
    Two kinds of candidates are never kept: padding, and those that the category filter drops if it comes first
    (`category_stage` "confidence"). Their scores are -inf, and 0 in `class_scores`.

    Attributes:
        class_scores: (B, O) in {0, 1}, S_class (Eq. 5).
        global_scores: (B, O), S_global (Eq. 8).
        coarse_scores: (B, O), S_coarse (Eq. 9).
        fine_scores: (B, O), S_fine (Eq. 14).
        final_scores: (B, O), the scores of the last stage, which decide the choice.
        kept: (B, O) bool, the refined set from which the last stage chooses.
        choice: (B,) int64, the index of q* (Eq. 15).
        word_weights: (B, L), the word weights of Eq. 11; zero at padding.
        category_logits: (B, C), the logits of the text classifier (Eq. 18).
        category: (B,) int64, the category of the expression in S_class (c* or c^T); -1 if there is none.
        category_matched: (B,) bool, False if the expression has a category that no candidate has, and True otherwise.
        global_queries: (B, O, d), the projected queries of Eq. 6.
        global_texts: (B, d), the projected text of Eq. 7.
        fine_queries: (B, O, d), the projected queries of Eq. 13.
        fine_texts: (B, d), the projected text of Eq. 12.
        relation_scores: (B, O), the score of relations that `global_scores` and `fine_scores` contain; 0 at padding.
        object_weights: (B, O), the weight of each candidate as the second object, as seen from q*; 0 if q* has no
            neighbours.
        relations: what the score of relations is computed from, for the losses.
    """

    class_scores: Tensor | None
    global_scores: Tensor
    coarse_scores: Tensor
    fine_scores: Tensor | None
    final_scores: Tensor
    kept: Tensor
    choice: Tensor
    word_weights: Tensor | None
    category_logits: Tensor | None
    category: Tensor
    category_matched: Tensor
    global_queries: Tensor
    global_texts: Tensor
    fine_queries: Tensor | None
    fine_texts: Tensor | None
    relation_scores: Tensor | None = None
    object_weights: Tensor | None = None
    relations: Relations | None = None

    def chunks(self, count: int) -> list[Alignment]:
        """Return the alignment as `count` equal parts, in order; B must be a multiple of `count`."""
        parts: list[dict[str, Any]] = [{} for _ in range(count)]
        for each in fields(self):
            whole: Tensor | Relations | None = getattr(self, each.name)
            values = [None] * count if whole is None else whole.chunk(count)
            for part, value in zip(parts, values, strict=True):
                part[each.name] = value
        return [Alignment(**part) for part in parts]
