"""Training and validation batches for Lightning."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Sampler

from aligncat.datasets.split import Split
from aligncat.errors import ConfigError
from aligncat.grounder.batches import Batch, SplitTensors
from aligncat.language.tokens import Tokens
from aligncat.store.reader import Store

logger = logging.getLogger(__name__)


class OneSentencePerReferent(Sampler[int]):
    """Each epoch every referent once, in random order, with one of its sentences drawn at random (QueryMatch).

    The draw depends on the seed and the epoch alone, so that a resumed run continues as if never stopped.

    Args:
        split: whose expressions.
        seed: decides the draws.
    """

    def __init__(self, split: Split, seed: int) -> None:
        place = {expression.id: row for row, expression in enumerate(split.expressions)}
        groups = split.sentences_by_referent().values()
        self._rows = [[place[expression.id] for expression in group] for group in groups]
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed((self._seed << 20) + self._epoch)
        order = torch.randperm(len(self._rows), generator=generator).tolist()
        draws = torch.rand(len(self._rows), generator=generator).tolist()
        return (self._rows[group][int(draws[group] * len(self._rows[group]))] for group in order)


class GroundingData(pl.LightningDataModule):
    """Training and validation batches.

    Args:
        train: the training split.
        val: the validation split, or None.
        store: the candidates of both splits' images.
        vocabulary: of the training split.
        max_length: words kept of an expression.
        batch_size: referents a training step.
        seed: decides the order.
        with_labels: whether the model uses c*.

    Raises:
        ConfigError: the training split has fewer referents than a batch, or the model uses c* and no expression
            has one.
        DetectorError: a category is none of the detector's.
        StoreError: the store lacks an image.
    """

    def __init__(
        self,
        *,
        train: Split,
        val: Split | None,
        store: Store,
        vocabulary: Tokens,
        max_length: int,
        batch_size: int,
        seed: int,
        with_labels: bool,
    ) -> None:
        super().__init__()
        self._sampler = OneSentencePerReferent(train, seed)
        if len(self._sampler) < batch_size:
            raise ConfigError(
                f"training.batch_size is {batch_size} and the training split has only {len(self._sampler)} "
                "referents: make the batch smaller"
            )
        self._batch_size = batch_size
        self._train = SplitTensors(train, store, vocabulary, max_length=max_length, with_labels=with_labels)
        if with_labels:
            _check_labels(train, self._train.labelled)
        self._val = (
            None if val is None else SplitTensors(val, store, vocabulary, max_length=max_length, with_labels=False)
        )

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch; what is left over waits for the next one."""
        return len(self._sampler) // self._batch_size

    def train_dataloader(self) -> DataLoader[Batch]:
        """One sentence of every referent, in batches."""
        return DataLoader(
            range(len(self._train)),  # type: ignore[arg-type]
            batch_size=self._batch_size,
            sampler=self._sampler,
            drop_last=True,
            collate_fn=self._train.gather,
            generator=_own_generator(),
        )

    def val_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        """Every sentence of the validation split, in order."""
        if self._val is None:
            return []
        return DataLoader(
            range(len(self._val)),  # type: ignore[arg-type]
            batch_size=256,
            collate_fn=self._val.gather,
            generator=_own_generator(),
        )


def _own_generator() -> torch.Generator:
    """Return a generator for a DataLoader alone.

    A DataLoader consumes a random number each time it is iterated, even without workers. Taken from the global
    generator, that number would shift the dropout, and differently in a resumed run. A generator of its own keeps
    resumed runs identical.
    """
    return torch.Generator()


def _check_labels(split: Split, labelled: int) -> None:
    """Without a single c* the text classifier would stay as random as it began, and choose with it."""
    if not labelled:
        raise ConfigError(
            f"the model learns from category labels and no expression of {split.dataset} {split.split} has one: give "
            "the categories, or train without them (--alignment global+fine or --alignment querymatch)"
        )
    if labelled < len(split.expressions):
        logger.warning(
            "%d of %d expressions of %s %s have no category; they teach the text classifier nothing",
            len(split.expressions) - labelled,
            len(split.expressions),
            split.dataset,
            split.split,
        )
