"""Damaged pictures of every format: an ImageError or a picture of the declared size, quickly and quietly."""

from __future__ import annotations

import io
import itertools
import resource
import struct
import subprocess
import sys
import time
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, features

from aligncat.datasets.photos import photo_size
from aligncat.errors import ImageError
from aligncat.files.images import FORMATS, MAX_SCANS, decode_image, read_image

WIDTH, HEIGHT = 24, 16
SECONDS, KILOBYTES = 20, 2_000_000  # of processor time and memory for one picture
_random = np.random.default_rng(0)
COLOUR = Image.fromarray(_random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))
DEEP = Image.fromarray(_random.integers(0, 65536, (HEIGHT, WIDTH), dtype=np.uint16))
TURNED = Image.Exif()
TURNED[0x0112] = 6


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    content = io.BytesIO()
    image.copy().save(content, kind, **options)  # saving leaves settings in the image
    return content.getvalue()


def animated(image: Image.Image, kind: str) -> bytes:
    return encoded(image, kind, save_all=True, append_images=[image.rotate(180)])


def tiled(width: int, height: int, tile_width: int, tile_height: int, pixels: bytes) -> bytes:
    """Return a grey TIFF of one compressed tile, which Pillow cannot write."""
    data = zlib.compress(pixels)
    tags = {256: width, 257: height, 258: 8, 259: 8, 262: 1, 277: 1, 322: tile_width, 323: tile_height, 325: len(data)}
    tags[324] = 8 + 2 + 12 * (len(tags) + 1) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0) + data


PICTURES: dict[str, bytes] = {
    "JPEG": encoded(COLOUR, "JPEG", exif=TURNED),
    "JPEG progressive": encoded(COLOUR, "JPEG", progressive=True, comment=b"hello"),
    "JPEG CMYK": encoded(COLOUR.convert("CMYK"), "JPEG"),
    "MPO": animated(COLOUR, "MPO"),
    "PNG": encoded(COLOUR, "PNG", exif=TURNED),
    "PNG palette": encoded(COLOUR.quantize(8), "PNG", transparency=1),
    "PNG 16 bits": encoded(DEEP, "PNG"),
    "PNG animated": animated(COLOUR.convert("RGBA"), "PNG"),
    "WEBP": encoded(COLOUR, "WEBP", exif=TURNED),
    "WEBP lossless": encoded(COLOUR.convert("RGBA"), "WEBP", lossless=True),
    "WEBP animated": animated(COLOUR, "WEBP"),
    "GIF": encoded(COLOUR, "GIF", transparency=1),
    "GIF animated": animated(COLOUR, "GIF"),
    "BMP": encoded(COLOUR, "BMP"),
    "BMP palette": encoded(COLOUR.quantize(8), "BMP"),
    "TIFF": encoded(COLOUR, "TIFF", exif=TURNED),
    "TIFF LZW": encoded(COLOUR, "TIFF", compression="tiff_lzw"),
    "TIFF JPEG": encoded(COLOUR, "TIFF", compression="jpeg"),
    "TIFF fax": encoded(COLOUR.convert("1"), "TIFF", compression="group4"),
    "TIFF tiled": tiled(WIDTH, HEIGHT, 32, 16, bytes(512)),
    "TIFF frames": animated(COLOUR, "TIFF"),
    "PPM": encoded(COLOUR, "PPM"),
    "PPM grey": encoded(DEEP, "PPM"),
}
if features.check("avif"):
    PICTURES |= {
        "AVIF": encoded(COLOUR, "AVIF", exif=TURNED),
        "AVIF animated": animated(COLOUR, "AVIF"),
    }

TURNED_PICTURES = {"JPEG", "PNG", "WEBP", "TIFF", "AVIF"}
Damage = Callable[[bytes], bytes]


def _place(data: bytes, share: float) -> int:
    return min(int(share * len(data)), max(len(data) - 1, 0))


def flipped(share: float, bit: int) -> Damage:
    def damage(data: bytes) -> bytes:
        at = _place(data, share)
        return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :] if data else data

    return damage


def overwritten(share: float, value: bytes) -> Damage:
    return lambda data: data[: _place(data, share)] + value + data[_place(data, share) + len(value) :]


def cut(share: float) -> Damage:
    return lambda data: data[: _place(data, share)]


def moved(start: float, length: int, to: float, copies: int) -> Damage:
    """Take a part out of the file and put it, none, once or twice, elsewhere."""

    def damage(data: bytes) -> bytes:
        at = _place(data, start)
        part, rest = data[at : at + length], data[:at] + data[at + length :]
        return rest[: _place(rest, to)] + part * copies + rest[_place(rest, to) :]

    return damage


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def png_of(chunks: list[tuple[bytes, bytes]]) -> bytes:
    parts = [struct.pack(">I", len(b)) + kind + b + struct.pack(">I", zlib.crc32(kind + b)) for kind, b in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def jpeg_segments(data: bytes) -> list[bytes]:
    """Split a JPEG at its markers."""
    cuts = [at for at in range(len(data) - 1) if data[at] == 0xFF and data[at + 1] not in (0, 0xFF)]
    return [data[start:end] for start, end in itertools.pairwise([*cuts, len(data)])]


def chunked(pick: int, other: int, inside: Damage | None) -> Damage:
    """Swap, double, drop or damage whole chunks of a PNG, with right checksums, or segments of a JPEG."""

    def damage(data: bytes) -> bytes:
        parts: list[Any]
        if data.startswith(b"\x89PNG"):
            parts, join = list(png_chunks(data)), png_of
        elif data.startswith(b"\xff\xd8"):
            parts, join = list(jpeg_segments(data)), b"".join
        else:
            return data
        if not parts:
            return data
        one, two = pick % len(parts), other % len(parts)
        if inside is not None:
            parts[one] = (parts[one][0], inside(parts[one][1])) if join is png_of else inside(parts[one])
        elif other % 3 == 0:
            del parts[one]
        elif other % 3 == 1:
            parts.insert(two, parts[one])
        else:
            parts[one], parts[two] = parts[two], parts[one]
        return join(parts)

    return damage


shares = st.floats(0, 1)
early = st.floats(0, 0.2)  # headers
values = st.one_of(
    st.binary(min_size=1, max_size=8),
    st.sampled_from(
        [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\0\0\0", b"\xff\xff"]
    ),
)
simple = st.one_of(
    st.builds(flipped, st.one_of(shares, early), st.integers(0, 7)),
    st.builds(overwritten, st.one_of(shares, early), values),
    st.builds(cut, shares),
    st.builds(moved, shares, st.integers(1, 64), shares, st.integers(0, 2)),
)
damages = st.lists(
    st.one_of(simple, st.builds(chunked, st.integers(0, 40), st.integers(0, 40), st.one_of(st.none(), simple))),
    min_size=1,
    max_size=4,
)


def check(data: bytes) -> None:
    """Check that a file is refused or read in its declared size, within the limits."""
    started = time.process_time()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the command line hides Pillow's, as the last test here shows
        try:
            found = decode_image(io.BytesIO(data), "picture")
        except ImageError as error:
            assert str(error).startswith("picture: ") and "\n" not in str(error)
        else:
            with Image.open(io.BytesIO(data)) as declared:
                assert found.mode == "RGB"
                assert found.size in (declared.size, declared.size[::-1])
    assert time.process_time() - started < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < KILOBYTES


def test_every_format_has_a_picture() -> None:
    assert {name.split()[0] for name in PICTURES} | ({"AVIF"} - set(PICTURES)) == set(FORMATS)


@pytest.mark.parametrize("name", PICTURES)
def test_an_undamaged_picture_is_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"  # whatever the suffix says
    path.write_bytes(PICTURES[name])
    wanted = (HEIGHT, WIDTH) if name in TURNED_PICTURES else (WIDTH, HEIGHT)
    assert read_image(path).size == wanted
    assert photo_size(path, "here") == wanted


def check_damaged(name: str, **limits: Any) -> None:
    @settings(deadline=None, database=None, **limits)
    @given(damages)
    def damaged(parts: list[Damage]) -> None:
        data = PICTURES[name]
        for damage in parts:
            data = damage(data)
        check(data)

    damaged()


@pytest.mark.parametrize("name", PICTURES)
def test_a_damaged_picture_is_refused_or_has_its_size(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    check_damaged(name, max_examples=60, derandomize=True)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.parametrize("name", PICTURES)
def test_ten_thousand_damaged_pictures_of_a_format(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    check_damaged(name, max_examples=10_000, suppress_health_check=list(HealthCheck))
    assert capfd.readouterr() == ("", "")


def scans(count: int) -> bytes:
    """Return a JPEG whose last scan is repeated."""
    data = PICTURES["JPEG progressive"]
    return data[:-2] + data[data.rindex(b"\xff\xda") : -2] * count + data[-2:]


BOMBS = {
    "JPEG of many scans": (scans(MAX_SCANS), "more than 100 scans"),
    "TIFF of huge tiles": (tiled(16, 16, 32_000, 32_000, b""), "too large"),
    "PNG text": (
        png_of(
            [*png_chunks(PICTURES["PNG"])[:1], (b"zTXt", b"a\0\0" + zlib.compress(bytes(50_000_000))), (b"IEND", b"")]
        ),
        "cannot be read",
    ),
    "PNG profile": (
        png_of([*png_chunks(PICTURES["PNG"])[:1], (b"iCCP", b"a\0\0" + zlib.compress(bytes(500_000_000)))]),
        "cannot be read",
    ),
    "GIF": (b"GIF89a" + struct.pack("<HH", 65535, 65535) + PICTURES["GIF"][10:], "too large"),
    "PPM as text": (b"P3\n4000 4000\n255\n" + b"1 " * 100, "numbers as text"),
    "EPS": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n",
        "not a known image",
    ),
    "PDF": (b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n%%EOF\n", "not a known image format"),
    "WMF": (b"\xd7\xcd\xc6\x9a\0\0" + bytes(16) + b"\x01\x00\x09\x00" + bytes(60), "not a known image format"),
    "DDS": (b"DDS " + bytes(124), "not a known image format"),
    "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), "HEIC.*save it as JPEG or PNG"),
    "HEIC of another brand": (b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf" + bytes(100), "HEIC"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_and_other_formats_are_refused_at_once(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, said = BOMBS[name]
    path = tmp_path / "holiday.jpg"
    path.write_bytes(content)
    started: list[str] = []
    sys.addaudithook(lambda event, _: started.append(event) if event in ("subprocess.Popen", "os.system") else None)
    with pytest.raises(ImageError, match=f"holiday.jpg: .*{said}"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read_image(path)
    check(content)
    if name not in ("JPEG of many scans", "TIFF of huge tiles", "PNG text", "GIF"):  # their headers are good
        with pytest.raises(ImageError, match=r"phrases.csv, line 3: .*holiday\.jpg: "):
            photo_size(path, "phrases.csv, line 3")
    assert started == []  # EPS would start Ghostscript


def test_the_command_line_hides_what_pillow_remarks(tmp_path: Path) -> None:
    path = tmp_path / "holiday.tif"
    path.write_bytes(encoded(COLOUR, "TIFF")[:100])
    with pytest.warns(UserWarning, match="Truncated File Read"), pytest.raises(ImageError):
        read_image(path)
    code = f"from aligncat.cli import main; raise SystemExit(main(['ground', {str(path)!r}, 'a cup']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("aligncat ground: ") and "holiday.tif: the image cannot be read" in done.stderr
