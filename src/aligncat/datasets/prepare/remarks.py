"""The result of a dataset check in sentences: bad rows, missing photos and where to get them."""

from __future__ import annotations

from aligncat.datasets.known import known_dataset
from aligncat.datasets.prepare.check import Report

_LONGEST_LIST = 10
_MISSING_NAMED = 3
_HOW_TO_GET = {
    "saiapr": "the photos are the subset of SAIAPR TC-12 that REFER calls saiapr_tc-12.zip",
    "mojiref": "make the scenes again with `aligncat data mojiref`",
    "coco": "the photos are COCO train2014: fetch and unzip http://images.cocodataset.org/zips/train2014.zip (13 GB)",
}


def remarks(report: Report) -> list[str]:
    """Return one line for each bad row, the missing photos, and how to get them.

    Args:
        report: the result of `check_dataset`. Counts are not repeated.

    Returns:
        The lines. Long lists are cut, with the number of the remaining entries.
    """
    lines = [f"bad row: {problem}" for problem in report.problems[:_LONGEST_LIST]]
    if len(report.problems) > _LONGEST_LIST:
        more_rows = len(report.problems) - _LONGEST_LIST
        lines.append(f"and {more_rows:,} more bad row{'' if more_rows == 1 else 's'}")
    if report.missing:
        more = ", ... (all: data check --missing FILE)" if len(report.missing) > _MISSING_NAMED else ""
        how = _HOW_TO_GET.get(known_dataset(report.data.dataset).photos or "", "find the folder that has them")
        lines += [
            f"{len(report.missing):,} of {report.photos:,} photos are not in {report.photo_folder}: "
            f"{', '.join(report.missing[:_MISSING_NAMED])}{more}",
            f"  {how}; then name their folder with --images (prepare) or --data.images (every other verb)",
        ]
    elif report.photos:
        lines.append(f"all {report.photos:,} photos are in {report.photo_folder}")
    return lines


def faults(report: Report) -> list[str]:
    """Return the kinds of fault with their counts, such as "3 bad rows"; empty if the dataset is complete."""
    counts = [
        (sum(split.differs for split in report.splits), "split", "splits", " with other counts than published"),
        (len(report.problems), "bad row", "bad rows", ""),
        (len(report.missing), "photo", "photos", " missing"),
    ]
    return [f"{count:,} {one if count == 1 else many}{rest}" for count, one, many, rest in counts if count]
