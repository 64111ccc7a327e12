"""Preparing a dataset from an archive, a folder and mirrors, and what the verbs say."""

from __future__ import annotations

import hashlib
import random
import shutil
import zipfile
from pathlib import Path

import pytest
from helpers.fabricate import write_refer_dataset
from helpers.site_server import Page, Site

from aligncat.cli import main, settings
from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import load_split, load_truth
from aligncat.datasets.prepare.prepare import SETS, prepare_set
from aligncat.errors import DataError, DownloadError

SPLITS = {"unc": ["train", "val", "testA", "testB"], "umd": ["train", "val", "test"], "google": ["train", "val"]}


def write_set(root: Path, name: str) -> DataConfig:
    """A small set by its name, with its photos."""
    dataset, split_by = SETS[name]  # type: ignore[index]
    return write_refer_dataset(root, dataset, split_by, dict.fromkeys(SPLITS[split_by], 1)).config


def packed(root: Path, dataset: str, kind: str = "zip") -> Path:
    return Path(shutil.make_archive(str(root / dataset), kind, root, dataset))


def mirrors(folder: Path, dataset: str, *urls: str) -> Path:
    path = folder / "mirrors.toml"
    path.write_text("".join(f'[["{dataset}"]]\nurl = "{url}"\n' for url in urls))
    return path


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("kind", ["zip", "gztar", "archive in a folder", "folder of datasets", "dataset's folder"])
def test_a_set_is_prepared_from_what_the_user_has(tmp_path: Path, name: str, kind: str) -> None:
    have, out = tmp_path / "have", tmp_path / "out"
    config = write_set(have, name)
    source = {"folder of datasets": have, "dataset's folder": have / config.dataset}.get(kind)
    if source is None:
        source = packed(have, config.dataset, "gztar" if kind == "gztar" else "zip")
        shutil.rmtree(have / config.dataset)
        source = have if kind == "archive in a folder" else source
    prepare_set(name, out, source)  # type: ignore[arg-type]
    prepared = DataConfig(out, config.dataset, config.split_by, have / "images/mscoco/images/train2014")
    assert load_split(prepared, "val").expressions and load_truth(prepared, "val")
    assert files_of(out) == {f"{config.dataset}/refs({config.split_by}).p", f"{config.dataset}/instances.json"}


def test_a_source_that_is_the_place_itself_is_left_as_it_is(tmp_path: Path) -> None:
    write_set(tmp_path, "refcoco")
    before = files_of(tmp_path)
    prepare_set("refcoco", tmp_path, tmp_path)
    assert files_of(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("refcoco+", r"holds neither refcoco\+/refs\(\*\.p\) and .* nor one of refcoco\+\.zip"),
        ("refcocog-google", r"lacks refs\(google\)\.p; it has instances\.json, refs\(umd\)\.p"),
    ],
)
def test_a_source_without_the_set_says_what_it_lacks(tmp_path: Path, name: str, message: str) -> None:
    write_set(tmp_path / "have", "refcocog-umd")
    with pytest.raises(DataError, match=message):
        prepare_set(name, tmp_path / "out", tmp_path / "have")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_a_source_that_lacks_a_file_changes_nothing_in_the_place(tmp_path: Path, kind: str) -> None:
    write_set(tmp_path / "out", "refcocog-google")
    before = {path: (tmp_path / "out" / path).read_bytes() for path in files_of(tmp_path / "out")}
    write_refer_dataset(tmp_path / "have", "refcocog", "umd", {"train": 5})
    source = packed(tmp_path / "have", "refcocog") if kind == "zip" else tmp_path / "have"
    with pytest.raises(
        DataError, match=r"lacks refs\(google\)\.p; it has instances\.json, refs\(umd\)\.p; give a source"
    ):
        prepare_set("refcocog-google", tmp_path / "out", source)
    assert {path: (tmp_path / "out" / path).read_bytes() for path in files_of(tmp_path / "out")} == before


def test_a_source_of_one_file_leaves_an_empty_folder_empty(tmp_path: Path, site: Site) -> None:
    with zipfile.ZipFile(tmp_path / "half.zip", "w") as archive:
        archive.writestr("refcoco/instances.json", "{}")
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match=r"half\.zip: lacks refs\(unc\)\.p; it has instances\.json"):
        prepare_set("refcoco", tmp_path / "out", tmp_path / "half.zip")
    assert not list((tmp_path / "out").iterdir())
    site.pages["/half.zip"] = Page((tmp_path / "half.zip").read_bytes())
    with pytest.raises(DownloadError, match=r"half\.zip: .*lacks refs\(unc\)\.p"):
        prepare_set("refcoco", tmp_path / "out", mirrors=mirrors(tmp_path, "refcoco", site.url("/half.zip")))
    assert not (tmp_path / "out/refcoco").exists()


def test_the_folder_of_another_set_is_not_taken_for_this_one(tmp_path: Path) -> None:
    config = write_set(tmp_path, "refcoco+")
    with pytest.raises(DataError, match="holds neither refcoco/refs"):
        prepare_set("refcoco", tmp_path / "out", config.path / "refcoco+")


def test_a_set_is_fetched_from_the_first_mirror_that_has_it(tmp_path: Path, site: Site) -> None:
    config = write_set(tmp_path / "have", "refcocog-umd")
    outside = tmp_path / "outside.zip"
    shutil.copy(packed(tmp_path / "have", "refcocog"), outside)
    with zipfile.ZipFile(outside, "a") as archive:
        archive.writestr("../../refs(evil).p", b"")
    whole = packed(tmp_path / "have", "refcocog").read_bytes()
    site.pages |= {
        "/sorry": Page(b"<!DOCTYPE html>the archive is not here any more"),
        "/outside.zip": Page(outside.read_bytes()),
        "/cut.zip": Page(whole[:-50]),
        "/moved.zip": Page(location=site.url("/refcocog.zip")),
        "/refcocog.zip": Page(whole, breaks_after=[len(whole) // 2]),
        "/never.zip": Page(whole),
    }
    paths = ["/gone.zip", "/sorry", "/outside.zip", "/cut.zip", "/moved.zip", "/never.zip"]
    urls = mirrors(tmp_path, "refcocog", *map(site.url, paths))
    prepare_set("refcocog-umd", tmp_path / "out", mirrors=urls)
    assert files_of(tmp_path / "out") == {f"{config.dataset}/refs(umd).p", f"{config.dataset}/instances.json"}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["refcocog"]  # no archive is left behind
    asked = [path for path, _ in site.asked]
    assert asked == [*paths[:5], "/refcocog.zip", "/moved.zip", "/refcocog.zip"]
    assert site.asked[-1][1] == f"bytes={len(whole) // 2}-"
    prepare_set("refcocog-umd", tmp_path / "out", mirrors=urls)  # it is there
    assert len(site.asked) == len(asked)


def test_a_download_that_was_stopped_goes_on_with_the_next_call(tmp_path: Path, site: Site) -> None:
    write_set(tmp_path / "have", "refcoco")
    whole = packed(tmp_path / "have", "refcoco").read_bytes()
    site.pages["/a.zip"] = Page(whole, breaks_after=[500, 0, 0, 0, 0])
    urls = mirrors(tmp_path, "refcoco", site.url("/a.zip"))
    with pytest.raises(DownloadError, match=r"no mirror gave out a good archive of refcoco \(.*500 bytes.*--source"):
        prepare_set("refcoco", tmp_path / "out", mirrors=urls)
    site.pages["/a.zip"].breaks_after.clear()
    site.asked.clear()
    prepare_set("refcoco", tmp_path / "out", mirrors=urls)
    assert site.asked == [("/a.zip", "bytes=500-")]
    assert files_of(tmp_path / "out") == {"refcoco/refs(unc).p", "refcoco/instances.json"}


def test_what_came_from_a_mirror_is_kept_while_others_are_tried_and_gone_once_one_was_good(
    tmp_path: Path, site: Site
) -> None:
    write_set(tmp_path / "have", "refcoco")
    whole = packed(tmp_path / "have", "refcoco").read_bytes()
    site.pages |= {"/a.zip": Page(whole, breaks_after=[500, 0, 0, 0]), "/b.zip": Page(b"no archive")}
    urls = mirrors(tmp_path, "refcoco", site.url("/a.zip"), site.url("/b.zip"))
    with pytest.raises(DownloadError, match=r"a\.zip: .*500 bytes that came are kept"):
        prepare_set("refcoco", tmp_path / "out", mirrors=urls)
    [part] = (tmp_path / "out/downloads").glob("*.part")
    assert part.read_bytes() == whole[:500]
    site.pages |= {"/a.zip": Page(statuses=[404]), "/b.zip": Page(whole)}
    prepare_set("refcoco", tmp_path / "out", mirrors=urls)
    assert files_of(tmp_path / "out") == {"refcoco/refs(unc).p", "refcoco/instances.json"}


def test_an_archive_that_was_fetched_but_not_unpacked_is_not_fetched_again(tmp_path: Path, site: Site) -> None:
    write_set(tmp_path / "have", "refcoco")
    (tmp_path / "out/downloads").mkdir(parents=True)
    shutil.move(packed(tmp_path / "have", "refcoco"), tmp_path / "out/downloads/refcoco")
    prepare_set("refcoco", tmp_path / "out", mirrors=mirrors(tmp_path, "refcoco", site.url("/a.zip")))
    assert not site.asked and files_of(tmp_path / "out") == {"refcoco/refs(unc).p", "refcoco/instances.json"}


def test_when_no_mirror_helps_every_reason_is_given_and_nothing_is_left(tmp_path: Path, site: Site) -> None:
    site.pages["/a.zip"] = Page(random.Random(0).randbytes(1000))
    site.pages["/b.zip"] = Page(b"x")
    path = mirrors(tmp_path, "refcoco", site.url("/a.zip"), site.url("/c.zip"))
    path.write_text(path.read_text() + f'[[refcoco]]\nurl = "{site.url("/b.zip")}"\nsha256 = "{"0" * 64}"\n')
    with pytest.raises(DownloadError) as raised:
        prepare_set("refcoco", tmp_path / "out", mirrors=path)
    for reason in ("/a.zip: ", "neither a zip", "/c.zip: the server answers 404", hashlib.sha256(b"x").hexdigest()):
        assert reason in str(raised.value)
    assert not files_of(tmp_path / "out")


def test_the_verb_prepares_and_shows_every_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_set(tmp_path / "have", "refcoco")
    words = ["data", "prepare", "refcoco", "--out", str(tmp_path / "out"), "--source", str(tmp_path / "have")]
    assert main(words) == 0
    said = capsys.readouterr().out
    for word in (
        "2, not 42,404 (-42,402)",
        "4, not 120,624 (-120,620)",
        "1, not 16,994 (-16,993)",
        "2, not 1,810 (-1,808)",
        "4 of 4 photos are not in",
        "COCO_train2014_000000001000.png, COCO_train2014_000000001001.png, COCO_train2014_000000001002.png, ...",
        "train2014.zip",
    ):
        assert word in said, word


def test_the_verb_says_where_the_photos_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_set(tmp_path / "have", "refclef")
    photos = tmp_path / "have/images/mscoco/images/train2014"
    words = ["data", "prepare", "refclef", "--out", str(tmp_path / "out"), "--source", str(tmp_path / "have")]
    assert main([*words, "--images", str(photos)]) == 0
    said = capsys.readouterr().out
    assert f"all 4 photos are in {photos}" in said.replace("\n", "") and "none known" in said


def test_the_check_ends_with_status_1_and_a_line_where_something_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = write_refer_dataset(tmp_path, "refcoco")
    words = ["data", "check", "--data.path", str(tmp_path), "--data.dataset", "refcoco"]
    for annotation in files.instances["annotations"][:11]:
        annotation["bbox"] = [0, 0, 0, 0]
    files.save()
    next(files.image_folder.iterdir()).unlink()
    assert main(words) == 1
    said = capsys.readouterr()
    assert said.err.splitlines()[-1].endswith(
        "refcoco: 4 splits with other counts than published, 11 bad rows, 1 photos missing"
    )
    assert said.out.count("bad row: ") == 10 and "and 1 more bad rows" in said.out


def test_the_names_of_all_missing_photos_are_written_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = write_refer_dataset(tmp_path / "data", "own")
    words = ["data", "check", "--data.path", str(tmp_path / "data"), "--data.dataset", "own", "--missing"]
    photos = sorted(path.name for path in files.image_folder.iterdir())
    assert main([*words, str(tmp_path / "list.txt")]) == 0
    assert (tmp_path / "list.txt").read_text() == ""
    shutil.rmtree(files.image_folder)
    assert main([*words, str(tmp_path / "list.txt")]) == 1
    assert (tmp_path / "list.txt").read_text().splitlines() == photos and len(photos) == 8
    assert "--missing FILE" in capsys.readouterr().out
    assert main([*words, str(tmp_path / "gone/list.txt")]) == 1
    assert "gone/list.txt: cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("dataset", ["mojiref", "own"])
def test_the_check_ends_well_where_all_is_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], dataset: str
) -> None:
    write_refer_dataset(tmp_path, dataset)
    assert main(["data", "check", "--data.path", str(tmp_path), "--data.dataset", dataset]) == 0
    assert "all 8 photos are in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("dataset", "how"),
    [
        ("own", "the folder that they are in"),
        ("stamps", "the folder that they are in"),
        ("mojiref", "data mojiref"),
        ("refclef", "saiapr_tc-12"),
    ],
)
def test_where_photos_are_missing_it_says_how_to_have_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], dataset: str, how: str
) -> None:
    shutil.rmtree(write_refer_dataset(tmp_path, dataset).image_folder)
    assert main(["data", "check", "--data.path", str(tmp_path), "--data.dataset", dataset]) == 1
    assert how in capsys.readouterr().out


def test_refs_that_cannot_be_read_end_the_preparation_with_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = write_refer_dataset(tmp_path, "refcoco")
    files.refs_path.write_bytes(b"cbuiltins\nprint\n(S'x'\ntR.")
    assert main(["data", "prepare", "refcoco", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "builtins.print" in said.out and "no split can be read" in said.err


@pytest.mark.parametrize("words", [[], ["refcoco-plus"], ["refcoco", "refcoco+"]])
def test_a_set_that_is_not_one_is_a_wrong_command_line(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        settings("data prepare", [*words, "--out", str(tmp_path)])
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("aligncat data prepare: ")
