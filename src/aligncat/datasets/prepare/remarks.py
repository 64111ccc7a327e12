"""The result of a dataset check in sentences: bad rows, missing photos and where to get them."""

from __future__ import annotations

from aligncat.datasets.known import known_dataset
from aligncat.datasets.prepare.check import Report

_SHOWN = 3
_MISSING_NAMED = 3
_HOW_TO_GET = {
    "saiapr": "the photos are the subset of SAIAPR TC-12 that REFER calls saiapr_tc-12.zip",
    "mojiref": "make the scenes again with `aligncat data mojiref`",
    "coco": "the photos are COCO train2014: fetch and unzip http://images.cocodataset.org/zips/train2014.zip (13 GB)",
}


def remarks(report: Report) -> list[str]:
    """Return the first findings of each kind, the missing photos, and how to get them.

    Args:
        report: the result of `check_dataset`. Counts of splits are not repeated.

    Returns:
        The lines. Long lists are cut, with the number of the remaining entries.
    """
    lines = []
    for finding in report.findings:
        lines.append(f"{finding.counted()}{'' if finding.kind.fault else ' (no fault)'}:")
        lines += [f"  {message}" for message in finding.messages[:_SHOWN]]
        if (further := len(finding.messages) - _SHOWN) > 0:
            lines.append(f"  and {further:,} more")
    if report.missing:
        more = ", ... (all: data check --missing FILE)" if len(report.missing) > _MISSING_NAMED else ""
        how = _HOW_TO_GET.get(known_dataset(report.data.dataset).photos or "", "find the folder that has them")
        lines += [
            f"{len(report.missing):,} of {report.photos:,} photos are not in {report.photo_folder}: "
            f"{', '.join(report.missing[:_MISSING_NAMED])}{more}",
            f"  {how}; then name their folder with --images (prepare) or --data.images (every other verb)",
        ]
    elif report.photos:
        photos = "the only photo is" if report.photos == 1 else f"all {report.photos:,} photos are"
        lines.append(f"{photos} in {report.photo_folder}")
    return lines


def faults(report: Report) -> list[str]:
    """Return the kinds of fault with their counts, such as "3 bad rows"; empty if the dataset is complete."""
    missing = sum(split.missing for split in report.splits)
    counts = [
        (
            sum(split.differs for split in report.splits) - missing,
            "split",
            "splits",
            " with other counts than published",
        ),
        (missing, "published split", "published splits", " missing"),
        (len(report.missing), "photo", "photos", " missing"),
    ]
    found = [f"{count:,} {one if count == 1 else many}{rest}" for count, one, many, rest in counts if count]
    return found + [each.counted() for each in report.findings if each.kind.fault]
