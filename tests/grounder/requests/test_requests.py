"""Photos, folders, patterns, tables and phrases, as people give them and as they go wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet

from aligncat.errors import ConfigError, DataError
from aligncat.grounder.requests.request import Request, check_names
from aligncat.grounder.requests.tables import read_table
from aligncat.grounder.requests.words import read_phrases, requests_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photos in two folders, some of one name, and a phrase that is also a folder's name."""
    for name in ("photos/1.jpg", "photos/2.png", "photos/more/1.jpg", "other/1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    (tmp_path / "photos" / "notes.txt").write_text("no photo")
    (tmp_path / "dog").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


class TestPhotos:
    @pytest.mark.parametrize(
        ("first", "words", "names"),
        [
            ("photos/1.jpg", [], ["1.jpg"]),
            ("photos", [], ["1.jpg", "2.png", "more/1.jpg"]),
            ("photos/1.jpg", ["photos/2.png"], ["1.jpg", "2.png"]),
            ("photos/1.jpg", ["other/1.jpg"], ["photos/1.jpg", "other/1.jpg"]),
            ("photos/1.jpg", ["./photos/1.jpg", "photos/2.png"], ["1.jpg", "2.png"]),
            ("photos", ["other/"], ["photos/1.jpg", "photos/2.png", "photos/more/1.jpg", "other/1.jpg"]),
            ("photos/*", [], ["1.jpg", "2.png"]),
            ("photos/**/*.jpg", [], ["1.jpg", "more/1.jpg"]),
            ("other/1.jpg", ["photos/*.png"], ["other/1.jpg", "photos/2.png"]),
        ],
    )
    def test_names_are_paths_below_what_was_given(
        self, first: str, words: list[str], names: list[str], folder: Path
    ) -> None:
        found = requests_of(Path(first), [*words, "dog", "a cup? or/and a mug*"])
        assert [each.name for each in found] == names
        assert all(each.path.is_file() and each.phrases == ("dog", "a cup? or/and a mug*") for each in found)

    @pytest.mark.parametrize(
        ("first", "words", "error", "said"),
        [
            ("dog", ["cat"], DataError, "has no image file"),
            ("photos/*.webp", ["cat"], DataError, r"photos/\*\.webp: no photo matches this pattern; check"),
            ("photos/*.txt", ["cat"], DataError, "it matches 1 other files and folders, such as photos/notes.txt"),
            ("photos", [], ConfigError, "no phrases"),
            ("photos", ["cat", "other/1.jpg"], DataError, "other/1.jpg is an image, not a phrase, and comes after"),
            ("photos", ["\udcff"], DataError, "half a character"),
        ],
    )
    def test_what_cannot_be_is_an_error(
        self, first: str, words: list[str], error: type[Exception], said: str, folder: Path
    ) -> None:
        with pytest.raises(error, match=said):
            requests_of(Path(first), words)

    def test_a_name_that_is_not_utf8_is_shown_escaped(self, folder: Path) -> None:
        odd = folder / "photos" / "\udcff.jpg"
        Image.new("RGB", (8, 8)).save(odd)
        with pytest.raises(DataError, match=r"\\xff\.jpg"):
            requests_of(odd, ["dog"])
        with pytest.raises(DataError, match="skip_bad_images"):
            requests_of(Path("photos"), ["dog"])
        assert len(requests_of(Path("photos"), ["dog"], skip_bad_images=True)) == 3


class TestPhrases:
    def test_a_file_has_one_a_line(self, folder: Path) -> None:
        Path("p.txt").write_bytes("\ufeffred mug\r\n\r\n  the cup, on the left \n".encode())
        [found] = requests_of(Path("photos/1.jpg"), [], phrases=Path("p.txt"))
        assert found.phrases == ("red mug", "the cup, on the left")

    @pytest.mark.parametrize(
        ("content", "said"), [(b"", "has no phrases"), (b" \n\n", "has no phrases"), (b"\xff\xfea", "UTF-8")]
    )
    def test_a_file_without_phrases_is_an_error(self, content: bytes, said: str, folder: Path) -> None:
        Path("p.txt").write_bytes(content)
        with pytest.raises(DataError, match=rf"p\.txt: .*{said}"):
            read_phrases(Path("p.txt"))

    @pytest.mark.parametrize("said", ["sign with http://a.b on it", "note: see://x", "the s3:// logo", "://"])
    def test_a_phrase_may_have_an_address_in_it(self, said: str, folder: Path) -> None:
        [found] = requests_of(Path("photos/1.jpg"), [said])
        assert found.phrases == (said,)
        with pytest.raises(DataError, match=r"http://a\.b is an image, not a phrase"):
            requests_of(Path("photos/1.jpg"), [said, "http://a.b"])

    def test_phrases_in_two_places_are_an_error(self, folder: Path) -> None:
        Path("p.txt").write_text("mug")
        with pytest.raises(ConfigError, match="given twice"):
            requests_of(Path("photos"), ["dog"], phrases=Path("p.txt"))


ROWS = [("b.jpg", "red mug"), ("a.jpg", "cup, left"), ("b.jpg", "red mug"), ("/x/c.jpg", "日本")]


def write_csv(path: Path, rows: list[tuple[str, str]], column: str = "phrase") -> None:
    lines = [f"id,image,{column}", *(f'{number},{image},"{phrase}"' for number, (image, phrase) in enumerate(rows))]
    path.write_text("\n".join(lines), encoding="utf-8")


def write_jsonl(path: Path, rows: list[tuple[str, str]], column: str = "phrase") -> None:
    lines = [json.dumps({"image": image, column: phrase, "id": None}) for image, phrase in rows]
    path.write_text("\n\n".join(lines), encoding="utf-8")


def write_parquet(path: Path, rows: list[tuple[str, str]], column: str = "phrase") -> None:
    columns = {"image": [image for image, _ in rows], column: [phrase for _, phrase in rows], "id": [*range(len(rows))]}
    parquet.write_table(pa.table(columns), path)


WRITERS = {".csv": write_csv, ".jsonl": write_jsonl, ".parquet": write_parquet}


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("column", ["phrase", "expression"])
def test_a_table_gives_each_photo_once_with_its_phrases(suffix: str, column: str, tmp_path: Path) -> None:
    path = tmp_path / f"table{suffix}"
    WRITERS[suffix](path, ROWS, column)
    assert requests_of(path, []) == [
        Request("b.jpg", tmp_path / "b.jpg", ("red mug", "red mug")),
        Request("a.jpg", tmp_path / "a.jpg", ("cup, left",)),
        Request("/x/c.jpg", Path("/x/c.jpg"), ("日本",)),
    ]
    with pytest.raises(ConfigError, match="a table has its phrases in itself"):
        requests_of(path, ["dog"])


def test_a_table_may_name_files_as_urls(tmp_path: Path) -> None:
    write_csv(tmp_path / "table.csv", [("file:///x/c.jpg", "red mug"), ("file://b.jpg", "cup")])
    assert [each.path for each in read_table(tmp_path / "table.csv")] == [Path("/x/c.jpg"), tmp_path / "b.jpg"]
    with pytest.raises(DataError, match="relative to its own folder"):
        check_names(read_table(tmp_path / "table.csv"), "coco", files=False)


def test_lines_to_train_on_are_a_table(tmp_path: Path) -> None:
    rows = [{"image": "a.jpg", "expression": ["dog", "left dog"], "box": [0, 0, 1, 1]}]
    rows += [{"image": "a.jpg", "expression": "cat", "category": "cat"}]
    (tmp_path / "val.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    [found] = read_table(tmp_path / "val.jsonl")
    assert found == Request("a.jpg", tmp_path / "a.jpg", ("dog", "left dog", "cat"))


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize(
    ("rows", "column", "said"),
    [
        ([], "phrase", "has no rows|nothing"),
        (ROWS, "text", "has neither a 'phrase' nor an 'expression'"),
        ([("a.jpg", "...")], "phrase", "(:2|:1|row 1): empty expression"),
        ([("", "dog")], "phrase", "'image' must be a string that is not empty"),
    ],
)
def test_a_table_that_lacks_something_is_an_error_that_says_where(
    suffix: str, rows: list[tuple[str, str]], column: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / f"table{suffix}"
    WRITERS[suffix](path, rows, column)
    with pytest.raises(DataError, match=said) as error:
        read_table(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", b"a,b\n1,2\n", "t.csv:1: has no 'image' but 'a', 'b'; a table needs"),
        ("t.csv", b"", "t.csv:1: has no 'image' but nothing"),
        ("t.csv", b"image,phrase\na.jpg,dog,cat\n", "t.csv:2: 3 cells for 2 columns"),
        ("t.csv", b'image,phrase\na.jpg,"dog\n', "not CSV"),
        ("t.csv", b"image,phrase\n\xff,dog\n", "UTF-8"),
        ("t.csv", b"image,phrase,expression\na,b,c\n", "has both"),
        ("t.jsonl", b'{"image": "a.jpg"}\n', "t.jsonl:1: has neither"),
        ("t.jsonl", b'{"image": 3, "phrase": "dog"}\n', "'image' must be a string"),
        ("t.jsonl", b'{"image": "a\\u0000", "phrase": "dog"}\n', "null character"),
        ("t.jsonl", b'{"image": "a.jpg", "phrase": []}\n', "must be a string, not list"),
        ("t.jsonl", b'{"image": "a.jpg", "phrase": ["dog", 3]}\n', "must be a string, not 3"),
        ("t.jsonl", b"[1]\n", "must be a mapping"),
        ("t.jsonl", b"{", "not JSON"),
        ("t.parquet", b"PAR1", "cannot be read as Parquet"),
    ],
)
def test_a_damaged_table_is_an_error(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said):
        read_table(tmp_path / name)


@given(st.binary(max_size=200), st.sampled_from([*WRITERS]))
def test_any_bytes_are_a_table_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str
) -> None:
    path = tmp_path_factory.mktemp("table") / f"t{suffix}"
    path.write_bytes(content)
    try:
        assert read_table(path)
    except DataError as error:
        assert str(path) in str(error)


class TestNames:
    def request(self, *names: str) -> list[Request]:
        return [Request(name, Path(name), ("dog",)) for name in names]

    def test_names_in_different_folders_are_different(self) -> None:
        check_names(self.request("a/1.jpg", "b/1.jpg", "1.jpg"), "yolo", files=True)
        check_names(self.request("1.jpg", "1.png"), "coco", files=False)

    @pytest.mark.parametrize(
        ("names", "form", "said"),
        [
            (("1.jpg", "1.png"), "yolo", "1.jpg and 1.png would both have the file 1, because --format yolo names a"),
            (("a/1.jpg", "a/./1.jpg"), "coco", "are both the photo a/1.jpg, because --format coco names photos by"),
            (("/x/1.jpg",), "coco", "/x/1.jpg: --format coco names photos by their paths in one folder, so the table"),
            (("../1.jpg",), "yolo", "../1.jpg: --format yolo names a file after each photo, so the table must"),
            ((".",), "label-studio", "--format label-studio names photos by their paths in one folder"),
        ],
    )
    def test_names_that_do_not_fit_the_format_are_an_error(self, names: tuple[str, ...], form: str, said: str) -> None:
        with pytest.raises(DataError, match=said) as error:
            check_names(self.request(*names), form, files=form == "yolo")
        assert "choose --format jsonl or csv" in str(error.value)
