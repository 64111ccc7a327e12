"""One folder with a page that shows what grounders answered, right and wrong, in pictures."""

from aligncat.report.folder import write_report
from aligncat.report.runs import read_runs

__all__ = ["read_runs", "write_report"]
