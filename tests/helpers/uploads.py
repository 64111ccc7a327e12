"""Uploads of strangers: photos that are none, bombs, lies about types and sizes, and what must still be read."""

from __future__ import annotations

import base64
import gzip
import io
import json
import struct
import textwrap
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from PIL import Image

from helpers.served import png, post

BOUNDARY = "limit"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


class Upload(NamedTuple):
    """A request and the answer that it must get.

    Attributes:
        name: what it is.
        request: its bytes.
        status: the status of the answer.
        code: the code of the refusal, or the width and height that the answer must say.
    """

    name: str
    request: bytes
    status: int
    code: str | tuple[int, int]


def as_json(photo: bytes, **more: Any) -> bytes:
    """Return a JSON request with a photo."""
    return raw_json({"photo": base64.b64encode(photo).decode(), "phrases": ["red mug"], **more})


def raw_json(body: Any) -> bytes:
    """Return a JSON request."""
    return post("/v1/ground", json.dumps(body).encode())


def part(name: str, content: bytes, filename: str | None = None, kind: str | None = None) -> bytes:
    """Return a part of a form."""
    named = "" if filename is None else f'; filename="{filename}"'
    typed = "" if kind is None else f"Content-Type: {kind}\r\n"
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n{typed}\r\n'
    return head.encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()
PHRASE = part("phrases", b"red mug")


def form(*parts: bytes, end: bytes = END) -> bytes:
    """Return a multipart request."""
    return post("/v1/ground", b"".join(parts) + end, FORM)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return an image's file."""
    image.save(file := io.BytesIO(), kind, **options)
    return file.getvalue()


def png_of(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG that declares a size, with further chunks and one pixel of data."""
    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = (b"IDAT", zlib.compress(b"\0\0\0\0"))
    written = [
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in (header, *chunks, data, (b"IEND", b""))
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def _photos() -> Iterator[tuple[str, bytes, int, str | tuple[int, int]]]:
    rgb = Image.new("RGB", (24, 16), "red")
    good, jpeg = png(), saved(rgb, "JPEG", progressive=True)
    unreadable = (422, "photo_unreadable")
    yield "an empty file", b"", *unreadable
    yield "text", b"a red mug on a table", *unreadable
    yield "HTML", b"<html><script>alert(1)</script></html>", *unreadable
    yield "SVG with a script", b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', *unreadable
    yield "PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(id) run\n", *unreadable
    yield "PDF", saved(rgb, "PDF"), *unreadable
    yield "an icon of Windows", saved(rgb.resize((16, 16)), "ICO"), *unreadable
    yield "a program", b"\x7fELF" + bytes(200), *unreadable
    yield "a zip file", b"PK\x03\x04" + bytes(200), *unreadable
    yield "a pickle", b"\x80\x04cos\nsystem\n(S'id'\ntR.", *unreadable
    yield "HEIC", b"\0\0\0\x18ftypheic" + bytes(100), *unreadable
    yield "a PNG that is cut off", good[: len(good) // 2], *unreadable
    yield "a PNG with a flipped bit in its header", good[:18] + bytes([good[18] ^ 1]) + good[19:], *unreadable
    yield "a JPEG that is cut off", jpeg[: len(jpeg) // 2], *unreadable
    yield "a JPEG with 200 scans", jpeg + b"\xff\xda" * 200, *unreadable
    yield "a PPM with numbers as text", b"P3 2 2 255 " + b"1 " * 12, *unreadable
    yield "a TIFF of floating-point numbers", saved(Image.new("F", (8, 8)), "TIFF"), *unreadable
    yield "a GIF of no pixels", b"GIF89a" + bytes(7) + b";", *unreadable
    yield "a PNG with a text of 100 MB", png_of(8, 8, (b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8)))), *unreadable
    yield "200 megapixels in a small file", png_of(20_000, 10_000), 413, "photo_too_large"
    yield "3.6 gigapixels in a small file", png_of(60_000, 60_000), 413, "photo_too_large"
    yield "one line of two million pixels", png_of(2_000_000, 1), 413, "photo_too_large"
    yield "more bytes than a photo may have", good + bytes(200_001), 413, "photo_too_large"
    yield "16-bit grey", saved(Image.new("I;16", (24, 16), 40_000), "PNG"), 200, (24, 16)
    yield "CMYK", saved(rgb.convert("CMYK"), "JPEG"), 200, (24, 16)
    yield "transparent", saved(Image.new("RGBA", (24, 16), (255, 0, 0, 9)), "PNG"), 200, (24, 16)
    yield "an animation", saved(rgb, "GIF", save_all=True, append_images=[rgb] * 3), 200, (24, 16)
    yield "a page of JavaScript that is a GIF too", saved(rgb, "GIF") + b"/*=1;alert(1)//", 200, (24, 16)
    turned = Image.Exif()
    turned[0x0112] = 6
    yield "turned by its EXIF data", saved(rgb, "JPEG", exif=turned), 200, (16, 24)


def _bodies() -> Iterator[Upload]:
    good = png()
    file = part("photo", good, "photo.png", "image/png")
    text = base64.b64encode(good).decode()
    for name, photo in (
        ("a web address", "http://127.0.0.1:1/photo.png"),
        ("a file's address", "file:///etc/passwd"),
        ("a path", "/etc/passwd"),
        ("a data URL", f"data:image/png;base64,{text}"),
        ("base64 with line breaks", f"{text[:40]}\n{text[40:]}"),
        ("base64 for addresses", base64.urlsafe_b64encode(b"\xff\xff\xfe" * 40).decode()),
    ):
        yield Upload(name, raw_json({"photo": photo, "phrases": ["red mug"]}), 400, "invalid_request")
    path = raw_json({"photo": "/etc/apt/var", "phrases": ["red mug"]})
    yield Upload("a path whose letters are base64", path, 422, "photo_unreadable")
    yield Upload("no phrase", as_json(good, phrases=[]), 400, "invalid_request")
    yield Upload("an empty phrase", as_json(good, phrases=[""]), 400, "invalid_request")
    yield Upload("a phrase without words", as_json(good, phrases=["?!"]), 422, "no_words")
    yield Upload("10,000 phrases", as_json(good, phrases=["red mug"] * 10_000), 413, "too_many_phrases")
    yield Upload("a phrase of 100,000 characters", as_json(good, phrases=["a" * 100_000]), 413, "phrase_too_long")
    yield Upload("an unknown grounder", as_json(good, grounder="nobody"), 404, "unknown_grounder")
    yield Upload("a path as the grounder", as_json(good, grounder="../../etc"), 404, "unknown_grounder")
    yield Upload("an unknown field", as_json(good, url="http://127.0.0.1"), 400, "invalid_request")
    yield Upload("a number as text", as_json(good, top="3"), 400, "invalid_request")
    yield Upload("a threshold that is no number", as_json(good, min_probability=float("nan")), 400, "invalid_request")
    yield Upload("a threshold above 1", as_json(good, min_probability=2), 400, "invalid_request")
    yield Upload("several and top together", as_json(good, several=True, top=2), 422, "impossible_settings")
    yield Upload("match of a grounder without it", as_json(good, min_match=0.5), 422, "impossible_settings")
    half = as_json(good, phrases=["red \ud800"])
    yield Upload("half a character", half, 400, "invalid_request")
    yield Upload("JSON nested 100,000 deep", post("/v1/ground", b"[" * 100_000), 400, "invalid_request")
    yield Upload("JSON in UTF-16", post("/v1/ground", json.dumps({"a": 1}).encode("utf-16")), 400, "invalid_request")
    yield Upload("a list", post("/v1/ground", b"[]"), 400, "invalid_request")
    packed = gzip.compress(b"{}")
    yield Upload("a packed body", post("/v1/ground", packed, **{"Content-Encoding": "gzip"}), 400, "invalid_request")
    yield Upload("another type", post("/v1/ground", good, "image/png"), 415, "unknown_type")
    yield Upload(
        "a form as addresses have it",
        post("/v1/ground", b"a=1", "application/x-www-form-urlencoded"),
        415,
        "unknown_type",
    )
    yield Upload("two photos", form(file, file, PHRASE), 400, "invalid_request")
    yield Upload("a photo as text", form(part("photo", b"x"), PHRASE), 400, "invalid_request")
    yield Upload("no photo", form(PHRASE), 400, "invalid_request")
    yield Upload("a phrase as a file", form(file, part("phrases", b"red mug", "a.txt")), 400, "invalid_request")
    yield Upload("a field twice", form(file, PHRASE, part("top", b"1"), part("top", b"2")), 400, "invalid_request")
    yield Upload("a phrase that is not UTF-8", form(file, part("phrases", b"\xff\xfe")), 400, "invalid_request")
    yield Upload("1,000 fields", form(file, *[PHRASE] * 1000), 413, "too_many_phrases")
    yield Upload("a field of 100,000 bytes", form(file, part("phrases", b"a" * 100_000)), 413, "phrase_too_long")
    yield Upload("a form without its last boundary", form(PHRASE, file, end=b""), 400, "invalid_request")
    yield Upload(
        "a form without a boundary", post("/v1/ground", file + END, "multipart/form-data"), 400, "invalid_request"
    )
    nameless = f"--{BOUNDARY}\r\nContent-Disposition: form-data\r\n\r\nx\r\n".encode()
    yield Upload("a part without a name", form(nameless), 400, "invalid_request")
    evil = part("photo", good, "../../../etc/cron.d/evil", "text/html")
    yield Upload("a file name that leaves the folder, and a type that lies", form(evil, PHRASE), 200, (48, 40))
    unknown = post("/v1/ground", file + PHRASE + END, f"{FORM}; charset=punycode")
    yield Upload("a charset that is none of text", unknown, 400, "invalid_request")


def uploads() -> list[Upload]:
    """Return all uploads; each photo comes in JSON and as a form."""
    found = list(_bodies())
    ways: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
        ("in JSON", as_json),
        ("in a form", lambda photo: form(part("photo", photo, "photo.jpg", "image/jpeg"), PHRASE)),
    )
    for name, photo, status, code in _photos():
        for way, made in ways:
            if photo or way == "in a form":  # JSON says that a photo has at least one letter
                found.append(Upload(f"{name}, {way}", made(photo), status, code))
    return found


def listed() -> str:
    """Return the uploads by their answers, as docs/security.md lists them: an indented block of lines."""
    by_answer: dict[str, list[str]] = {}
    for upload in uploads():
        answer = f"{upload.status} {upload.code}" if upload.status != 200 else "200, an answer"
        name = upload.name.removesuffix(", in JSON").removesuffix(", in a form")
        by_answer.setdefault(answer, []).append(name)
    blocks = []
    for answer, names in sorted(by_answer.items()):
        text = "; ".join(dict.fromkeys(names))
        blocks.append(textwrap.fill(f"{answer}: {text}", 118, initial_indent=" " * 4, subsequent_indent=" " * 8))
    return "\n".join(blocks) + "\n"
