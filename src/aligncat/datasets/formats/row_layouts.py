"""The layouts of a dialect's rows: where a row has its phrases, and which boxes belong to each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aligncat.datasets.formats import UNSAID, BoxForm, DeclaredForm
from aligncat.datasets.formats.dialects import ALIGNCAT, KEYS, Dialect, Layout, dialect_of
from aligncat.datasets.formats.markup import Marked, answered_phrase, marked, phrase_of
from aligncat.datasets.known import known_dataset
from aligncat.errors import DataError
from aligncat.files.fields import as_mapping, required, required_id, required_list, required_str, shorten

_SHOWN_KEYS = 12
_Row = Mapping[str, object]
_Rows = Iterator[tuple[Mapping[str, object], DeclaredForm | None]]


@dataclass(frozen=True, slots=True)
class _Context:
    """What a layout needs beside the row.

    Attributes:
        dialect: the row's dialect.
        fields: aligncat's key -> the key of the row.
        dataset: the dataset's name.
        where: file and row, for messages.
    """

    dialect: Dialect
    fields: Mapping[str, str]
    dataset: str
    where: str


def rows_of(
    row: _Row, dialect: Dialect, fields: Mapping[str, str], dataset: str, where: str
) -> list[tuple[Mapping[str, object], DeclaredForm | None]]:
    """Return the referents of a row, each in aligncat's keys and with the form of its boxes.

    Args:
        row: the row.
        dialect: its dialect.
        fields: aligncat's key -> the key of the row, for rows of one phrase.
        dataset: the dataset's name.
        where: file and row, for messages.

    Raises:
        DataError: the row does not follow the dialect, or has no phrase.
    """
    layout = next((each for each in dialect.layouts if _SIGNS[each](row, dialect)), None)
    if layout is None:
        raise DataError(
            f"{where}: no row of {dialect.tool}, but with the keys {listed([*row])}{_other_dialect(row, dialect)}"
        )
    found = [*_LAYOUTS[layout](row, _Context(dialect, fields, dataset, where))]
    if not found:
        raise DataError(f"{where}: no phrase{_other_dialect(row, dialect)}")
    return found


def _flat(row: _Row, given: _Context) -> _Rows:
    dialect, where = given.dialect, given.where
    values: dict[str, object] = {} if dialect is not ALIGNCAT else {key: row[key] for key in KEYS if key in row}
    for ours, theirs in given.fields.items():
        value = value_at(row, theirs)
        if value is not ABSENT:
            values[ours] = value
        elif ours in ("image", "expression"):
            raise DataError(
                f"{where}: key {theirs!r} is missing; the row has {listed([*row])}{_other_dialect(row, dialect)}"
            )
    yield values, (None if dialect.boxes == UNSAID else dialect.boxes)


def _objects(row: _Row, given: _Context) -> _Rows:
    """Yield the phrases of ms-swift's `objects`, {"ref": phrases, "bbox": boxes}, which fill gaps in the messages."""
    dialect, where = given.dialect, given.where
    image = _only(required_list(row, "images", where), where)
    objects = as_mapping(row["objects"], f"{where}, objects")
    phrases = [required_str({"ref": each}, "ref", where) for each in required_list(objects, "ref", where)]
    boxes = required_list(objects, "bbox", where)
    kind = objects.get("bbox_type") or "real"
    if kind not in ("real", "norm1"):
        raise DataError(f"{where}: bbox_type is {shorten(kind)}, but must be real or norm1")
    form: BoxForm = "fraction" if kind == "norm1" else "xyxy"
    yield from ((values, form) for values in _grouped(image, _paired(phrases, boxes, row, dialect, where)))


def _turns(row: _Row, given: _Context) -> _Rows:
    """Yield the phrases of a conversation: of each question and its answer, one has a box."""
    dialect, where = given.dialect, given.where
    turns = _said(row, dialect, where)
    image = row.get("image") or row.get("images") or _inner_image(turns)
    if isinstance(image, list):
        image = _only(image, where)
    for question, answer in zip(turns[::2], turns[1::2], strict=False):
        found = marked(answer)
        if found:
            if found.unnamed:
                found.named.setdefault(phrase_of(question), []).extend(found.unnamed)
        elif found := marked(question):
            boxes = [*found.unnamed, *(box for each in found.named.values() for box in each)]
            found = Marked({answered_phrase(answer): boxes}, corners=found.corners)
        form = (dialect.corners if found.corners else None) or UNSAID
        yield from ((values, form) for values in _grouped(image, [*found.named.items()]))


def _sentence(row: _Row, given: _Context) -> _Rows:
    """Yield a sentence of MDETR's, with the boxes of its annotations."""
    where = given.where
    annotations = [as_mapping(each, where) for each in required_list(row, "annotations", where)]
    meant = [each.get("tokens_positive") for each in annotations]
    if any(each != meant[0] for each in meant):
        raise DataError(
            f"{where}: its annotations belong to different words; only MDETR's files of referring expressions are read"
        )
    names: Any = row["categories"]
    kinds = {
        None if each.get("category_id") is None else required_id(each, "category_id", where) for each in annotations
    }
    values: dict[str, object] = {
        "image": required(row, "file_name", where),
        "image_id": required(row, "original_id", where),
        "expression": required(row, "caption", where),
        "category": names.get(*kinds) if len(kinds) == 1 else None,
        **{key: row[key] for key in ("width", "height") if key in row},
    }
    boxes = [required(each, "bbox", where) for each in annotations]
    if len(boxes) == 1:
        values |= {"box": boxes[0], "mask": annotations[0].get("segmentation")}
    elif boxes:
        values["boxes"] = boxes
    yield values, "xywh"


def _columns(row: _Row, given: _Context) -> _Rows:
    where = given.where
    image_id = required_str(row, "image-id", where)
    is_number = image_id.isascii() and image_id.isdigit()
    corners = str(row["region-coord"]).split(",")
    try:
        box = [float(each) for each in corners]
    except ValueError as error:
        raise DataError(f"{where}: the region {shorten(row['region-coord'])} must be x1,y1,x2,y2") from error
    yield (
        {
            "id": required_id(row, "uniq-id", where),
            "image_id": image_id,
            "image": known_dataset(given.dataset).photo_name.format(int(image_id)) if is_number else image_id,
            "expression": row["text"],
            "box": box,
        },
        "xyxy",
    )


_LAYOUTS: dict[Layout, Callable[[_Row, _Context], _Rows]] = {
    "flat": _flat,
    "objects": _objects,
    "turns": _turns,
    "sentence": _sentence,
    "columns": _columns,
}
_SIGNS: dict[Layout, Callable[[_Row, Dialect], bool]] = {
    "flat": lambda row, dialect: True,
    "objects": lambda row, dialect: "objects" in row,
    "turns": lambda row, dialect: dialect.turns in row,
    "sentence": lambda row, dialect: "caption" in row,
    "columns": lambda row, dialect: "region-coord" in row,
}


def _grouped(image: object, pairs: Sequence[tuple[str, Sequence[object]]]) -> Iterator[dict[str, object]]:
    """Yield one row for each phrase that is no empty text, with all boxes of that phrase."""
    boxes: dict[str, list[object]] = {}
    for phrase, own in pairs:
        boxes.setdefault(phrase, []).extend(own)
    for phrase, own in boxes.items():
        values: dict[str, object] = {"image": image, "expression": phrase}
        yield values | ({"box": own[0]} if len(own) == 1 else {"boxes": own} if own else {})


def _paired(
    phrases: Sequence[str], boxes: Sequence[object], row: _Row, dialect: Dialect, where: str
) -> list[tuple[str, Sequence[object]]]:
    """Pair ms-swift's phrases with its boxes: one by one, all with the only phrase, or as the messages do."""
    if len(phrases) == 1:
        return [(phrases[0], boxes)]
    if len(phrases) == len(boxes):
        return [(phrase, [box]) for phrase, box in zip(phrases, boxes, strict=True)]
    gaps = "".join(_said(row, dialect, where)).replace("<ref-object>", "\0r").replace("<bbox>", "\0b").split("\0")
    kinds = [part[0] for part in gaps[1:]]
    if not phrases or (kinds.count("r"), kinds.count("b")) != (len(phrases), len(boxes)) or kinds[0] != "r":
        raise DataError(
            f"{where}: {len(phrases)} phrases and {len(boxes)} boxes in 'objects', which the messages do not pair "
            "(<ref-object>, then its <bbox>); write one row for each phrase"
        )
    waiting, pairs = iter(boxes), list[tuple[str, list[object]]]()
    named = iter(phrases)
    for kind in kinds:
        if kind == "r":
            pairs.append((next(named), []))
        else:
            pairs[-1][1].append(next(waiting))
    return [*pairs]


def _said(row: _Row, dialect: Dialect, where: str) -> list[str]:
    """Return what is said in a conversation, question and answer in turn, without the system's words."""
    texts = []
    for number, value in enumerate(required_list(row, dialect.turns, where)):
        place = f"{where}, {dialect.turns}[{number}]"
        turn = as_mapping(value, place)
        if (turn.get("from") or turn.get("role")) != "system":
            content = turn.get("value", turn.get("content"))
            parts = content if isinstance(content, list) else [content]
            texts.append("".join(_part(each, place) for each in parts))
    return texts


def _part(value: object, where: str) -> str:
    """Return the text of a part of a turn; a photo's part has none."""
    text = value.get("text", "") if isinstance(value, dict) else value
    if not isinstance(text, str):
        raise DataError(f"{where}: must have a text, not {shorten(text)}")
    return text


def _inner_image(turns: Sequence[str]) -> object:
    """Return the photos that Qwen-VL's conversations name in their text."""
    return [part.partition("</img>")[0] for turn in turns for part in turn.split("<img>")[1:]] or None


def _only(images: Sequence[object], where: str) -> object:
    if len({*map(str, images)}) != 1:
        raise DataError(f"{where}: {len(images)} photos; a phrase is about one, so write one row for each")
    image = images[0]
    return image.get("path") if isinstance(image, dict) else image


ABSENT = object()
"""Stands for a value that is not there."""


def value_at(row: _Row, path: str) -> object:
    """Return the value of a key, or of a path of keys and numbers such as "objects.bbox.0", or `ABSENT`."""
    if path in row:
        return row[path]
    value: object = row
    for part in path.split("."):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return ABSENT
    return value


def _other_dialect(row: _Row, dialect: Dialect) -> str:
    """Return the dialect that a row has instead of the named one, as the end of a message, or nothing."""
    other = dialect_of(row)
    if other is None or other is dialect:
        return ""
    return f". It {other.described()}; all rows of a file have one form"


def listed(keys: Sequence[str]) -> str:
    """Return the first keys of a row, for a message."""
    more = len(keys) - _SHOWN_KEYS
    return (", ".join(map(shorten, keys[:_SHOWN_KEYS])) or "none") + (f" and {more} more" if more > 0 else "")
