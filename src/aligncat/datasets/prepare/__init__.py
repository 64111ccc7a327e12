"""Getting RefCOCO and its kin: from an archive, a folder or a mirror into REFER's layout, and checking them."""

from aligncat.datasets.prepare.check import Report, SplitCheck, check_dataset
from aligncat.datasets.prepare.prepare import SETS, SetName, prepare_set

__all__ = ["SETS", "Report", "SetName", "SplitCheck", "check_dataset", "prepare_set"]
