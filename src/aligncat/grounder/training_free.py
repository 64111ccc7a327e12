"""The grounder that needs no training: a lexicon for the category, and rules for colours, places and sizes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from aligncat.datasets.categories import canonical_category
from aligncat.datasets.lexicon import Lexicon
from aligncat.datasets.split import Split
from aligncat.detectors.colour import COLOUR
from aligncat.detectors.description import DetectorDescription
from aligncat.detectors.device import check_device, default_device
from aligncat.detectors.exported import is_exported_folder
from aligncat.detectors.known import HUB_DETECTORS
from aligncat.detectors.protocol import Detector
from aligncat.detectors.registered import registered_name
from aligncat.detectors.registry import open_detector
from aligncat.errors import ConfigError, DetectorError
from aligncat.grounder.asked import Asked, asked_of
from aligncat.grounder.ground_many import Answering
from aligncat.grounder.grounding import Grounding
from aligncat.grounder.groundings import best_slots, grounding_of, with_answers
from aligncat.grounder.names import TRAINING_FREE
from aligncat.grounder.photo_grounder import PhotoGrounder
from aligncat.grounder.training_free_doubts import rule_doubts
from aligncat.grounder.training_free_rules import choose_by_rules
from aligncat.language.tokens import RULE
from aligncat.language.vocabulary import Vocabulary
from aligncat.phrases.nouns import PERSON
from aligncat.types import Candidates, Choices
from aligncat.versions import installed_versions

if TYPE_CHECKING:
    from aligncat.store.reader import Store


class _Images(NamedTuple):
    """The candidates of n images.

    Attributes:
        categories: (n, O) integers.
        confidences: (n, O) float32, highest first.
        boxes: (n, O, 4) float32, xyxy in shares of the image.
        valid: (n, O) bool, the candidate exists.
        colours: (n, O, 17) float16, the column `colour`; None if the candidates do not have it.
    """

    categories: NDArray[np.integer]
    confidences: NDArray[np.float32]
    boxes: NDArray[np.float32]
    valid: NDArray[np.bool_]
    colours: NDArray[np.float16] | None


class TrainingFreeGrounder(PhotoGrounder):
    """A grounder that is not trained. It works with any detector, on the first day.

    It has no folder, and its answers have no `match`. Colour words need the column `colour`; where that is missing,
    they are not used, and an answer has them in `Grounding.unknown_words`. A phrase without a known category may be
    answered with any object; a warning says so.

    Example:
        >>> grounder = Grounder.from_pretrained("training-free", detector="DETECTOR")  # doctest: +SKIP
        >>> [found] = grounder.ground("photo.jpg", ["second mug from the left"])  # doctest: +SKIP
    """

    def __init__(
        self,
        labels: Sequence[str],
        detector_description: DetectorDescription,
        detector: Detector | None = None,
        *,
        coloured: bool = False,
    ) -> None:
        """Wrap a detector. Most users call `Grounder.from_pretrained("training-free", detector=...)` instead.

        Args:
            labels: the names of the detector's categories, by class index.
            detector_description: the description of the detector.
            detector: the detector; without one, only candidates from a store can be grounded.
            coloured: whether the candidates have the column `colour`.
        """
        self.vocabulary = Vocabulary((), RULE)
        self.labels = tuple(labels)
        self.detector_description = detector_description
        self.provenance = {}
        self.matcher = None
        self.coloured = coloured
        self._detector = detector
        self._lexicon = Lexicon.load(categories=self.labels)
        self._class = {canonical_category(label): number for number, label in enumerate(self.labels)}

    @classmethod
    def with_detector(cls, detector: str | Path | Detector | None, device: str | None = "cpu") -> Self:
        """Return the grounder of a detector.

        Args:
            detector: the detector, or its name or folder.
            device: where a named detector is loaded; None for an accelerator if there is one and it can use it.

        Raises:
            ConfigError: there is no detector, or the device is not available.
            DetectorError: the detector cannot be loaded.
        """
        if detector is None:
            raise ConfigError(
                f"the {TRAINING_FREE} grounder needs a detector: name one with --detector (in Python, detector=), such "
                f"as {HUB_DETECTORS[0]}"
            )
        if device is None:
            exported = isinstance(detector, str | Path) and is_exported_folder(detector)
            device = "cpu" if exported else default_device()
        check_device(device)
        opened = _with_colours(detector, device)
        return cls(opened.labels, opened.description(), opened, coloured=COLOUR in opened.columns)

    @classmethod
    def of_store(cls, store: Store) -> Self:
        """Return the grounder of a store's detector, for `choose` and `ground_candidates`."""
        return cls(store.labels, store.manifest.detector, coloured=COLOUR in store.manifest.columns)

    @property
    def alignment(self) -> None:
        """The config of the alignment model, of which there is none."""
        return

    @property
    def device(self) -> str:
        """The device of the detector."""
        return "cpu" if self._detector is None else self._detector.device

    def to(self, device: str) -> Self:
        """Move the detector to a device, and return the grounder.

        Raises:
            ConfigError: the device is not available, or the detector is an object of the caller's on another device.
        """
        check_device(device)
        if self._detector is not None and self._detector.device != device:
            self._detector = _with_colours(self.detector_description.name, device)
        return self

    @property
    def detector(self) -> Detector:
        """The detector.

        Raises:
            DetectorError: the grounder was made for a store, without a detector.
        """
        if self._detector is None:
            raise DetectorError("this training-free grounder was made for a store; give a detector to ground images")
        return self._detector

    def ground_candidates(
        self, candidates: Candidates, expressions: str | Sequence[str], *, several: bool = False, top: int = 1
    ) -> list[Grounding]:
        """Ground expressions in an image whose candidates are available already; see `Grounder.ground_candidates`.

        Raises:
            ConfigError: `several` is True, which needs a calibrated grounder, or `top` is less than 1.
            DataError: there are no expressions, or one is not text or has no words.
            DetectorError: there are no candidates.
        """
        phrases = self.check_expressions(expressions)
        Answering(several, top).check(self.matcher)
        if not len(candidates):
            raise DetectorError("the detector found nothing in the image; try another image or detector")
        colours = candidates.columns.get(COLOUR.name) if self.coloured else None
        image = _Images(
            candidates.categories[None],
            candidates.confidences[None],
            candidates.relative_boxes[None],
            np.ones((1, len(candidates)), bool),
            None if colours is None else colours[None],
        )
        asked = [asked_of(phrase, self._lexicon) for phrase in phrases]
        choices = self._choices(asked, [0] * len(phrases), image)
        found = [
            grounding_of(
                row,
                phrase,
                candidates,
                choices,
                self.labels,
                asked[row].colour_words if colours is None else (),
                further=rule_doubts(
                    asked[row],
                    int(choices.kept[row].sum()),
                    None if colours is None else colours[choices.choice[row]],
                ),
            )
            for row, phrase in enumerate(phrases)
        ]
        if top == 1:
            return found
        boxes = candidates.relative_boxes
        return [with_answers(each, best_slots(each, top, boxes), candidates, None) for each in found]

    def choose(self, store: Store, split: Split) -> Choices:
        """Choose a candidate for every expression of a split; see `Grounder.choose`.

        Raises:
            StoreError: the store lacks an image.
        """
        images = list(split.images)
        place = {image_id: number for number, image_id in enumerate(images)}
        found = store.tensors(images)
        pictures = _Images(
            found.categories.numpy(),
            found.confidences.numpy(),
            store.relative_boxes(images),
            found.valid.numpy(),
            store.further_features(images, COLOUR).numpy() if self.coloured else None,
        )
        asked = [asked_of(expression.text, self._lexicon) for expression in split.expressions]
        return self._choices(asked, [place[expression.image_id] for expression in split.expressions], pictures)

    def _choices(self, asked: Sequence[Asked], rows: Sequence[int], images: _Images) -> Choices:
        """Return the choices of E phrases, each about one of some images."""
        width = images.valid.shape[1]
        classes, kept = np.zeros((len(asked), width), bool), np.zeros((len(asked), width), bool)
        probabilities = np.zeros((len(asked), width), np.float32)
        choice, matched = np.zeros(len(asked), np.int64), np.ones(len(asked), bool)
        for number, (wanted, row) in enumerate(zip(asked, rows, strict=True)):
            category = None if wanted.category is None else canonical_category(wanted.category)
            count = int(images.valid[row].sum())
            of_category = np.equal(images.categories[row, :count], self._class.get(category or "", -1))
            found = choose_by_rules(
                wanted,
                of_category,
                images.confidences[row, :count],
                images.boxes[row, :count],
                None if images.colours is None else images.colours[row, :count],
                person=category == PERSON,
            )
            choice[number] = found.choice
            classes[number, :count], kept[number, :count] = of_category, found.kept
            probabilities[number, :count] = found.probabilities
            matched[number] = category is None or bool(of_category.any())
        return Choices(
            choice=choice,
            kept=kept,
            probabilities=probabilities,
            scores={"class": classes.astype(np.float32)},
            predicted=tuple(wanted.category for wanted in asked),
            category_matched=matched,
            word_weights=((),) * len(asked),
        )

    def fingerprint(self) -> str:
        """Return a hash of everything that decides the answers; the version of aligncat stands for the rules."""
        decides = [
            TRAINING_FREE,
            installed_versions(["aligncat"]),
            self.labels,
            self.detector_description.to_json(),
            self.coloured,
        ]
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()

    def save_pretrained(self, *_: object, **__: object) -> NoReturn:
        """Raise a ConfigError: there are no weights to save."""
        raise ConfigError(f"the {TRAINING_FREE} grounder has nothing to save: load it by its name, with a detector")

    generate_model_card = push_to_hub = save_pretrained


def _with_colours(detector: str | Path | Detector, device: str) -> Detector:
    """Load a detector with the column `colour`; one of another package or the caller's decides its columns itself."""
    decides = not isinstance(detector, str | Path) or registered_name(str(detector)) is not None
    return open_detector(detector, device=device, appearance=not decides)
