"""aligncat import querymatch: a trained QueryMatch as a grounder's folder."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from torch import Tensor

from aligncat.checkpoints.mask2former.folder import CONFIG as DETECTOR_CONFIG
from aligncat.checkpoints.mask2former.folder import import_detector
from aligncat.checkpoints.querymatch.convert import DETECTOR, check_word_order, querymatch_model, querymatch_vocabulary
from aligncat.checkpoints.tensors import read_tensors
from aligncat.detectors.preprocessing import PreprocessingMode
from aligncat.detectors.registry import open_detector
from aligncat.errors import CheckpointError, ConfigError
from aligncat.files.hashes import file_sha256
from aligncat.grounder.folder import CONFIG
from aligncat.grounder.grounder import Grounder
from aligncat.versions import installed_versions

logger = logging.getLogger(__name__)

CANDIDATES = 20  # that QueryMatch keeps of an image
DETECTOR_FOLDER = "detector"


def import_querymatch(
    *,
    checkpoint: Path,
    out: Path,
    annotations: Path,
    detector: str | None = None,
    preprocessing: PreprocessingMode = "letterbox-416-to-800",
    max_words: int = 15,
) -> Grounder:
    """Turn a trained QueryMatch into a grounder that gives the same scores.

    Stopped at any moment, the same command goes on where it was.

    Args:
        checkpoint: what its training saved, such as `seg_best.pth`.
        out: the grounder's folder.
        annotations: the JSON file that it was trained with: its words, in its order, are the vocabulary.
        detector: its Mask2Former, a folder or a hub name; by default the one within the checkpoint, a Swin-Base,
            which is written to `detector` in the grounder's folder.
        preprocessing: how it makes an image the detector's square.
        max_words: words that it reads of an expression: 15 for RefCOCO and RefCOCO+, 20 for RefCOCOg.

    Returns:
        The grounder.

    Raises:
        UnsafePickleError: reading the checkpoint would have meant running code.
        CheckpointError: it is damaged or not a QueryMatch, or the vocabulary or the detector does not fit it.
        DataError: the annotations cannot be read.
        DetectorError: the detector cannot be loaded.
        ConfigError: the folder holds a grounder already.
    """
    if (out / CONFIG).exists():
        raise ConfigError(f"{out} holds a grounder already: give another folder, or remove it")
    tensors, beside = read_tensors(checkpoint, "state_dict")
    tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    vocabulary = querymatch_vocabulary(annotations)
    # First without knowing the categories, so that what is wrong is said before the detector is converted.
    querymatch_model(tensors, words=len(vocabulary), classes=1, max_length=max_words, source=str(checkpoint))
    check_word_order(vocabulary, tensors["lang_encoder.embedding.weight"], str(checkpoint))
    name = detector or _own_detector(tensors, checkpoint, out)
    loaded = open_detector(name, candidates=CANDIDATES, preprocessing=preprocessing)
    model = querymatch_model(
        tensors, words=len(vocabulary), classes=len(loaded.labels), max_length=max_words, source=str(checkpoint)
    )
    if loaded.feature_dim != (wanted := model.alignment.sizes.visual_dim):
        raise CheckpointError(
            f"{checkpoint}: reads query features of {wanted} numbers, and those of the "
            f"detector {name} have {loaded.feature_dim}: give the detector that it was trained with"
        )
    provenance = {
        "querymatch": {"file": checkpoint.name, "sha256": file_sha256(checkpoint)},
        "vocabulary": {"file": annotations.name, "sha256": file_sha256(annotations), "splits": "all, as QueryMatch's"},
        "versions": installed_versions(),
    }
    out.mkdir(parents=True, exist_ok=True)
    grounder = Grounder(model, vocabulary, loaded.labels, loaded.description(), provenance)
    grounder.save_pretrained(out)
    inner = sum(name.startswith(DETECTOR) for name in tensors)
    logger.info("%s: %d tensors used, %d words", out, len(tensors) - inner, len(vocabulary))
    if inner:
        logger.info("%d tensors of its detector: %s", inner, "not needed beside --detector" if detector else name)
    if beside:
        logger.info("dropped %s: the training's, beside the model", ", ".join(beside))
    return grounder


def _own_detector(tensors: dict[str, Tensor], checkpoint: Path, out: Path) -> str:
    """Write the detector that is within a checkpoint, and give its folder."""
    if not any(name.startswith(DETECTOR) for name in tensors):
        raise CheckpointError(
            f"{checkpoint}: has no detector within: name the one that it was trained with (--detector)"
        )
    folder = out / DETECTOR_FOLDER
    if not _is_of(folder, checkpoint):
        import_detector(model=checkpoint, out=folder, config="swin-base")
    return str(folder)


def _is_of(folder: Path, checkpoint: Path) -> bool:
    """Whether a folder holds the detector of a checkpoint, from an earlier import that did not come to its end."""
    try:
        source = json.loads((folder / DETECTOR_CONFIG).read_text(encoding="utf-8"))["aligncat_source"]
        return bool(source["sha256"] == file_sha256(checkpoint))
    except (OSError, ValueError, KeyError, TypeError):
        return False
