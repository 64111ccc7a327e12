"""One training step: one forward pass for all parts of a batch, losses per part, and the text encoder in bfloat16."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.tiny_run import ALIGNMENT, STEPS, TEXT, TRAINING, World, checkpoint, equal, interrupted_at, run, weights
from torch import Tensor

from aligncat.alignment.inputs import ImageTensors, Labels
from aligncat.alignment.orders import ORDERS
from aligncat.grounder.batches import Batch
from aligncat.grounder.model import GroundingModel, ModelConfig
from aligncat.training.module import GroundingModule

WORDS, CLASSES, SLOTS, DIM = 30, 3, 5, 12


def batch(size: int = 8) -> Batch:
    """Return random samples: images with one or two expressions, phrases of 1 to 6 words, and some padding."""
    random = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 7, (size, 1), generator=random)
    lengths[-1] = 6  # the longest phrase is in the last part, so the others are padded more than they need
    categories = torch.randint(0, CLASSES, (size, SLOTS), generator=random)
    return Batch(
        images=ImageTensors(
            features=torch.randn(size, SLOTS, DIM, generator=random).half(),
            categories=categories,
            valid=torch.arange(SLOTS) < torch.randint(2, SLOTS + 1, (size, 1), generator=random),
            confidences=torch.rand(size, SLOTS, generator=random),
            boxes=torch.rand(size, SLOTS, 4, generator=random),
        ),
        tokens=torch.randint(3, WORDS, (size, 6), generator=random) * (torch.arange(6) < lengths),
        labels=Labels(
            category=categories[:, 0],
            second_category=torch.randint(-1, CLASSES, (size,), generator=random),
            order=torch.randint(-1, ORDERS, (size,), generator=random),
        ),
        image_index=torch.arange(size) // 2 * 2,
        rows=torch.arange(size),
    )


def module(ranks: int = 1, precision: str = "float32", dropout: float = 0.0, context: str = "none") -> GroundingModule:
    torch.manual_seed(1)
    text = replace(TEXT, dropout=dropout, unknown_rate=0.0)
    model = GroundingModel(
        ModelConfig(replace(ALIGNMENT, context=context), text), WORDS, feature_dim=DIM, classes=CLASSES
    )
    made = GroundingModule(model, replace(TRAINING, ranks=ranks, precision=precision), 1).train()  # type: ignore[arg-type]
    made.log_dict = lambda *_, **__: None  # type: ignore[method-assign]  # there is no trainer
    return made


def gradients(of: GroundingModule) -> dict[str, Tensor]:
    return {name: weight.grad for name, weight in of.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("context", ["none", "relations"])
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_losses_and_gradients_are_those_of_a_forward_pass_for_each_part(ranks: int, context: str) -> None:
    together, apart, data = module(ranks, context=context), module(context=context), batch()
    passes: list[int] = []
    together.model.register_forward_hook(lambda *_: passes.append(1))
    loss = together.training_step(data, 0)
    loss.backward()  # type: ignore[no-untyped-call]
    assert len(passes) == 1
    losses = []
    for rows in torch.arange(len(data.rows)).chunk(ranks):
        images, labels, tokens = data.images.rows(rows), data.labels.rows(rows), data.tokens[rows]
        alignment = apart.model(images, tokens[:, : int((tokens != 0).sum(dim=1).max())], labels)
        found = apart.model.alignment.losses(alignment, images.valid, data.image_index[rows], labels)
        losses.append(found["total"])
    expected = torch.stack(losses).mean()
    expected.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    found, wanted = gradients(together), gradients(apart)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5, msg=name)


def test_the_parts_of_an_alignment_are_its_rows_in_order() -> None:
    data, model = batch(), module(context="relations").model
    whole = model(data.images, data.tokens, data.labels)
    whole = replace(whole, fine_scores=None)
    first, second = whole.chunks(2)
    assert first.fine_scores is None and second.fine_scores is None
    assert_joined(first, second, whole, leave_out={"fine_scores", "relations"})
    assert_joined(first.relations, second.relations, whole.relations)


def assert_joined(first: Any, second: Any, whole: Any, leave_out: Set[str] = frozenset()) -> None:
    for name in (each.name for each in fields(whole) if each.name not in leave_out):
        torch.testing.assert_close(torch.cat([getattr(first, name), getattr(second, name)]), getattr(whole, name))


def test_in_bfloat16_only_the_text_encoder_is_rounded() -> None:
    data = batch()
    model = module().model
    arguments = (data.images, data.tokens, data.labels)
    exact, rounded = model(*arguments), model(*arguments, text_dtype=torch.bfloat16)
    torch.testing.assert_close(rounded.global_queries, exact.global_queries, rtol=0, atol=0)
    assert not torch.equal(rounded.global_texts, exact.global_texts)
    # bfloat16 has 8 significant bits; a few layers add up to some hundredths.
    torch.testing.assert_close(rounded.global_texts, exact.global_texts, rtol=0.05, atol=0.02)
    tensors = [value for value in (getattr(rounded, each.name) for each in fields(rounded)) if value is not None]
    assert {value.dtype for value in tensors} == {torch.float32, torch.int64, torch.bool}


def test_in_bfloat16_loss_gradients_and_weights_are_float32() -> None:
    half, full, data = module(ranks=2, precision="bfloat16"), module(ranks=2), batch()
    loss, expected = half.training_step(data, 0), full.training_step(data, 0)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.dtype == torch.float32 and loss != expected
    torch.testing.assert_close(loss, expected, rtol=0.02, atol=0)
    assert {gradient.dtype for gradient in gradients(half).values()} == {torch.float32}


def test_training_in_bfloat16_resumes_bit_identically_and_differs_from_float32(world: World, tmp_path: Path) -> None:
    run(world, tmp_path / "whole", precision="bfloat16", ranks=2, epochs=2)
    with interrupted_at(STEPS + 2), pytest.raises(KeyboardInterrupt):
        run(world, tmp_path / "resumed", precision="bfloat16", ranks=2, epochs=2)
    run(world, tmp_path / "resumed", precision="bfloat16", ranks=2, epochs=2)
    run(world, tmp_path / "float32", ranks=2, epochs=2)
    assert weights(tmp_path / "resumed") == weights(tmp_path / "whole") != weights(tmp_path / "float32")
    states = [checkpoint(tmp_path / name, "last")["state_dict"] for name in ("whole", "resumed")]
    assert equal(*states) and {value.dtype for value in states[0].values() if value.is_floating_point()} == {
        torch.float32
    }
