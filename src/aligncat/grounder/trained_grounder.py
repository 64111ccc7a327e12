"""What every trained grounder does with phrases and candidates, whatever library runs its model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace

from aligncat.errors import DetectorError
from aligncat.grounder.choices import choices_of
from aligncat.grounder.expressions import checked_phrases
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
from aligncat.language.tokens import Tokens
from aligncat.language.vocabulary import Vocabulary
from aligncat.types import Candidates

PHRASES_AT_ONCE = 256
"""The most expressions in one forward pass, so that the memory does not depend on their number."""


class TrainedGrounder(PhotoGrounder):
    """A grounder that was trained.

    Attributes:
        vocabulary: what splits expressions into words and token ids.
        max_length: the number of words, or word pieces, that it reads of each expression.
        columns: the further features of a candidate that it reads beside f_q.
        familiar: what tells images that are unlike those of its training (`unlike_training`); None if not recorded.
        words: the words of the training phrases of a transformer, whose word pieces spell any word; None if not
            recorded. Others in a phrase are reported as unknown.
    """

    vocabulary: Tokens
    max_length: int
    columns: tuple[ScaledColumn, ...]
    familiar: Familiar | None
    words: Vocabulary | None

    @property
    @abstractmethod
    def scorer(self) -> Scorer:
        """Its model."""

    def check_expressions(self, expressions: str | Sequence[str]) -> list[str]:
        """Return one or several expressions as a list, after checks that are made before any slow work.

        Raises:
            DataError: there are no expressions, or one is not text or has no words.
        """
        return checked_phrases(expressions, self.vocabulary)

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
        phrases = self.check_expressions(expressions)
        Answering(several, top).check(self.matcher)
        if not len(candidates):
            raise DetectorError("the detector found nothing in the image; try another image or detector")
        return [
            found
            for start in range(0, len(phrases), PHRASES_AT_ONCE)
            for found in self._ground_some(candidates, phrases[start : start + PHRASES_AT_ONCE], several, top)
        ]

    def _ground_some(
        self, candidates: Candidates, phrases: Sequence[str], several: bool, top: int
    ) -> Iterator[Grounding]:
        """Yield the groundings of at most PHRASES_AT_ONCE expressions in one image with at least one candidate."""
        meant = [phrase_for_one(phrase) for phrase in phrases] if several else phrases
        images = Images.repeated(candidates, self.columns, len(phrases))
        scored = self.scorer.score(images, self.vocabulary.ids(meant, self.max_length))
        choices = choices_of(scored, meant, self.vocabulary, self.labels)
        match = None if self.matcher is None else self.matcher.match(images, phrases)
        if match is not None:
            choices = replace(choices, match=match.present)
        boxes = candidates.relative_boxes
        known = self.vocabulary if self.words is None else self.words
        photo = (UNLIKE,) if unlike_training(self.familiar, candidates) else ()
        for row, phrase in enumerate(phrases):
            unknown = known.unknown(meant[row])
            found = grounding_of(row, phrase, candidates, choices, self.labels, unknown, further=photo)
            answers = None if match is None else match.answers[row]
            if several and answers is not None:
                found = with_answers(found, answer_slots(phrase, found.choice, answers, boxes), candidates, answers)
            elif top > 1:
                found = with_answers(found, best_slots(found, top, boxes), candidates, answers)
            yield found
