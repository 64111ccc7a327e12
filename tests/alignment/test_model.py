"""The forward pass of every config against a plain implementation, its losses, and where gradients flow."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from aligncat.alignment.config import ALL_PRESETS, AlignmentConfig, Sizes
from aligncat.alignment.inputs import ImageTensors, Labels
from aligncat.alignment.model import AlignmentModel
from aligncat.alignment.negatives import select_negatives
from aligncat.alignment.orders import ORDERS
from aligncat.alignment.result import Alignment
from aligncat.errors import ConfigError

SMALL = {"dim": 8, "keep": 3, "negatives_per_image": 2}
SIZES = Sizes(visual_dim=6, text_dim=4, classes=3)
BATCH, SLOTS, WORDS = 12, 7, 5


@dataclass
class Batch:
    features: Tensor
    categories: Tensor
    valid: Tensor
    sentences: Tensor
    words: Tensor
    word_mask: Tensor
    labels: Tensor
    image_index: Tensor
    boxes: Tensor
    confidences: Tensor
    second_labels: Tensor
    order_labels: Tensor

    @property
    def images(self) -> ImageTensors:
        return ImageTensors(self.features, self.categories, self.valid, self.confidences, self.boxes)

    @property
    def known(self) -> Labels:
        return Labels(self.labels, self.second_labels, self.order_labels)

    def align(self, model: AlignmentModel) -> Alignment:
        labels = self.known if model.training else None
        alignment: Alignment = model(self.images, self.sentences, self.words, self.word_mask, labels)
        return alignment

    def losses(self, model: AlignmentModel) -> dict[str, Tensor]:
        return model.losses(self.align(model), self.valid, self.image_index, self.known)


def batch(seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    counts = torch.randint(2, SLOTS + 1, (BATCH, 1), generator=generator)
    valid = torch.arange(SLOTS) < counts
    lengths = torch.randint(1, WORDS + 1, (BATCH, 1), generator=generator)
    labels = torch.randint(-1, 3, (BATCH,), generator=generator)
    return Batch(
        features=torch.randn(BATCH, SLOTS, 6, generator=generator) * valid[..., None],
        categories=torch.randint(0, 3, (BATCH, SLOTS), generator=generator),
        valid=valid,
        sentences=torch.randn(BATCH, 4, generator=generator),
        words=torch.randn(BATCH, WORDS, 4, generator=generator),
        word_mask=torch.arange(WORDS) < lengths,
        labels=labels,
        image_index=torch.arange(BATCH) % 9,
        boxes=torch.rand(BATCH, SLOTS, 4, generator=generator).sort(dim=-1).values,
        confidences=torch.rand(BATCH, SLOTS, generator=generator),
        second_labels=torch.randint(-1, 3, (BATCH,), generator=generator),
        order_labels=torch.randint(-1, ORDERS, (BATCH,), generator=generator),
    )


def model(name: str = "aligncat", sizes: Sizes = SIZES, **changes: object) -> AlignmentModel:
    torch.manual_seed(0)
    return AlignmentModel(AlignmentConfig.preset(name, **{**SMALL, **changes}), sizes)


def affine(layer: torch.nn.Linear, inputs: Tensor) -> np.ndarray:
    return inputs.detach().numpy() @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()


def expected_choice(net: AlignmentModel, data: Batch, row: int, related: Tensor | None) -> tuple[set[int], int, bool]:
    """The kept set, the choice, and whether a candidate has the category, for one pair, following section 4.

    `related` is the score of relations, which tests/alignment/test_relations.py checks.
    """
    added = 0.0 if related is None else related[row].detach().numpy()
    config = net.config
    candidates = [o for o in range(SLOTS) if data.valid[row, o]]
    source = config.category_train if net.training else config.category_infer
    wanted = -1
    if source == "label":
        wanted = int(data.labels[row])
    elif source == "classifier":
        wanted = int(affine(net.classifier, data.sentences[row]).argmax())
    in_category = [o for o in candidates if int(data.categories[row, o]) == wanted]
    if config.category_stage == "confidence" and in_category:
        candidates = in_category
    s_global = affine(net.global_query, data.features[row]) @ affine(net.global_text, data.sentences[row]) + added
    s_coarse = s_global + 100 * np.array([o in in_category for o in range(SLOTS)])
    if net.fine is None:
        s_fine = s_global
    else:
        phrase, _ = net.fine.phrase_attention(data.words[row : row + 1], data.word_mask[row : row + 1])
        s_fine = affine(net.fine.query, data.features[row]) @ affine(net.fine.text, phrase[0]) + added
    if config.order == "fine-coarse":
        kept = sorted(candidates, key=lambda o: -s_fine[o])[: config.keep]
        met = wanted < 0 or any(o in in_category for o in kept)
        return set(kept), max(kept, key=lambda o: s_coarse[o]), met
    pool = in_category or candidates
    kept = sorted(pool, key=lambda o: -s_coarse[o])[: config.keep]
    last = s_fine if config.order == "coarse-fine" else s_coarse
    return set(kept), max(kept, key=lambda o: last[o]), wanted < 0 or bool(in_category)


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("name", ALL_PRESETS)
def test_every_config_chooses_as_the_paper_describes(name: str, training: bool) -> None:
    net = model(name).train(training)
    for seed in range(3):
        data = batch(seed)
        alignment = data.align(net)
        for row in range(BATCH):
            kept, choice, met = expected_choice(net, data, row, alignment.relation_scores)
            assert set(alignment.kept[row].nonzero().flatten().tolist()) == kept
            assert alignment.choice[row].item() == choice
            assert alignment.category_matched[row].item() == met


@pytest.mark.parametrize("name", ALL_PRESETS)
def test_shapes_and_scores_that_a_config_does_not_use(name: str) -> None:
    net = model(name).eval()
    alignment = batch().align(net)
    assert alignment.global_scores.shape == alignment.coarse_scores.shape == (BATCH, SLOTS)
    assert alignment.kept.dtype == torch.bool
    assert alignment.choice.dtype == alignment.category.dtype == torch.int64
    assert (alignment.class_scores is None) == (net.config.category_infer == "none")
    assert (alignment.fine_scores is None) == (net.config.order == "coarse")
    assert (alignment.word_weights is None) == (net.config.order == "coarse")
    assert (alignment.category_logits is None) == (net.classifier is None)
    assert alignment.global_queries.shape == (BATCH, SLOTS, 8)
    assert alignment.global_texts.shape == (BATCH, 8)
    if net.config.category_infer == "none":
        assert (alignment.category == -1).all()


def test_padding_candidates_score_minus_infinity_and_are_never_chosen() -> None:
    data = batch()
    alignment = data.align(model())
    for scores in (alignment.global_scores, alignment.coarse_scores, alignment.fine_scores):
        assert scores is not None
        assert torch.equal(scores > float("-inf"), data.valid)
    assert not alignment.kept[~data.valid].any()
    assert data.valid[torch.arange(BATCH), alignment.choice].all()


def test_if_no_candidate_has_the_category_the_best_by_global_score_are_kept() -> None:
    data, net = batch(), model()
    data.categories.fill_(0)
    data.labels.fill_(2)
    alignment = data.align(net)
    assert not alignment.category_matched.any()
    assert torch.equal(alignment.coarse_scores, alignment.global_scores)
    best = alignment.global_scores.topk(2, dim=1).indices
    assert alignment.kept.gather(1, best).all()
    assert (alignment.kept.sum(dim=1) == data.valid.sum(dim=1).clamp(max=3)).all()


def test_k_limits_the_refined_set_and_with_k_of_one_the_coarse_score_chooses() -> None:
    data = batch()
    assert data.align(model(keep=2)).kept.sum(dim=1).max() == 2
    alignment = data.align(model(keep=1))
    assert torch.equal(alignment.choice, alignment.coarse_scores.argmax(dim=1))


def test_a_pair_with_an_unknown_label_ignores_the_category() -> None:
    data = batch()
    data.labels.fill_(-1)
    unlabelled, uncategorised = data.align(model()), data.align(model("global+fine"))
    assert (unlabelled.category == -1).all()
    assert unlabelled.category_matched.all()
    assert torch.equal(unlabelled.kept, uncategorised.kept)
    assert torch.equal(unlabelled.coarse_scores, unlabelled.global_scores)


@pytest.mark.parametrize("name", ALL_PRESETS)
def test_a_pair_does_not_depend_on_the_rest_of_its_batch(name: str) -> None:
    data, net = batch(), model(name)
    together = data.align(net)
    for row in range(BATCH):
        alone = Batch(**{key: value[row : row + 1] for key, value in vars(data).items()}).align(net)
        torch.testing.assert_close(alone.coarse_scores[0], together.coarse_scores[row])
        assert alone.choice[0] == together.choice[row]


def test_features_may_have_half_precision() -> None:
    data, net = batch(), model()
    full = data.align(net)
    half = replace(data, features=data.features.half()).align(net)
    assert half.global_scores.dtype == torch.float32
    torch.testing.assert_close(half.global_scores, full.global_scores, atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("name", ["aligncat", "label-in-training"])
def test_training_on_labels_without_labels_is_an_error(name: str) -> None:
    data, net = batch(), model(name)
    with pytest.raises(ConfigError, match="category_train is 'label' and the data has no category labels"):
        net(data.images, data.sentences, data.words, data.word_mask)


def test_a_classifier_without_labels_is_an_error() -> None:
    data, net = batch(), model("classifier-in-both")
    with pytest.raises(ConfigError, match="the text classifier needs category labels"):
        net.losses(data.align(net), data.valid, data.image_index, None)


@pytest.mark.parametrize("name", ALL_PRESETS)
def test_the_losses_fit_the_config_and_train_every_parameter(name: str) -> None:
    net = model(name)
    losses = batch().losses(net)
    assert set(losses) - {"fine", "category", "second", "order"} == {"total", "contrastive", "global"}
    assert ("fine" in losses) == (net.fine is not None)
    assert ("category" in losses) == (net.classifier is not None)
    assert ("second" in losses) == ("order" in losses) == (net.relations is not None)
    contrastive = losses["global"] + losses.get("fine", torch.tensor(0.0))
    torch.testing.assert_close(losses["contrastive"], contrastive)
    further = sum(losses.get(name, torch.tensor(0.0)) for name in ("category", "second", "order"))
    torch.testing.assert_close(losses["total"], contrastive + further)
    losses["total"].backward()
    for key, parameter in net.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        # This bias shifts the scores of all words equally, so the softmax over the words cancels it.
        assert parameter.grad.any() or key == "fine.phrase_attention.weigh.bias", key


def test_lambdas_weigh_the_losses() -> None:
    losses = batch().losses(model(lambda_1=0.25, lambda_2=3.0))
    torch.testing.assert_close(losses["total"], 0.25 * losses["contrastive"] + 3 * losses["category"])


def test_uncertainty_weights_start_at_the_lambdas_and_learn() -> None:
    net = model(weighting="uncertainty", lambda_1=0.5, lambda_2=2.0)
    losses = batch().losses(net)
    expected = 0.5 * losses["contrastive"] + 2 * losses["category"] + np.log(2.0) - np.log(2.0)
    torch.testing.assert_close(losses["total"], expected)
    losses["total"].backward()
    variances = net.objective.log_variances
    assert variances is not None
    assert variances.grad is not None
    torch.testing.assert_close(
        variances.grad, torch.stack([1 - 0.5 * losses["contrastive"], 1 - 2 * losses["category"]]).detach()
    )
    assert model("querymatch", weighting="uncertainty").objective.log_variances is None


@pytest.mark.parametrize("detach", [True, False])
def test_a_detached_classifier_sends_no_gradient_to_the_sentence(detach: bool) -> None:
    data, net = batch(), model(detach_classifier=detach)
    data.sentences.requires_grad_()
    losses = data.losses(net)
    losses["category"].backward()
    assert (data.sentences.grad is None) == detach
    assert net.classifier is not None
    assert net.classifier.weight.grad is not None


def test_the_choice_of_the_category_sends_no_gradient() -> None:
    data, net = batch(), model("classifier-in-both")
    alignment = data.align(net)
    assert alignment.class_scores is not None
    assert not alignment.class_scores.requires_grad
    alignment.coarse_scores[data.valid].sum().backward()
    assert net.classifier is not None
    assert net.classifier.weight.grad is None


def test_the_global_loss_trains_no_word_and_the_fine_loss_no_sentence() -> None:
    for key, (sentence, word) in {"global": (True, False), "fine": (False, True)}.items():
        data, net = batch(), model()
        data.sentences.requires_grad_()
        data.words.requires_grad_()
        data.losses(net)[key].backward()
        assert (data.sentences.grad is not None) == sentence
        assert (data.words.grad is not None) == word


def test_the_confidence_stage_limits_what_an_image_offers_to_other_texts() -> None:
    data = batch()
    data.labels = data.categories[:, 0].clone()
    late, early = model(), model("category-at-confidence")
    of_category = data.valid & (data.categories == data.labels[:, None])
    for net, offered in ((late, data.valid), (early, of_category)):
        alignment = data.align(net)
        scores = torch.einsum("bd,jod->bjo", alignment.global_texts, alignment.global_queries).detach()
        found = select_negatives(scores, alignment.global_queries.detach(), offered, data.image_index, 2)
        logits = scores.gather(2, found.indices).masked_fill(~found.mask, float("-inf")).flatten(1)
        positive = alignment.global_scores.gather(1, alignment.choice[:, None])
        expected = -torch.cat([positive, logits], dim=1).log_softmax(dim=1)[:, 0].mean()
        torch.testing.assert_close(data.losses(net)["global"], expected)


def test_the_positive_of_the_fine_space_too_is_the_models_choice() -> None:
    data, net = batch(), model()
    alignment = data.align(net)
    net.losses(alignment, data.valid, data.image_index, data.known)["fine"].backward(inputs=[alignment.fine_queries])
    assert alignment.fine_queries is not None
    assert alignment.fine_queries.grad is not None
    assert alignment.fine_queries.grad[torch.arange(BATCH), alignment.choice].any(dim=1).all()


def test_a_batch_of_one_image_has_no_negatives_and_no_contrastive_loss() -> None:
    data, net = batch(), model()
    data.image_index.zero_()
    losses = data.losses(net)
    losses["total"].backward()
    assert losses["contrastive"].item() == 0.0
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("name", ["querymatch", "global+fine"])
def test_it_learns_which_object_a_word_means_from_pairs_only(name: str) -> None:
    """Each image shows three of 24 concepts, and its text names one of them. Chance is 1/3."""
    net = model(name, Sizes(visual_dim=24, text_dim=24, classes=3), dim=16, negatives_per_image=1)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)

    def align(count: int) -> tuple[Alignment, Tensor, Tensor]:
        concepts, meant = torch.rand(count, 24).argsort(dim=1)[:, :3], torch.randint(0, 3, (count,))
        texts, every = (
            torch.eye(24)[concepts[torch.arange(count), meant]],
            torch.ones(count, 3, dtype=torch.bool),
        )
        images = ImageTensors(
            torch.eye(24)[concepts], every.long(), every, torch.ones(count, 3), torch.zeros(count, 3, 4)
        )
        alignment: Alignment = net(images, texts, texts[:, None], torch.ones(count, 1).bool())
        return alignment, every, meant

    for _ in range(150):
        optimiser.zero_grad()
        alignment, every, _ = align(12)
        net.losses(alignment, every, torch.arange(12), None)["total"].backward()
        optimiser.step()
    alignment, _, meant = align(300)
    assert (alignment.choice == meant).float().mean() > 0.85
