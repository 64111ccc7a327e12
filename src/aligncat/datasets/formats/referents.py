"""Gather a split from rows that may each hold only a part of a referent, as in SimREC's JSON or a CSV."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from aligncat.datasets.config import DataConfig
from aligncat.datasets.formats.bad_rows import BadRows, expression_text
from aligncat.datasets.formats.layout import image_records
from aligncat.datasets.lexicon import Lexicon
from aligncat.datasets.split import Split
from aligncat.errors import DataError
from aligncat.files.fields import as_mapping, optional_str, optional_strs, required, required_id, required_list
from aligncat.types import Expression


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence as a file has it.

    Attributes:
        text: the sentence.
        id: its id, where the file gives one.
        needed, redundant, kind: see `Expression`.
    """

    text: str
    id: str | None = None
    needed: tuple[str, ...] = ()
    redundant: tuple[str, ...] = ()
    kind: str | None = None


@dataclass
class _Referent:
    image_id: str
    category: str | None
    sentences: dict[str, Sentence] = field(default_factory=dict)


class Referents:
    """The referents of a split, gathered row by row."""

    def __init__(self, config: DataConfig, split: str, bad_rows: BadRows) -> None:
        """Start without any.

        Args:
            config: where the dataset is.
            split: the split's name.
            bad_rows: what to do about a row that is not as its format asks.
        """
        self._config = config
        self._split = split
        self._bad_rows = bad_rows
        self._referents: dict[str, _Referent] = {}
        self._photos: dict[str, str] = {}
        self._ids: set[str] = set()

    def add(
        self,
        referent_id: str,
        image_id: str,
        photo: str,
        category: str | None,
        sentences: Collection[Sentence],
        where: str,
    ) -> None:
        """Add what one row holds.

        Args:
            referent_id: the object that the row is about.
            image_id: the image that it is in.
            photo: that image's file, below the folder of the images.
            category: the object's, by name, where the row gives one.
            sentences: the sentences that refer to it. One without an id is numbered within its referent.
            where: file and row, for messages.

        Raises:
            DataError: the row contradicts one before it, or an id is used twice.
        """
        referent = self._referents.get(referent_id, _Referent(image_id, category))
        if (referent.image_id, referent.category) != (image_id, category):
            raise DataError(
                f"{where}: referent {referent_id} is a {category} in image {image_id} here, and was a "
                f"{referent.category} in image {referent.image_id} in an earlier row"
            )
        if self._photos.get(image_id, photo) != photo:
            raise DataError(f"{where}: image {image_id} is {photo} here, and was {self._photos[image_id]} before")
        named: dict[str, Sentence] = {}
        for number, sentence in enumerate(sentences, start=len(referent.sentences)):
            sentence_id = sentence.id or f"{referent_id}:{number}"
            if sentence_id in self._ids or sentence_id in named:
                raise DataError(f"{where}: the id {sentence_id} was used before; every sentence's id must occur once")
            named[sentence_id] = sentence
        referent.sentences.update(named)
        self._ids.update(named)
        self._referents[referent_id] = referent
        self._photos[image_id] = photo

    def split(self, *, check_images: bool) -> Split:
        """Return all that was gathered, referents in the order in which they came up.

        Args:
            check_images: whether every image must exist.

        Raises:
            DataError: nothing was gathered.
            ImageError: an image is missing.
        """
        images = image_records(self._config, self._photos, self._bad_rows, check=check_images)
        lexicon = Lexicon.load(self._config.lexicon)
        expressions = tuple(
            expression
            for referent_id, referent in self._referents.items()
            if referent.image_id in images
            for expression in _expressions(referent_id, referent, lexicon)
        )
        self._bad_rows.report(len(expressions))
        return Split(self._config.dataset, self._split, self._config.split_by, images, expressions)


def read_sentences(row: Mapping[str, object], texts: str, ids: str, where: str) -> list[Sentence]:
    """Read the sentences of a row, with their ids and kinds, which the row may give in lists of the same length.

    Args:
        row: the row.
        texts: the key of the sentences, one string or a list of them.
        ids: the key of their ids, which may be missing. So may "kinds", a list of {kind, needed, redundant}.
        where: file and row, for messages.

    Raises:
        DataError: there is no sentence, one says nothing, or a list beside them is not as long as theirs.
    """
    value = required(row, texts, where)
    listed = value if isinstance(value, list) else [value]
    if not listed:
        raise DataError(f"{where}: {texts!r} is an empty list; write a phrase, or remove the row")
    given: list[str] | list[None] = [None] * len(listed)
    kinds: list[object] = [{}] * len(listed)
    if row.get(ids) is not None:
        parts = {str(number): part for number, part in enumerate(required_list(row, ids, where))}
        given = [required_id(parts, number, f"{where}, {ids}") for number in parts]
    if row.get("kinds") is not None:
        kinds = required_list(row, "kinds", where)
    for key, beside in ((ids, given), ("kinds", kinds)):
        if len(beside) != len(listed):
            raise DataError(f"{where}: {len(beside)} {key!r} for {len(listed)} sentences; give one each, or none")
    return [
        read_sentence(text, sentence_id, as_mapping(kind, f"{where}, kinds[{number}]"), where)
        for number, (text, sentence_id, kind) in enumerate(zip(listed, given, kinds, strict=True))
    ]


def read_sentence(text: object, sentence_id: str | None, row: Mapping[str, object], where: str) -> Sentence:
    """Read one sentence, with the kinds that a row may give.

    Raises:
        DataError: it says nothing, or a kind is not as it should be.
    """
    return Sentence(
        text=expression_text(text, where),
        id=sentence_id,
        needed=optional_strs(row, "needed", where),
        redundant=optional_strs(row, "redundant", where),
        kind=optional_str(row, "kind", where),
    )


def _expressions(referent_id: str, referent: _Referent, lexicon: Lexicon) -> list[Expression]:
    """The sentences of a referent; its category is read in them where the data gives none."""
    texts = [sentence.text for sentence in referent.sentences.values()]
    category = referent.category or lexicon.category_of_all(texts)
    return [
        Expression(
            id=sentence_id,
            referent_id=referent_id,
            image_id=referent.image_id,
            text=sentence.text,
            category=category,
            needed=sentence.needed,
            redundant=sentence.redundant,
            kind=sentence.kind,
            derived=referent.category is None and category is not None,
        )
        for sentence_id, sentence in referent.sentences.items()
    ]
