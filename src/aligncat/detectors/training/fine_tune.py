"""Fine-tune a query-based segmenter on labelled photos, and write its folder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from aligncat.detectors.folder import CONFIG, DetectorFolder
from aligncat.detectors.preprocessing import DEFAULT_MODE, Preprocessing
from aligncat.detectors.training.card import CARD, Contents, card
from aligncat.detectors.training.examples import PhotoExamples
from aligncat.detectors.training.labelled import LabelledPhoto, photos_sha256
from aligncat.detectors.training.loop import Phase, train_steps
from aligncat.detectors.training.recipe import DetectorRecipe, Optimisation
from aligncat.detectors.training.scores import Scores, best_of, score_segmenter
from aligncat.detectors.training.segmenter import (
    Segmenter,
    example_loss,
    rounded,
    save_preprocessor,
    save_segmenter,
    start_from,
)
from aligncat.detectors.training_record import STARTED_FROM, continued
from aligncat.errors import DataError, DetectorError
from aligncat.files.atomic import write_atomic
from aligncat.files.documents import read_json
from aligncat.files.new_folder import new_folder

TRAINING = "aligncat_training"
"""The key of config.json with what decided a training."""
_HISTORY, _BEST = "history", "best"  # what is kept: the step and the scores of each measurement, and the best weights
_MINI_RATE, _USUAL_RATE = 4e-4, 1e-4

FEWEST_FOUND = 0.5
"""The share of held-out objects below which a detector is of little use. A phrase whose object is not found cannot be
answered, so below it a grounder is wrong more often than right, even if it chooses as well as possible."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The classes of a training.

    Attributes:
        names: their names.
        same: for each, the class of the detector that training starts from with the same name, or None.
    """

    names: tuple[str, ...]
    same: tuple[int | None, ...]


def fine_tune(
    start: DetectorFolder,
    labels: Labels,
    photos: Sequence[LabelledPhoto],
    held_out: Sequence[LabelledPhoto],
    out: Path,
    *,
    recipe: DetectorRecipe,
    save_every: int,
    device: str,
) -> Path:
    """Train a detector and write its folder, whole or not at all.

    An interrupted training continues from its last saved state, a file beside the folder.

    Args:
        start: the detector whose weights the training starts from.
        labels: the classes.
        photos: the photos to train on.
        held_out: the photos that choose the best weights; the last weights are kept if there are none.
        out: the folder to write.
        recipe: the settings.
        save_every: steps between saved states.
        device: the device that it runs on.

    Returns:
        The folder.

    Raises:
        DataError: no photo to train on or no held-out photo has an object, the folder is not empty, or another process
            is writing it.
        DetectorError: the detector cannot be trained, a gradient is not finite, or a saved state does not belong here.
        WriteError: a file cannot be written, for example because the disk is full.
    """
    _check_objects(photos, "to train on")
    _check_objects(held_out, "held out")
    torch.manual_seed(recipe.seed)
    segmenter = start_from(start, labels.names, labels.same, recipe.image_size)
    settings = _settings(recipe, segmenter, len(photos), device)
    identity: dict[str, Any] = {
        "recipe": asdict(recipe) | {"image_size": segmenter.size},
        "bfloat16": settings.bfloat16,
        "start": list(segmenter.sha256),
        "labels": list(labels.names),
        "photos": photos_sha256(photos),
        "held_out": photos_sha256(held_out),
    }
    if _is_finished(out, identity):
        logger.info("%s: this training has ended already", out)
        _warn_if_poor(out)
        return out
    new = [label for label in labels.names if label not in segmenter.kept]
    logger.info(
        "%d photos to train on, %d held out; %d classes, of which %s knows %d", len(photos), len(held_out),
        len(labels.names), start.name, len(labels.names) - len(new),
    )  # fmt: skip
    steps = _steps(recipe, len(photos))
    judge = _Judge(segmenter, held_out, recipe, len(labels.names), steps)
    phase = Phase(
        title="detecting objects",
        examples=lambda first, count: PhotoExamples(photos, recipe, segmenter.size, first, count),
        steps=range(steps),
        batch_size=recipe.batch_size,
        optimisation=settings,
        identity=identity,
        state_file=out.with_name(f"{out.name}.state.pt"),
        save_every=save_every,
        device=device,
        after=judge.after,
    )
    with new_folder(out) as unfinished:
        average, kept = train_steps(segmenter.model, partial(example_loss, segmenter.model), phase)
        history = kept.get(_HISTORY, [])
        if held_out:
            average.load_state_dict(kept[_BEST])
        names, names_held_out = [photo.name for photo in photos], [photo.name for photo in held_out]
        record = continued(start.name, segmenter.sha256[0], names, names_held_out)
        settings_written = {
            "aligncat_image_size": segmenter.size,
            STARTED_FROM: list(record.started_from),
            TRAINING: identity | {"history": history},
        }
        save_segmenter(average.cpu().to(segmenter.dtype), unfinished, settings_written)
        save_preprocessor(unfinished, segmenter.size)
        record.write(unfinished)
        text = card(
            Contents(name=out.name, labels=labels.names, new=new, photos=photos, held_out=held_out),
            record=record,
            recipe=recipe,
            settings=settings,
            history=history,
        )
        write_atomic(unfinished / CARD, text.encode())
    phase.state_file.unlink(missing_ok=True)
    _warn_if_poor(out)
    return out


def measured(out: Path) -> tuple[int, Scores] | None:
    """Return the step of the weights in a detector's folder, and their scores on the held-out photos.

    None if no photo was held out.

    Args:
        out: the folder that `fine_tune` wrote.

    Raises:
        DetectorError: its config.json cannot be read.
    """
    content: Any = read_json(out / CONFIG, DetectorError)
    history = content[TRAINING][_HISTORY]
    return best_of(history) if history else None


def _warn_if_poor(out: Path) -> None:
    """Warn if most phrases about photos like the held-out ones could not be answered, whatever a grounder learns."""
    if (best := measured(out)) is not None and best[1].found < FEWEST_FOUND:
        logger.warning(
            "%s finds only %.1f%% of the objects of held-out photos. A grounder chooses among what it finds, so it is "
            "of little use for grounding below %.0f%%. Annotate more photos, train longer (--recipe.epochs), or start "
            "from a detector of such photos (--from)",
            out, 100 * best[1].found, 100 * FEWEST_FOUND,
        )  # fmt: skip


class _Judge:
    """Measures the averaged weights on the held-out photos now and then, and keeps the best ones."""

    def __init__(
        self,
        segmenter: Segmenter,
        photos: Sequence[LabelledPhoto],
        recipe: DetectorRecipe,
        labels: int,
        steps: int,
    ) -> None:
        self._segmenter, self._photos, self._recipe, self._labels = segmenter, photos, recipe, labels
        self._at = {-(-steps * number // recipe.validations) for number in range(1, recipe.validations + 1)}

    def after(self, done: int, average: nn.Module, kept: dict[str, Any]) -> dict[str, Any]:
        """Measure after some of the steps; see `Phase.after`."""
        if not self._photos or done not in self._at:
            return kept
        preprocessing = Preprocessing(DEFAULT_MODE, self._segmenter.size)
        model = rounded(average, self._segmenter.dtype)
        scores = score_segmenter(
            model, self._photos, preprocessing, batch_size=self._recipe.batch_size, labels=self._labels
        )
        logger.info("step %d: %s", done, scores)
        history = kept.get(_HISTORY, [])
        best = kept.get(_BEST)
        if best is None or _rank(scores) > max(_rank(Scores(**entry["scores"])) for entry in history):
            best = {name: each.cpu() for name, each in model.to(self._segmenter.dtype).state_dict().items()}
        return {_HISTORY: [*history, {"step": done, "scores": asdict(scores)}], _BEST: best}


def _check_objects(photos: Sequence[LabelledPhoto], what: str) -> None:
    """Check that photos, if there are any, show an object: without one, nothing is learned or no weights are best."""
    if photos and all(one.crowd for photo in photos for one in photo.objects):
        raise DataError(
            f"none of the {len(photos)} photos {what} has an annotated object; choose another recipe.seed or share "
            "(recipe.held_out), or annotate more photos"
        )


def _rank(scores: Scores) -> tuple[float, float]:
    return scores.usable, scores.ap


def _steps(recipe: DetectorRecipe, photos: int) -> int:
    return max(1, -(-recipe.epochs * photos // recipe.batch_size))


def _settings(recipe: DetectorRecipe, segmenter: Segmenter, photos: int, device: str) -> Optimisation:
    rate = recipe.learning_rate or (_MINI_RATE if segmenter.own_recipe else _USUAL_RATE)
    return Optimisation(
        learning_rate=rate,
        warmup=min(recipe.warmup, _steps(recipe, photos) // 10),
        weight_decay=recipe.weight_decay,
        clip=recipe.clip,
        ema=recipe.ema,
        seed=recipe.seed,
        bfloat16=_in_bfloat16(device) if recipe.precision == "auto" else recipe.precision == "bfloat16",
    )


def _in_bfloat16(device: str) -> bool:
    """Return whether a device computes in bfloat16 itself, which is then faster."""
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())


def _is_finished(out: Path, identity: dict[str, Any]) -> bool:
    """Return whether a folder has the detector of this very training."""
    file = out / CONFIG
    if not file.is_file():
        return False
    content = read_json(file, DetectorError)
    found = content.get(TRAINING) if isinstance(content, dict) else None
    return isinstance(found, dict) and {key: found.get(key) for key in identity} == identity
