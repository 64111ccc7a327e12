"""The candidates of many images, in a folder: written once, resumed, read fast."""

from aligncat.store.manifest import Manifest
from aligncat.store.reader import CandidateTensors, Store
from aligncat.store.writer import SkippedImage, StoreWriter

__all__ = ["CandidateTensors", "Manifest", "SkippedImage", "Store", "StoreWriter"]
