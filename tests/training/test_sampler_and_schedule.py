"""Sampled expressions, learning rates and averaged weights against hand calculations and plain loops."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn
from torch.utils.data import DataLoader

from aligncat.datasets.split import Split
from aligncat.errors import ConfigError
from aligncat.training.callbacks import AveragedWeights
from aligncat.training.config import TrainingConfig
from aligncat.training.data import OneSentencePerReferent
from aligncat.training.module import learning_rate
from aligncat.types import Expression


def split_of(counts: list[int]) -> Split:
    """Return a split of referents with the given numbers of expressions."""
    expressions = tuple(
        Expression(f"{referent}.{k}", str(referent), "image", f"thing {k}")
        for referent, count in enumerate(counts)
        for k in range(count)
    )
    return Split("jsonl", "train", None, {}, expressions)


def epoch_of(sampler: OneSentencePerReferent, epoch: int) -> list[int]:
    sampler.set_epoch(epoch)
    return list(sampler)


class TestOneSentencePerReferent:
    split = split_of([1, 3, 2, 5, 3])

    @pytest.mark.parametrize("epoch", range(5))
    def test_an_epoch_has_every_referent_once(self, epoch: int) -> None:
        rows = epoch_of(OneSentencePerReferent(self.split, seed=0), epoch)
        assert sorted(self.split.expressions[row].referent_id for row in rows) == ["0", "1", "2", "3", "4"]

    @pytest.mark.parametrize("epoch", range(3))
    def test_the_draws_are_those_of_a_plain_loop(self, epoch: int) -> None:
        """The referents of `split` have the rows 0, 1 to 3, 4 and 5, 6 to 10, and 11 to 13."""
        rows = [[0], [1, 2, 3], [4, 5], [6, 7, 8, 9, 10], [11, 12, 13]]
        generator = torch.Generator().manual_seed((3 << 20) + epoch)
        order, draws = torch.randperm(5, generator=generator).tolist(), torch.rand(5, generator=generator).tolist()
        expected = [rows[group][int(draws[group] * len(rows[group]))] for group in order]
        assert epoch_of(OneSentencePerReferent(self.split, seed=3), epoch) == expected

    def test_samples_depend_only_on_seed_and_epoch(self) -> None:
        first, second = (OneSentencePerReferent(self.split, seed=7) for _ in range(2))
        torch.manual_seed(1)
        forwards = {epoch: epoch_of(first, epoch) for epoch in (0, 1, 2, 3)}
        torch.manual_seed(2)
        list(islice(iter(second), 2))  # an interrupted epoch
        assert {epoch: epoch_of(second, epoch) for epoch in (3, 1, 2, 0)} == forwards

    def test_sentences_and_order_vary_over_epochs_and_seeds(self) -> None:
        epochs = [epoch_of(OneSentencePerReferent(self.split, seed), epoch) for seed in (0, 1) for epoch in range(20)]
        assert len({tuple(rows) for rows in epochs}) == len(epochs)

    def test_every_sentence_is_drawn_about_equally_often(self) -> None:
        sampler = OneSentencePerReferent(self.split, seed=0)
        drawn = Counter(row for epoch in range(600) for row in epoch_of(sampler, epoch))
        # Each count is binomial: 600 draws with probability 1/5, 1/3 or 1/2. It is within 4.5 standard deviations.
        for row, expression in enumerate(self.split.expressions):
            share = 1 / [1, 3, 2, 5, 3][int(expression.referent_id)]
            assert abs(drawn[row] - 600 * share) <= 4.5 * (600 * share * (1 - share)) ** 0.5


class TestLearningRate:
    config = TrainingConfig(epochs=3, warmup_epochs=1, learning_rate=1.0, warmup_rate=0.1, final_rate=0.2)

    # Four warm-up steps, then eight cosine steps. After a quarter of those it is 0.2 + 0.8 (1 + sqrt(1/2)) / 2.
    @pytest.mark.parametrize(
        ("step", "rate"),
        [(0, 0.1), (1, 0.325), (2, 0.55), (3, 0.775), (4, 1.0), (6, 0.8828427), (8, 0.6), (10, 0.3171573), (12, 0.2)],
    )
    def test_values_by_hand(self, step: int, rate: float) -> None:
        assert learning_rate(step, self.config, steps_per_epoch=4) == pytest.approx(rate, abs=1e-7)

    def test_it_stays_at_the_final_rate(self) -> None:
        assert learning_rate(99, self.config, steps_per_epoch=4) == pytest.approx(0.2)

    def test_without_warm_up_it_starts_at_the_full_rate(self) -> None:
        assert learning_rate(0, TrainingConfig(warmup_epochs=0), 10) == 1e-4

    def test_the_warm_up_may_be_a_fraction_of_an_epoch(self) -> None:
        config = TrainingConfig(epochs=1, warmup_epochs=0.5, learning_rate=1.0, warmup_rate=0.0)
        assert [learning_rate(step, config, 4) for step in range(3)] == pytest.approx([0.0, 0.5, 1.0])

    def test_refcoco_runs_from_1e_7_over_1e_4_to_1e_6(self) -> None:
        rates = [learning_rate(step, TrainingConfig(), 1000) for step in (0, 3000, 25_000)]
        assert rates == pytest.approx([1e-7, 1e-4, 1e-6])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "training.epochs is 0"),
        ({"batch_size": 1}, "training.batch_size is 1"),
        ({"learning_rate": -1.0}, "training.learning_rate is -1.0"),
        ({"learning_rate": float("nan")}, "training.learning_rate is nan"),
        ({"epochs": 3, "warmup_epochs": 3}, "training.warmup_epochs is 3"),
        ({"warmup_rate": -1e-7}, "training.warmup_rate"),
        ({"betas": (0.9, 1.0)}, "training.betas"),
        ({"ema_decay": 1.0}, "training.ema_decay is 1.0"),
        ({"clip_norm": 0.0}, "training.clip_norm is 0.0"),
        ({"seed": -1}, "training.seed is -1"),
        ({"precision": "float16"}, "training.precision is 'float16'; it must be one of float32, bfloat16"),
    ],
)
def test_an_invalid_setting_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainingConfig(**changes)  # type: ignore[arg-type]


class Line(pl.LightningModule):
    """A model of one weight and one bias, trained by plain gradient descent."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.line = nn.Linear(1, 1)

    def training_step(self, batch: Tensor, _: int) -> Tensor:
        return (self.line(batch[:, None]) - 3).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.05)


class Recorder(Callback):
    """Records the weights after each step, without averaging."""

    def __init__(self) -> None:
        self.weights: list[list[float]] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object) -> None:
        self.weights.append([parameter.item() for parameter in pl_module.parameters()])


@pytest.mark.parametrize("limit", [0.0, 0.3, 0.9997])
def test_averaged_weights_follow_the_formula(limit: float, tmp_path: Path) -> None:
    module, recorder = Line(), Recorder()
    average = np.array([parameter.item() for parameter in module.parameters()])
    trainer = pl.Trainer(
        max_epochs=4,
        callbacks=[AveragedWeights(limit), recorder],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(module, DataLoader(torch.arange(1.0, 7.0), batch_size=2))
    assert len(recorder.weights) == 12
    for step, current in enumerate(recorder.weights):
        decay = min(limit, (step + 1) / (step + 10))
        average = decay * average + (1 - decay) * np.array(current)
    assert [parameter.item() for parameter in module.parameters()] == pytest.approx(average.tolist(), rel=1e-5)
