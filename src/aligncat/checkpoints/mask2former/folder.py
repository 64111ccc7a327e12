"""Convert an original Mask2Former checkpoint into a folder that transformers loads."""

from __future__ import annotations

import json
import logging
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from aligncat.checkpoints.mask2former.architectures import ARCHITECTURES, ArchitectureName, transformers_config
from aligncat.datasets.categories import COCO_NAMES
from aligncat.detectors.folder import with_hashes
from aligncat.errors import CheckpointError, ConfigError
from aligncat.files.atomic import write_atomic
from aligncat.files.documents import read_text
from aligncat.files.hashes import file_sha256
from aligncat.files.locks import folder_lock

if TYPE_CHECKING:
    from aligncat.checkpoints.mask2former.convert import Converted

logger = logging.getLogger(__name__)

WEIGHTS, CONFIG = "model.safetensors", "config.json"
SOURCE = "aligncat_source"
"""The key of config.json that records the checkpoint."""
POSITION_INDEX = "relative_position_index"
"""The key in it that says that a shifted index was folded into the bias tables; left out if none was shifted."""


def import_detector(
    *, model: str | Path, out: str | Path, config: ArchitectureName, labels: str | Path | None = None
) -> Converted:
    """Turn an original (detectron2) Mask2Former checkpoint into a folder that transformers and aligncat load.

    Each tensor is converted, or dropped with a reason that is logged. Any other tensor is an error. From a QueryMatch
    checkpoint, only its frozen detector is converted. If the checkpoint has a shifted `relative_position_index`, as
    QueryMatch's training saves it, its shift is folded into the bias tables, and the log and config.json say so.

    Args:
        model: the checkpoint, a detectron2 `.pkl` or a `.pth`.
        out: the folder to write; it must not contain a detector.
        config: the architecture in the YAML config that the checkpoint was trained with.
        labels: a text file with one category name per line, in the checkpoint's order; by default COCO's 80.

    Returns:
        The converted weights, and the dropped keys with their reasons.

    Raises:
        UnsafePickleError: the checkpoint would run code when loaded.
        CheckpointError: the checkpoint is damaged, has another architecture or another number of categories, or has a
            position index that cannot be folded.
        ConfigError: the folder already contains a detector, or the labels cannot be read.
        DataError: another process is writing the folder.
        WriteError: the folder cannot be written, for example because the disk is full.
    """
    folder = Path(out)
    with folder_lock(folder):
        return _import(Path(model), folder, config, None if labels is None else Path(labels))


def _import(model: Path, out: Path, config: ArchitectureName, labels: Path | None) -> Converted:
    from safetensors.torch import save

    from aligncat.checkpoints.mask2former.convert import convert
    from aligncat.checkpoints.querymatch.convert import DETECTOR_PREFIX
    from aligncat.checkpoints.tensors import read_tensors

    if (out / CONFIG).exists():
        raise ConfigError(f"{out}: already contains a detector; choose another folder, or remove it")
    tensors, other_keys = read_tensors(model, "model", "state_dict")
    tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    inner = {name: tensor for name, tensor in tensors.items() if name.startswith(DETECTOR_PREFIX)}
    outer = {name: "it belongs to QueryMatch, not to its detector" for name in tensors if inner and name not in inner}
    state = {name.removeprefix(DETECTOR_PREFIX): tensor for name, tensor in (inner or tensors).items()}
    converted = convert(state, ARCHITECTURES[config], str(model))
    converted.dropped.update(outer)
    converted.dropped.update(dict.fromkeys(other_keys, "it is training state, not part of the model"))
    names = _category_names(labels, converted.classes, model)
    model_config = transformers_config(ARCHITECTURES[config], converted.queries, names)
    origin = {"file": model.name, "sha256": file_sha256(model), "architecture": config}
    if converted.position_index.names:
        origin[POSITION_INDEX] = converted.position_index.summary()
    model_config.update({SOURCE: origin})
    write_atomic(out / WEIGHTS, save(converted.weights, metadata={"format": "pt"}))
    content = with_hashes(json.loads(model_config.to_json_string(use_diff=False)), [out / WEIGHTS])
    write_atomic(out / CONFIG, (json.dumps(content, indent=2) + "\n").encode())
    _log_result(converted, out)
    return converted


def _log_result(converted: Converted, out: Path) -> None:
    logger.info(
        "%s: converted %d tensors; %d queries, %d categories",
        out,
        converted.used,
        converted.queries,
        converted.classes,
    )
    if converted.position_index.names:
        logger.info("relative_position_index: %s", converted.position_index.summary())
    for reason, count in Counter(converted.dropped.values()).items():
        example = next(name for name, why in converted.dropped.items() if why == reason)
        logger.info("dropped %d, such as %s: %s", count, example, reason)


def _category_names(path: Path | None, classes: int, model: Path) -> tuple[str, ...]:
    if path is None:
        names, origin = COCO_NAMES, "COCO"
    else:
        lines = read_text(path, ConfigError).splitlines()
        names, origin = tuple(line.strip() for line in lines if line.strip()), str(path)
    if len(names) != classes or len(set(names)) != classes:
        raise CheckpointError(
            f"{model}: has {classes} categories, but {origin} has {len(set(names))}; give a text file with their "
            "names, one per line (--labels)"
        )
    return names
