"""Downloads: broken connections resume, and a wrong or incomplete file is never accepted."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.site_server import Page, Site

from aligncat.datasets.prepare.download import download
from aligncat.datasets.prepare.mirrors import SHIPPED, Mirror, read_mirrors
from aligncat.datasets.prepare.prepare import SETS
from aligncat.errors import DataError, DownloadError

CONTENT = random.Random(0).randbytes(600_000)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "downloads" / "refcoco"


def files_beside(target: Path) -> set[str]:
    return {path.name for path in target.parent.iterdir()}


def test_a_file_is_downloaded_completely(site: Site, target: Path) -> None:
    site.pages["/a.zip"] = Page(CONTENT)
    download(Mirror(site.url("/a.zip")), target)
    assert target.read_bytes() == CONTENT
    assert site.asked == [("/a.zip", None)] and files_beside(target) == {"refcoco"}


def test_a_broken_connection_resumes_where_it_broke(site: Site, target: Path) -> None:
    site.pages["/a.zip"] = Page(CONTENT, breaks_after=[300_000, 100_000])
    download(Mirror(site.url("/a.zip")), target)
    assert target.read_bytes() == CONTENT
    assert [asked for _, asked in site.asked] == [None, "bytes=300000-", "bytes=400000-"]


def download_half(site: Site, target: Path, page: Page) -> None:
    """Download half of the file; the server then closes every connection at once."""
    site.pages["/a.zip"] = page
    page.breaks_after = [300_000, 0, 0, 0]
    with pytest.raises(DownloadError, match=r"after 300,000 of 600,000 bytes.*300,000 bytes received are kept"):
        download(Mirror(site.url("/a.zip")), target)
    part, note = sorted(path.name for path in target.parent.iterdir())
    assert part.startswith("refcoco-") and part.endswith(".part") and note == f"{part}.json"
    site.asked.clear()


@pytest.mark.parametrize("etag", ['"1"', ""])
def test_the_next_call_resumes(site: Site, target: Path, etag: str) -> None:
    download_half(site, target, Page(CONTENT, etag=etag))
    download(Mirror(site.url("/a.zip")), target)
    assert target.read_bytes() == CONTENT and site.asked == [("/a.zip", "bytes=300000-")]
    assert files_beside(target) == {"refcoco"}


CHANGED = random.Random(1).randbytes(500_000)


@pytest.mark.parametrize(
    ("page", "requests"),
    [
        (Page(CHANGED, etag='"2"'), ["bytes=300000-"]),  # the server detects the changed version
        (Page(CHANGED, etag=""), ["bytes=300000-", None]),  # the server does not detect it, but the length differs
        (Page(CHANGED[:200_000], etag='"1"'), ["bytes=300000-", None]),  # the server answers 416
        (Page(CHANGED, ranges=False), ["bytes=300000-"]),
    ],
)
def test_a_changed_file_is_downloaded_from_the_start(
    site: Site, target: Path, page: Page, requests: list[str | None]
) -> None:
    download_half(site, target, Page(CONTENT, etag=page.etag and '"1"'))
    site.pages["/a.zip"] = page
    download(Mirror(site.url("/a.zip")), target)
    assert target.read_bytes() == page.content
    assert [asked for _, asked in site.asked] == requests


def test_another_mirror_starts_over_and_keeps_the_first_ones_part(site: Site, target: Path) -> None:
    download_half(site, target, Page(CONTENT))
    site.pages["/b.zip"] = Page(CHANGED, breaks_after=[100_000, 0, 0, 0])
    with pytest.raises(DownloadError, match=r"100,000 bytes received are kept"):
        download(Mirror(site.url("/b.zip")), target)
    assert sorted(path.stat().st_size for path in target.parent.glob("*.part")) == [100_000, 300_000]
    for page, content in (("/a.zip", CONTENT), ("/b.zip", CHANGED)):
        site.asked.clear()
        download(Mirror(site.url(page)), target)
        assert target.read_bytes() == content
        assert site.asked == [(page, f"bytes={300_000 if page == '/a.zip' else 100_000}-")]
    assert files_beside(target) == {"refcoco"}


def test_a_complete_part_needs_no_request(site: Site, target: Path) -> None:
    download_half(site, target, Page(CONTENT))
    [part] = target.parent.glob("*.part")
    part.write_bytes(CONTENT)
    download(Mirror(site.url("/a.zip")), target)
    assert target.read_bytes() == CONTENT and not site.asked


@pytest.mark.parametrize("note", ["", "[]", '{"url": 1}'])
def test_a_damaged_note_means_to_start_over(site: Site, target: Path, note: str) -> None:
    download_half(site, target, Page(CONTENT))
    [path] = target.parent.glob("*.part.json")
    path.write_text(note)
    download(Mirror(site.url("/a.zip")), target)
    assert target.read_bytes() == CONTENT and site.asked == [("/a.zip", None)]


def test_a_server_without_ranges_that_keeps_closing_the_connection_is_an_error(site: Site, target: Path) -> None:
    site.pages["/a.zip"] = Page(CONTENT, ranges=False, breaks_after=[100_000] * 50)
    with pytest.raises(DownloadError, match="after 100,000 of 600,000"):
        download(Mirror(site.url("/a.zip")), target)
    assert len(site.asked) < 10


def test_redirects_are_followed_with_ranges(site: Site, target: Path) -> None:
    site.pages["/old"] = Page(location=site.url("/new"))
    site.pages["/new"] = Page(CONTENT, breaks_after=[1000])
    download(Mirror(site.url("/old")), target)
    assert target.read_bytes() == CONTENT
    assert site.asked == [("/old", None), ("/new", None), ("/old", "bytes=1000-"), ("/new", "bytes=1000-")]


def test_a_busy_server_is_asked_again(site: Site, target: Path) -> None:
    site.pages["/a.zip"] = Page(CONTENT, statuses=[503, 429])
    download(Mirror(site.url("/a.zip")), target)
    assert target.read_bytes() == CONTENT and len(site.asked) == 3


def test_a_file_without_content_length_is_downloaded(site: Site, target: Path) -> None:
    site.pages["/a.zip"] = Page(CONTENT, sends_length=False)
    download(Mirror(site.url("/a.zip")), target)
    assert target.read_bytes() == CONTENT


Prepare = Callable[[Site], str]


def loop(site: Site) -> str:
    site.pages["/loop"] = Page(location=site.url("/loop"))
    return site.url("/loop")


def local_file(site: Site) -> str:
    site.pages["/file"] = Page(location="file:///etc/hostname")
    return site.url("/file")


def no_address(site: Site) -> str:
    site.pages["/port"] = Page(location="http://127.0.0.1:many/a.zip")
    return site.url("/port")


def always_busy(site: Site) -> str:
    site.pages["/busy"] = Page(statuses=[503] * 99)
    return site.url("/busy")


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda site: site.url("/missing"), r"answered 404 \(Not Found\)"),
        (loop, "answered 302"),
        (local_file, "answered 302"),
        (no_address, "redirects to an invalid address"),
        (always_busy, "answered 503"),
        (lambda site: "http://127.0.0.1:1/a.zip", r"127\.0\.0\.1:1/a\.zip: cannot be reached"),
    ],
)
def test_a_failed_download_is_an_error_that_names_the_address(
    site: Site, target: Path, prepare: Prepare, message: str
) -> None:
    with pytest.raises(DownloadError, match=message):
        download(Mirror(prepare(site)), target)
    assert not target.exists()


def test_a_file_with_another_sha256_is_deleted(site: Site, target: Path) -> None:
    site.pages["/a.zip"] = Page(CHANGED)
    with pytest.raises(DownloadError, match=f"its sha256 is {hashlib.sha256(CHANGED).hexdigest()}"):
        download(Mirror(site.url("/a.zip"), hashlib.sha256(CONTENT).hexdigest()), target)
    assert not files_beside(target)
    download(Mirror(site.url("/a.zip"), hashlib.sha256(CHANGED).hexdigest()), target)


@pytest.mark.parametrize("sends_length", [True, False])
def test_a_file_that_is_too_large_is_refused(
    site: Site, target: Path, sends_length: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aligncat.datasets.prepare.download.MAX_BYTES", 500_000)
    site.pages["/a.zip"] = Page(CONTENT, sends_length=sends_length)
    with pytest.raises(DownloadError, match=r"more (bytes )?than"):
        download(Mirror(site.url("/a.zip")), target)
    assert not files_beside(target)


@pytest.mark.parametrize("dataset", sorted({dataset for dataset, _ in SETS.values()}))
def test_every_datasets_first_mirror_is_a_capture_of_its_archive(dataset: str) -> None:
    first = read_mirrors(SHIPPED, dataset)[0].url
    assert first.startswith("https://web.archive.org/web/2022") and first.endswith(
        f"/licheng/referit/data/{dataset}.zip"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("refcoco = [", "not a TOML file"),
        ("[[refcocog]]\nurl = 'http://a'", "has no mirror of refcoco; it has mirrors of refcocog"),
        ("refcoco = 'http://a'", "'refcoco' must be a list"),
        ("[[refcoco]]\nsha256 = ''", "mirror 1 of refcoco: key 'url' is missing"),
        ("[[refcoco]]\nurl = 'http://a'\nmd5 = 'x'", "unknown key 'md5'"),
        *(
            (f"[[refcoco]]\nurl = '{url}'", r"is not an http or https address \(a space is written as %20\)")
            for url in (
                "file:///etc/passwd",
                "http://[bad/x.zip",
                "http://a/b c.zip",
                "http://a:many/x.zip",
                "http:///x.zip",
                "http://a/é.zip",
            )
        ),
        ("[[refcoco]]\nurl = 'http://a'\nsha256 = 'ABC'", "64 hexadecimal digits"),
    ],
)
def test_a_bad_list_of_mirrors_is_an_error_that_says_where(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(DataError, match=rf"mine\.toml.*{message}"):
        read_mirrors(tmp_path / "mine.toml", "refcoco")
