"""What a dataset's files say of a referent beyond what anybody reads, so that a conversion can say it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aligncat.files.fields import as_mapping, required_id, required_list


@dataclass(frozen=True, slots=True)
class AsWritten:
    """A referent as its files have it.

    Attributes:
        annotation_id: of its annotation in COCO's format, where there is one.
        annotation: that annotation's "segmentation", "area" and "iscrowd", those of them that are there.
        file_name: what REFER calls its picture, which is no photo's file.
        sentences: sentence id -> its "raw" and "tokens", as REFER has them; those of them that are there.
    """

    annotation_id: str | None = None
    annotation: Mapping[str, object] = field(default_factory=dict)
    file_name: str | None = None
    sentences: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


def kept_of_annotation(row: Mapping[str, object]) -> dict[str, object]:
    """What is kept of a row of COCO's annotations: the mask as it was drawn, its area, whether it is of a crowd."""
    kept = {"segmentation": row.get("segmentation"), "iscrowd": row.get("iscrowd"), "area": row.get("area")}
    return {key: value for key, value in kept.items() if value is not None}


def kept_of_sentences(ref: Mapping[str, object], where: str) -> dict[str, dict[str, object]]:
    """What is kept of the sentences of a row of REFER's: the text before it was cleaned, and its words.

    Args:
        ref: the row, with "sentences".
        where: file and row, for messages.

    Raises:
        DataError: a sentence has no id.
    """
    sentences = [as_mapping(value, where) for value in required_list(ref, "sentences", where)]
    return {
        required_id(sentence, "sent_id", where): {
            key: sentence[key] for key in ("raw", "tokens") if sentence.get(key) is not None
        }
        for sentence in sentences
    }
