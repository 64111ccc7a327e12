"""The alignment model: computes all scores and the choice from candidates and text features (section 4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aligncat.alignment.config import AlignmentConfig, Sizes, Space, TrainCategory
from aligncat.alignment.inputs import ImageTensors, Labels
from aligncat.alignment.losses import ALONE, Objective, Peers
from aligncat.alignment.phrase_attention import PhraseAttention
from aligncat.alignment.relations import RelationSpace, object_weights, relation_score
from aligncat.alignment.result import Alignment
from aligncat.alignment.scores import category_score, coarse_score, fine_score, global_score
from aligncat.alignment.selection import keep_best, select, with_category
from aligncat.errors import ConfigError


class AlignmentModel(nn.Module):
    """The alignment model of AlignCAT, QueryMatch and every ablation, depending on the config.

    S_class uses the category of `config.category_train` in training mode, and that of `config.category_infer` in
    evaluation mode.

    Args:
        config: the scores to use and their order.
        sizes: the sizes of the inputs.

    Raises:
        ConfigError: the config has a fine-grained space and `sizes.text_dim` is odd.
    """

    def __init__(self, config: AlignmentConfig, sizes: Sizes) -> None:
        super().__init__()
        self.config = config
        self.sizes = sizes
        self.global_query = nn.Linear(sizes.visual_dim, config.dim)  # Eq. 6
        self.global_text = nn.Linear(sizes.text_dim, config.dim)  # Eq. 7
        self.fine = FineSpace(sizes, config.dim) if config.fine else None
        self.classifier = nn.Linear(sizes.text_dim, sizes.classes) if config.classifier else None  # Eq. 18
        self.relations = RelationSpace(config, sizes) if config.context == "relations" else None
        self.objective = Objective(config)

    def forward(
        self, images: ImageTensors, sentences: Tensor, words: Tensor, word_mask: Tensor, labels: Labels | None = None
    ) -> Alignment:
        """Align B expressions with the candidates of their images.

        Args:
            images: the candidates of their images.
            sentences: (B, d_t), f_t.
            words: (B, L, d_t), F_w.
            word_mask: (B, L) bool, False at padding.
            labels: what the expressions mean; used in training mode only.

        Raises:
            ConfigError: `config.category_train` is "label" in training mode and there are no labels.
        """
        images = images._replace(features=images.features.to(self.global_query.weight.dtype))
        features, candidates = images.features, images.valid
        logits = self._classify(sentences)
        category = self._category(logits, labels, images.categories)
        class_scores = category_score(images.categories, category).masked_fill(~images.valid, 0.0)
        if self.config.category_stage == "confidence":
            candidates, _ = with_category(class_scores, category, images.valid)

        relations = objects = related = None
        if self.relations is not None:
            relations = self.relations(images, words, word_mask, labels)
            objects = object_weights(relations)
            related = relation_score(relations, objects)

        global_queries, global_texts = self.global_query(features), self.global_text(sentences)
        similarities = self._with_relations(global_score(global_queries, global_texts), related, "global")
        global_scores = _mask_others(candidates, similarities)
        coarse_scores = coarse_score(class_scores, global_scores, self.config.alpha)
        fine_queries = fine_texts = fine_scores = weights = None
        if self.fine is not None:
            fine_queries, fine_texts, weights = self.fine(features, words, word_mask)
            similarities = self._with_relations(fine_score(fine_queries, fine_texts), related, "fine")
            fine_scores = _mask_others(candidates, similarities)

        kept, matched = self._refine(coarse_scores, fine_scores, class_scores, category, candidates)
        last = fine_scores if fine_scores is not None and self.config.order == "coarse-fine" else coarse_scores
        choice = select(last, kept)
        return Alignment(
            class_scores=None if self._category_source == "none" else class_scores,
            global_scores=global_scores,
            coarse_scores=coarse_scores,
            fine_scores=fine_scores,
            final_scores=last,
            kept=kept,
            choice=choice,
            word_weights=weights,
            category_logits=logits,
            category=category,
            category_matched=matched,
            global_queries=global_queries,
            global_texts=global_texts,
            fine_queries=fine_queries,
            fine_texts=fine_texts,
            relation_scores=related,
            object_weights=None if objects is None else objects[torch.arange(choice.shape[0]), choice],
            relations=relations,
        )

    def losses(
        self,
        alignment: Alignment,
        valid: Tensor,
        image_index: Tensor,
        labels: Labels | None,
        peers: Peers = ALONE,
    ) -> dict[str, Tensor]:
        """Return the losses of one batch; see `Objective.forward`."""
        losses: dict[str, Tensor] = self.objective(alignment, valid, image_index, labels, peers)
        return losses

    @property
    def _category_source(self) -> TrainCategory:
        return self.config.category_train if self.training else self.config.category_infer

    def _classify(self, sentences: Tensor) -> Tensor | None:
        if self.classifier is None:
            return None
        logits: Tensor = self.classifier(sentences.detach() if self.config.detach_classifier else sentences)
        return logits

    def _category(self, logits: Tensor | None, labels: Labels | None, categories: Tensor) -> Tensor:
        """Return the category of each expression in S_class, (B,) int64; -1 for none."""
        if self._category_source == "label":
            if labels is None:
                raise ConfigError(
                    "alignment.category_train is 'label' and the data has no category labels: set it to 'none'"
                )
            return labels.category
        if self._category_source == "classifier" and logits is not None:
            return logits.detach().argmax(dim=1)
        return torch.full_like(categories[:, 0], -1)

    def _with_relations(self, similarities: Tensor, related: Tensor | None, space: Space) -> Tensor:
        """Return the similarities (B, O) of a space, with the score of relations if the config adds it there."""
        return similarities + related if related is not None and self.config.relates(space) else similarities

    def _refine(
        self,
        coarse_scores: Tensor,
        fine_scores: Tensor | None,
        class_scores: Tensor,
        category: Tensor,
        candidates: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Return the refined set, (B, O) bool, and whether any candidate has the category, (B,) bool."""
        if self.config.order == "fine-coarse" and fine_scores is not None:
            kept = keep_best(fine_scores, candidates, self.config.keep)
            return kept, with_category(class_scores, category, kept)[1]
        eligible, matched = with_category(class_scores, category, candidates)
        return keep_best(coarse_scores, eligible, self.config.keep), matched


class FineSpace(nn.Module):
    """The fine-grained shared space: phrase attention and both projections (Eq. 10 to 13).

    Args:
        sizes: the sizes of the inputs.
        dim: d, the dimension of the shared space.

    Raises:
        ConfigError: `sizes.text_dim` is odd.
    """

    def __init__(self, sizes: Sizes, dim: int) -> None:
        super().__init__()
        self.phrase_attention = PhraseAttention(sizes.text_dim)
        self.text = nn.Linear(sizes.text_dim, dim)  # Eq. 12
        self.query = nn.Linear(sizes.visual_dim, dim)  # Eq. 13

    def forward(self, features: Tensor, words: Tensor, word_mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project candidates and words into the space.

        Args:
            features: (B, O, d_v), f_q.
            words: (B, L, d_t), F_w.
            word_mask: (B, L) bool, False at padding.

        Returns:
            (B, O, d), the projected queries (Eq. 13); (B, d), the projected texts (Eq. 12); (B, L), the word weights
            (Eq. 11).
        """
        phrase, weights = self.phrase_attention(words, word_mask)
        return self.query(features), self.text(phrase), weights


def _mask_others(candidates: Tensor, scores: Tensor) -> Tensor:
    """Return the scores (B, O), with -inf for all but the given candidates."""
    return scores.masked_fill(~candidates, float("-inf"))
