"""Tell the photos from the phrases on a command line, and read phrases from a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aligncat.errors import ConfigError, DataError
from aligncat.files.documents import STANDARD_INPUT, read_standard_input, read_text
from aligncat.files.fields import check_encodable
from aligncat.grounder.requests.photos import TABLES, is_image, named_photos
from aligncat.grounder.requests.request import Request
from aligncat.grounder.requests.tables import read_table
from aligncat.locations import Location, RemotePath, is_remote, location


def requests_of(
    first: Location, words: Sequence[str], *, phrases: Path | None = None, skip_bad_images: bool = False
) -> list[Request]:
    """Return the photos with their phrases that a command line asks for.

    Args:
        first: a photo or a folder, on a disk or remote, a pattern, or a table of photos and phrases on a disk.
        words: further photos, then phrases.
        phrases: a file of phrases, one a line, instead of phrases among the words; - for the standard input.
        skip_bad_images: leave out files of a folder whose names are not UTF-8, instead of stopping.

    Raises:
        ConfigError: there are no phrases, or phrases where a table has them already.
        DataError: a photo comes after a phrase, a phrase is no UTF-8 text, or the photos, the table or the file of
            phrases cannot be read.
    """
    further, spoken = _split(first, words)
    if isinstance(first, RemotePath) and first.suffix.lower() in TABLES:
        raise ConfigError(f"{first}: a table of photos and phrases is read from a disk alone; copy it, not the photos")
    if isinstance(first, Path) and first.suffix.lower() in TABLES and first.is_file():
        if further or spoken or phrases is not None:
            raise ConfigError(
                f"{first}: a table has its phrases in itself; leave out other photos, phrases and --phrases"
            )
        return read_table(first)
    if phrases is not None and spoken:
        raise ConfigError(f"phrases are given twice, in {phrases} and as {spoken[0]!r}; give them in one place")
    said = read_phrases(phrases) if phrases is not None else [check_encodable(each, "phrase") for each in spoken]
    if not said:
        raise ConfigError('no phrases; give them after the photos, such as "red mug", or in a file with --phrases')
    photos = named_photos([first, *further], skip_bad_images=skip_bad_images)
    return [Request(name, path, tuple(said)) for name, path in photos]


def read_phrases(path: Path) -> list[str]:
    """Return the phrases in a text file, one a line; blank lines do not count.

    Args:
        path: the file, which may be a pipe; - for the standard input.

    Raises:
        DataError: the file cannot be read as UTF-8, or has no phrases.
    """
    text = read_standard_input() if path == STANDARD_INPUT else read_text(path)
    found = [line.strip() for line in text.split("\n") if line.strip()]
    if not found:
        name = "the standard input" if path == STANDARD_INPUT else path
        raise DataError(f"{name}: has no phrases; write one a line")
    return found


def _split(first: Location, words: Sequence[str]) -> tuple[list[Location], list[str]]:
    """Return the further photos and the phrases among words.

    A word means photos if it has an image's suffix, also as a pattern, is the path of an image, is a folder that is
    written with a slash (a phrase may be the name of a folder), or is a URL.
    """
    photos: list[Location] = []
    spoken: list[str] = []
    for word in words:
        folder = "/" in word and Path(word).is_dir()
        if not (is_remote(word) or is_image(word) or folder):
            spoken.append(word)
        elif spoken:
            raise DataError(
                f"{word} is an image, not a phrase, and comes after the phrase {spoken[0]!r}; give all photos first, "
                f"then the phrases ({first} is given already)"
            )
        else:
            photos.append(location(word))
    return photos, spoken
