"""The public function `aligncat.prepare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aligncat.datasets.config import DataConfig
from aligncat.datasets.prepare.prepare import SETS, SetName, prepare_set
from aligncat.files.writable import check_writable

if TYPE_CHECKING:
    from aligncat.datasets.prepare.check import Report


def prepare(
    *,
    name: SetName,
    out: str | Path,
    source: str | Path | None = None,
    images: str | Path | None = None,
    mirrors: str | Path | None = None,
) -> Report:
    """Prepare RefCOCO or a related dataset from an archive, a folder or a mirror, and check it.

    If the command is interrupted, running it again continues.

    Args:
        name: the dataset, with the division for RefCOCOg.
        out: the folder for all datasets; other verbs take it as --data.path.
        source: an archive (zip, tar.gz), a folder with the archive, or a folder with refs(*.p) and instances.json. By
            default, the files already in `out` are used, or else a mirror.
        images: the folder of the photos (COCO's train2014, or RefCLEF's); by default the usual places in `out`.
        mirrors: a TOML file with mirrors to use instead of the shipped list.

    Returns:
        The counts and problems found in the files.

    Raises:
        DataError: the source is missing, damaged or unsafe, or lacks the files.
        DownloadError: no mirror provides a valid archive.
    """
    check_writable(out)
    from aligncat.datasets.prepare.check import check_dataset

    prepare_set(
        name,
        Path(out),
        None if source is None else Path(source),
        None if mirrors is None else Path(mirrors),
    )
    dataset, split_by = SETS[name]
    return check_dataset(DataConfig(out, dataset, split_by, images))
