"""What every grounder does with photos, whatever it chooses by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aligncat.detectors.description import DetectorDescription
from aligncat.detectors.protocol import Detector
from aligncat.files.given_images import ImageInput
from aligncat.grounder.doubts import Thresholds
from aligncat.grounder.expressions import checked_phrases
from aligncat.grounder.ground_many import Answering, Pair, PhotoAnswer, ground_photos
from aligncat.grounder.grounding import Grounding
from aligncat.grounder.matcher import Matcher
from aligncat.language.tokens import Tokens
from aligncat.types import Candidates, Choices

if TYPE_CHECKING:
    from aligncat.alignment.config import AlignmentConfig
    from aligncat.datasets.split import Split
    from aligncat.store.reader import Store


class PhotoGrounder(ABC):
    """Answers phrases on photos through a detector; a subclass chooses among the detector's candidates.

    Attributes:
        vocabulary: what splits expressions into words and, in a trained grounder, into token ids.
        labels: the names of the detector's categories, by class index.
        detector_description: the description of its detector.
        provenance: what it was made from, as JSON values: data, training config with its seed, versions.
        matcher: what computes `Grounding.match`; None if the grounder is not calibrated.
    """

    vocabulary: Tokens
    labels: tuple[str, ...]
    detector_description: DetectorDescription
    provenance: Mapping[str, Any]
    matcher: Matcher | None

    @property
    @abstractmethod
    def alignment(self) -> AlignmentConfig | None:
        """The config of its alignment model; None for a grounder that is not trained."""

    @property
    @abstractmethod
    def device(self) -> str:
        """The device that it works on, such as "cpu" or "cuda:0"."""

    @property
    @abstractmethod
    def detector(self) -> Detector:
        """The detector, loaded at first use."""

    def check_expressions(self, expressions: str | Sequence[str]) -> list[str]:
        """Return one or several expressions as a list, after checks that are made before any slow work.

        Raises:
            DataError: there are no expressions, or one is not text or has no words.
        """
        return checked_phrases(expressions, self.vocabulary)

    @abstractmethod
    def ground_candidates(
        self, candidates: Candidates, expressions: str | Sequence[str], *, several: bool = False, top: int = 1
    ) -> list[Grounding]:
        """Ground expressions in an image whose candidates are available; see `Grounder.ground_candidates`."""

    def ground_images(
        self, asked: Sequence[tuple[Candidates, Sequence[str]]], *, several: bool = False, top: int = 1
    ) -> list[list[Grounding]]:
        """Ground expressions in several images whose candidates are available; see `TrainedGrounder.ground_images`."""
        return [self.ground_candidates(*each, several=several, top=top) for each in asked]

    @abstractmethod
    def choose(self, store: Store, split: Split) -> Choices:
        """Choose a candidate for every expression of a split; see `Grounder.choose`."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a hash of everything that decides its answers."""

    def ground(
        self, image: ImageInput, expressions: str | Sequence[str], *, several: bool = False, top: int = 1
    ) -> list[Grounding]:
        """Find the objects that expressions refer to in an image. The detector runs once for all expressions.

        Args:
            image: an image file (path, open binary file, or its bytes), a PIL image, or a numpy array of uint8, RGB
                (height, width, 3) or grey (height, width). A file or PIL image is rotated as its EXIF data says; boxes
                and masks refer to the rotated image.
            expressions: one phrase, or several that are grounded independently of each other.
            several: whether a phrase for several objects, such as "both dogs", is answered with all of them, in
                `Grounding.answers`. A phrase for one object has one answer.
            top: the number of best candidates to give in `Grounding.answers`, each object once; 1 gives the best alone.

        Returns:
            One grounding per expression, also for a single phrase.

        Raises:
            ConfigError: `several` is True and the grounder is not calibrated, or `top` is given too or less than 1.
            ImageError: the image cannot be read, or is empty.
            DataError: there are no expressions, or one is not text or has no words.
            DetectorError: the detector cannot be loaded, or finds nothing in the image.
        """
        [answer] = ground_photos(self, [(image, expressions)], answering=Answering(several, top), batch_size=1)
        return list(answer.groundings)

    def ground_many(
        self,
        pairs: Iterable[Pair],
        *,
        several: bool = False,
        top: int = 1,
        min_match: float | None = None,
        min_probability: float | None = None,
        batch_size: int | None = None,
        store: Store | None = None,
        skip_bad_images: bool = False,
    ) -> Iterator[PhotoAnswer]:
        """Return an iterator of the answers for many photos, one for each pair, in order.

        Photos are read, and the detector works, in other threads while the caller uses the answers. Up to three batches
        are read ahead, so memory does not depend on the number of pairs. If a pair has the path of the pair before it,
        the photo is not read again: split very long lists of phrases that way.

        Args:
            pairs: images, each as for `ground`, and their phrases. They are taken in the caller's thread.
            several: as for `ground`.
            top: as for `ground`.
            min_match: leave out answers whose match is lower, from 0 to 1; needs a calibrated grounder.
            min_probability: leave out answers whose probability is lower, from 0 to 1.
            batch_size: the number of photos that the detector is given at once; by default the detector's own. It can
                change the last bits of the answers.
            store: a store of the grounder's detector. Photos with the same bytes as one in it are not detected again;
                the detector is loaded only if one is missing.
            skip_bad_images: give the error of a photo that cannot be read, or in which nothing is found, in
                `PhotoAnswer.error`, instead of raising it.

        Raises:
            ConfigError: a setting is impossible, or needs a calibrated grounder.
            DataError: (while iterating) a phrase is not text or has no words.
            DetectorError: (while iterating) the detector cannot be loaded, or finds nothing in an image.
            ImageError: (while iterating) an image cannot be read.
            StoreError: the store was made by another detector, or is of the first format.
        """
        from aligncat.store.by_content import StoredPhotos

        if store is not None:
            store.manifest.expected(self.detector_description, store.folder)
        return ground_photos(
            self,
            pairs,
            answering=Answering(several, top, Thresholds(min_match, min_probability)),
            batch_size=batch_size,
            store=None if store is None else StoredPhotos(store),
            skip_bad_images=skip_bad_images,
        )
