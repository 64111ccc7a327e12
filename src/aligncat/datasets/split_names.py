"""Which splits a dataset has."""

from __future__ import annotations

from aligncat.datasets.config import DataConfig
from aligncat.datasets.refer import splits_in_refs
from aligncat.errors import DataError


def split_names(config: DataConfig) -> tuple[str, ...]:
    """The names of a dataset's splits: those published with it, jsonl's files, or what RefCLEF's refs say.

    Args:
        config: the dataset.

    Returns:
        The names, the training split first.

    Raises:
        DataError: a jsonl dataset has no file, or RefCLEF's refs cannot be read.
    """
    if config.dataset == "jsonl":
        names = sorted((path.stem for path in config.path.glob("*.jsonl")), key=lambda name: (name != "train", name))
        if not names:
            raise DataError(f"{config.path} holds no <split>.jsonl: give the folder that does")
        return tuple(names)
    if config.dataset == "refclef":
        return splits_in_refs(config)
    if config.dataset == "refcocog":
        return ("train", "val") if config.split_by == "google" else ("train", "val", "test")
    return ("train", "val", "testA", "testB")
