"""Files of other tools, own keys, and tables of photos and phrases, each with a reading that does without aligncat.

`parsers.py` puts them into its table. The readings follow docs/formats.md and docs/answers.md.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import posixpath
import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import parquet
from pycocotools import mask as coco_mask

from aligncat.datasets.config import DataConfig
from aligncat.datasets.formats import BoxForm
from helpers import fabricate
from helpers.mutations import JSON, JSON_LINES, Codec

BOX, SECOND = [2, 5, 14, 30], [26, 10, 38, 22]
WIDTH, HEIGHT = fabricate.WIDTH, fabricate.HEIGHT
SHARES = [0.0625, 0.125, 0.25, 0.75]
THOUSANDTHS = [62, 125, 250, 750]


class Referent(NamedTuple):
    """A referent as the file has it, under aligncat's names of the keys.

    Attributes:
        number: its number in the split, "7", or "7.2" for the second one of a row.
        values: its values.
        form: what the numbers of its boxes are.
    """

    number: str
    values: dict[str, Any]
    form: BoxForm


class DialectFile(NamedTuple):
    """A file of a dataset, for `parsers.Parser`.

    Attributes:
        name: the kind of file.
        make: writes it and its photos.
        codec: the file's format.
        config: the dataset of the file.
        referents: reads the codec's tree. The second argument is the file.
    """

    name: str
    make: Callable[[Path], Path]
    codec: Codec
    config: Callable[[Path], DataConfig]
    referents: Callable[[Any, Path], list[Referent]]

    def meaning(self, tree: Any, path: Path) -> Any:
        """Return the expressions, photos and truths, in the form of `parsers._expressions` and `parsers._truths`."""
        found = self.referents(tree, path)
        return _expressions(found, path), {_key(each): _truth(each, path) for each in found}


def _id(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(value)
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _key(referent: Referent) -> str:
    given = referent.values.get("id")
    return f"train:{referent.number}" if given is None else _id(given)


def _photo(name: Any, path: Path) -> str:
    inner = f"{path.parent.absolute().as_posix()}/"
    return str(posixpath.normpath(name[len(inner) :] if name.startswith(inner) else name))


def _expressions(referents: list[Referent], path: Path) -> Any:
    found, photos = [], {}
    for each in referents:
        values = each.values
        photo = _photo(values["image"], path)
        image = photo if values.get("image_id") is None else _id(values["image_id"])
        texts = values["expression"] if isinstance(values["expression"], list) else [values["expression"]]
        ids = values.get("expression_ids") or [f"{_key(each)}:{number}" for number in range(len(texts))]
        kinds = values.get("kinds") or [{}] * len(texts)
        for text, sentence, kind in zip(texts, ids, kinds, strict=True):
            said = (tuple(kind.get("needed") or ()), tuple(kind.get("redundant") or ()), kind.get("kind"))
            found.append((_id(sentence), _key(each), image, text, values.get("category"), *said))
        photos[image] = Path(photo).name
    return found, photos


def _truth(referent: Referent, path: Path) -> Any:
    values = referent.values
    category = values.get("category")
    objects = [key for key in ("box", "boxes", "mask", "masks") if key in values]
    if values.get("no_target") or (values.get("no_target") is None and objects == ["box"] and not values["box"]):
        return [], (), category
    several = values.get("boxes")
    if several is None:
        box = values.get("box")
        several = box if isinstance(box, list) and all(isinstance(part, list) for part in box) else [box]
    elif several == []:
        return [], (), category
    elif len(several) == 1 and isinstance(several[0], list) and all(isinstance(part, list) for part in several[0]):
        [several] = several  # a list of boxes in the place of one
    size = (values.get("width") or WIDTH, values.get("height") or HEIGHT)
    boxes = [_pixels(box, referent.form, *size) for box in several]
    if len(boxes) == 1:
        return boxes[0], _mask(values.get("mask"), *size), category
    return boxes, None, category


def _pixels(box: Any, form: BoxForm, width: int, height: int) -> list[float]:
    a, b, c, d = map(float, box)
    if form == "xywh":
        return [a, b, a + c, b + d]
    unit = {"xyxy": None, "fraction": 1, "thousandths": 1000}[form]
    if unit is None:
        return [a, b, c, d]
    return [a * width / unit, b * height / unit, c * width / unit, d * height / unit]


def _mask(value: Any, width: int, height: int) -> Any:
    """Return the pixels of a list of polygons, in column-major order; None where there is none."""
    if not value or not any(value):
        return None
    parts = value if isinstance(value[0], list) else [value]
    parts = [part for part in parts if len(part) >= 6]
    whole = coco_mask.merge(coco_mask.frPyObjects(parts, int(height), int(width)))
    return np.asarray(coco_mask.decode(whole)).tobytes("F")


# Rows of one phrase


def _written(name: str, rows: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        for number in range(2):
            fabricate.write_image(folder / f"{number}.png", number)
        path = folder / name
        listed = json.dumps(rows) if path.suffix == ".json" else "\n".join(map(json.dumps, rows))
        path.write_text(listed, encoding="utf-8")
        return path

    return make


def _numbered(rows: list[Any], path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return the rows with their numbers: those of their lines from 1, or their places in a JSON list from 0."""
    if path.suffix == ".json":
        numbers = list(range(len(rows)))
    else:
        numbers = [n for n, line in enumerate(path.read_bytes().split(b"\n"), start=1) if line.strip()]
    return [(str(number), row) for number, row in zip(numbers, rows, strict=True)]


def _flat(keys: dict[str, str]) -> Callable[[Any, Path], list[Referent]]:
    """Return the reading of rows with a phrase and a box each, from aligncat's key -> theirs."""

    def read(rows: Any, path: Path) -> list[Referent]:
        return [
            Referent(number, {ours: row[theirs] for ours, theirs in keys.items() if theirs in row}, "xyxy")
            for number, row in _numbered(rows, path)
        ]

    return read


_SIZE = {"width": WIDTH, "height": HEIGHT}
_SHIKRA = [
    {"img_path": "0.png", "expression": "the left thing", "bbox": BOX, "dataset_name": "x", **_SIZE},
    {"img_path": "1.png", "expression": "a cup", "bbox": SECOND},
]
_QWEN = [
    {"image": "0.png", "sent": "the left thing", "bbox": BOX, **_SIZE},
    {"image": "1.png", "sent": "cup", "bbox": SECOND},
]
_VLM_R1 = [
    {"image": "0.png", "problem": "?", "normal_caption": "the left thing", "solution": BOX, **_SIZE},
    {"image": "1.png", "normal_caption": "a cup", "solution": SECOND},
]
_OWN = [
    {
        "file": "0.png",
        "q": {"text": ["the left thing", "it"]},
        "objects": [{"xywh": [2, 5, 12, 25]}],
        "label": "dog",
        "n": 7,
    },
    {"file": "1.png", "q": {"text": "a cup"}, "objects": [{"xywh": [26, 10, 12, 12]}], "n": "b", **_SIZE},
]
_OWN_FIELDS = {
    "image": "file",
    "expression": "q.text",
    "box": "objects.0.xywh",
    "category": "label",
    "id": "n",
}
_OWN_KEYS = (
    *("image", "expression", "category", "box", "mask", "boxes", "masks", "no_target", "width", "height"),
    *("id", "image_id", "expression_ids", "kinds"),
)


def _own_rows(rows: Any, path: Path) -> list[Referent]:
    found, missing = [], set(_OWN_FIELDS)
    for number, row in _numbered(rows, path):
        values = {key: row[key] for key in _OWN_KEYS if key in row}
        values |= {"image": row["file"], "expression": row["q"]["text"]}
        for ours, theirs in (("category", "label"), ("id", "n")):
            if theirs in row:
                values[ours] = row[theirs]
        objects = row.get("objects")
        if isinstance(objects, list) and objects and isinstance(objects[0], dict) and "xywh" in objects[0]:
            values["box"] = objects[0]["xywh"]
        missing -= values.keys()
        found.append(Referent(number, values, "xywh"))
    if missing:
        raise KeyError(missing)
    return found


# Conversations


def _turn(question: str, answer: str, image: str | None = "0.png") -> dict[str, Any]:
    said = [{"from": "human", "value": f"<image>\n{question}"}, {"from": "gpt", "value": answer}]
    return {"id": 0, "conversations": said} | ({} if image is None else {"image": image})


_LLAVA = [
    _turn("Where is this region: the left thing.", str(SHARES)),
    _turn("Find <ref>a cup</ref>", f"<ref>a cup</ref><box>[{SHARES}]</box>", "1.png"),
    _turn(f"Describe the region: {SHARES}", "A dog.", "1.png"),
    _turn("Locate the thing", json.dumps([{"bbox_2d": SHARES, "label": "a thing"}, {"bbox": SHARES}])),
]
_QWEN_TALKS = [
    _turn("Picture 1: <img>0.png</img>\nframe it", "<ref>it</ref><box>(62,125),(250,750)</box>", None),
    _turn(
        "Picture 1: <img>1.png</img>\nframe all",
        "<ref>a dog</ref><box>(62,125),(250,750)</box> <ref>cups</ref><box>(500, 250), (750.5,500)</box>"
        "<box>(62,125),(250,750)</box>",
        None,
    ),
]
_MS_SWIFT_TALKS = [
    {
        "messages": [
            {"role": "system", "content": "You see [0, 0, 1, 1]."},
            {"role": "user", "content": "<image>find <|object_ref_start|>the left thing<|object_ref_end|>"},
            {"role": "assistant", "content": "<|box_start|>(62,125),(250,750)<|box_end|>"},
        ],
        "images": ["0.png"],
    },
    {
        "messages": [
            {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Find: a cup"}]},
            {"role": "assistant", "content": str(THOUSANDTHS)},
        ],
        "images": [{"path": "1.png"}],
    },
]
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_BRACKETS, _PAIR = re.compile(r"\[([^][]*)\]"), re.compile(r"\(([^()]*)\)\s*,?\s*\(([^()]*)\)")
_PHRASES = re.compile(r"<ref>([^<]*)</ref>|<\|object_ref_start\|>([^<]*)<\|object_ref_end\|>|<p>([^<]*)</p>")
_TAGS = re.compile(r"<img>[^<]*</img>|<\|?/?[a-z_]{1,30}\|?>|Picture \d{1,3}:")


def _numbers(*groups: str) -> list[float] | None:
    parts = [[part.strip() for part in group.split(",")] for group in groups]
    if [len(each) for each in parts] != ([4] if len(groups) == 1 else [2, 2]):
        return None
    flat = [part for each in parts for part in each]
    return [float(part) for part in flat] if all(map(_NUMBER.fullmatch, flat)) else None


def _boxes_in(text: str) -> list[tuple[int, list[float]]]:
    """Return (place, four numbers) for each box in a text."""
    found, place = [], 0
    while place < len(text):
        match = {"[": _BRACKETS, "(": _PAIR}[text[place]].match(text, place) if text[place] in "[(" else None
        numbers = None if match is None else _numbers(*match.groups())
        if match is not None and numbers is not None:
            found.append((place, numbers))
            place = match.end()
        else:
            place += 1
    return found


def _tidy(text: str) -> str:
    return " ".join(text.split()).strip("\"'`\u201c\u201d .?!").strip()


def _said_boxes(text: str) -> tuple[dict[str, list[Any]], list[Any], bool]:
    """Return the boxes of a text by phrase, those before any phrase, and whether one is written as two corners."""
    try:
        document = json.loads(re.sub(r"\A\s*```(?:json)?|```\s*\Z", "", text))
        items = document if isinstance(document, list) else [document]
        boxes = [next(each[key] for key in ("bbox_2d", "bbox", "box") if key in each) for each in items]
    except (ValueError, TypeError, StopIteration, RecursionError):
        boxes = []
    if boxes and all(isinstance(each, dict) for each in items) and None not in boxes:
        named: dict[str, list[Any]] = {}
        unnamed: list[Any] = []
        for item, box in zip(items, boxes, strict=True):
            label = item.get("label")
            own = named.setdefault(label.strip(), []) if isinstance(label, str) and label.strip() else unnamed
            own.append(box)
        return named, unnamed, False
    phrases = [(m.start(), _tidy(next(g for g in m.groups() if g is not None))) for m in _PHRASES.finditer(text)]
    named = {phrase: [] for _, phrase in phrases}
    before_any: list[Any] = []
    found = _boxes_in(text)
    for place, box in found:
        before = [phrase for start, phrase in phrases if start < place]
        (named[before[-1]] if before else before_any).append(box)
    return named, before_any, any(text[place] == "(" for place, _ in found)


def _asked(question: str) -> str:
    if marks := list(_PHRASES.finditer(question)):
        return _tidy(next(group for group in marks[-1].groups() if group is not None))
    plain = _TAGS.sub(" ", question)
    after = plain.rpartition(": ")[2]
    return _tidy(after if after.strip() else plain)


def _texts(turns: Any) -> list[str]:
    found = []
    for turn in turns:
        if (turn.get("from") or turn.get("role")) == "system":
            continue
        content = turn["value"] if "value" in turn else turn["content"]
        parts = content if isinstance(content, list) else [content]
        texts = [part.get("text", "") if isinstance(part, dict) else part for part in parts]
        found.append("".join(texts))
    return found


def _one_image(image: Any) -> Any:
    if isinstance(image, list):
        if len({str(each) for each in image}) != 1:
            raise ValueError(image)
        image = image[0]["path"] if isinstance(image[0], dict) else image[0]
    return image


def _talks(turns: str, form: BoxForm | None, corners: BoxForm | None = None) -> Callable[[Any, Path], list[Referent]]:
    """Return the reading of conversations under a key, whose boxes have a form, or another one if they are corners."""

    def read(rows: Any, path: Path) -> list[Referent]:
        found = []
        for number, row in _numbered(rows, path):
            texts = _texts(row[turns])
            inner = [part.split("</img>")[0] for text in texts for part in text.split("<img>")[1:]]
            image = _one_image(row.get("image") or row.get("images") or inner)
            pairs: list[tuple[str, list[Any], BoxForm]] = []
            for question, answer in zip(texts[::2], texts[1::2], strict=False):
                named, unnamed, paired = _said_boxes(answer)
                if unnamed or any(named.values()):
                    if unnamed:
                        named.setdefault(_asked(question), []).extend(unnamed)
                else:
                    named, unnamed, paired = _said_boxes(question)
                    boxes = [*unnamed, *(box for each in named.values() for box in each)]
                    if not boxes:
                        continue
                    named = {_tidy(_TAGS.sub(" ", answer)): boxes}
                chosen = corners if paired and corners else form
                if chosen is None:
                    raise ValueError("nothing says what the numbers are")
                pairs += [(phrase, boxes, chosen) for phrase, boxes in named.items()]
            for part, (phrase, boxes, chosen) in enumerate(pairs, start=1):
                values = {"image": image, "expression": phrase, "boxes": boxes}
                found.append(Referent(number if part == 1 else f"{number}.{part}", values, chosen))
            if not pairs:
                raise ValueError("no phrase")
        return found

    return read


_MS_SWIFT = [
    {
        "messages": [
            {"role": "user", "content": "<image>find things and a cup"},
            {"role": "assistant", "content": "<ref-object><bbox><bbox> and <ref-object><bbox>"},
        ],
        "images": ["0.png"],
        "objects": {"ref": ["things", "a cup"], "bbox": [BOX, SECOND, BOX]},
    },
    {
        "messages": [
            {"role": "user", "content": "<image>find <ref-object>"},
            {"role": "assistant", "content": "<bbox>"},
        ],
        "images": ["1.png"],
        "objects": {"ref": ["a dog"], "bbox": [SHARES], "bbox_type": "norm1"},
    },
]


def _ms_swift_objects(rows: Any, path: Path) -> list[Referent]:
    found = []
    for number, row in _numbered(rows, path):
        if "objects" not in row:
            found += _talks("messages", None)([row], path.with_suffix(".json"))
            continue
        objects = row["objects"]
        phrases, boxes = objects["ref"], objects["bbox"]
        if len(phrases) == 1:
            pairs = [(phrases[0], boxes)]
        elif len(phrases) == len(boxes):
            pairs = [(phrase, [box]) for phrase, box in zip(phrases, boxes, strict=True)]
        else:
            pairs, left, right = [], iter(phrases), iter(boxes)
            for mark in re.findall("<ref-object>|<bbox>", "".join(_texts(row["messages"]))):
                if mark == "<bbox>":
                    pairs[-1][1].append(next(right))
                else:
                    pairs.append((next(left), []))
            if [*left, *right]:
                raise ValueError("the messages do not pair them")
        together: dict[str, list[Any]] = {}
        for phrase, own in pairs:
            together.setdefault(phrase, []).extend(own)
        form: BoxForm = "fraction" if objects.get("bbox_type") == "norm1" else "xyxy"
        for part, (phrase, own) in enumerate(together.items(), start=1):
            values = {"image": _one_image(row["images"]), "expression": phrase, "boxes": own}
            found.append(Referent(number if part == 1 else f"{number}.{part}", values, form))
    return found


# MDETR and OFA

_MDETR = {
    "images": [
        {"id": 3, "original_id": 9, "file_name": "0.png", "caption": "the left thing", **_SIZE},
        {"id": 4, "original_id": 12, "file_name": "1.png", "caption": "two cups"},
    ],
    "annotations": [
        {
            "image_id": 3,
            "category_id": 18,
            "bbox": [2, 5, 12, 25],
            "tokens_positive": [[0, 8]],
            "segmentation": [[2, 5, 14, 5, 14, 30, 2, 30]],
        },
        {"image_id": 4, "category_id": 18, "bbox": [2, 5, 12, 25], "tokens_positive": [[0, 3]]},
        {"image_id": 4, "category_id": 47, "bbox": [26, 10, 12, 12], "tokens_positive": [[0, 3]]},
    ],
    "categories": [{"id": 18, "name": "dog"}, {"id": 47, "name": "cup"}],
}


def _mdetr_referents(document: Any, path: Path) -> list[Referent]:
    names: dict[str | None, Any] = {_id(each["id"]): each.get("name") for each in document["categories"]}
    for each in document["annotations"]:
        _id(each["image_id"])
    found = []
    for number, row in enumerate(document["images"]):
        own = [each for each in document["annotations"] if _id(each["image_id"]) == _id(row["id"])]
        if any(each.get("tokens_positive") != own[0].get("tokens_positive") for each in own):
            raise ValueError("other words")
        kinds = {None if each.get("category_id") is None else _id(each["category_id"]) for each in own}
        values: dict[str, Any] = {
            "image": row["file_name"],
            "image_id": row["original_id"],
            "expression": row["caption"],
            "category": names.get(kinds.pop()) if len(kinds) == 1 else None,
        }
        values |= {key: row[key] for key in ("width", "height") if key in row}
        boxes = [each["bbox"] for each in own]
        if len(own) == 1:
            values |= {"box": boxes[0], "mask": own[0].get("segmentation")}
        elif own:
            values["boxes"] = boxes
        found.append(Referent(str(number), values, "xywh"))
    return found


def _make_ofa(folder: Path) -> Path:
    for number in range(2):
        fabricate.write_image(folder / f"{number}.png", number)
    photo = base64.b64encode((folder / "1.png").read_bytes()).decode()
    rows = ["3\t0.png\tthe left thing\t2,5,14.5,30", f"4\t1.png\ta cup\t26,10,38,22\t{photo}"]
    (folder / "train.tsv").write_text("\n".join(rows), encoding="utf-8")
    return folder / "train.tsv"


def _dump_tsv(rows: Any, random: Random) -> bytes | None:
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        return None
    try:
        return "\n".join("\t".join(str(cell)[:20_000] for cell in row) for row in rows).encode("utf-8", "surrogatepass")
    except ValueError:  # an integer with thousands of digits
        return None


TSV = Codec(
    lambda content: [
        line.decode("utf-8-sig").rstrip("\r\n").split("\t") for line in content.split(b"\n") if line.strip()
    ],
    _dump_tsv,
    lambda content, random: (
        random.choice((b"\xef\xbb\xbf", b"")) + content.replace(b"\n", random.choice((b"\n", b"\r\n")))
    ),
)


def _ofa_referents(rows: Any, path: Path) -> list[Referent]:
    found = []
    for number, cells in enumerate(rows, start=1):
        identity, image, text, region, *photo = cells
        if len(photo) > 1 or (image.isascii() and image.isdigit()):
            raise ValueError(cells)
        box = [float(each) for each in region.split(",")]
        found.append(
            Referent(
                str(number), {"id": identity, "image_id": image, "image": image, "expression": text, "box": box}, "xyxy"
            )
        )
    return found


def _dataset(
    form: str, boxes: BoxForm | None = None, fields: dict[str, str] | None = None
) -> Callable[[Path], DataConfig]:
    return lambda path: DataConfig(path.parent, "own", format=form, boxes=boxes, fields=fields)


_FLAT = {"width": "width", "height": "height"}
DIALECT_FILES = (
    DialectFile(
        "shikra",
        _written("train.jsonl", _SHIKRA),
        JSON_LINES,
        _dataset("shikra"),
        _flat({"image": "img_path", "expression": "expression", "box": "bbox", **_FLAT}),
    ),
    DialectFile(
        "qwen",
        _written("train.jsonl", _QWEN),
        JSON_LINES,
        _dataset("qwen"),
        _flat({"image": "image", "expression": "sent", "box": "bbox", **_FLAT}),
    ),
    DialectFile(
        "qwen's conversations",
        _written("train.jsonl", _QWEN_TALKS),
        JSON_LINES,
        _dataset("qwen"),
        _talks("conversations", None, "thousandths"),
    ),
    DialectFile(
        "vlm-r1",
        _written("train.json", _VLM_R1),
        JSON,
        _dataset("vlm-r1"),
        _flat({"image": "image", "expression": "normal_caption", "box": "solution", **_FLAT}),
    ),
    DialectFile("ms-swift", _written("train.jsonl", _MS_SWIFT), JSON_LINES, _dataset("ms-swift"), _ms_swift_objects),
    DialectFile(
        "ms-swift's messages",
        _written("train.jsonl", _MS_SWIFT_TALKS),
        JSON_LINES,
        _dataset("ms-swift", "thousandths"),
        _talks("messages", "thousandths"),
    ),
    DialectFile(
        "llava",
        _written("train.json", _LLAVA),
        JSON,
        _dataset("llava", "fraction"),
        _talks("conversations", "fraction"),
    ),
    DialectFile("mdetr", _written("train.json", _MDETR), JSON, _dataset("mdetr"), _mdetr_referents),
    DialectFile("ofa", _make_ofa, TSV, _dataset("ofa"), _ofa_referents),
    DialectFile(
        "own keys", _written("train.jsonl", _OWN), JSON_LINES, _dataset("jsonl", "xywh", _OWN_FIELDS), _own_rows
    ),
)


# Tables of photos and phrases

TABLE = [
    {"image": "a.jpg", "phrase": "red dog"},
    {"image": "b/c.jpg", "phrase": "cup"},
    {"image": "a.jpg", "phrase": "it"},
]
TABLE_CSV = 'image,note,phrase\na.jpg,x,red dog\nb/c.jpg,,"a cup, left"\n\na.jpg,1,it\n'


def table_meaning(rows: list[dict[str, Any]]) -> Any:
    """Return the photos with their phrases, in order of first appearance."""
    found: dict[str, list[str]] = {}
    for row in rows:
        [column] = [name for name in ("phrase", "expression") if name in row]
        if not isinstance(row["image"], str) or not isinstance(row[column], str) or not row["image"]:
            raise TypeError(row)
        found.setdefault(row["image"], []).append(row[column])
    if not found:
        raise ValueError("no rows")
    return [(name, tuple(phrases)) for name, phrases in found.items()]


def csv_table_meaning(lines: list[str], path: Path) -> Any:
    """Return `table_meaning` of a CSV file's lines."""
    header, *rows = csv.reader(io.StringIO("\n".join(lines), newline=""), strict=True)
    names = [name.strip() for name in header]
    return table_meaning([dict(zip(names, cells, strict=True)) for cells in rows if cells])


def _dump_parquet(rows: Any, random: Random) -> bytes | None:
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return None
    content = io.BytesIO()
    try:
        names = dict.fromkeys(str(name) for row in rows for name in row)
        table = pa.table({name: pa.array([row.get(name) for row in rows]) for name in names})
        parquet.write_table(table, content, compression=random.choice(("snappy", "zstd", "none")))
    except (pa.ArrowException, ValueError, TypeError, OverflowError, UnicodeError):
        return None
    return content.getvalue()


def _load_parquet(content: bytes) -> Any:
    table = parquet.ParquetFile(io.BytesIO(content)).read()
    table.validate(full=True)
    return table.to_pylist()


TABLE_PARQUET = Codec(
    _load_parquet, _dump_parquet, lambda content, random: _dump_parquet(_load_parquet(content), random) or b""
)


def make_parquet_table(folder: Path) -> Path:
    """Write TABLE as Parquet."""
    parquet.write_table(pa.Table.from_pylist(TABLE), folder / "table.parquet")
    return folder / "table.parquet"


def phrases_meaning(lines: list[str], path: Path) -> Any:
    """Return the phrases of a text file's lines."""
    found = [line.strip() for line in lines if line.strip()]
    if not found:
        raise ValueError("no phrases")
    return found
