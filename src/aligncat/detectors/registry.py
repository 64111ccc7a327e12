"""The registry of detectors, and the functions that open one.

To add a detector family, or a backend for one, write one module with a `DetectorFactory` and add one row to `FAMILIES`.
To add facts about a published checkpoint, add one row to `KNOWN_DETECTORS`. Importing this module imports neither a
family nor torch.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import cast

from aligncat.detectors.description import DetectorDescription
from aligncat.detectors.folder import CONFIG, DetectorFolder
from aligncat.detectors.masks import DEFAULT_MASKS, MaskMode, mask_rule
from aligncat.detectors.preprocessing import DEFAULT_MODE, Preprocessing, PreprocessingMode
from aligncat.detectors.protocol import Detector, DetectorFactory
from aligncat.errors import ConfigError, DetectorError
from aligncat.loading import model_loading
from aligncat.types import FeatureColumn
from aligncat.wording import did_you_mean

MINI = "mini"
CANDIDATES = 20
"""O, the number of candidates that the paper and QueryMatch keep for each image."""
OPENMOJI_CREDIT = (
    "OpenMoji: its training scenes are made of OpenMoji drawings, changed in colour, size and surroundings. All "
    "emojis designed by [OpenMoji](https://openmoji.org), the open-source emoji and icon project. License: "
    "[CC BY-SA 4.0](https://creativecommons.org/licenses/by-sa/4.0/)."
)


@dataclass(frozen=True, slots=True)
class DetectorFamily:
    """An architecture whose checkpoints aligncat can load, on one backend.

    Attributes:
        name: `model_type` in a checkpoint's config.json.
        factory: the family's `DetectorFactory`, as "module:attribute".
        extra: the extra of aligncat that the family needs, or None if the base install is enough.
        modules: the modules that the extra installs.
        backend: the library that runs the weights: "aligncat_backend" in config.json, where "torch" is the default.
        weights: glob patterns of the weight files, to download from the hub.
    """

    name: str
    factory: str
    extra: str | None = None
    modules: tuple[str, ...] = ()
    backend: str = "torch"
    weights: tuple[str, ...] = ("*.safetensors",)


FAMILIES: tuple[DetectorFamily, ...] = (
    DetectorFamily(name="mask2former", factory="aligncat.detectors.mask2former:Mask2FormerDetector"),
)


@dataclass(frozen=True, slots=True)
class KnownDetector:
    """Facts about the checkpoints whose name matches a pattern.

    Attributes:
        name: a glob pattern for the detector's name.
        folder: the checkpoint's folder in this package, if the package ships it.
        trained_on: its training images. Either the name of an image set that `aligncat audit` knows, such as
            "coco-train2017", or a description of images that are in no evaluation split.
        seen: the datasets whose photos it has seen in training, in every split.
        unseen: a glob pattern for the datasets of which it has seen no image.
        licence: one sentence about its licence for model cards, in Markdown. "{name}" stands for the detector's name.
        limit: one sentence about the weakness of its query features for model cards, in Markdown.
        credit: the attribution that model cards must contain, in Markdown.
        sha256: the hashes of the weights and of config.json in `folder`, as a `DetectorDescription` has them.
    """

    name: str
    folder: Path | None = None
    trained_on: str | None = None
    seen: tuple[str, ...] = ()
    unseen: str | None = None
    licence: str | None = None
    limit: str | None = None
    credit: str | None = None
    sha256: tuple[str, str] | None = None

    def has_not_seen(self, dataset: str) -> bool:
        """Return whether it is known that the detector has seen no image of a dataset in training."""
        return self.unseen is not None and fnmatchcase(dataset, self.unseen)


_CC_BY_NC = (
    "The detector {name} is not in this folder; its weights are "
    "[CC BY-NC 4.0](https://creativecommons.org/licenses/by-nc/4.0/), so the two together may only be used for "
    "non-commercial purposes."
)
KNOWN_DETECTORS: tuple[KnownDetector, ...] = (
    KnownDetector(
        name=MINI,
        folder=Path(__file__).resolve().parents[1] / "assets" / "mini-detector",
        trained_on="MojiRef scenes made for the detector",
        unseen="*mojiref*",
        licence="The mini detector ships with aligncat and was trained on drawings of OpenMoji.",
        limit="Colour is weak: the query features of the mini detector carry little colour information, so phrases "
        "that name a colour are answered worse than phrases that name a position or a size.",
        credit=OPENMOJI_CREDIT,
        sha256=(
            "798501df3ca8b7a62218d485b3979e4ef4857329913e50515f3a4ef1ad2f14be",
            "29ac4eb09b68d8a8a650fea2669adae3212397599795b90c3d1082036397131c",
        ),
    ),
    KnownDetector(
        name="facebook/mask2former*coco*",
        trained_on="coco-train2017",
        seen=("refcoco", "refcoco+", "refcocog"),
        licence=_CC_BY_NC,
    ),
    KnownDetector(name="facebook/mask2former*", licence=_CC_BY_NC),
)
"""The first row whose pattern matches a name applies."""

HUB_DETECTORS: tuple[str, ...] = tuple(
    f"facebook/mask2former-swin-{size}-coco-instance" for size in ("tiny", "small", "base", "base-IN21k", "large")
)
"""The COCO checkpoints of Mask2Former on the Hugging Face hub."""


def known_detector(name: str) -> KnownDetector | None:
    """Return the facts about a detector, or None if its name is unknown."""
    return next((known for known in KNOWN_DETECTORS if fnmatchcase(name, known.name)), None)


def open_detector(
    name: str | Path,
    *,
    candidates: int = CANDIDATES,
    image_size: int | None = None,
    preprocessing: PreprocessingMode = DEFAULT_MODE,
    device: str = "cpu",
    every_query: bool = False,
    masks: MaskMode = DEFAULT_MASKS,
    appearance: bool = False,
) -> Detector:
    """Load a detector from the hub or a local folder, or the one that aligncat ships.

    Args:
        name: a hub name such as "facebook/mask2former-swin-tiny-coco-instance", a folder with config.json and
            safetensors, or "mini".
        candidates: O, the number of (query, class) pairs to keep for an image.
        image_size: side of the letterbox, pixels. The default is "aligncat_image_size" in the model's config.json, or
            416 if there is no such key. The other preprocessing modes have a fixed size.
        preprocessing: how an image is converted into the model's square input; see `aligncat.detectors.preprocessing`.
        device: "cpu", "cuda", "cuda:1" and so on.
        every_query: keep each of the N queries once, under its most confident class, whatever `candidates` is.
        masks: how masks and boxes are made from the mask logits; see `aligncat.detectors.masks`.
        appearance: also describe each candidate's look: the columns `colour` and, if the family gives them, `levels`.

    Raises:
        DetectorError: the model does not exist, its family is unknown or needs an extra that is not installed, or its
            weights are incomplete, damaged or not in the safetensors format.
        ConfigError: candidates or image_size is out of range, the preprocessing mode is unknown or has another fixed
            size, or the masks need another preprocessing or a package that is not installed.
    """
    name = str(name)
    folder = detector_folder(name)
    with model_loading():
        factory = _factory(folder)
        fit = Preprocessing.of(preprocessing, image_size, folder.image_size)
        mask_rule(masks, fit)  # its errors come before the weights are loaded
        if candidates < 1:
            raise ConfigError(f"candidates {candidates}: must be at least 1.")
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
    detector = open_detector(
        description.name,
        candidates=description.candidates,
        image_size=description.image_size,
        preprocessing=cast("PreprocessingMode", description.preprocessing_mode),  # open_detector checks it
        device=device,
        every_query=description.every_query,
        masks=cast("MaskMode", description.masks),  # open_detector checks it
        appearance=bool(columns),
    )
    if differing := description.differences(detector.description()):
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
    return detector


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
        return Path(snapshot_download(name, allow_patterns=[CONFIG, *sorted(patterns)]))
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise DetectorError(
            f"{name}: neither a local folder nor a model that can be downloaded from the hub "
            f"({type(error).__name__}); check the name and the network, or download the model and give its folder"
            f"{did_you_mean(name, (MINI, *HUB_DETECTORS))}"
        ) from error


def _factory(folder: DetectorFolder) -> DetectorFactory:
    kind = folder.config.get("model_type")
    rows = {family.backend: family for family in FAMILIES if family.name == kind}
    if not rows:
        known = " or ".join(dict.fromkeys(repr(family.name) for family in FAMILIES))
        raise DetectorError(
            f"{folder.config_file}: model_type is {kind!r}, but must be {known}; give another detector."
        )
    family = rows.get(folder.backend)
    if family is None:
        raise DetectorError(
            f"{folder.config_file}: aligncat_backend is {folder.backend!r}, but {kind} runs on {' or '.join(rows)}; "
            "export the detector for one of these."
        )
    if missing := [module for module in family.modules if find_spec(module) is None]:
        raise DetectorError(
            f"{folder.name}: {family.name} detectors need {', '.join(missing)}, which is not installed; run "
            f"pip install 'aligncat[{family.extra}]'"
        )
    module, attribute = family.factory.split(":")
    return cast("DetectorFactory", getattr(import_module(module), attribute))
