"""Images of every mode are read; damaged and oversized files are refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aligncat.errors import ImageError
from aligncat.files.images import read_image


def png_header(width: int, height: int) -> bytes:
    """Return a PNG whose header gives a size but which has no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def palette() -> Image.Image:
    image = Image.new("P", (4, 3), 1)
    image.putpalette([0, 0, 0, 200, 10, 30])
    return image


def transparent_palette() -> Image.Image:
    image = palette()
    image.info["transparency"] = 1
    return image


@pytest.mark.parametrize(
    ("image", "suffix", "expected"),
    [
        (Image.new("RGB", (4, 3), (200, 10, 30)), ".png", (200, 10, 30)),
        (palette(), ".png", (200, 10, 30)),
        (palette(), ".gif", (200, 10, 30)),
        (transparent_palette(), ".png", (255, 255, 255)),
        (Image.new("L", (4, 3), 77), ".png", (77, 77, 77)),
        (Image.new("1", (4, 3), 1), ".png", (255, 255, 255)),
        (Image.new("RGBA", (4, 3), (200, 10, 30, 255)), ".png", (200, 10, 30)),
        (Image.new("RGBA", (4, 3), (200, 10, 30, 0)), ".png", (255, 255, 255)),
        (Image.new("LA", (4, 3), (77, 0)), ".png", (255, 255, 255)),
        (Image.fromarray(np.full((3, 4), 0x4D80, np.uint16)), ".png", (0x4D, 0x4D, 0x4D)),
        (Image.new("I", (4, 3), 0x4D80), ".tif", (0x4D, 0x4D, 0x4D)),
        (Image.new("CMYK", (4, 3), (0, 255, 255, 0)), ".tif", (255, 0, 0)),
    ],
)
def test_every_mode_becomes_rgb(
    tmp_path: Path, image: Image.Image, suffix: str, expected: tuple[int, int, int]
) -> None:
    path = tmp_path / f"picture{suffix}"
    image.save(path, **({"transparency": 1} if "transparency" in image.info else {}))
    read = read_image(path)
    assert (read.mode, read.size) == ("RGB", (4, 3))
    assert (np.asarray(read) == expected).all()


@pytest.mark.parametrize(
    ("orientation", "corner"),
    [(1, (0, 0)), (3, (-1, -1)), (6, (0, -1)), (8, (-1, 0))],  # where the stored top-left pixel is shown
)
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, corner: tuple[int, int]) -> None:
    pixels = np.zeros((3, 5, 3), np.uint8)
    pixels[0, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    shown = np.asarray(read_image(tmp_path / "turned.png"))
    assert shown.shape == ((3, 5, 3) if orientation in (1, 3) else (5, 3, 3))
    assert shown.sum() == 3 * 255 and (shown[corner] == 255).all()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".gif", ".webp", ".bmp", ".tif"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.8])
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"cut{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(ImageError, match=rf"cut\{suffix}.*cannot be read"):
        read_image(path)


def test_corrupt_pixel_data_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "corrupt.png"
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    content = bytearray(path.read_bytes())
    content[200:260] = bytes(60)
    path.write_bytes(bytes(content))
    with pytest.raises(ImageError, match=r"corrupt\.png.*cannot be read.*replace or remove"):
        read_image(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"file is empty"),
        (b"this is not a picture", r"not a known image format"),
        (png_header(0, 5), r"cannot be read|image is empty"),
        (b"P6\n5 0\n255\n", r"cannot be read|image is empty"),
        (png_header(9000, 8000), r"too large \(9000 by 8000 pixels\); the limit is 64 megapixels"),
        (png_header(12000, 10000), r"too large"),  # Pillow warns
        (png_header(20000, 10000), r"too large"),  # Pillow raises an error
        (png_header(2**31 - 1, 2**31 - 1), r"too large"),
    ],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_an_unusable_file_is_refused_before_decoding(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=message) as caught:
        read_image(path)
    assert str(path) in str(caught.value)


def test_floating_point_images_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.ones((3, 4), np.float32)).save(tmp_path / "depth.tif")
    with pytest.raises(ImageError, match="floating-point"):
        read_image(tmp_path / "depth.tif")


@pytest.mark.parametrize("name", ["absent.jpg", "."])
def test_a_missing_file_is_an_image_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(ImageError, match="no such image file"):
        read_image(tmp_path / name)


def test_the_caller_sets_the_limit(tmp_path: Path) -> None:
    Image.new("RGB", (20, 10)).save(tmp_path / "small.png")
    assert read_image(tmp_path / "small.png", max_pixels=200).size == (20, 10)
    with pytest.raises(ImageError, match=r"too large \(20 by 10 pixels\); the limit is 0.000199 megapixels"):
        read_image(tmp_path / "small.png", max_pixels=199)
