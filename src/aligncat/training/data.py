"""Training and validation batches for Lightning."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch.utils.data import BatchSampler, DataLoader, Sampler

from aligncat.datasets.lexicon import Lexicon
from aligncat.datasets.split import Split
from aligncat.datasets.tables import numbered
from aligncat.errors import ConfigError
from aligncat.grounder.batches import Batch, SplitTensors
from aligncat.grounder.features import ScaledColumn
from aligncat.language.tokens import Tokens
from aligncat.store.reader import Store

logger = logging.getLogger(__name__)


class OneSentencePerReferent(Sampler[int]):
    """Samples every referent once per epoch, in random order, with one of its expressions at random, as in QueryMatch.

    The samples depend only on the seed and the epoch, so a resumed run draws the same ones as an uninterrupted run.

    Args:
        split: the training split.
        seed: the seed of the random draws.
    """

    def __init__(self, split: Split, seed: int) -> None:
        _, referents = numbered(split.expressions, "referent_id")
        self._rows = np.argsort(referents, kind="stable")  # those of a referent follow each other
        self._counts = np.bincount(referents)
        self._starts = np.cumsum(self._counts) - self._counts
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch. Lightning calls this at the start of each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._counts)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed((self._seed << 20) + self._epoch)
        order = torch.randperm(len(self), generator=generator).numpy()
        # In float64, because in float32 the product with a large count could round up to the count.
        draws = torch.rand(len(self), generator=generator).numpy().astype(np.float64)
        rows = self._rows[self._starts + (draws * self._counts).astype(np.int64)]
        return map(int, rows[order])


class PartOfBatches(BatchSampler):
    """The part that one of several devices has of each whole batch: equal parts, in the order of the devices.

    Args:
        sampler: the samples of the epoch.
        batch_size: the samples of a batch on all devices together.
        rank: the number of the device, from 0.
        devices: the number of devices, which divides `batch_size`.
    """

    def __init__(self, sampler: Sampler[int], batch_size: int, rank: int, devices: int) -> None:
        super().__init__(sampler, batch_size, drop_last=True)
        size = batch_size // devices
        self._part = slice(rank * size, (rank + 1) * size)

    def __iter__(self) -> Iterator[list[int]]:
        return (batch[self._part] for batch in super().__iter__())


class GroundingData(pl.LightningDataModule):
    """Training and validation batches.

    Args:
        train: the training split.
        val: the validation split, or None.
        store: the candidates of both splits' images.
        vocabulary: turns expressions into token ids.
        max_length: the largest number of words or word pieces of an expression.
        batch_size: referents per training step.
        seed: the seed of the order.
        with_labels: whether the model uses c*, the category that the data gives an expression.
        columns: the columns of the store that the model reads beside f_q.
        lexicon: reads the category of an expression's second object, if the model has relations.

    Raises:
        ConfigError: the training split has fewer referents than a batch, or the model uses c* and no expression
            has one.
        DetectorError: the detector lacks a category of the dataset.
        StoreError: the store lacks an image or a column.
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
        columns: Sequence[ScaledColumn] = (),
        lexicon: Lexicon | None = None,
    ) -> None:
        super().__init__()
        self._sampler = OneSentencePerReferent(train, seed)
        if len(self._sampler) < batch_size:
            raise ConfigError(
                f"training.batch_size is {batch_size} and the training split has only {len(self._sampler)} "
                "referents: set a smaller training.batch_size"
            )
        self._batch_size = batch_size
        self._train = SplitTensors(
            train,
            store,
            vocabulary,
            max_length=max_length,
            with_labels=with_labels,
            columns=columns,
            lexicon=lexicon,
        )
        if with_labels:
            _check_labels(train, self._train.labelled)
        self._val = None
        if val is not None:
            self._val = SplitTensors(val, store, vocabulary, max_length=max_length, with_labels=False, columns=columns)

    @property
    def steps_per_epoch(self) -> int:
        """The number of whole batches in an epoch. Referents of an incomplete batch are left out of that epoch."""
        return len(self._sampler) // self._batch_size

    @property
    def confidences(self) -> NDArray[np.float32]:
        """The confidences of the training images' candidates, (images, O), highest first; 0 where there is none."""
        return self._train.confidences

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return the loader of this device's part of the whole training batches, with one expression per referent."""
        return DataLoader(
            range(len(self._train)),  # type: ignore[arg-type]
            batch_sampler=PartOfBatches(self._sampler, self._batch_size, *self._place()),
            collate_fn=self._train.gather,
            generator=_own_generator(),
        )

    def val_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        """Return the loader of this device's share of the expressions of the validation split, in order."""
        if self._val is None:
            return []
        rank, devices = self._place()
        # A device without an expression would leave the others waiting, so it takes one of theirs.
        mine = range(min(rank, len(self._val) - 1), len(self._val), devices)
        return DataLoader(
            mine,  # type: ignore[arg-type]
            batch_size=256,
            collate_fn=self._val.gather,
            generator=_own_generator(),
        )

    def _place(self) -> tuple[int, int]:
        """Return the number of this device, and the number of devices."""
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)


def _own_generator() -> torch.Generator:
    """Return a random generator for one DataLoader.

    A DataLoader consumes a random number each time it is iterated. From the global generator, that would change the
    dropout of a resumed run. Its own generator keeps resumed runs identical.
    """
    return torch.Generator()


def _check_labels(split: Split, labelled: int) -> None:
    """Check that some expressions have a c*. Otherwise a random text classifier would decide the category."""
    if not labelled:
        raise ConfigError(
            f"the model needs category labels and no expression of {split.dataset} {split.split} has one: add "
            "categories to the data, or train without them (--alignment global+fine or --alignment querymatch)"
        )
    if labelled < len(split.expressions):
        logger.warning(
            "%d of %d expressions of %s %s have no category; the text classifier is not trained on them",
            len(split.expressions) - labelled,
            len(split.expressions),
            split.dataset,
            split.split,
        )
