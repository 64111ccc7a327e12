"""The registry of detectors, and the functions that open one.

To add a detector family, or a backend for one, write one module with a `DetectorFactory` and add one row to `FAMILIES`.
A model of transformers whose output has a known shape needs only a row in `aligncat.detectors.families`. To add facts
about a published checkpoint, add one row to `aligncat.detectors.known`. Importing this module imports neither a family
nor torch.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import cast

from aligncat.detectors.checked import CheckedDetector
from aligncat.detectors.description import (
    BACKEND_SETTINGS,
    FULL_PRECISION,
    TORCH,
    TORCH_BF16,
    DetectorDescription,
)
from aligncat.detectors.exported import ExportRecord, is_exported
from aligncat.detectors.families import FAMILIES_OF_TRANSFORMERS
from aligncat.detectors.folder import CONFIG, DetectorFolder
from aligncat.detectors.known import DETECTOR_NAMES, known_detector
from aligncat.detectors.masks import DEFAULT_MASKS, MaskMode, mask_rule
from aligncat.detectors.preprocessing import Preprocessing, PreprocessingMode
from aligncat.detectors.preprocessor_config import PREPROCESSOR, own_size
from aligncat.detectors.protocol import Detector, DetectorFactory
from aligncat.detectors.registered import open_registered, registered_name
from aligncat.detectors.rows import EXPORTED, DetectorFamily
from aligncat.errors import ConfigError, DetectorError
from aligncat.loading import model_loading
from aligncat.types import FeatureColumn
from aligncat.wording import did_you_mean

CANDIDATES = 20
"""O, the number of candidates that the paper and QueryMatch keep for each image."""


FAMILIES: tuple[DetectorFamily, ...] = (
    DetectorFamily(name="mask2former", factory="aligncat.detectors.mask2former:Mask2FormerDetector"),
    *(
        DetectorFamily(name=each.name, factory=each.adapter, preprocessing=each.preprocessing)
        for each in FAMILIES_OF_TRANSFORMERS
    ),
    *EXPORTED,
)


def open_detector(
    name: str | Path | Detector,
    *,
    candidates: int = CANDIDATES,
    image_size: int | None = None,
    preprocessing: PreprocessingMode | None = None,
    device: str = "cpu",
    every_query: bool = False,
    masks: MaskMode = DEFAULT_MASKS,
    appearance: bool = False,
) -> Detector:
    """Load a detector from the hub, a local folder or another package, or the one that aligncat ships.

    Args:
        name: a hub name such as "facebook/mask2former-swin-tiny-coco-instance", a folder with config.json and
            safetensors, "mini", or "name:argument" for a detector that another package has registered. Or a detector
            itself: it is returned with checks of what it gives.
        candidates: O, the number of (query, class) pairs to keep for an image.
        image_size: side of the square, pixels. The default is "aligncat_image_size" in the model's config.json; else
            the size in its preprocessor_config.json, which does not count for Mask2Former; else that of the
            preprocessing. Modes with a fixed size accept no other.
        preprocessing: how an image is converted into the model's square input; see `aligncat.detectors.preprocessing`.
            By default the mode of the family.
        device: "cpu", "cuda", "cuda:1" and so on.
        every_query: keep each of the N queries once, under its most confident class, whatever `candidates` is.
        masks: how masks and boxes are made from the mask logits; see `aligncat.detectors.masks`.
        appearance: also describe each candidate's look: the columns `colour` and, if the family gives them, `levels`.

    Raises:
        DetectorError: the model does not exist, its family is unknown or needs an extra that is not installed, its
            weights are incomplete, damaged or not in the safetensors format, or no package has registered its name.
        ConfigError: candidates or image_size is out of range, the preprocessing mode is unknown or has another fixed
            size, the masks need another preprocessing or a package that is not installed, or a detector of another
            package or of your own is given an option that only it can decide.
    """
    own = registered_name(str(name)) if isinstance(name, str | Path) else None
    if candidates < 1:
        raise ConfigError(f"candidates {candidates}: must be at least 1.")
    if own is not None or not isinstance(name, str | Path):
        options = {
            "image_size": (image_size, None),
            "preprocessing": (preprocessing, None),
            "every_query": (every_query, False),
            "masks": (masks, DEFAULT_MASKS),
            "appearance": (appearance, False),
        }
        given = [option for option, (value, default) in options.items() if value != default]
        if own is None and candidates != CANDIDATES:
            given = ["candidates", *given]
        if given:
            raise ConfigError(
                f"{given[0]}: a detector of your own decides this itself; leave the option out, and set it where the "
                "detector is made"
            )
        if own is not None:
            return open_registered(own, candidates=candidates, device=device)
        from aligncat.detectors.query_detector import QueryDetector

        detector = cast("Detector", name)
        return detector if isinstance(detector, QueryDetector | CheckedDetector) else CheckedDetector(detector)
    name = str(name)
    folder = detector_folder(name)
    row = _family(folder)
    with model_loading() if row.loaded_by_transformers else nullcontext():
        fit = Preprocessing.of(preprocessing or _own_mode(folder, row), image_size, own_size(folder))
        mask_rule(masks, fit)  # its errors come before the weights are loaded
        module, attribute = row.factory.split(":")
        factory = cast("DetectorFactory", getattr(import_module(module), attribute))
        detector = factory(
            folder,
            preprocessing=fit,
            candidates=candidates,
            every_query=every_query,
            masks=masks,
            device=device,
            appearance=appearance,
        )
    known, found = known_detector(name), detector.description()
    if known is not None and known.sha256 not in (None, (found.weights_sha256, found.config_sha256)):
        raise DetectorError(f"{folder.path}: the files of the {name} detector are damaged; reinstall aligncat.")
    return detector


def detector_folder(name: str) -> DetectorFolder:
    """Return the files of a detector, downloaded if it is on the hub.

    Args:
        name: a hub name, a local folder, or "mini".

    Raises:
        DetectorError: there is no such detector, or its config.json is damaged.
    """
    return DetectorFolder.read(name, _path(name))


def load_detector(
    description: DetectorDescription, *, device: str = "cpu", columns: Collection[FeatureColumn] = ()
) -> Detector:
    """Load the detector that a description names, and check that it matches the description.

    Args:
        description: the description in a store or a grounder.
        device: the device to run it on.
        columns: the further features that are needed.

    Raises:
        DetectorError: the detector cannot be loaded, differs from the description in more than its name, or does not
            give the further features.
    """
    detector = _reopen(description, device, bool(columns))
    check_same(detector, description, columns)
    return detector


def renamed(description: DetectorDescription, name: str) -> DetectorDescription:
    """Return the description of a detector that is now elsewhere, or of an export of it.

    Args:
        description: the description in a store or a grounder.
        name: where the detector is now: a folder, or a name on the hub.

    Raises:
        DetectorError: the folder's config.json is damaged.
    """
    moved, known = replace(description, name=name), known_detector(name)
    path = Path(name) if known is None or known.folder is None else known.folder
    if not (path / CONFIG).is_file():  # on the hub, where there are no graphs
        return replace(moved, backend=TORCH, precision=FULL_PRECISION, graph_sha256="") if moved.graph_sha256 else moved
    folder = DetectorFolder.read(name, path)
    if is_exported(folder):
        record = ExportRecord.read(folder)
        made = record.description
        return replace(moved, backend=made.backend, precision=made.precision, graph_sha256=record.graph_sha256())
    precision = "bf16" if folder.backend == TORCH_BF16 else FULL_PRECISION
    return replace(moved, backend=folder.backend, precision=precision, graph_sha256="")


def check_same(detector: Detector, description: DetectorDescription, columns: Collection[FeatureColumn] = ()) -> None:
    """Check that a detector is the one of a description, whatever its name and what runs it.

    An exported detector passes for its source, whose weights it has: the user chose to run it. Stores are stricter.

    Args:
        detector: the detector.
        description: the description in a store or a grounder.
        columns: the further features that are needed.

    Raises:
        DetectorError: it differs in more than its name, or does not give the further features.
    """
    if differing := description.differences(detector.description(), ignoring=BACKEND_SETTINGS):
        raise DetectorError(
            f"the detector {description.name!r} has changed since it was last used (it differs in "
            f"{', '.join(each.path for each in differing)}); restore the original, or extract and train again with "
            "this one"
        )
    if missing := [each for each in columns if each not in detector.columns]:
        raise DetectorError(
            f"the detector {description.name!r} does not give {' and '.join(map(str, missing))}, but "
            f"{' and '.join(map(str, detector.columns)) or 'no further features'}; extract and train again with this "
            "version of aligncat, or train with --alignment.features query"
        )


def _own_mode(folder: DetectorFolder, row: DetectorFamily) -> PreprocessingMode:
    """Return the preprocessing that a detector was exported for, or that of its family."""
    if not is_exported(folder):
        return row.preprocessing
    return cast("PreprocessingMode", ExportRecord.read(folder).description.preprocessing_mode)


def _reopen(description: DetectorDescription, device: str, appearance: bool) -> Detector:
    """Load the detector of a description with its settings."""
    if registered_name(description.name) is not None:
        return open_detector(description.name, candidates=description.candidates, device=device)
    if description.architecture not in {family.name for family in FAMILIES}:
        raise DetectorError(
            f"the detector {description.name!r} ({description.architecture}) is an object of somebody's own code, "
            "which no folder can name; make it and give it: Grounder.from_pretrained(folder, detector=...)"
        )
    return open_detector(
        description.name,
        candidates=description.candidates,
        image_size=description.image_size,
        preprocessing=cast("PreprocessingMode", description.preprocessing_mode),  # open_detector checks it
        device=device,
        every_query=description.every_query,
        # open_detector checks the mode
        masks=cast("MaskMode", description.masks) if description.has_masks else DEFAULT_MASKS,
        appearance=appearance,
    )


def _path(name: str) -> Path:
    known = known_detector(name)
    if known is not None and known.folder is not None:
        if not known.folder.is_dir():
            raise DetectorError(f"the {name} detector is missing from aligncat/assets; reinstall aligncat.")
        return known.folder
    return Path(name) if Path(name).is_dir() else _download(name)


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        patterns = {pattern for family in FAMILIES for pattern in family.weights}
        return Path(snapshot_download(name, allow_patterns=[CONFIG, PREPROCESSOR, *sorted(patterns)]))
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise DetectorError(
            f"{name}: neither a local folder nor a model that can be downloaded from the hub "
            f"({type(error).__name__}); check the name and the network, or download the model and give its folder"
            f"{did_you_mean(name, DETECTOR_NAMES)}"
        ) from error


def _family(folder: DetectorFolder) -> DetectorFamily:
    kind = folder.config.get("model_type")
    rows = {family.backend: family for family in FAMILIES if family.name == kind}
    if not rows:
        if kind is None and "alignment" in folder.config:
            raise DetectorError(f"{folder.path}: a grounder, not a detector; give it with --grounder")
        known = " or ".join(dict.fromkeys(repr(family.name) for family in FAMILIES))
        raise DetectorError(
            f"{folder.config_file}: model_type is {kind!r}, but must be {known}; give another detector."
        )
    family = rows.get(folder.backend)
    if family is None:
        raise DetectorError(
            f"{folder.config_file}: aligncat_backend is {folder.backend!r}, but {kind} runs on {', '.join(rows)}; "
            "export the detector for one of these."
        )
    if missing := [module for module in family.modules if find_spec(module) is None]:
        on = "" if family.backend == TORCH else f" on {family.backend}"
        raise DetectorError(
            f"{folder.name}: {family.name} detectors{on} need {', '.join(missing)}, which is not installed; run "
            f"pip install 'aligncat[{family.extra}]'"
        )
    return family
