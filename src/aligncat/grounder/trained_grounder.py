"""What every trained grounder does with phrases and candidates, whatever library runs its model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby, islice

from aligncat.errors import DetectorError
from aligncat.grounder.choices import choices_of
from aligncat.grounder.features import ScaledColumn
from aligncat.grounder.ground_many import Answering
from aligncat.grounder.grounding import Grounding
from aligncat.grounder.groundings import best_slots, grounding_of, with_answers
from aligncat.grounder.images import Images
from aligncat.grounder.matcher import answer_slots
from aligncat.grounder.photo_grounder import PhotoGrounder
from aligncat.grounder.scored import Scorer
from aligncat.grounder.unlike import UNLIKE, Familiar, unlike_training
from aligncat.language.several import phrase_for_one
from aligncat.language.vocabulary import Vocabulary
from aligncat.types import Candidates

PHRASES_AT_ONCE = 256
"""The most expressions in one forward pass, so that the memory does not depend on their number."""


class TrainedGrounder(PhotoGrounder):
    """A grounder that was trained.

    Attributes:
        max_length: the number of words, or word pieces, that it reads of each expression.
        columns: the further features of a candidate that it reads beside f_q.
        familiar: what tells images that are unlike those of its training (`unlike_training`); None if not recorded.
        words: the words of the training phrases of a transformer, whose word pieces spell any word; None if not
            recorded. Others in a phrase are reported as unknown.
    """

    max_length: int
    columns: tuple[ScaledColumn, ...]
    familiar: Familiar | None
    words: Vocabulary | None

    @property
    @abstractmethod
    def scorer(self) -> Scorer:
        """Its model."""

    def ground_candidates(
        self, candidates: Candidates, expressions: str | Sequence[str], *, several: bool = False, top: int = 1
    ) -> list[Grounding]:
        """Ground expressions in an image whose candidates are available already, for example from a store.

        Args:
            candidates: the candidates of the image.
            expressions: one phrase, or several.
            several: as for `ground`.
            top: as for `ground`.

        Returns:
            One grounding per expression, also for a single phrase.

        Raises:
            ConfigError: as for `ground`.
            DataError: there are no expressions, or one is not text or has no words.
            DetectorError: there are no candidates.
            StoreError: the candidates lack a further feature that the grounder reads.
        """
        [found] = self.ground_images([(candidates, self.check_expressions(expressions))], several=several, top=top)
        return found

    def ground_images(
        self, asked: Sequence[tuple[Candidates, Sequence[str]]], *, several: bool = False, top: int = 1
    ) -> list[list[Grounding]]:
        """Ground expressions in several images, all in as few forward passes as possible.

        That is faster than image by image, and can change the last bits of the probabilities.

        Args:
            asked: the candidates of each image, and its expressions from `check_expressions`.
            several: as for `ground`.
            top: as for `ground`.

        Returns:
            For each image, one grounding per expression.

        Raises:
            ConfigError: as for `ground`.
            DetectorError: an image has no candidates.
            StoreError: the candidates lack a further feature that the grounder reads.
        """
        Answering(several, top).check(self.matcher)
        if not all(len(candidates) for candidates, _ in asked):
            raise DetectorError("the detector found nothing in the image; try another image or detector")
        pairs = [(candidates, phrase) for candidates, phrases in asked for phrase in phrases]
        found = (
            grounding
            for _, group in groupby(pairs, key=lambda pair: len(pair[0]))  # which need no padding
            for some in _parts(list(group))
            for grounding in self._ground_some(some, several, top)
        )
        return [list(islice(found, len(phrases))) for _, phrases in asked]

    def _ground_some(self, pairs: Sequence[tuple[Candidates, str]], several: bool, top: int) -> Iterator[Grounding]:
        """Yield the groundings of at most PHRASES_AT_ONCE expressions in images with equally many candidates."""
        phrases = [phrase for _, phrase in pairs]
        singular = [phrase_for_one(phrase) for phrase in phrases]
        meant = singular if several else phrases
        images = Images.of([candidates for candidates, _ in pairs], self.columns)
        shared = self.matcher is not None and meant == singular  # one forward pass for the choice and for `match`
        scored = self.scorer.score(images, self.vocabulary.ids(meant, self.max_length), relative=shared)
        choices = choices_of(scored, meant, self.vocabulary, self.labels)
        match = None if self.matcher is None else self.matcher.match(images, phrases, scored if shared else None)
        if match is not None:
            choices = replace(choices, match=match.present)
        known = self.vocabulary if self.words is None else self.words
        photo: tuple[str, ...] = ()
        before = None
        for row, (candidates, phrase) in enumerate(pairs):
            if candidates is not before:
                before, boxes = candidates, candidates.relative_boxes
                photo = (UNLIKE,) if unlike_training(self.familiar, candidates) else ()
            unknown = known.unknown(meant[row])
            found = grounding_of(row, phrase, candidates, choices, self.labels, unknown, read=meant[row], further=photo)
            answers = None if match is None else match.answers[row]
            if several and answers is not None:
                found = with_answers(found, answer_slots(phrase, found.choice, answers, boxes), candidates, answers)
            elif top > 1:
                found = with_answers(found, best_slots(found, top, boxes), candidates, answers)
            yield found


def _parts(pairs: Sequence[tuple[Candidates, str]]) -> Iterator[Sequence[tuple[Candidates, str]]]:
    for start in range(0, len(pairs), PHRASES_AT_ONCE):
        yield pairs[start : start + PHRASES_AT_ONCE]
