"""Preparation of a dataset from an archive, a folder and mirrors, and the output of the verbs."""

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
    """Write a small dataset with its photos."""
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
def test_a_dataset_is_prepared_from_the_users_files(tmp_path: Path, name: str, kind: str) -> None:
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


def test_a_source_that_is_the_target_is_unchanged(tmp_path: Path) -> None:
    write_set(tmp_path, "refcoco")
    before = files_of(tmp_path)
    prepare_set("refcoco", tmp_path, tmp_path)
    assert files_of(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("refcoco+", r"has neither refcoco\+/refs\(\*\.p\) and .* nor one of the archives refcoco\+\.zip"),
        ("refcocog-google", r"lacks refs\(google\)\.p; it has instances\.json, refs\(umd\)\.p"),
    ],
)
def test_a_source_without_the_dataset_is_an_error_that_names_the_missing_files(
    tmp_path: Path, name: str, message: str
) -> None:
    write_set(tmp_path / "have", "refcocog-umd")
    with pytest.raises(DataError, match=message):
        prepare_set(name, tmp_path / "out", tmp_path / "have")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_a_source_that_lacks_a_file_leaves_the_target_unchanged(tmp_path: Path, kind: str) -> None:
    write_set(tmp_path / "out", "refcocog-google")
    before = {path: (tmp_path / "out" / path).read_bytes() for path in files_of(tmp_path / "out")}
    write_refer_dataset(tmp_path / "have", "refcocog", "umd", {"train": 5})
    source = packed(tmp_path / "have", "refcocog") if kind == "zip" else tmp_path / "have"
    with pytest.raises(
        DataError, match=r"lacks refs\(google\)\.p; it has instances\.json, refs\(umd\)\.p\. Give a source"
    ):
        prepare_set("refcocog-google", tmp_path / "out", source)
    assert {path: (tmp_path / "out" / path).read_bytes() for path in files_of(tmp_path / "out")} == before


def test_a_source_that_lacks_a_file_leaves_an_empty_folder_empty(tmp_path: Path, site: Site) -> None:
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


def test_the_folder_of_another_dataset_is_not_accepted(tmp_path: Path) -> None:
    config = write_set(tmp_path, "refcoco+")
    with pytest.raises(DataError, match="has neither refcoco/refs"):
        prepare_set("refcoco", tmp_path / "out", config.path / "refcoco+")


def test_a_dataset_is_downloaded_from_the_first_good_mirror(tmp_path: Path, site: Site) -> None:
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
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["refcocog"]  # the archive is deleted
    asked = [path for path, _ in site.asked]
    assert asked == [*paths[:5], "/refcocog.zip", "/moved.zip", "/refcocog.zip"]
    assert site.asked[-1][1] == f"bytes={len(whole) // 2}-"
    prepare_set("refcocog-umd", tmp_path / "out", mirrors=urls)  # the files exist already
    assert len(site.asked) == len(asked)


def test_a_stopped_download_resumes_in_the_next_call(tmp_path: Path, site: Site) -> None:
    write_set(tmp_path / "have", "refcoco")
    whole = packed(tmp_path / "have", "refcoco").read_bytes()
    site.pages["/a.zip"] = Page(whole, breaks_after=[500, 0, 0, 0, 0])
    urls = mirrors(tmp_path, "refcoco", site.url("/a.zip"))
    with pytest.raises(DownloadError, match=r"no mirror provided a good archive of refcoco \(.*500 bytes.*--source"):
        prepare_set("refcoco", tmp_path / "out", mirrors=urls)
    site.pages["/a.zip"].breaks_after.clear()
    site.asked.clear()
    prepare_set("refcoco", tmp_path / "out", mirrors=urls)
    assert site.asked == [("/a.zip", "bytes=500-")]
    assert files_of(tmp_path / "out") == {"refcoco/refs(unc).p", "refcoco/instances.json"}


def test_a_partial_download_is_kept_until_another_mirror_succeeds(tmp_path: Path, site: Site) -> None:
    write_set(tmp_path / "have", "refcoco")
    whole = packed(tmp_path / "have", "refcoco").read_bytes()
    site.pages |= {"/a.zip": Page(whole, breaks_after=[500, 0, 0, 0]), "/b.zip": Page(b"no archive")}
    urls = mirrors(tmp_path, "refcoco", site.url("/a.zip"), site.url("/b.zip"))
    with pytest.raises(DownloadError, match=r"a\.zip: .*500 bytes received are kept"):
        prepare_set("refcoco", tmp_path / "out", mirrors=urls)
    [part] = (tmp_path / "out/downloads").glob("*.part")
    assert part.read_bytes() == whole[:500]
    site.pages |= {"/a.zip": Page(statuses=[404]), "/b.zip": Page(whole)}
    prepare_set("refcoco", tmp_path / "out", mirrors=urls)
    assert files_of(tmp_path / "out") == {"refcoco/refs(unc).p", "refcoco/instances.json"}


def test_a_downloaded_archive_that_was_not_unpacked_is_not_downloaded_again(tmp_path: Path, site: Site) -> None:
    write_set(tmp_path / "have", "refcoco")
    (tmp_path / "out/downloads").mkdir(parents=True)
    shutil.move(packed(tmp_path / "have", "refcoco"), tmp_path / "out/downloads/refcoco")
    prepare_set("refcoco", tmp_path / "out", mirrors=mirrors(tmp_path, "refcoco", site.url("/a.zip")))
    assert not site.asked and files_of(tmp_path / "out") == {"refcoco/refs(unc).p", "refcoco/instances.json"}


def test_if_no_mirror_succeeds_every_reason_is_given_and_no_file_is_left(tmp_path: Path, site: Site) -> None:
    site.pages["/a.zip"] = Page(random.Random(0).randbytes(1000))
    site.pages["/b.zip"] = Page(b"x")
    path = mirrors(tmp_path, "refcoco", site.url("/a.zip"), site.url("/c.zip"))
    path.write_text(path.read_text() + f'[[refcoco]]\nurl = "{site.url("/b.zip")}"\nsha256 = "{"0" * 64}"\n')
    with pytest.raises(DownloadError) as raised:
        prepare_set("refcoco", tmp_path / "out", mirrors=path)
    for reason in ("/a.zip: ", "not a zip", "/c.zip: the server answered 404", hashlib.sha256(b"x").hexdigest()):
        assert reason in str(raised.value)
    assert not files_of(tmp_path / "out")


def test_the_verb_prepares_and_shows_every_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_set(tmp_path / "have", "refcoco")
    words = ["data", "prepare", "refcoco", "--out", str(tmp_path / "out"), "--source", str(tmp_path / "have")]
    assert main(words) == 0
    printed = capsys.readouterr().out
    for word in (
        "2, not 42,404 (-42,402)",
        "4, not 120,624 (-120,620)",
        "1, not 16,994 (-16,993)",
        "2, not 1,810 (-1,808)",
        "4 of 4 photos are not in",
        "COCO_train2014_000000001000.png, COCO_train2014_000000001001.png, COCO_train2014_000000001002.png, ...",
        "train2014.zip",
    ):
        assert word in printed, word


def test_the_verb_says_where_the_photos_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_set(tmp_path / "have", "refclef")
    photos = tmp_path / "have/images/mscoco/images/train2014"
    words = ["data", "prepare", "refclef", "--out", str(tmp_path / "out"), "--source", str(tmp_path / "have")]
    assert main([*words, "--images", str(photos)]) == 0
    printed = capsys.readouterr().out
    assert f"all 4 photos are in {photos}" in printed.replace("\n", "") and "none known" in printed


def test_a_check_with_faults_ends_with_status_1_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = write_refer_dataset(tmp_path, "refcoco")
    words = ["data", "check", "--data.path", str(tmp_path), "--data.dataset", "refcoco"]
    for annotation in files.instances["annotations"][:11]:
        annotation["bbox"] = [0, 0, 0, 0]
    files.save()
    next(files.image_folder.iterdir()).unlink()
    assert main(words) == 1
    printed = capsys.readouterr()
    assert printed.err.splitlines()[-1].endswith(
        ": 4 splits with other counts than published, 1 photo missing, 11 boxes that do not fit their photos"
    )
    assert printed.out.count("has no area") == 3 and "  and 8 more" in printed.out


def test_all_missing_photos_are_written_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
def test_a_check_without_faults_ends_with_status_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], dataset: str
) -> None:
    write_refer_dataset(tmp_path, dataset)
    assert main(["data", "check", "--data.path", str(tmp_path), "--data.dataset", dataset]) == 0
    assert "all 8 photos are in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("dataset", "how"),
    [
        ("own", "find the folder that has them"),
        ("stamps", "find the folder that has them"),
        ("mojiref", "data mojiref"),
        ("refclef", "saiapr_tc-12"),
    ],
)
def test_missing_photos_come_with_instructions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], dataset: str, how: str
) -> None:
    shutil.rmtree(write_refer_dataset(tmp_path, dataset).image_folder)
    assert main(["data", "check", "--data.path", str(tmp_path), "--data.dataset", dataset]) == 1
    assert how in capsys.readouterr().out


def test_unreadable_refs_end_the_preparation_with_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = write_refer_dataset(tmp_path, "refcoco")
    files.refs_path.write_bytes(b"cbuiltins\nprint\n(S'x'\ntR.")
    assert main(["data", "prepare", "refcoco", "--out", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert "builtins.print" in printed.out and "no split can be read" in printed.err


@pytest.mark.parametrize("words", [[], ["refcoco-plus"], ["refcoco", "refcoco+"]])
def test_an_unknown_dataset_is_a_wrong_command_line(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        settings("data prepare", [*words, "--out", str(tmp_path)])
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("aligncat data prepare: ")
