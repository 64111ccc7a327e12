"""Details of a referent that only conversions use: ids, masks as drawn, raw text and tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aligncat.files.fields import as_mapping, required_id, required_list


@dataclass(frozen=True, slots=True)
class AsWritten:
    """Details of a referent as its files have them, beyond its expressions and its truth.

    Attributes:
        annotation_id: the id of its annotation in COCO's format, or None.
        annotation: the annotation's "segmentation", "area" and "iscrowd", as far as they are given.
        file_name: the `file_name` in the referent's row of refs(<split_by>).p. It is not the name of the photo's file.
        sentences: sentence id -> its "raw" and "tokens" in REFER's layout, as far as they are given.
    """

    annotation_id: str | None = None
    annotation: Mapping[str, object] = field(default_factory=dict)
    file_name: str | None = None
    sentences: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


def annotation_details(row: Mapping[str, object]) -> dict[str, object]:
    """Return the mask as drawn, the area and the crowd flag of a COCO annotation, as far as they are given."""
    details = {"segmentation": row.get("segmentation"), "iscrowd": row.get("iscrowd"), "area": row.get("area")}
    return {key: value for key, value in details.items() if value is not None}


def sentence_details(ref: Mapping[str, object], where: str) -> dict[str, dict[str, object]]:
    """Return the raw text and the tokens of each sentence in one of REFER's rows, by sentence id.

    Args:
        ref: the row, with its "sentences".
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
