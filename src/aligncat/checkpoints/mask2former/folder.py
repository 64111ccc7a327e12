"""aligncat detector import: an original Mask2Former checkpoint as a folder that transformers loads."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

from safetensors.torch import save

from aligncat.checkpoints.mask2former.architectures import ARCHITECTURES, ArchitectureName, transformers_config
from aligncat.checkpoints.mask2former.convert import Converted, convert
from aligncat.checkpoints.querymatch.convert import DETECTOR as QUERYMATCHS_DETECTOR
from aligncat.checkpoints.tensors import read_tensors
from aligncat.datasets.categories import COCO_NAMES
from aligncat.errors import CheckpointError, ConfigError
from aligncat.files.atomic import write_atomic
from aligncat.files.hashes import file_sha256

logger = logging.getLogger(__name__)

WEIGHTS, CONFIG = "model.safetensors", "config.json"


def import_detector(*, model: Path, out: Path, config: ArchitectureName, labels: Path | None = None) -> Converted:
    """Turn an original (detectron2) Mask2Former checkpoint into a folder that transformers and aligncat load.

    Every tensor is used, dropped for a reason that is reported, or an error. A checkpoint of QueryMatch holds its
    frozen detector, which is taken out of it.

    Args:
        model: the checkpoint: a `.pkl` of detectron2, or a `.pth`.
        out: the folder to write; it must not hold a detector yet.
        config: the architecture: that of the YAML file that the checkpoint was trained with.
        labels: a text file with a category name a line, in the checkpoint's order; by default COCO's 80.

    Returns:
        What was converted, and what was dropped and why.

    Raises:
        UnsafePickleError: reading the checkpoint would have meant running code.
        CheckpointError: it is damaged, or is not of that architecture, or has another number of categories.
        ConfigError: the folder holds a detector already.
    """
    if (out / CONFIG).exists():
        raise ConfigError(f"{out} holds a detector already: give another folder, or remove it")
    tensors, beside = read_tensors(model, "model", "state_dict")
    tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    inner = {name: tensor for name, tensor in tensors.items() if name.startswith(QUERYMATCHS_DETECTOR)}
    outer = {name: "it is QueryMatch's, not its detector's" for name in tensors if inner and name not in inner}
    state = {name.removeprefix(QUERYMATCHS_DETECTOR): tensor for name, tensor in (inner or tensors).items()}
    converted = convert(state, ARCHITECTURES[config], str(model))
    converted.dropped.update(outer)
    converted.dropped.update(dict.fromkeys(beside, "it is the training's, beside the model"))
    names = _labels(labels, converted.classes, model)
    written = transformers_config(ARCHITECTURES[config], converted.queries, names)
    written.update({"aligncat_source": {"file": model.name, "sha256": file_sha256(model), "architecture": config}})
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / WEIGHTS, save(converted.weights, metadata={"format": "pt"}))
    write_atomic(out / CONFIG, written.to_json_string(use_diff=False).encode())
    report(converted, out)
    return converted


def report(converted: Converted, out: Path) -> None:
    """Say what became of each tensor of the original."""
    logger.info(
        "%s: %d tensors of the original used; %d queries, %d categories",
        out,
        converted.used,
        converted.queries,
        converted.classes,
    )
    for reason, count in Counter(converted.dropped.values()).items():
        example = next(name for name, why in converted.dropped.items() if why == reason)
        logger.info("dropped %d, such as %s: %s", count, example, reason)


def _labels(path: Path | None, classes: int, model: Path) -> tuple[str, ...]:
    if path is None:
        names, origin = COCO_NAMES, "COCO has"
    else:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{path}: cannot be read as text in UTF-8 ({error}); give a category name a line"
            ) from error
        names, origin = tuple(line.strip() for line in lines if line.strip()), f"{path} has"
    if len(names) != classes or len(set(names)) != classes:
        raise CheckpointError(
            f"{model}: has {classes} categories, {origin} {len(set(names))}: give a file with their names, one a line "
            "(--labels)"
        )
    return names
