"""Damage to documents: values, structure and bytes, drawn by a seeded generator.

Every mutation takes a `random.Random`. Hypothesis draws one in the fast tests; the long run seeds one per mutation.
"""

from __future__ import annotations

import copy
import io
import json
import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import torch

DEEP, MANY, HUGE, OVERFLOW = (f"\x01{name}\x01" for name in ("deep", "many", "huge", "overflow"))
"""Values that no Python object stands for, or that would be slow to copy. `dump` functions write them out."""
_DEPTH, _COUNT = 100_000, 10**6
_RAW_JSON: dict[str, Callable[[], str]] = {
    DEEP: lambda: "[" * _DEPTH + "]" * _DEPTH,
    MANY: lambda: "[" + "0," * (_COUNT - 1) + "0]",
    HUGE: lambda: "9" * 5000,
    OVERFLOW: lambda: "1e999",
}
ODD: list[Any] = [
    *(None, True, False, 0, -1, 1, 7, 2**31, 2**63, -(2**63) - 1, 10**400, 0.5, -0.0, 9.0, 1e308, -1e18),
    *(math.nan, math.inf, -math.inf, "", " ", "0", "nan", "../../x", "/etc/passwd", "a\0b", "\ud800", "x" * 5000),
    *("e\u0301\u202e\ufeff", "\U0001f600", "[/x]\x1b[31m", [], {}, [None], [[]], [0], {"": 0}, {"a": {}}),
    *(DEEP, HUGE, OVERFLOW),
]


def mutated(tree: Any, random: Random) -> Any:
    """Return a copy of a tree of dicts, lists and scalars, with one to three changes."""
    tree = copy.deepcopy(tree)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        tree = _changed(tree, random)
    return tree


def _changed(tree: Any, random: Random) -> Any:
    places = _places(tree)
    if not places:
        return odd_value(random)
    container, key = random.choice(places)
    kind = random.randrange(8)
    if kind <= 2:
        container[key] = odd_value(random)
    elif kind == 3:
        del container[key]
    elif kind == 4:
        container[key] = _nudged(container[key], random)
    elif kind == 5:
        other, name = random.choice(places)
        container[key] = copy.deepcopy(other[name]) if isinstance(other, list) or name in other else None
    elif kind == 6 and isinstance(container, dict):
        container[random.choice(("x", "", f"{key} ", f"\ufeff{key}", key.upper() if isinstance(key, str) else "x"))] = (
            container.pop(key) if random.random() < 0.5 else container[key]
        )
    elif kind == 6:
        container.insert(random.randrange(len(container) + 1), copy.deepcopy(container[key]))
    else:
        container[key] = random.choice(([container[key]], {"a": container[key]}, str(container[key])))
    return tree


def odd_value(random: Random) -> Any:
    """Return a value that few documents expect. A list of a million values is rare, because it takes a second."""
    return MANY if random.random() < 0.01 else copy.deepcopy(random.choice(ODD))


def _nudged(value: Any, random: Random) -> Any:
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int | float) and abs(value) < 1e300:
        return random.choice(
            (-value, value + 1, value - 1, value * 10**6, float(value), value + 0.5, value / 3, str(value))
        )
    if isinstance(value, int | float):
        return 0
    if isinstance(value, str):
        place = random.randrange(len(value) + 1)
        odd = random.choice(("\0", "\n", "\r", "\u2028", "\ufeff", "\u0301", "\ud83d", " ", "\x1b", '"', "\\", "="))
        return random.choice((value[:place] + odd + value[place:], value[:place], value.upper(), value * 2))
    if isinstance(value, bytes):
        return damaged(value, random)
    if isinstance(value, torch.Tensor | np.ndarray):
        return _nudged_array(value, random)
    if isinstance(value, list):
        return random.choice((value[::-1], value * 2, value[1:], value[:-1]))
    return random.choice((list(value), list(map(list, value.items())), dict(reversed(value.items())))) if value else []


def _nudged_array(value: Any, random: Random) -> Any:
    """Return an array of another type, shape or content, or one that claims more numbers than it has."""
    others: Any
    if isinstance(value, np.ndarray):
        undefined = np.full(value.shape, np.nan)
        others = (value.astype(np.float64), value[:1], value.T, undefined, value.astype(object))
        return random.choice((*others, value.astype(complex), value.astype(">f4"), value.astype(str), value.tolist()))
    if value.is_sparse:
        return value.to_dense()
    wide = value[:1].expand(10**6, *value.shape[1:])
    others = (
        value.double(),
        value[:1],
        value.mT if value.ndim > 1 else value,
        value / 0,
        value.to_sparse(),
        value.to(torch.complex64),
        wide,
    )
    return random.choice((*others, value.to("meta"), torch.nn.Parameter(value.float()), value.tolist()))


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Return (container, key) for everything inside the tree."""
    found = []
    rest = [tree]
    while rest:
        node = rest.pop()
        if isinstance(node, dict | list):
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            found += [(node, key) for key in keys]
            rest += [node[key] for key in keys]
    return found


def damaged(content: bytes, random: Random) -> bytes:
    """Return bytes with one to three changes: flipped bits, cuts, insertions, foreign beginnings."""
    for _ in range(random.choice((1, 1, 2, 3))):
        start = random.randrange(len(content) + 1)
        end = min(len(content), start + random.choice((1, 2, 8, 100)))
        kind = random.randrange(10)
        if kind <= 3 and start < len(content):
            content = content[:start] + bytes([content[start] ^ 1 << random.randrange(8)]) + content[start + 1 :]
        elif kind == 4:
            content = content[:start]
        elif kind == 5:
            content = content[:start] + content[end:]
        elif kind == 6:
            content = content[:start] + random.randbytes(random.choice((1, 4, 50))) + content[start:]
        elif kind == 7:
            content = content[:start] + bytes(end - start) + content[end:]
        elif kind == 8:
            content = content[:end] + content[start:end] + content[end:]
        else:
            content = random.choice((b"PK\x03\x04", b"\xff\xfe", b"\x80\x02", b"\x93NUMPY", b"PAR1", b"[")) + content
    return content


@dataclass(frozen=True)
class Codec:
    """How a kind of file is read independently of aligncat, and how a changed document is written.

    Attributes:
        load: bytes -> tree.
        dump: tree and generator -> bytes; None if the tree cannot be written in this format.
        rewrite: bytes and generator -> other bytes that must mean the same; None if there are none.
    """

    load: Callable[[bytes], Any]
    dump: Callable[[Any, Random], bytes | None]
    rewrite: Callable[[bytes, Random], bytes] | None = None


def _dump_json(tree: Any, random: Random) -> bytes:
    text = json.dumps(tree, ensure_ascii=random.random() < 0.5, indent=random.choice((None, 1)))
    for mark, raw in _RAW_JSON.items():
        for quoted in (json.dumps(mark), json.dumps(mark, ensure_ascii=False)):
            if quoted in text:
                text = text.replace(quoted, raw())
    return text.encode("utf-8", "surrogatepass")


def _load_json(content: bytes) -> Any:
    return json.loads(content.decode("utf-8-sig"))


def _rewrite_json(content: bytes, random: Random) -> bytes:
    text = json.dumps(_load_json(content), ensure_ascii=random.random() < 0.5, indent=random.choice((None, 0, "\t")))
    text = text.replace("\n", random.choice(("\n", "\r\n"))) + random.choice(("", "\n", " \n\n"))
    return text.encode(random.choice(("utf-8", "utf-8-sig")))


JSON = Codec(_load_json, _dump_json, _rewrite_json)


def _dump_json_lines(rows: Any, random: Random) -> bytes | None:
    if not isinstance(rows, list):
        return _dump_json(rows, random)
    return b"\n".join(_dump_json(row, random).replace(b"\n", b" ") for row in rows)


JSON_LINES = Codec(
    lambda content: [_load_json(line) for line in content.split(b"\n") if line.strip()],
    _dump_json_lines,
    lambda content, random: b"\n".join(
        _rewrite_json(line, random).replace(b"\n", b" ").replace(b"\r", b" ") for line in content.split(b"\n") if line
    ),
)


def _dump_toml(tree: Any, random: Random) -> bytes | None:
    if not isinstance(tree, dict):
        return None
    lines = [f"{_toml_key(key)} = {_toml_value(value)}" for key, value in tree.items() if value is not None]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _toml_key(key: Any) -> str:
    return json.dumps(str(key))


def _toml_value(value: Any) -> str:
    if isinstance(value, str) and value in _RAW_JSON:
        return _RAW_JSON[value]()
    if isinstance(value, bool) or value is None:
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_key(key)} = {_toml_value(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": "nan", "inf": "inf", "-inf": "-inf"}[repr(value)]
    return json.dumps(value) if isinstance(value, str) else repr(value)


def _load_toml(content: bytes) -> Any:
    import tomllib

    return tomllib.loads(content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n"))


TOML = Codec(
    _load_toml,
    _dump_toml,
    lambda content, random: random.choice((b"\xef\xbb\xbf", b"# words\r\n", b"\n\n")) + content,
)


def _dump_pickle(tree: Any, random: Random) -> bytes:
    if random.random() < 0.02:  # lists inside each other, deeper than pickle.dumps can write
        return b"\x80\x02" + b"]" * _DEPTH + b"a" * (_DEPTH - 1) + b"."
    return pickle.dumps(_with_objects(tree), protocol=random.randrange(6))


def _with_objects(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _with_objects(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_with_objects(value) for value in tree]
    if isinstance(tree, str) and tree in _RAW_JSON:
        return {DEEP: [[[]]], MANY: [0] * _COUNT, HUGE: 10**4000, OVERFLOW: math.inf}[tree]
    return tree


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name}")


def _load_pickle(content: bytes) -> Any:
    return _Plain(io.BytesIO(content), encoding="utf-8").load()


PICKLE = Codec(
    _load_pickle,
    _dump_pickle,
    lambda content, random: pickle.dumps(_load_pickle(content), protocol=random.randrange(6)),
)


def _load_lines(content: bytes) -> list[str]:
    return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _dump_lines(lines: Any, random: Random) -> bytes | None:
    if not isinstance(lines, list):
        return None
    texts = [
        "[" * _DEPTH if line == DEEP else "0 " * _COUNT if line == MANY else str(line)[:20_000]
        for line in lines
        if not isinstance(line, int) or abs(line) < 10**400
    ]
    return "\n".join(texts).encode("utf-8", "surrogatepass")


LINES = Codec(
    _load_lines,
    _dump_lines,
    lambda content, random: (
        random.choice((b"\xef\xbb\xbf", b"")) + content.replace(b"\n", random.choice((b"\n", b"\r\n")))
    ),
)


def _dump_torch(tree: Any, random: Random) -> bytes | None:
    content = io.BytesIO()
    try:
        torch.save(_with_objects(tree), content, _use_new_zipfile_serialization=random.random() < 0.7)
    except Exception:  # whatever torch cannot save is no file
        return None
    return content.getvalue()


TORCH = Codec(lambda content: torch.load(io.BytesIO(content), "cpu", weights_only=True), _dump_torch)
"""A file of torch.save, read by torch alone."""

BYTES = Codec(lambda content: content, lambda content, random: None)
"""A file without a structure that the tests know: only its bytes are damaged."""
