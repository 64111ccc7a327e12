"""What a dataset's files hold about a referent that only a conversion keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aligncat.files.fields import as_mapping, required_id, required_list


@dataclass(frozen=True, slots=True)
class AsWritten:
    """What the files hold about a referent beyond its expressions and its truth.

    Attributes:
        annotation_id: the id of its annotation in COCO's format, where there is one.
        annotation: that annotation's "segmentation", "area" and "iscrowd", where they are there.
        file_name: the `file_name` of REFER's row, which is not the photo's file.
        sentences: sentence id -> its "raw" and "tokens" in REFER's layout, where they are there.
    """

    annotation_id: str | None = None
    annotation: Mapping[str, object] = field(default_factory=dict)
    file_name: str | None = None
    sentences: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


def kept_of_annotation(row: Mapping[str, object]) -> dict[str, object]:
    """Return the mask as it was drawn, its area and the crowd flag of a row of COCO's annotations."""
    kept = {"segmentation": row.get("segmentation"), "iscrowd": row.get("iscrowd"), "area": row.get("area")}
    return {key: value for key, value in kept.items() if value is not None}


def kept_of_sentences(ref: Mapping[str, object], where: str) -> dict[str, dict[str, object]]:
    """Return the raw text and the tokens of each sentence in a row of REFER's, by sentence id.

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
