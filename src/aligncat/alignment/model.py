"""The alignment model: candidates and text features in, every score and the chosen candidate out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aligncat.alignment.config import AlignmentConfig, Sizes, TrainCategory
from aligncat.alignment.losses import Objective
from aligncat.alignment.phrase_attention import PhraseAttention
from aligncat.alignment.scores import category_score, coarse_score, fine_score, global_score
from aligncat.alignment.selection import keep_best, select, with_category
from aligncat.errors import ConfigError
from aligncat.types import Alignment


class AlignmentModel(nn.Module):
    """AlignCAT, QueryMatch and every ablation: the config says which scores choose, in which order.

    In training mode S_class compares with what `category_train` says, in evaluation mode with what
    `category_infer` says.

    Args:
        config: the values.
        sizes: of its inputs.

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
        self.classifier = nn.Linear(sizes.text_dim, sizes.classes) if config.classifier else None
        self.objective = Objective(config)

    def forward(  # noqa: PLR0917 - one tensor for each thing that the paper's model reads
        self,
        features: Tensor,
        categories: Tensor,
        valid: Tensor,
        sentences: Tensor,
        words: Tensor,
        word_mask: Tensor,
        labels: Tensor | None = None,
    ) -> Alignment:
        """Align B expressions with the candidates of their images.

        Args:
            features: (B, O, d_v), f_q, of any float type (stores keep float16).
            categories: (B, O) int64, c^V.
            valid: (B, O) bool, candidates that exist.
            sentences: (B, d_t), f_t.
            words: (B, L, d_t), F_w.
            word_mask: (B, L) bool, the words that are there.
            labels: (B,) int64, c*, read in training only; -1 for unknown, and that pair goes without S_class.

        Raises:
            ConfigError: training with `category_train="label"` and no labels.
        """
        features = features.to(self.global_query.weight.dtype)
        logits = self._classify(sentences)
        category = self._category(logits, labels, categories)
        class_scores = category_score(categories, category).masked_fill(~valid, 0.0)
        candidates = valid
        if self.config.category_stage == "confidence":
            candidates, _ = with_category(class_scores, category, valid)

        global_queries, global_texts = self.global_query(features), self.global_text(sentences)
        global_scores = _only(candidates, global_score(global_queries, global_texts))
        coarse_scores = coarse_score(class_scores, global_scores, self.config.alpha)
        fine_queries = fine_texts = fine_scores = weights = None
        if self.fine is not None:
            fine_queries, fine_texts, weights = self.fine(features, words, word_mask)
            fine_scores = _only(candidates, fine_score(fine_queries, fine_texts))

        kept, matched = self._refine(coarse_scores, fine_scores, class_scores, category, candidates)
        last = fine_scores if fine_scores is not None and self.config.order == "coarse-fine" else coarse_scores
        return Alignment(
            class_scores=None if self._category_source == "none" else class_scores,
            global_scores=global_scores,
            coarse_scores=coarse_scores,
            fine_scores=fine_scores,
            final_scores=last,
            kept=kept,
            choice=select(last, kept),
            word_weights=weights,
            category_logits=logits,
            category=category,
            category_matched=matched,
            global_queries=global_queries,
            global_texts=global_texts,
            fine_queries=fine_queries,
            fine_texts=fine_texts,
        )

    def losses(
        self, alignment: Alignment, valid: Tensor, image_index: Tensor, labels: Tensor | None
    ) -> dict[str, Tensor]:
        """The losses of one batch; see `Objective.forward`."""
        losses: dict[str, Tensor] = self.objective(alignment, valid, image_index, labels)
        return losses

    @property
    def _category_source(self) -> TrainCategory:
        return self.config.category_train if self.training else self.config.category_infer

    def _classify(self, sentences: Tensor) -> Tensor | None:
        if self.classifier is None:
            return None
        logits: Tensor = self.classifier(sentences.detach() if self.config.detach_classifier else sentences)
        return logits

    def _category(self, logits: Tensor | None, labels: Tensor | None, categories: Tensor) -> Tensor:
        """(B,) int64, the category that S_class compares with; -1 for none."""
        if self._category_source == "label":
            if labels is None:
                raise ConfigError("alignment.category_train is 'label' and the data has no labels: set it to 'none'")
            return labels
        if self._category_source == "classifier" and logits is not None:
            return logits.detach().argmax(dim=1)
        return torch.full_like(categories[:, 0], -1)

    def _refine(
        self,
        coarse_scores: Tensor,
        fine_scores: Tensor | None,
        class_scores: Tensor,
        category: Tensor,
        candidates: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The refined set (B, O) that the last stage chooses from, and (B,) whether it has the category."""
        if self.config.order == "fine-coarse" and fine_scores is not None:
            kept = keep_best(fine_scores, candidates, self.config.keep)
            return kept, with_category(class_scores, category, kept)[1]
        eligible, matched = with_category(class_scores, category, candidates)
        return keep_best(coarse_scores, eligible, self.config.keep), matched


class FineSpace(nn.Module):
    """The fine-grained shared space: phrase attention and both projections (Eq. 10 to 13).

    Args:
        sizes: of the inputs.
        dim: d, of the shared space.

    Raises:
        ConfigError: `sizes.text_dim` is odd.
    """

    def __init__(self, sizes: Sizes, dim: int) -> None:
        super().__init__()
        self.phrase_attention = PhraseAttention(sizes.text_dim)
        self.text = nn.Linear(sizes.text_dim, dim)
        self.query = nn.Linear(sizes.visual_dim, dim)

    def forward(self, features: Tensor, words: Tensor, word_mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project candidates (B, O, d_v) and words (B, L, d_t).

        Args:
            features: f_q.
            words: F_w.
            word_mask: (B, L) bool, the words that are there.

        Returns:
            Queries (B, O, d), texts (B, d) and word weights (B, L).
        """
        phrase, weights = self.phrase_attention(words, word_mask)
        return self.query(features), self.text(phrase), weights


def _only(candidates: Tensor, scores: Tensor) -> Tensor:
    return scores.masked_fill(~candidates, float("-inf"))
