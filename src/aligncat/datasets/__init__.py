"""Where expressions come from: REFER's layout (RefCOCO and kin, MojiRef) and JSON lines of your own."""

from aligncat.datasets.categories import COCO_CATEGORIES, COCO_NAMES, canonical_category, category_index
from aligncat.datasets.config import DataConfig, DatasetName
from aligncat.datasets.lexicon import Lexicon
from aligncat.datasets.load import load_split, load_truth
from aligncat.datasets.pickles import load_plain_pickle
from aligncat.datasets.reading import files_read_once
from aligncat.datasets.split import Split

__all__ = [
    "COCO_CATEGORIES",
    "COCO_NAMES",
    "DataConfig",
    "DatasetName",
    "Lexicon",
    "Split",
    "canonical_category",
    "category_index",
    "files_read_once",
    "load_plain_pickle",
    "load_split",
    "load_truth",
]
