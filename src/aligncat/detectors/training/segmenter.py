"""The model that training starts from: a query-based segmenter of transformers that computes its own loss."""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from aligncat.detectors.folder import CONFIG, DetectorFolder, with_hashes
from aligncat.detectors.preprocessing import DEFAULT_MODE, Preprocessing
from aligncat.detectors.preprocessor_config import PREPROCESSOR, own_size
from aligncat.detectors.pretrained_model import class_labels, load_model
from aligncat.detectors.training.examples import Example
from aligncat.detectors.training_record import STARTED_FROM
from aligncat.errors import DetectorError
from aligncat.files.hashes import files_sha256
from aligncat.loading import model_loading

HEAD = "class_predictor"
"""The layer that gives the class logits of each query; the last one is "no object"."""
_LOSS = "criterion."
_OURS = "aligncat_"
"""The prefix of aligncat's own keys in config.json."""
MINI_RECIPE = "aligncat_recipe"
"""The key of config.json with the recipe of `aligncat detector train-mini`."""


@dataclass(frozen=True)
class Segmenter:
    """A model to train, and what it was.

    Attributes:
        model: the model with a class for each label.
        size: side of its square input, pixels.
        dtype: the type of the numbers of the weights in the folder that it comes from.
        kept: the labels whose rows of the head were copied.
        sha256: the hashes of the weights and of config.json that it comes from.
        own_recipe: whether it is as `aligncat detector train-mini` made it, without a further training.
    """

    model: Any
    size: int
    dtype: torch.dtype
    kept: tuple[str, ...]
    sha256: tuple[str, str]
    own_recipe: bool


def start_from(
    folder: DetectorFolder, labels: Sequence[str], same: Sequence[int | None], size: int | None
) -> Segmenter:
    """Load a detector, and give it a head with a class for each label.

    The model's config does not have aligncat's keys of the folder, which tell how those weights were made.

    Args:
        folder: the detector's files.
        labels: the names of the new classes.
        same: for each of them, the class of the detector with the same name, or None. Its row of the head is copied.
            The other rows are drawn with torch's random seed.
        size: side of the square input, pixels; None for the detector's own.

    Raises:
        DetectorError: the detector's family cannot be trained, or its weights cannot be loaded.
    """
    weights = folder.weights_sha256()
    model = _load(folder)
    old = model.get_submodule(HEAD)
    if class_labels(model, folder) != list(labels):
        model = _with_classes(model, labels)
        new = model.get_submodule(HEAD)
        with torch.no_grad():
            for part in ("weight", "bias"):
                theirs, ours = getattr(old, part), getattr(new, part)
                for row, found in [*enumerate(same), (len(labels), len(theirs) - 1)]:
                    if found is not None:
                        ours[row] = theirs[found]
    fixed = _fixed_size(model)
    if fixed is not None and size not in (None, fixed):
        raise DetectorError(f"{folder.name} reads only squares of {fixed} pixels; leave recipe.image_size out")
    preprocessing = Preprocessing.of(DEFAULT_MODE, size, own_size(folder))
    for name in [name for name in vars(model.config) if name.startswith(_OURS)]:
        delattr(model.config, name)
    with safe_open(folder.safetensors()[0], framework="pt") as file:
        kinds = {file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118  # not a dict
    return Segmenter(
        model=model,
        size=preprocessing.size,
        dtype=torch.float16 if torch.float16 in kinds else torch.float32,
        kept=tuple(label for label, found in zip(labels, same, strict=True) if found is not None),
        sha256=(weights, files_sha256([folder.config_file])),
        # Earlier versions kept the recipe in what they trained from a mini detector.
        own_recipe=MINI_RECIPE in folder.config and STARTED_FROM not in folder.config,
    )


def check_trainable(folder: DetectorFolder) -> None:
    """Check that a detector's family can be trained; its weights are not loaded.

    Raises:
        DetectorError: it cannot.
    """
    if _with_loss(folder) is None:
        raise _refusal(folder)


def labels_of(folder: DetectorFolder) -> tuple[str, ...]:
    """Return the labels of a detector, by class index.

    Raises:
        DetectorError: config.json has none.
    """
    found = folder.config.get("id2label")
    if not isinstance(found, dict) or sorted(map(str, found)) != sorted(map(str, range(len(found)))):
        raise DetectorError(f"{folder.config_file}: has no labels (id2label); start from another detector.")
    return tuple(str(found[str(index)]) for index in range(len(found)))


def example_loss(model: Any, examples: Sequence[Example]) -> Tensor:
    """Return the model's own loss for a batch."""
    output = model(
        pixel_values=torch.stack([each.pixels for each in examples]),
        mask_labels=[each.masks.float() for each in examples],
        class_labels=[each.classes for each in examples],
    )
    loss: Tensor = output.loss
    return loss.squeeze()


def rounded(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Return a copy of a model with the weights that its file will hold, in float32."""
    return copy.deepcopy(model).to(dtype).float()


def save_preprocessor(folder: Path, size: int) -> None:
    """Write preprocessor_config.json, which tells other programs how the model's input is made."""
    told = Preprocessing(DEFAULT_MODE, size).description()
    content = {
        "size": {"height": size, "width": size},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": told["mean"],
        "image_std": told["std"],
    }
    (folder / PREPROCESSOR).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def save_segmenter(model: Any, folder: Path, settings: dict[str, Any]) -> None:
    """Write a model's config.json and weights into a folder.

    Args:
        model: the model.
        folder: the folder.
        settings: further keys of config.json, with the prefix of aligncat's keys.
    """
    for name, value in settings.items():
        setattr(model.config, name, value)
    with model_loading():  # without a progress bar
        model.save_pretrained(folder)
    file = folder / CONFIG
    content = with_hashes(json.loads(file.read_text(encoding="utf-8")), sorted(folder.glob("*.safetensors")))
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _load(folder: DetectorFolder) -> Any:
    found = _with_loss(folder)
    if found is None:
        raise _refusal(folder)
    model = load_model(found, folder)
    if not isinstance(getattr(model, HEAD, None), nn.Linear):
        raise _refusal(folder)
    return model


def _refusal(folder: DetectorFolder) -> DetectorError:
    on = "" if folder.backend == "torch" else f" on {folder.backend}"
    return DetectorError(
        f"{folder.path}: a {folder.config.get('model_type')!r} detector{on} cannot be trained here; start from a "
        "detector of queries with class and mask logits whose transformers model computes its own loss, such as mini "
        "or a Mask2Former"
    )


def _with_loss(folder: DetectorFolder) -> str | None:
    """Return the model class of a detector if its loss takes the masks and classes of objects, and no other input."""
    from transformers import AutoConfig, AutoModelForUniversalSegmentation

    if folder.backend != "torch":
        return None
    try:
        with model_loading():
            config = AutoConfig.from_pretrained(folder.path, local_files_only=True)
        found: Any = AutoModelForUniversalSegmentation._model_mapping[type(config)]
    except (KeyError, ValueError, OSError):
        return None
    takes = inspect.signature(found.forward).parameters
    needed = {name for name, each in takes.items() if each.default is each.empty and each.kind < each.VAR_POSITIONAL}
    fits = {"pixel_values", "mask_labels", "class_labels"} <= takes.keys() and needed <= {"self", "pixel_values"}
    return str(found.__name__) if fits else None


def _with_classes(model: Any, labels: Sequence[str]) -> Any:
    """Return a model with the same weights and a new head for these labels."""
    config = copy.deepcopy(model.config)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
    with model_loading():
        made = type(model)(config)
    state = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith((f"{HEAD}.", _LOSS))}
    left = made.load_state_dict(state, strict=False)
    assert not left.unexpected_keys and all(name.startswith((HEAD, _LOSS)) for name in left.missing_keys), left
    return made


def _fixed_size(model: Any) -> int | None:
    """Return the side of the only square that a model reads, pixels; None if it reads any."""
    size = getattr(model.config, "image_size", None)
    return size if isinstance(size, int) else None
