"""Build a split from rows, several of which may belong to one referent, as in SimREC's JSON or a CSV."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from aligncat.datasets.config import DataConfig
from aligncat.datasets.formats.bad_rows import BadRows, expression_text
from aligncat.datasets.formats.layout import image_records
from aligncat.datasets.split import Split
from aligncat.errors import DataError
from aligncat.files.fields import as_mapping, optional_str, optional_strs, required, required_id, required_list
from aligncat.types import Expression


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a row.

    Attributes:
        text: the sentence.
        id: its id, or None if the file gives none.
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
    no_target: bool
    sentences: dict[str, Sentence] = field(default_factory=dict)


class Referents:
    """The referents of a split, collected row by row.

    Args:
        config: the dataset's configuration.
        split: the split's name.
        bad_rows: raises or skips missing images, and reports all skipped rows.
    """

    def __init__(self, config: DataConfig, split: str, bad_rows: BadRows) -> None:
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
        *,
        no_target: bool = False,
    ) -> None:
        """Add one row.

        Args:
            referent_id: the id of the row's referent.
            image_id: the id of its image.
            photo: the image's file, relative to the folder of the images.
            category: the name of the referent's category, or None if the row gives none.
            sentences: the row's sentences. A sentence without an id gets its number within the referent.
            where: file and row, for messages.
            no_target: whether the row says that the image shows nothing that the sentences mean.

        Raises:
            DataError: the row contradicts an earlier one, or a sentence's id is used twice.
        """
        referent = self._referents.get(referent_id, _Referent(image_id, category, no_target))
        if (referent.image_id, referent.category) != (image_id, category):
            raise DataError(
                f"{where}: referent {referent_id} has category {category} and image {image_id} here, but category "
                f"{referent.category} and image {referent.image_id} in an earlier row"
            )
        if self._photos.get(image_id, photo) != photo:
            raise DataError(
                f"{where}: image {image_id} is {photo} here, but {self._photos[image_id]} in an earlier row"
            )
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
        self._bad_rows.keep_place(referent_id, where)

    def split(self, *, check_images: bool) -> Split:
        """Return the split, with its referents in the order in which they were added.

        Args:
            check_images: whether every image must exist.

        Raises:
            DataError: the split has no usable row.
            ImageError: an image is missing.
        """
        images = image_records(self._config, self._photos, self._bad_rows, check=check_images)
        expressions = tuple(
            expression
            for referent_id, referent in self._referents.items()
            if referent.image_id in images
            for expression in _expressions(referent_id, referent)
        )
        self._bad_rows.report(len(expressions))
        return Split(self._config.dataset, self._split, self._config.split_by, images, expressions)


def read_sentences(row: Mapping[str, object], texts: str, ids: str, where: str) -> list[Sentence]:
    """Read the sentences of a row, with their ids and kinds if the row has them.

    Args:
        row: the row. Its optional key "kinds" is a list of {kind, needed, redundant}, one for each sentence.
        texts: the key of the sentences, one string or a list of strings.
        ids: the optional key of the sentences' ids, one for each sentence.
        where: file and row, for messages.

    Raises:
        DataError: there is no sentence, a sentence is empty, or the number of ids or kinds differs from the number of
            sentences.
    """
    value = required(row, texts, where)
    listed = value if isinstance(value, list) else [value]
    if not listed:
        raise DataError(f"{where}: {texts!r} is an empty list; write a phrase or remove the row")
    given: list[str] | list[None] = [None] * len(listed)
    kinds: list[object] = [{}] * len(listed)
    if row.get(ids) is not None:
        parts = {str(number): part for number, part in enumerate(required_list(row, ids, where))}
        given = [required_id(parts, number, f"{where}, {ids}") for number in parts]
    if row.get("kinds") is not None:
        kinds = required_list(row, "kinds", where)
    for key, values in ((ids, given), ("kinds", kinds)):
        if len(values) != len(listed):
            raise DataError(
                f"{where}: {len(values)} {key!r} for {len(listed)} sentences; give one for each sentence, or none"
            )
    return [
        read_sentence(text, sentence_id, as_mapping(kind, f"{where}, kinds[{number}]"), where)
        for number, (text, sentence_id, kind) in enumerate(zip(listed, given, kinds, strict=True))
    ]


def read_sentence(text: object, sentence_id: str | None, row: Mapping[str, object], where: str) -> Sentence:
    """Return one sentence, with the kinds that the row gives.

    Args:
        text: the sentence.
        sentence_id: its id, or None if the file gives none.
        row: the optional keys "kind", "needed" and "redundant".
        where: file and row, for messages.

    Raises:
        DataError: the sentence is empty, or a kind has the wrong type.
    """
    return Sentence(
        text=expression_text(text, where),
        id=sentence_id,
        needed=optional_strs(row, "needed", where),
        redundant=optional_strs(row, "redundant", where),
        kind=optional_str(row, "kind", where),
    )


def _expressions(referent_id: str, referent: _Referent) -> list[Expression]:
    return [
        Expression(
            id=sentence_id,
            referent_id=referent_id,
            image_id=referent.image_id,
            text=sentence.text,
            category=referent.category,
            needed=sentence.needed,
            redundant=sentence.redundant,
            kind=sentence.kind,
            no_target=referent.no_target,
        )
        for sentence_id, sentence in referent.sentences.items()
    ]
