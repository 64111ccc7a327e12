"""Load a model class of transformers from a detector's folder, and say in one line what is missing."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch
from safetensors import SafetensorError

from aligncat.detectors.families import ModelClass, TransformersFamily
from aligncat.detectors.folder import DetectorFolder
from aligncat.errors import DetectorError
from aligncat.loading import model_loading, unlike_files
from aligncat.wording import first_line

# Tensors that may be missing. No detector uses them: the count of the batches that a batch norm has seen, and the norm
# after the last stage of a Swin classifier, which files of older versions of transformers lack. Or the config decides
# them: the class weights of a loss.
_UNREAD = ("criterion.empty_weight", "num_batches_tracked", "swin.layernorm.weight", "swin.layernorm.bias")


def load_model(model_class: str, folder: DetectorFolder, *, check_values: bool = False) -> Any:
    """Return a model on the CPU, for inference.

    Args:
        model_class: its name in transformers.
        folder: the detector's files.
        check_values: also compare the loaded tensors with those of the files.

    Raises:
        DetectorError: the installed transformers lacks the class, a package is missing, or the weights are damaged or
            incomplete.
    """
    import transformers

    factory = getattr(transformers, model_class, None)
    if factory is None:
        raise DetectorError(
            f"{folder.path}: transformers {transformers.__version__} has no {model_class}; run "
            "pip install --upgrade transformers"
        )
    _check_backbone(folder)
    try:
        with model_loading():
            model, info = factory.from_pretrained(
                folder.path,
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
            )
            # Checked here too, because other code in the process may load a model at the same time.
            unlike = unlike_files(model, folder.safetensors(), allowed=_UNREAD) if check_values else []
    except (OSError, ValueError, RuntimeError, ImportError, TypeError, SafetensorError) as error:
        raise DetectorError(
            f"{folder.path}: the weights cannot be loaded ({first_line(error)}); download them again from the model's "
            "source."
        ) from error
    # transformers initialises missing tensors at random and only logs a warning.
    if missing := sorted(name for name in info["missing_keys"] if not name.endswith(_UNREAD)):
        raise DetectorError(
            f"{folder.path}: {len(missing)} tensors are missing from the weights, such as {missing[0]}; download "
            "them again from the model's source."
        )
    if unlike:
        raise DetectorError(
            f"{folder.path}: {len(unlike)} tensors differ from the weight files after loading, such as {unlike[0]}; if "
            "another thread was loading a model, load this one again."
        )
    return model.eval()


def model_class_of(folder: DetectorFolder, family: TransformersFamily) -> ModelClass:
    """Return the model class that a checkpoint was saved from.

    Raises:
        DetectorError: config.json names none of the family's.
    """
    named = folder.config.get("architectures")
    found = [each for each in family.models if isinstance(named, list) and each.name in named]
    if not found:
        known = " or ".join(each.name for each in family.models)
        raise DetectorError(
            f"{folder.config_file}: architectures is {named!r}, but must name {known}; give a checkpoint that "
            "save_pretrained of this class wrote"
        )
    return found[0]


def class_labels(model: Any, folder: DetectorFolder) -> list[str]:
    """Return the labels of a model, by class index.

    Raises:
        DetectorError: config.json does not name every class.
    """
    named = model.config.id2label
    if sorted(named) != list(range(len(named))):
        raise DetectorError(
            f"{folder.config_file}: id2label must name the classes 0 to {len(named) - 1}, but names "
            f"{min(named)} to {max(named)}; number them from 0"
        )
    return [str(named[index]) for index in range(len(named))]


def submodule(model: Any, path: str) -> Any:
    """Return the part of a model at a dotted path, in which a number is an index."""
    part = model
    for name in path.split("."):
        part = part[int(name)] if name.lstrip("-").isdigit() else getattr(part, name)
    return part


def _check_backbone(folder: DetectorFolder) -> None:
    """Check that timm is installed if the backbone is one of timm's."""
    config = folder.config
    backbone = config.get("backbone_config")
    kind = backbone.get("model_type") if isinstance(backbone, dict) else None
    if (kind == "timm_backbone" or config.get("use_timm_backbone")) and find_spec("timm") is None:
        raise DetectorError(
            f"{folder.name}: its backbone needs timm, which is not installed; run pip install 'aligncat[timm]', or "
            "give a checkpoint whose backbone is one of transformers"
        )
