"""`aligncat.prepare`: bring RefCOCO or one of its kin into place, and check it."""

from __future__ import annotations

from pathlib import Path

from aligncat.datasets.config import DataConfig
from aligncat.datasets.prepare.check import Report, check_dataset
from aligncat.datasets.prepare.prepare import SETS, SetName, prepare_set


def prepare(
    *,
    name: SetName,
    out: Path,
    source: Path | None = None,
    images: Path | None = None,
    mirrors: Path | None = None,
) -> Report:
    """Bring RefCOCO or one of its kin into place, from an archive, a folder or a mirror, and check it.

    Stopped at any moment, the same command goes on where it was.

    Args:
        name: which dataset, and for RefCOCOg which division.
        out: the folder for the datasets, which the other verbs take as --data.path.
        source: an archive (zip, tar.gz), a folder that holds it, or a folder that holds refs(*.p) and instances.json;
            by default what is in `out` already, and else the mirrors.
        images: the folder of COCO's train2014 photos, or of RefCLEF's; by default the usual places in `out`.
        mirrors: a TOML file with other mirrors than those that are shipped.

    Returns:
        What was found in the files.

    Raises:
        DataError: the source is missing, damaged, unsafe, or does not hold the files.
        DownloadError: no mirror gives out a good archive.
    """
    prepare_set(name, out, source, mirrors)
    dataset, split_by = SETS[name]
    return check_dataset(DataConfig(out, dataset, split_by, images))
