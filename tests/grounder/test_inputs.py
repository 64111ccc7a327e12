"""The images and phrases that a caller can give, and the one line for each that cannot be used."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.tiny_run import World
from PIL import Image

from aligncat.cli import main
from aligncat.datasets.load import load_split
from aligncat.errors import DataError, ImageError
from aligncat.files.given_images import as_rgb
from aligncat.grounder.grounder import Grounder

RGB = np.random.default_rng(0).integers(0, 256, (30, 50, 3), np.uint8)


@pytest.fixture(scope="module")
def grounder(trained: Path) -> Grounder:
    return Grounder.from_pretrained(trained)


@pytest.fixture(scope="module")
def photo(world: World) -> Path:
    return next(iter(load_split(world.data, "val").images.values())).path


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    Image.fromarray(RGB).save(tmp_path / "rgb.png")
    return tmp_path / "rgb.png"


class TestImages:
    @pytest.mark.parametrize(
        "given",
        [
            str,
            Path,
            Path.read_bytes,
            lambda path: bytearray(path.read_bytes()),
            lambda path: io.BytesIO(path.read_bytes()),
            lambda path: path.open("rb"),
            Image.open,
            lambda path: RGB,
            lambda path: np.asfortranarray(RGB),
            lambda path: np.concatenate([RGB, RGB], axis=1)[:, :50],
        ],
    )
    def test_an_image_in_any_form_has_the_same_pixels(self, given: Callable[[Path], Any], saved: Path) -> None:
        image = as_rgb(given(saved))
        assert image.mode == "RGB" and np.array_equal(np.asarray(image), RGB)

    def test_a_grey_array_has_three_equal_channels(self) -> None:
        grey = np.asarray(as_rgb(RGB[:, :, 0]))
        assert all(np.array_equal(grey[:, :, channel], RGB[:, :, 0]) for channel in range(3))

    def test_an_array_is_answered_like_its_file(self, grounder: Grounder, photo: Path) -> None:
        with Image.open(photo) as image:
            array = np.asarray(image.convert("RGB"))
        assert grounder.ground(array, "red person") == grounder.ground(photo, "red person")

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            (RGB.astype(float), r"array of float64; .*multiply values from 0 to 1 by 255"),
            (RGB.astype(np.float32) / 255, r"array of float32"),
            (RGB.astype(np.uint16), r"array of uint16; an array must be uint8"),
            (RGB > 9, r"array of bool"),
            (RGB.transpose(2, 0, 1), r"shape \(3, 30, 50\); .*array\.transpose\(1, 2, 0\)"),
            (RGB[None], r"shape \(1, 30, 50, 3\); an array must be uint8"),
            (np.zeros((30, 50, 4), np.uint8), r"shape \(30, 50, 4\)"),
            (np.zeros((30,), np.uint8), r"shape \(30,\)"),
            (np.zeros((0, 50, 3), np.uint8), r"the image is empty"),
            (np.broadcast_to(np.uint8(0), (20_000, 20_000)), r"too large \(20000 by 20000 pixels\)"),
            (torch.zeros(3, 30, 50), r"type Tensor .*tensor\.permute\(1, 2, 0\)"),
            ([[0, 1], [2, 3]], r"of type list cannot be used; give a file"),
            (None, r"of type NoneType cannot be used"),
            ("http://example.org/a.jpg", r"http://example\.org/a\.jpg: is a URL.*download the image"),
            (Path("https://example.org/a.jpg"), r"is a URL"),
            ("data:image/png;base64,AAAA", r"is a URL"),
            ("s3://bucket/a.jpg", r"is a URL"),
            ("C:/nowhere/a.jpg", r"no such image file"),
            ("", r"no such image file"),
            (b"", r"the file is empty"),
            (b"\x89PNG\r\n\x1a\n", r"the image: the image cannot be read"),
            (io.StringIO("text"), r"open as text; open it for reading bytes"),
            (io.BytesIO(b"GIF89a"), r"the image cannot be read"),
        ],
    )
    def test_what_is_not_an_image_is_one_line(self, given: Any, message: str) -> None:
        with pytest.raises(ImageError, match=message) as error:
            as_rgb(given)
        assert "\n" not in str(error.value)

    def test_a_closed_file_is_one_line(self, saved: Path) -> None:
        file = saved.open("rb")
        file.close()
        with pytest.raises(ImageError, match="closed file"):
            as_rgb(file)

    def test_a_broken_pil_image_is_one_line(self, saved: Path) -> None:
        content = saved.read_bytes()
        with (
            Image.open(io.BytesIO(content[: len(content) // 2])) as image,
            pytest.raises(ImageError, match="truncated"),
        ):
            as_rgb(image)


class TestPhrases:
    def test_a_string_is_one_phrase(self, grounder: Grounder, photo: Path) -> None:
        one = grounder.ground(photo, "dog")
        assert [found.expression for found in one] == ["dog"]
        assert one == grounder.ground(photo, ["dog"])

    @pytest.mark.parametrize("collect", [tuple, np.array, iter, dict.fromkeys])
    def test_phrases_come_in_any_collection(self, collect: Any, grounder: Grounder, photo: Path) -> None:
        phrases = ["red person", "dog"]
        assert grounder.ground(photo, collect(phrases)) == grounder.ground(photo, phrases)

    @pytest.mark.parametrize(
        ("expressions", "message"),
        [
            ([], "no expression given"),
            ("", "has no words"),
            (b"dog", "of type bytes; give text"),
            ([b"dog"], "is of type bytes; give text"),
            (None, "of type NoneType"),
            (7, "of type int"),
            (["dog", 7], "the expression 7 is of type int"),
            ([["dog"]], "is of type list"),
        ],
    )
    def test_what_is_not_a_phrase_is_one_line(
        self, expressions: Any, message: str, grounder: Grounder, world: World, photo: Path
    ) -> None:
        candidates = world.open().candidates("1000")
        for call in (grounder.ground, lambda _, given: grounder.ground_candidates(candidates, given)):
            with pytest.raises(DataError, match=message) as error:
                call(photo, expressions)
            assert "\n" not in str(error.value)


class TestCommand:
    def run(self, *words: str, capsys: pytest.CaptureFixture[str]) -> str:
        assert main(["ground", *words]) == 1
        printed = capsys.readouterr()
        assert printed.out == "" and len(printed.err.strip().splitlines()) == 1
        return printed.err

    def test_an_image_after_a_phrase_is_not_a_phrase(
        self, saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bare = tmp_path / "photo"
        bare.write_bytes(saved.read_bytes())
        for second in (str(saved), "gone.JPG", "my photo.webp", "a.heic", str(bare)):
            error = self.run(str(saved), "man", second, capsys=capsys)
            assert f"{second} is an image, not a phrase" in error

    def test_a_phrase_that_is_also_the_name_of_another_file_is_a_phrase(
        self, saved: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("dog").write_text("notes")
        assert main(["ground", str(saved), "dog", "--grounder", str(trained)]) == 0

    def test_a_missing_device_is_known_before_the_image_is_read(
        self, tmp_path: Path, trained: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "broken.png").write_bytes(b"not an image")
        words = (str(tmp_path / "broken.png"), "man", "--grounder", str(trained), "--device", "cuda:99")
        assert "device 'cuda:99' cannot be used here" in self.run(*words, capsys=capsys)
