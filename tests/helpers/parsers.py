"""Every reader of files that may come from anywhere, each with a valid file and an independent reading of it.

`expected` reads a document without aligncat: a mutated document that aligncat accepts must mean what it says there.
So another valid document counts as what it is, and a reader that drops, replaces or rounds a value is found.
"""

from __future__ import annotations

import csv
import io
import json
import math
import pickle
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from pyarrow import parquet
from pycocotools import mask as coco_mask

from aligncat.alignment.config import AlignmentConfig
from aligncat.checkpoints.querymatch.convert import querymatch_vocabulary
from aligncat.checkpoints.tensors import read_tensors
from aligncat.datasets.categories import COCO_CATEGORIES, COCO_NAMES
from aligncat.datasets.config import DataConfig
from aligncat.datasets.lexicon import Lexicon
from aligncat.datasets.load import load_split, load_truth
from aligncat.datasets.prepare.download import _Part
from aligncat.datasets.prepare.mirrors import read_mirrors
from aligncat.detectors.folder import DetectorFolder
from aligncat.errors import AligncatError, CheckpointError, ConfigError, DataError, DetectorError, StoreError
from aligncat.evaluation.answers import Answers
from aligncat.evaluation.paper_tables import read_published
from aligncat.evaluation.results import Result
from aligncat.evaluation.training_images import read_training_images
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.requests.tables import read_table
from aligncat.grounder.requests.words import read_phrases
from aligncat.language.config import TextEncoderConfig
from aligncat.language.vectors import load_word_vectors
from aligncat.language.vocabulary import Vocabulary
from aligncat.store.reader import Store
from aligncat.training.config import TrainingConfig
from aligncat.training.run_folder import check_settings
from helpers import fabricate, fabricate_answers, fabricate_hub, parser_dialects
from helpers.mutations import BYTES, JSON, JSON_LINES, LINES, PICKLE, TOML, TORCH, Codec
from helpers.original_querymatch import vocabulary
from helpers.parser_dialects import DialectFile


@dataclass(frozen=True)
class Parser:
    """One reader.

    Attributes:
        name: the kind of file.
        make: writes a valid file, and what belongs to it, into an empty folder; returns the file.
        codec: the file's format.
        read: reads the file with aligncat and returns its meaning as plain values.
        expected: the same meaning, read from the codec's tree. The second argument is the file.
        error: the class of every error.
        byte_errors_only: the format has no checksum, and what it means with damaged bytes cannot be read independently
            of the library that both would use. Only errors and the absence of tracebacks are checked there.
    """

    name: str
    make: Callable[[Path], Path]
    codec: Codec
    read: Callable[[Path], Any]
    expected: Callable[[Any, Path], Any]
    error: type[AligncatError] = DataError
    byte_errors_only: bool = False


def plain(value: Any) -> str:
    """Return a text that is equal for equal meanings: 1 and 1.0 differ, NaN equals itself."""
    return repr(value)


def _id(value: Any) -> str:
    """Return an id as text. An id may be a whole number, also written as 7.0, or a text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(value)
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


# Datasets


def _refer(folder: Path) -> fabricate.ReferFiles:
    return fabricate.write_refer_dataset(folder, splits={"train": 2})


def _expressions(config: DataConfig) -> Any:
    split = load_split(config, "train")
    return [
        (e.id, e.referent_id, e.image_id, e.text, None if e.derived else e.category, e.needed, e.redundant, e.kind)
        for e in split.expressions
    ], {key: record.path.name for key, record in split.images.items()}


def _truths(config: DataConfig) -> Any:
    return {
        key: (
            (truth.box.tolist(), _pixels(truth.mask), truth.category)
            if len(truth) == 1
            else (truth.boxes.tolist(), truth.masks and [_pixels(mask) for mask in truth.masks], truth.category)
        )
        for key, truth in load_truth(config, "train").items()
    }


def _pixels(rle: Any) -> Any:
    return None if rle is None else coco_mask.decode(rle).tobytes("F")


def _sentence(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get("needed") or ()), tuple(row.get("redundant") or ()), row.get("kind")


def _refer_expressions(refs: Any, path: Path) -> Any:
    instances = json.loads((path.parent / "instances.json").read_text())
    names = {row["id"]: row["name"] for row in instances["categories"]}
    photos = {_id(row["id"]): row["file_name"] for row in instances["images"]}
    chosen = [row for row in refs if row["split"] == "train"]
    return [
        (
            _id(s["sent_id"]),
            _id(row["ref_id"]),
            _id(row["image_id"]),
            s["sent"],
            names[row["category_id"]],
            *_sentence(s),
        )
        for row in chosen
        for s in row["sentences"]
    ], {_id(row["image_id"]): photos[_id(row["image_id"])] for row in chosen}


def _refer_truths(instances: Any, path: Path) -> Any:
    refs = pickle.loads(next(path.parent.glob("refs*")).read_bytes())
    images = {_id(row["id"]): row for row in instances["images"]}
    names = {row["id"]: row["name"] for row in instances["categories"]}
    annotations = {_id(row["id"]): row for row in instances["annotations"]}
    found = {}
    for ref in refs:
        row = annotations[_id(ref["ann_id"])]
        image = images[_id(row["image_id"])]
        mask = _mask(row.get("segmentation"), image["height"], image["width"])
        found[_id(ref["ref_id"])] = (_xywh(row["bbox"]), mask, names[ref["category_id"]])
    return found


def _xywh(box: Any) -> list[float]:
    x, y, width, height = map(float, box)
    return [x, y, x + width, y + height]


def _mask(value: Any, height: int, width: int) -> Any:
    """Return the pixels of a mask in COCO's forms, in column-major order; None where there is none."""
    if value in (None, [], ""):
        return None
    if isinstance(value, dict):
        if isinstance(value["counts"], str | bytes):
            return coco_mask.decode(value).tobytes("F")
        runs = value["counts"]
        return np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8).tobytes()
    if isinstance(value[0], dict):
        parts = [np.frombuffer(_mask(part, height, width), np.uint8) for part in value]
        return np.maximum.reduce(parts).tobytes()
    if not any(value):
        return None  # [[]] is how some tools write []
    parts = value if isinstance(value[0], list | tuple) else [value]
    parts = [part for part in parts if len(part) >= 6]
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(parts, height, width))).tobytes("F")


def _make_refs(folder: Path) -> Path:
    return _refer(folder).refs_path


def _make_instances(folder: Path) -> Path:
    return _refer(folder).instances_path


def _refer_config(path: Path) -> DataConfig:
    return DataConfig(path.parent.parent, "refcoco", "unc")


def _make_simrec(folder: Path) -> Path:
    rows = []
    (folder / "masks/refcoco").mkdir(parents=True)
    for number in range(2):
        name = f"{number}.png"
        fabricate.write_image(folder / "images" / name, number)
        thing = fabricate.things_of(number)[0]
        x1, y1, x2, y2 = thing.box
        row = {"iid": number, "file_name": name, "bbox": [x1, y1, x2 - x1, y2 - y1], "cat_id": 16}
        rows.append(
            {
                **row,
                "refs": ["the left thing", f"thing {number}"],
                "mask_id": number,
                "sent_ids": [2 * number, 2 * number + 1],
            }
        )
        pixels = np.zeros((fabricate.HEIGHT, fabricate.WIDTH), np.uint8)
        pixels[y1:y2, x1:x2] = 1
        np.save(folder / f"masks/refcoco/{number}.npy", pixels)
    (folder / "anns").mkdir()
    path = folder / "anns/refcoco.json"
    path.write_text(json.dumps({"train": rows}))
    return path


def _make_npy(folder: Path) -> Path:
    _make_simrec(folder)
    return folder / "masks/refcoco/0.npy"


def _simrec_config(path: Path) -> DataConfig:
    return DataConfig(path.parents[1] if path.suffix == ".json" else path.parents[2], "refcoco", format="simrec")


def _simrec_id(row: dict[str, Any], number: int) -> str:
    given = [row[key] for key in ("ref_id", "mask_id") if row.get(key) is not None]
    return _id(given[0]) if given else f"train:{number}"


def _simrec_category(row: dict[str, Any]) -> Any:
    return row.get("category") or (None if row.get("cat_id") is None else COCO_NAMES[row["cat_id"]])


def _listed_expressions(rows: list[dict[str, Any]]) -> Any:
    """Return what `_expressions` does, for rows with "ref", "image", "photo", "category", "texts", "ids", "kinds"."""
    found: dict[str, list[Any]] = {}
    photos = {}
    for row in rows:
        before = found.setdefault(row["ref"], [])
        texts = row["texts"] if isinstance(row["texts"], list) else [row["texts"]]
        kinds = row["kinds"] or [{}] * len(texts)
        ids = [None] * len(texts) if row["ids"] is None else [_id(each) for each in row["ids"]]
        for text, given, kind in zip(texts, ids, kinds, strict=True):
            sentence = given or f"{row['ref']}:{len(before)}"
            before.append((sentence, row["ref"], row["image"], text, row["category"], *_sentence(kind)))
        photos[row["image"]] = Path(row["photo"]).name
    return [each for rows in found.values() for each in rows], photos


def _simrec_meaning(document: Any, path: Path) -> Any:
    rows = document["train"]
    listed = [
        {
            "ref": _simrec_id(row, number),
            "image": _id(row["iid"]),
            "photo": row.get("file_name") or f"COCO_train2014_{row['iid']:012d}.jpg",
            "category": _simrec_category(row),
            "texts": row["refs"],
            "ids": row.get("sent_ids"),
            "kinds": row.get("kinds"),
        }
        for number, row in enumerate(rows)
    ]
    truths: dict[str, Any] = {}
    for number, row in enumerate(rows):
        mask = None
        if row.get("mask_id") is not None:
            pixels = np.load(path.parents[1] / f"masks/refcoco/{row['mask_id']}.npy")
            mask = (pixels != 0).astype(np.uint8).tobytes("F")
        truths.setdefault(_simrec_id(row, number), (_xywh(row["bbox"]), mask, _simrec_category(row)))
    return _listed_expressions(listed), truths


def _npy_meaning(content: bytes, path: Path) -> Any:
    """Read the file by the description of the format: magic, version, length, a dict in Python's notation, values."""
    if content[:6] != b"\x93NUMPY" or content[6:8] not in (b"\x01\0", b"\x02\0", b"\x03\0"):
        raise ValueError("not npy")
    width = 2 if content[6] == 1 else 4
    start = 8 + width + int.from_bytes(content[8 : 8 + width], "little")
    header = eval(content[8 + width : start].decode("latin-1"), {"__builtins__": {}})  # a literal that we wrote
    pixels = np.frombuffer(content, header["descr"], math.prod(header["shape"]), start)
    pixels = pixels.reshape(header["shape"], order="F" if header["fortran_order"] else "C")
    return (pixels != 0).astype(np.uint8).tobytes("F")


def _make_json_lines(folder: Path) -> Path:
    fabricate.write_jsonl_dataset(folder, {"train": fabricate.jsonl_rows(2)})
    path = folder / "train.jsonl"
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    return path


def _json_lines_meaning(rows: Any, path: Path) -> Any:
    # A row's number is that of its line, so the blank lines of the file count.
    lines = [n for n, line in enumerate(path.read_bytes().split(b"\n"), start=1) if line.strip()]
    keys = [f"train:{n}" if row.get("id") is None else _id(row["id"]) for n, row in zip(lines, rows, strict=True)]
    listed = [
        {
            "ref": key,
            "image": _normal(row["image"]) if row.get("image_id") is None else _id(row["image_id"]),
            "photo": row["image"],
            "category": row.get("category"),
            "texts": row["expression"],
            "ids": row.get("expression_ids"),
            "kinds": row.get("kinds"),
        }
        for key, row in zip(keys, rows, strict=True)
    ]
    truths: dict[str, Any] = {}
    for key, row in zip(keys, rows, strict=True):
        mask = _mask(row.get("mask"), fabricate.HEIGHT, fabricate.WIDTH)
        box = row.get("box")
        if box == [] and mask is None:  # nothing in the image is meant
            truths[key] = ([], (), row.get("category"))
            continue
        if isinstance(box, list) and len(box) == 1 and isinstance(box[0], list):
            [box] = box  # a list of one box
        box = list(map(float, box)) if box else None
        if box is None:
            pixels = np.frombuffer(mask, np.uint8).reshape(fabricate.WIDTH, fabricate.HEIGHT)
            xs, ys = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
            box = [float(side) for side in (xs[0], ys[0], xs[-1] + 1, ys[-1] + 1)]
        truths[key] = (box, mask, row.get("category"))
    return _listed_expressions(listed), truths


def _normal(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _make_csv(folder: Path) -> Path:
    files = fabricate.write_refer_dataset(folder, splits={"train": 2}, image_folder="images")
    (folder / "instances.json").write_text(json.dumps(files.instances))
    path = folder / "phrases.csv"
    path.write_text("annotation_id,phrase,split\n5000,a red dog,train\n5001,the left one,train\n5002,man,val\n")
    return path


def _csv_config(path: Path) -> DataConfig:
    return DataConfig(path.parent, "own", format="coco-csv")


def _csv_expressions(lines: list[str], path: Path) -> Any:
    instances = json.loads((path.parent / "instances.json").read_text())
    names = {row["id"]: row["name"] for row in instances["categories"]}
    images = {str(row["id"]): row["file_name"] for row in instances["images"]}
    annotations = {str(row["id"]): row for row in instances["annotations"]}
    reader = csv.reader(io.StringIO("\n".join(lines), newline=""), strict=True)
    header = [name.strip() for name in next(reader)]
    listed = []
    for cells in reader:
        row = dict(zip(header, [cell.strip() for cell in cells], strict=True)) if cells else {"split": ""}
        if row["split"] == "train":
            annotation = annotations.get(row.get("annotation_id", ""))
            image = str(annotation["image_id"]) if annotation else row["image_id"]
            listed.append(
                {
                    "ref": row.get("annotation_id") or f"line:{reader.line_num}",
                    "image": image,
                    "photo": images[image],
                    "category": names[annotation["category_id"]] if annotation else None,
                    "texts": row["phrase"],
                    "ids": [row["sentence_id"]] if row.get("sentence_id") else None,
                    "kinds": None,
                }
            )
    return _listed_expressions(listed)


# Parquet


def _make_hub(folder: Path) -> Path:
    for number in range(2):
        fabricate.write_image(folder / "images" / fabricate_hub.PHOTO.format(number), number)
    path = folder / "train-0.parquet"
    fabricate_hub.write_parquet(path, *(fabricate_hub.refers_row(number) for number in range(2)))
    return path


def _load_parquet(content: bytes) -> Any:
    table = parquet.ParquetFile(io.BytesIO(content)).read(columns=list(_HUB_COLUMNS))
    table.validate(full=True)
    return table.to_pylist()


_HUB_COLUMNS: tuple[str, ...] = (
    "ref_id",
    "image_id",
    "category_id",
    "split",
    "sentences",
    "image_path",
    "bbox",
    "raw_anns",
)
_HUB_COLUMNS += ("raw_image_info",)


def _dump_parquet(rows: Any, random: Any) -> bytes | None:
    """Write mutated rows. A column has one type, so an odd value in one row goes into all rows if that fails."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return None
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {}
    for name in names:
        values = [row.get(name) for row in rows]
        for attempt in (values, [values[0]] * len(values), [values[-1]] * len(values)):
            try:
                columns[str(name)] = pa.array(attempt)
                break
            except (pa.ArrowException, ValueError, TypeError, OverflowError, UnicodeError):
                continue
    try:
        content = io.BytesIO()
        parquet.write_table(pa.table(columns), content, compression=random.choice(("snappy", "zstd", "none")))
    except (pa.ArrowException, ValueError):
        return None
    return content.getvalue()


PARQUET = Codec(
    _load_parquet, _dump_parquet, lambda content, random: _dump_parquet(_load_parquet(content), random) or b""
)


def _hub_config(path: Path) -> DataConfig:
    return DataConfig(path.parent, "refcoco", format="hub")


def _hub_meaning(rows: Any, path: Path) -> Any:
    rows = [row for row in rows if row["split"] == "train"]
    expressions: dict[str, Any] = {}
    photos: dict[str, str] = {}
    truths: dict[str, Any] = {}
    for row in rows:
        category = COCO_CATEGORIES[row["category_id"]]
        for s in row["sentences"]:
            expressions.setdefault(_id(row["ref_id"]), []).append(
                (_id(s["sent_id"]), _id(row["ref_id"]), _id(row["image_id"]), s["sent"], category, *_sentence(s))
            )
        photos[_id(row["image_id"])] = row["image_path"].split("/")[-1]
        image, annotation = json.loads(row["raw_image_info"]), json.loads(row["raw_anns"])
        mask = _mask(annotation.get("segmentation"), image["height"], image["width"])
        truths[_id(row["ref_id"])] = (list(map(float, row["bbox"])), mask, category)
    return ([each for rows in expressions.values() for each in rows], photos), truths


def _make_answers(folder: Path) -> Path:
    photos = fabricate_answers.paint(folder / "photos", 2)
    rows = [fabricate_answers.row(n, photos[n % 2], cause="right" if n % 2 else "wrong_object") for n in range(4)]
    saved = fabricate_answers.save(folder, rows)
    return next(saved.glob("*.parquet"))


def _answers(path: Path) -> Any:
    answers = Answers.load(path)
    return answers.table.to_pylist(), answers.labels, answers.provenance, answers.result.to_json()


def _same_answers(content: bytes, path: Path) -> Any:
    """Damaged bytes may only be accepted if nothing is different, since the file records their hash."""
    table = parquet.read_table(io.BytesIO(_PRISTINE[path]))
    header = json.loads(table.schema.metadata[b"aligncat"])
    return table.to_pylist(), tuple(header["labels"]), header["provenance"], header["result"]


_PRISTINE: dict[Path, bytes] = {}
"""The bytes of files with a hash, by path, before they were damaged."""


def _remembered(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
    def made(folder: Path) -> Path:
        path = make(folder)
        _PRISTINE[path] = path.read_bytes()
        return path

    return made


def _load_answer_rows(content: bytes) -> Any:
    table = parquet.ParquetFile(io.BytesIO(content)).read()
    header = json.loads(table.schema.metadata[b"aligncat"])
    return {"rows": table.to_pylist(), "header": header}


def _dump_answer_rows(document: Any, random: Any) -> bytes | None:
    """Write mutated rows and a mutated header as another program would, without the hash."""
    from aligncat.evaluation.answers import SCHEMA

    try:
        table = pa.Table.from_pylist(document["rows"], schema=SCHEMA)
        header = json.dumps(document["header"])
        content = io.BytesIO()
        parquet.write_table(table.replace_schema_metadata({b"aligncat": header.encode()}), content)
    except Exception:  # whatever pyarrow makes of such rows, they are no file
        return None
    return content.getvalue()


ANSWERS = Codec(_load_answer_rows, _dump_answer_rows)


def _answers_meaning(document: Any, path: Path) -> Any:
    header = document["header"]
    return document["rows"], tuple(header["labels"]), header["provenance"], _result_meaning(header["result"], path)


# Results, tables, lists


def _make_result(folder: Path) -> Path:
    rows = [fabricate_answers.row(0, folder / "0.png")]
    result = fabricate_answers.answers(rows).result
    document = result.to_json()
    shares = {"not_among_candidates": 0.0, "wrong_category": 0.25, "wrong_object": 0.25}
    document["scores"] |= {"errors": shares, "precision": {"0.5": 0.5}}
    slice_ = json.loads(json.dumps(document["scores"]))
    document["scores"] |= {"by_kind": {"color": slice_}, "by_attribute": {"color": {"needed": slice_}}}
    document["versions"] = {"torch": "2.13"}
    path = folder / "val.json"
    path.write_text(json.dumps(document))
    return path


def _result_meaning(document: Any, path: Path) -> Any:
    def metrics(row: Any) -> Any:
        own = {key: value for key, value in row.items() if key not in ("by_kind", "by_attribute")}
        own = {key: own[key] for key in _METRICS}
        if kinds := row.get("by_kind", {}):
            own["by_kind"] = {kind: metrics(value) for kind, value in kinds.items()}
        if attributes := row.get("by_attribute", {}):
            own["by_attribute"] = {a: {r: metrics(v) for r, v in roles.items()} for a, roles in attributes.items()}
        if own["errors"] is not None:
            own["errors"] = {key: own["errors"][key] for key in _ERRORS}
        return own

    known = {key: document[key] for key in _RESULT}
    optional = {key: document.get(key) for key in ("images", "images_seen")}
    claimed = {"seen_claimed": document.get("seen_claimed", False)}
    if unknown := set(document) - {*known, *optional, *claimed, "scores"}:
        raise KeyError(unknown)
    return {**known, "scores": metrics(document["scores"]), **optional, **claimed}


_RESULT = ("dataset", "split", "split_by", "config", "detector", "seen", "seed", "versions")
_METRICS: tuple[str, ...] = ("expressions", "rec", "oracle_rec", "with_mask", "res_miou", "res_oiou", "oracle_res_miou")
_METRICS += ("precision", "category_accuracy", "errors")
_ERRORS = ("not_among_candidates", "wrong_category", "wrong_object")

_PUBLISHED = """source = "Somebody, 2026"
[[table]]
number = 1
title = "A comparison"
task = "rec"
metric = "accuracy"
columns = [{ dataset = "refcoco", split_by = "unc", split = "val" }]
rows = [{ name = "A", venue = "X", reference = 3, values = [12.5] }, { name = "B", values = ["-"] }]
"""


def _write(name: str, content: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_text(content, encoding="utf-8")
        return folder / name

    return make


def _published(path: Path) -> Any:
    return [
        (
            *(t.source, t.number, t.study, t.title, t.task, t.metric, t.note),
            [(c.dataset, c.split_by, c.split) for c in t.columns],
            [(r.name, r.venue, r.reference, r.preset, list(r.values)) for r in t.rows],
        )
        for t in read_published(path)
    ]


def _published_meaning(document: Any, path: Path) -> Any:
    return [
        (
            *(document["source"], t["number"], t.get("study"), t["title"], t["task"], t["metric"], t.get("note")),
            [(c["dataset"], c["split_by"], c["split"]) for c in t["columns"]],
            [
                (
                    *(r["name"], r.get("venue"), r.get("reference"), r.get("preset")),
                    [None if v == "-" else float(v) for v in r["values"]],
                )
                for r in t["rows"]
            ],
        )
        for t in document["table"]
    ]


def _leak_meaning(lines: list[str], path: Path) -> Any:
    text = "\n".join(lines)
    if text.lstrip().startswith(("{", "[")):
        return _leak_json_meaning(json.loads(text), path)
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _leak_json_meaning(document: Any, path: Path) -> Any:
    if isinstance(document, dict) and isinstance(document["images"], list):
        return tuple(row["file_name"] if "file_name" in row else _id(row["id"]) for row in document["images"])
    raise TypeError(document)


_LEAK_JSON = json.dumps({"images": [{"id": 9, "file_name": "COCO_train2014_000000000009.jpg"}, {"id": 25}]})
_LEXICON = (
    '[names]\nperson = ["pitcher", "left fielder"]\n"dining table" = ["bench top"]\n[hints]\nperson = ["helmet"]\n'
)


def _lexicon_words(path: Path) -> dict[str, dict[tuple[str, ...], str]]:
    """Return the plain words that the file gives, each with the category that it names last."""
    found: dict[str, dict[tuple[str, ...], str]] = {"names": {}, "hints": {}}
    for key, table in TOML.load(path.read_bytes()).items():
        for category, words in table.items():
            for word in [category, *words] if key == "names" else words:
                letters = word.lower().strip("\ufeff")
                if re.fullmatch(r"[a-z ]+", letters):
                    found[key][tuple(letters.split())] = category
    return found


def _lexicon(path: Path) -> Any:
    lexicon = Lexicon.load(path)
    tables = {"names": lexicon._names, "hints": lexicon._hints}
    return {key: {word: tables[key].get(word) for word in words} for key, words in _lexicon_words(path).items()}


def _lexicon_meaning(document: Any, path: Path) -> Any:
    if set(document) - {"names", "hints"}:
        raise KeyError(document)
    return _lexicon_words(path)


_MIRRORS = f'[[refcoco]]\nurl = "https://a.org/refcoco.zip"\nsha256 = "{"a1" * 32}"\n[[refcoco]]\nurl = "http://b.org:81/x%20y"\n'


# Models


_ARRAYS: dict[str, Any] = {
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "half": np.ones(2, np.float16),
    "index": np.arange(4, dtype=np.int64),
}


def _tensors(path: Path) -> Any:
    tensors, others = read_tensors(path, "model")
    return {name: (str(t.dtype), tuple(t.shape), t.numpy().tobytes()) for name, t in tensors.items()}, others


def _make_pkl(folder: Path) -> Path:
    path = folder / "model.pkl"
    path.write_bytes(pickle.dumps({"model": _ARRAYS, "matching_heuristics": True}, protocol=2))
    return path


def _make_pth(*, zipped: bool) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / "model.pth"
        state = {name: torch.from_numpy(array) for name, array in _ARRAYS.items()}
        torch.save({"model": state, "iteration": 5}, path, _use_new_zipfile_serialization=zipped)
        return path

    return make


class _Arrays(pickle.Unpickler):
    """Reads arrays with numpy's own classes, of which none runs code from the file."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return np._core.multiarray._reconstruct  # type: ignore[attr-defined]
        if module in ("numpy.core.numeric", "numpy._core.numeric") and name == "_frombuffer":
            return np._core.numeric._frombuffer  # type: ignore[attr-defined]
        known = {"ndarray": np.ndarray, "dtype": np.dtype, "encode": lambda text, _: text.encode("latin-1")}
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")):
            return known[name]
        raise pickle.UnpicklingError(f"{module}.{name}")


def _load_arrays(content: bytes) -> Any:
    return _Arrays(io.BytesIO(content), encoding="latin-1").load()


ARRAYS = Codec(_load_arrays, PICKLE.dump)


def _pkl_meaning(document: Any, path: Path) -> Any:
    state = document.get("model", document)
    if any(array.dtype.kind not in "fiub" for array in state.values()):
        raise TypeError("no numbers")
    others = tuple(str(name) for name in document if name != "model") if "model" in document else ()
    return {str(n): (f"torch.{a.dtype.name}", a.shape, _little(a)) for n, a in state.items()}, others


def _little(array: Any) -> bytes:
    return bytes(array.astype(array.dtype.newbyteorder("<")).tobytes())


def _pth_meaning(content: bytes, path: Path) -> Any:
    """The file has a CRC-32 of each record, so damaged bytes may only be accepted if nothing is different."""
    return {n: (f"torch.{a.dtype.name}", a.shape, a.tobytes()) for n, a in _ARRAYS.items()}, ("iteration",)


def _torch_meaning(document: Any, path: Path) -> Any:
    state = document.get("model", document)
    others = tuple(str(name) for name in document if name != "model") if "model" in document else ()
    return {str(n): (str(t.dtype), tuple(t.shape), t.detach().numpy().tobytes()) for n, t in state.items()}, others


_DETECTOR = json.dumps(
    {"model_type": "mask2former", "aligncat_image_size": 128, "num_queries": 20, "id2label": {"0": "person"}}
)


def _detector(path: Path) -> Any:
    folder = DetectorFolder.read("x", path.parent)
    return dict(folder.config), folder.image_size, folder.backend


def _detector_meaning(document: Any, path: Path) -> Any:
    return document, document.get("aligncat_image_size"), str(document.get("aligncat_backend", "torch"))


_QUERYMATCH = json.dumps(
    {
        "val": [{"refs": ["Man on the left.", "left man"]}, {"refs": ["lady, right!"]}],
        "train": [{"refs": ["the red t-shirt/jacket", "..."], "bbox": [1, 2, 3, 4]}],
    }
)

_VOCABULARY = json.dumps({"special": ["<pad>", "<unk>", "<cls>"], "words": ["red", "dog", "caf\u00e9"]})


def _vocabulary_meaning(document: Any, path: Path) -> Any:
    if document["special"] != ["<pad>", "<unk>", "<cls>"] or not all(type(word) is str for word in document["words"]):
        raise ValueError(document)
    return tuple(document["words"])


_VECTORS = "red 0.5 -1.5 2e-1\ndog 1 2 3\nblue 4 5 6\n"
_WORDS = Vocabulary(["red", "dog"])


def _vectors(path: Path) -> Any:
    found = load_word_vectors(path, _WORDS)
    rows = {word: found.table[_WORDS.id(word)].tolist() for word in _WORDS.words}
    lines = {line.rsplit(" ", found.table.shape[1])[0] for line in _vector_lines(path.read_bytes())}
    return found.found, {word: row for word, row in rows.items() if word in lines}


def _vector_lines(content: bytes) -> list[str]:
    text = content.decode("utf-8-sig", "replace").replace("\r\n", "\n").replace("\r", "\n")
    return [line.rstrip() for line in text.split("\n") if line.rstrip()]


def _vectors_meaning(content: bytes, path: Path) -> Any:
    lines = [line.split(" ") for line in _vector_lines(content)]
    if len(lines[0]) == 2 and all(map(str.isdecimal, lines[0])):
        size, rows = int(lines[0][1]), lines[1:]
    else:
        size, rows = len(lines[0]) - 1, lines
    found: dict[str, list[float]] = {}
    for row in rows:
        word = " ".join(row[:-size])
        if word in _WORDS.words and word not in found:
            found[word] = [float(np.float32(number)) for number in row[-size:]]
            if not np.isfinite(found[word]).all():
                raise ValueError(row)
    return len(found), {word: found[word] for word in _WORDS.words if word in found}


def _note(path: Path) -> Any:
    origin = _Part(path.parent / "x.zip", "http://a").origin()
    if origin is None:
        raise DataError(f"{path.name}: the download starts over")
    return origin.version, origin.total


def _make_note(folder: Path) -> Path:
    path = _Part(folder / "x.zip", "http://a").note
    path.write_text('{"version": "\\"abc\\"", "total": 1234}')
    return path


# Folders that aligncat wrote before it recorded hashes. Newer files are refused for any change; see
# test_grounder_damage.py and test_store_damage.py.

_FIRST = Path(__file__).resolve().parents[1] / "fixtures" / "first-layout"


def _copied(part: str, name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        return Path(shutil.copytree(_FIRST / part, folder / part)) / name

    return make


def _without_sizes(values: Any) -> Any:
    """Return the fields of an alignment without those that are now recorded elsewhere."""
    return {key: value for key, value in values.items() if key not in ("visual_dim", "text_dim", "classes")}


def _grounder(path: Path) -> Any:
    grounder = Grounder.from_pretrained(path.parent)
    document = json.loads(path.read_bytes())
    config = grounder.model.config
    return (
        list(grounder.labels),
        grounder.model.alignment.sizes.visual_dim,
        grounder.detector_description.to_json(),
        grounder.provenance,
        {key: asdict(config.alignment)[key] for key in _without_sizes(document["alignment"])},
        {key: asdict(config.text)[key] for key in document["text"]},
    )


def _grounder_meaning(document: Any, path: Path) -> Any:
    detector = document["detector"]
    if not detector.get("every_query", True):
        detector = {key: value for key, value in detector.items() if key != "every_query"}
    return (
        document["labels"],
        document["feature_dim"] if "feature_dim" in document else document["alignment"]["visual_dim"],
        json.loads(json.dumps(detector, sort_keys=True)),
        document["provenance"],
        _without_sizes(document["alignment"]),
        document["text"],
    )


def _settings(path: Path) -> Any:
    return check_settings(path.parents[1], _SETTINGS)


_SETTINGS = json.loads((_FIRST / "grounder/run/settings.json").read_text())
_SETTINGS["alignment"] = {**asdict(AlignmentConfig()), **_without_sizes(_SETTINGS["alignment"])}
_SETTINGS["training"] = {**asdict(TrainingConfig()), **_SETTINGS["training"]}


def _settings_meaning(document: Any, path: Path) -> None:
    """Settings are compared: a document that passes says what the undamaged one does, or leaves out defaults."""
    defaults: dict[str, Any] = {
        "alignment": AlignmentConfig(),
        "text": TextEncoderConfig(),
        "training": TrainingConfig(),
    }
    for key, wanted in _SETTINGS.items():
        found = document.get(key)
        if key in defaults:
            default = asdict(defaults[key])
            found, wanted = {**default, **(found or {})}, {**default, **wanted}
            found = _without_sizes(found) if key == "alignment" else found
        if key != "versions" and json.loads(json.dumps(found)) != json.loads(json.dumps(wanted)):
            raise ValueError(key)


def _store(path: Path) -> Any:
    store = Store.open(path.parent)
    manifest = store.manifest
    candidates = [store.candidates(image_id) for image_id in store.image_ids]
    return (
        *(getattr(manifest, name) for name in ("labels", "feature_dim", "candidates", "images", "shard_size")),
        manifest.detector.to_json(),
        [(each.image_id, each.features.shape, each.boxes.tolist()) for each in candidates],
        [(each.id, each.reason) for each in store.skipped],
    )


def _manifest_meaning(document: Any, path: Path) -> Any:
    *_, candidates, skipped = _store_of(path)
    detector = json.loads(json.dumps(document["detector"], sort_keys=True))
    own = [document[name] for name in ("labels", "feature_dim", "candidates", "images", "shard_size")]
    return (*own, detector, candidates, skipped)


def _complete_meaning(document: Any, path: Path) -> Any:
    """The first format's count of images is not used: the manifest has it too, and that is held against the shards."""
    *rest, _ = _store_of(path)
    return (*rest, [(row["id"], row["reason"]) for row in document["skipped"]])


def _store_of(path: Path) -> Any:
    """Return what the undamaged store holds, from its shard."""
    return _store(_FIRST / "store" / path.name)


def _dialect(file: DialectFile) -> Parser:
    def read(path: Path) -> Any:
        return _expressions(file.config(path)), _truths(file.config(path))

    return Parser(file.name, file.make, file.codec, read, file.meaning)


def _table(path: Path) -> Any:
    return [(request.name, request.phrases) for request in read_table(path)]


PARSERS = (
    Parser("refs pickle", _make_refs, PICKLE, lambda p: _expressions(_refer_config(p)), _refer_expressions),
    Parser("instances.json", _make_instances, JSON, lambda p: _truths(_refer_config(p)), _refer_truths),
    Parser(
        "simrec json",
        _make_simrec,
        JSON,
        lambda p: (_expressions(_simrec_config(p)), _truths(_simrec_config(p))),
        _simrec_meaning,
    ),
    Parser("simrec npy", _make_npy, BYTES, lambda p: _truths(_simrec_config(p))["0"][1], _npy_meaning),
    Parser(
        "jsonl",
        _make_json_lines,
        JSON_LINES,
        lambda p: (_expressions(DataConfig(p.parent, "jsonl")), _truths(DataConfig(p.parent, "jsonl"))),
        _json_lines_meaning,
    ),
    *map(_dialect, parser_dialects.DIALECT_FILES),
    Parser(
        "table, csv",
        _write("table.csv", parser_dialects.TABLE_CSV),
        LINES,
        _table,
        parser_dialects.csv_table_meaning,
    ),
    Parser(
        "table, json lines",
        _write("table.jsonl", "\n".join(map(json.dumps, parser_dialects.TABLE))),
        JSON_LINES,
        _table,
        lambda rows, p: parser_dialects.table_meaning(rows),
    ),
    Parser(
        "table, parquet",
        parser_dialects.make_parquet_table,
        parser_dialects.TABLE_PARQUET,
        _table,
        lambda rows, p: parser_dialects.table_meaning(rows),
    ),
    Parser(
        "phrases.txt",
        _write("phrases.txt", "red dog\n\n  a cup \nthe left one"),
        LINES,
        read_phrases,
        parser_dialects.phrases_meaning,
    ),
    Parser("phrases.csv", _make_csv, LINES, lambda p: _expressions(_csv_config(p)), _csv_expressions),
    Parser(
        "hub parquet",
        _make_hub,
        PARQUET,
        lambda p: (_expressions(_hub_config(p)), _truths(_hub_config(p))),
        _hub_meaning,
    ),
    Parser("answers", _remembered(_make_answers), BYTES, _answers, _same_answers),
    Parser("answers without hash", _make_answers, ANSWERS, _answers, _answers_meaning, byte_errors_only=True),
    Parser("result", _make_result, JSON, lambda p: Result.load(p).to_json(), _result_meaning),
    Parser("published tables", _write("mine.toml", _PUBLISHED), TOML, _published, _published_meaning),
    Parser(
        "training images",
        _write("list.txt", "COCO_train2014_000000000009.jpg\n25\n\na b.png\n"),
        LINES,
        lambda p: read_training_images(str(p)).listed,
        _leak_meaning,
    ),
    Parser(
        "training images in COCO's JSON",
        _write("list.json", _LEAK_JSON),
        JSON,
        lambda p: read_training_images(str(p)).listed,
        _leak_json_meaning,
    ),
    Parser("lexicon", _write("mine.toml", _LEXICON), TOML, _lexicon, _lexicon_meaning),
    Parser(
        "mirrors",
        _write("mine.toml", _MIRRORS),
        TOML,
        lambda p: [(mirror.url, mirror.sha256) for mirror in read_mirrors(p, "refcoco")],
        lambda document, p: [(row["url"], row.get("sha256")) for row in document["refcoco"]],
    ),
    Parser("download note", _make_note, JSON, _note, lambda d, p: (d["version"], d["total"])),
    Parser("checkpoint, pickle of arrays", _make_pkl, ARRAYS, _tensors, _pkl_meaning, CheckpointError),
    Parser("checkpoint, torch", _make_pth(zipped=True), BYTES, _tensors, _pth_meaning, CheckpointError),
    Parser("checkpoint, torch before 1.6", _make_pth(zipped=False), TORCH, _tensors, _torch_meaning, CheckpointError),
    Parser(
        "checkpoint of other content", _make_pth(zipped=True), TORCH, _tensors, _torch_meaning, CheckpointError, True
    ),
    Parser("detector config", _write("config.json", _DETECTOR), JSON, _detector, _detector_meaning, DetectorError),
    Parser(
        "QueryMatch annotations",
        _write("anns.json", _QUERYMATCH),
        JSON,
        lambda p: querymatch_vocabulary(p).words,
        lambda document, p: tuple(vocabulary(document))[3:],
    ),
    Parser("vocabulary", _write("v.json", _VOCABULARY), JSON, lambda p: Vocabulary.load(p).words, _vocabulary_meaning),
    Parser("grounder config", _copied("grounder", "config.json"), JSON, _grounder, _grounder_meaning, ConfigError),
    Parser("run settings", _copied("grounder", "run/settings.json"), JSON, _settings, _settings_meaning, ConfigError),
    Parser("store manifest", _copied("store", "manifest.json"), JSON, _store, _manifest_meaning, StoreError),
    Parser("store complete", _copied("store", "complete.json"), JSON, _store, _complete_meaning, StoreError),
    Parser("word vectors", _write("v.txt", _VECTORS), BYTES, _vectors, _vectors_meaning),
)
