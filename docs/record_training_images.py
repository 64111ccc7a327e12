"""Record in a grounder's folder how sure its detector is on its training images, as `aligncat train` does by itself.

    python docs/record_training_images.py GROUNDER STORE --data.path DATA --data.dataset NAME [--train_split train]

It is for grounders that an earlier version trained; the shipped one got its record so, from the default MojiRef. With
the record, `Grounder.ground` warns of photos unlike the training images. Only config.json changes.
"""

from __future__ import annotations

import json
from pathlib import Path

from jsonargparse import auto_cli

from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import load_split
from aligncat.errors import DataError
from aligncat.files.atomic import write_atomic
from aligncat.files.seals import SEAL, sealed
from aligncat.grounder.folder import CONFIG
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.unlike import KEY, Familiar
from aligncat.store.reader import Store
from aligncat.training.run_folder import describe_split


def record(grounder: Path, data: DataConfig, store: Path, train_split: str = "train") -> None:
    """Write the record of a grounder's training images into its config.json.

    Args:
        grounder: the grounder's folder.
        data: the dataset that it was trained on.
        store: a store of its detector.
        train_split: the split that it was trained on.

    Raises:
        DataError: the grounder was trained on other data, or the split has too few images.
    """
    loaded = Grounder.from_pretrained(grounder)
    split = load_split(data, train_split, check_images=False).with_targets()
    if describe_split(split) != loaded.provenance["data"]:
        raise DataError(f"{data.path}, split {train_split}: {grounder} was trained on other data")
    images = list(split.images)
    familiar = Familiar.of(Store.open(store, expect=loaded.detector_description).tensors(images).confidences.numpy())
    if familiar is None:
        raise DataError(f"{data.path}, split {train_split}: {len(images)} images are too few for a record")
    content = json.loads((grounder / CONFIG).read_text(encoding="utf-8"))
    was_sealed = content.pop(SEAL, None) is not None
    content[KEY] = familiar.to_json()
    text = json.dumps(sealed(content) if was_sealed else content, indent=2, ensure_ascii=False) + "\n"
    write_atomic(grounder / CONFIG, text.encode())


if __name__ == "__main__":
    auto_cli(record, as_positional=True)
