"""Convert a trained QueryMatch checkpoint into a grounder folder."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from aligncat.checkpoints.mask2former.folder import CONFIG as DETECTOR_CONFIG
from aligncat.checkpoints.mask2former.folder import POSITION_INDEX, import_detector
from aligncat.detectors.preprocessing import PreprocessingMode
from aligncat.detectors.registry import CANDIDATES, open_detector
from aligncat.errors import CheckpointError, ConfigError, DataError
from aligncat.files.atomic import write_atomic
from aligncat.files.documents import read_json
from aligncat.files.hashes import file_sha256
from aligncat.files.locks import folder_lock
from aligncat.versions import installed_versions

if TYPE_CHECKING:
    from torch import Tensor

    from aligncat.checkpoints.mask2former.position_index import FoldedIndex
    from aligncat.grounder.grounder import Grounder

logger = logging.getLogger(__name__)

DETECTOR_FOLDER = "detector"


def import_querymatch(
    *,
    checkpoint: str | Path,
    out: str | Path,
    annotations: str | Path,
    detector: str | Path | None = None,
    preprocessing: PreprocessingMode = "letterbox-416-to-800",
    max_words: int = 15,
) -> Grounder:
    """Turn a trained QueryMatch into a grounder that gives the same scores.

    After an interruption, run the same command again to resume.

    Args:
        checkpoint: the checkpoint file, such as `seg_best.pth`.
        out: the grounder's folder.
        annotations: the JSON annotations file that QueryMatch was trained with. Its words, in the order of the file,
            are the vocabulary.
        detector: QueryMatch's Mask2Former, a folder or a hub name. By default it is the Swin-Base inside the
            checkpoint, which is written to `detector` in the grounder's folder.
        preprocessing: how an image is converted into the detector's square input.
        max_words: the number of words that the model reads of an expression: 15 for RefCOCO and RefCOCO+, 20 for
            RefCOCOg.

    Returns:
        The grounder.

    Raises:
        UnsafePickleError: the checkpoint would run code when loaded.
        CheckpointError: the checkpoint is damaged or not a QueryMatch, or the vocabulary or the detector does not
            match it.
        DataError: the annotations cannot be read, or another process is writing the folder.
        DetectorError: the detector cannot be loaded.
        ConfigError: the folder already contains a grounder.
        WriteError: the folder cannot be written, for example because the disk is full.
    """
    folder, name = Path(out), None if detector is None else str(detector)
    with folder_lock(folder):
        return _import(Path(checkpoint), folder, Path(annotations), name, preprocessing, max_words)


def _import(
    checkpoint: Path,
    out: Path,
    annotations: Path,
    detector: str | None,
    preprocessing: PreprocessingMode,
    max_words: int,
) -> Grounder:
    from huggingface_hub.constants import REPOCARD_NAME

    from aligncat.checkpoints.mask2former.position_index import fold_position_index
    from aligncat.checkpoints.querymatch.convert import (
        DETECTOR_PREFIX,
        check_word_order,
        querymatch_model,
        querymatch_vocabulary,
    )
    from aligncat.checkpoints.tensors import read_tensors
    from aligncat.grounder.folder import CONFIG
    from aligncat.grounder.grounder import Grounder

    if (out / CONFIG).exists():
        raise ConfigError(f"{out}: already contains a grounder; choose another folder, or remove it")
    tensors, other_keys = read_tensors(checkpoint, "state_dict")
    tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    vocabulary = querymatch_vocabulary(annotations)
    # The number of categories is not known yet. This call reports errors before the detector is converted.
    querymatch_model(tensors, words=len(vocabulary), classes=1, max_length=max_words, source=str(checkpoint))
    check_word_order(vocabulary, tensors["lang_encoder.embedding.weight"], str(checkpoint))
    shift = fold_position_index(tensors, str(checkpoint))
    name = detector or _own_detector(tensors, checkpoint, out, shifted=bool(shift.names))
    loaded = open_detector(name, candidates=CANDIDATES, preprocessing=preprocessing)
    model = querymatch_model(
        tensors, words=len(vocabulary), classes=len(loaded.labels), max_length=max_words, source=str(checkpoint)
    )
    if loaded.feature_dim != (wanted := model.alignment.sizes.visual_dim):
        raise CheckpointError(
            f"{checkpoint}: needs query features of length {wanted}, but those of the detector {name} have length "
            f"{loaded.feature_dim}; give the detector that the checkpoint was trained with"
        )
    origin = {"file": checkpoint.name, "sha256": file_sha256(checkpoint)}
    if shift.names:
        origin[POSITION_INDEX] = _position_index(shift, name, checkpoint)
    provenance = {
        "querymatch": origin,
        "vocabulary": {"file": annotations.name, "sha256": file_sha256(annotations), "splits": "all, as QueryMatch's"},
        "versions": installed_versions(),
    }
    grounder = Grounder(model, vocabulary, loaded.labels, loaded.description(), provenance)
    # The card comes first, because config.json marks the import as done.
    write_atomic(out / REPOCARD_NAME, str(grounder.generate_model_card()).encode())
    grounder.save_pretrained(out)
    inner = sum(name.startswith(DETECTOR_PREFIX) for name in tensors)
    logger.info("%s: converted %d tensors; %d words", out, len(tensors) - inner, len(vocabulary))
    if inner:
        logger.info("%d tensors of its detector: %s", inner, "not used because of --detector" if detector else name)
    if other_keys:
        logger.info("dropped %s: training state, not part of the model", ", ".join(other_keys))
    return grounder


def _position_index(shift: FoldedIndex, detector: str, checkpoint: Path) -> str:
    """Say what became of the shifted position index of a checkpoint's own detector, and warn if it is not used."""
    if _was_converted_from(Path(detector), checkpoint, shifted=True):
        return shift.summary()
    lost = (
        f"shifted in the checkpoint's own detector, but not in {Path(detector).name}, which is used instead: its query "
        "features, and so the scores, differ from those that QueryMatch's results were measured with"
    )
    logger.warning("relative_position_index: %s; leave out --detector to use the checkpoint's own", lost)
    return lost


def _own_detector(tensors: dict[str, Tensor], checkpoint: Path, out: Path, *, shifted: bool) -> str:
    """Write the detector inside a checkpoint to a folder, and return the folder's path."""
    from aligncat.checkpoints.querymatch.convert import DETECTOR_PREFIX

    if not any(name.startswith(DETECTOR_PREFIX) for name in tensors):
        raise CheckpointError(
            f"{checkpoint}: contains no detector; name the detector that it was trained with (--detector)"
        )
    folder = out / DETECTOR_FOLDER
    if not _was_converted_from(folder, checkpoint, shifted=shifted):
        import_detector(model=checkpoint, out=folder, config="swin-base")
    return str(folder)


def _was_converted_from(folder: Path, checkpoint: Path, *, shifted: bool) -> bool:
    """Return whether a folder holds the detector of this checkpoint, from another import or an interrupted one.

    Args:
        folder: the folder.
        checkpoint: the checkpoint.
        shifted: whether the checkpoint's position index is shifted. Versions of aligncat that ignored the shift did not
            record it, and their folders do not count.
    """
    try:
        config = read_json(folder / DETECTOR_CONFIG)
    except DataError:
        return False
    match config:
        case {"aligncat_source": {"sha256": str() as digest, **source}}:
            return digest == file_sha256(checkpoint) and (POSITION_INDEX in source) == shifted
    return False
