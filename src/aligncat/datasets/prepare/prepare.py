"""Preparation of a dataset of the RefCOCO family in REFER's layout, from an archive, a folder or a mirror."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import Literal

from aligncat.datasets.prepare.archive import (
    annotation_files,
    copy_stream,
    is_another,
    is_archive,
    place,
    require,
    unpack_annotations,
)
from aligncat.datasets.prepare.download import discard_parts, download
from aligncat.datasets.prepare.mirrors import SHIPPED, Mirror, read_mirrors
from aligncat.errors import DataError, DownloadError
from aligncat.files.locks import path_lock
from aligncat.files.temporary import remove_left_files, staging_folder
from aligncat.files.write_errors import named_write_errors

SetName = Literal["refcoco", "refcoco+", "refcocog-umd", "refcocog-google", "refclef"]

SETS: dict[SetName, tuple[str, str]] = {
    "refcoco": ("refcoco", "unc"),
    "refcoco+": ("refcoco+", "unc"),
    "refcocog-umd": ("refcocog", "umd"),
    "refcocog-google": ("refcocog", "google"),
    "refclef": ("refclef", "unc"),
}
"""Name -> the dataset's folder in REFER's layout, and the name of its division into splits."""

logger = logging.getLogger(__name__)


def prepare_set(name: SetName, out: Path, source: Path | None = None, mirrors: Path | None = None) -> Path:
    """Write a dataset's refs(*.p) and instances.json to `<out>/<dataset>`.

    Without a source, existing files are kept. If there are none, the archive is downloaded from the first mirror that
    provides a good one.

    Args:
        name: the dataset and, for RefCOCOg, the division.
        out: the parent folder, to be given as `DataConfig.path`.
        source: an archive, a folder with the archive, or a folder with the files.
        mirrors: a TOML file with mirrors; by default the shipped one.

    Returns:
        The dataset's folder.

    Raises:
        DataError: the source is missing, damaged or unsafe, or lacks the files; or another process is preparing the
            dataset.
        DownloadError: no mirror provides a good archive.
        WriteError: the folder cannot be written, for example because the disk is full.
    """
    dataset, split_by = SETS[name]
    folder = out / dataset
    needed = (f"refs({split_by}).p", "instances.json")
    with path_lock(folder), named_write_errors(out):
        if source is not None:
            _copy_from_source(source, dataset, folder, needed)
        elif all((folder / file).is_file() for file in needed):
            logger.info("%s already has %s", folder, " and ".join(needed))
            _discard_downloads(_archive_of(folder))  # an earlier run was stopped before it did so
        else:
            _fetch(read_mirrors(mirrors or SHIPPED, dataset), dataset, folder, needed)
    return folder


def _copy_from_source(source: Path, dataset: str, folder: Path, needed: tuple[str, ...]) -> None:
    """Copy the files from the user's own archive or folder."""
    if not source.is_dir():
        unpack_annotations(source, dataset, folder, needed)
        return
    for holder in (source / dataset, source):
        if holder.is_dir() and annotation_files(holder) and not is_another(holder.resolve().name, dataset):
            _copy(holder, folder, needed)
            return
    archives = [source / f"{dataset}{suffix}" for suffix in (".zip", ".tar.gz", ".tgz", ".tar")]
    if found := next(filter(is_archive, archives), None):
        unpack_annotations(found, dataset, folder, needed)
        return
    raise DataError(
        f"{source}: has neither {dataset}/refs(*.p) and {dataset}/instances.json nor one of the archives "
        f"{', '.join(path.name for path in archives)}"
    )


def _copy(source: Path, folder: Path, needed: tuple[str, ...]) -> None:
    files = require(source, needed, source)
    if folder.is_dir() and source.samefile(folder):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with staging_folder(folder) as staging:
        for path in files:
            with path.open("rb") as content:
                copy_stream(content, staging / path.name)
        place(staging, folder, needed, source)


def _fetch(mirrors: tuple[Mirror, ...], dataset: str, folder: Path, needed: tuple[str, ...]) -> None:
    """Download and unpack the archive of the first mirror that provides a good one, then delete the archive."""
    archive = _archive_of(folder)
    remove_left_files(archive.parent)
    reasons = []
    for mirror in mirrors:
        try:
            if not archive.is_file():  # else an earlier run downloaded it and was stopped before it unpacked it
                download(mirror, archive)
            unpack_annotations(archive, dataset, folder, needed)
        except (DownloadError, DataError) as error:
            archive.unlink(missing_ok=True)
            reasons.append(str(error) if isinstance(error, DownloadError) else f"{mirror.url}: {error}")
            logger.warning("%s", reasons[-1])
        else:
            _discard_downloads(archive)
            return
    raise DownloadError(
        f"no mirror provided a good archive of {dataset} ({'; '.join(reasons)}); get it with a browser or from "
        "somebody who has it, and give it as --source"
    )


def _archive_of(folder: Path) -> Path:
    """Return where the archive of a dataset is downloaded to."""
    return folder.parent / "downloads" / folder.name


def _discard_downloads(archive: Path) -> None:
    """Delete a downloaded archive, its partial downloads, and their folder if it is then empty."""
    if archive.parent.is_dir():
        archive.unlink(missing_ok=True)
        discard_parts(archive)
        remove_left_files(archive.parent)
        with suppress(OSError):  # another dataset's downloads are in it
            archive.parent.rmdir()
