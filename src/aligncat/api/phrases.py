"""The public function behind `aligncat data phrases`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack, overload

from aligncat.cluster.start import DEADLINE, check_workers
from aligncat.datasets.config import DataConfig
from aligncat.errors import ConfigError
from aligncat.files.writable import check_writable
from aligncat.locations import location
from aligncat.phrases.recipe import PhraseRecipe

if TYPE_CHECKING:
    from aligncat.phrases.making import MadePhrases


class Settings(TypedDict, total=False):
    """The arguments of `make_phrases` besides those that decide what it returns."""

    data: DataConfig | None
    splits: tuple[str, ...] | None
    images: str | Path | None
    recipe: PhraseRecipe
    workers: int | None
    ray: str | None
    deadline: float


@overload
def make_phrases(
    *, store: str | Path, out: str | Path, shards: None = None, **settings: Unpack[Settings]
) -> MadePhrases: ...


@overload
def make_phrases(
    *, store: str | Path, out: str | Path, shards: str, **settings: Unpack[Settings]
) -> MadePhrases | None: ...


def make_phrases(
    *,
    store: str | Path,
    out: str | Path,
    data: DataConfig | None = None,
    splits: tuple[str, ...] | None = None,
    images: str | Path | None = None,
    recipe: PhraseRecipe = PhraseRecipe(),
    workers: int | None = None,
    shards: str | None = None,
    ray: str | None = None,
    deadline: float = DEADLINE,
) -> MadePhrases | None:
    """Make phrases from a store alone, to train on photos without phrases of people.

    Each phrase fits exactly one of the objects that the detector finds in its image. The phrases are in JSON lines,
    with the splits train and val. They have the detector's categories, and no boxes. The same store, images and recipe
    always give the same bytes. If the command is interrupted, running it again continues.

    Args:
        store: the store with the candidates of the images, from `aligncat extract`.
        out: the folder to write. It must not exist or must be empty.
        data: the dataset whose images to describe, whatever its phrases; give either this or `images`.
        splits: the splits of the dataset; by default only train, so that evaluation images stay unseen.
        images: the folder of photos that the store was made from.
        recipe: which objects are described, how often, and how.
        workers: the number of processes that make phrases, or of Ray's workers; by default this process alone, and with
            `ray` one for each core of the cluster.
        shards: make only a part of the phrases, for one of many jobs: 3/16 is the third of sixteen parts. The last part
            finishes the dataset. So does the same command without `shards`, at any time.
        ray: a Ray cluster whose machines make phrases (extra [ray]): auto for the one that this machine belongs to,
            HOST:PORT, or local for one on this machine. All its machines must see the store and the output.
        deadline: seconds that a worker has for 128 images. One that takes longer is ended, and another one does them.

    Returns:
        The counts, and the config that reads the phrases; None if `shards` is given and other parts are missing.

    Raises:
        ConfigError: both or neither of `data` and `images` are given, or an option about workers is out of range.
        DataError: the dataset's images cannot be listed, no image gives a phrase, the folder is not empty, or it was
            begun with other settings.
        StoreError: the store lacks an image, is damaged, or lacks the colours that the recipe requires.
        WorkerError: workers died or did not return again and again.
        WriteError: the folder cannot be written, for example because the disk is full.
    """
    check_workers(workers, ray, deadline)
    check_writable(out)
    from aligncat.cluster.phrasing import PhraseJob, phrases_by_workers
    from aligncat.cluster.start import open_driver
    from aligncat.phrases.make import photos_to_describe
    from aligncat.phrases.making import Making
    from aligncat.store.part import Part
    from aligncat.store.reader import Store

    part = None if shards is None else Part.parse(shards)
    if (data is None) == (images is None):
        raise ConfigError("give either a dataset (--data.path, --data.dataset) or a folder of photos (--images)")
    opened = Store.open(store)
    folder, photos = photos_to_describe(data, splits, None if images is None else Path(images))
    making = Making.of(opened, folder, photos, Path(out), recipe)
    if workers is None and ray is None:
        return making.run(making.in_this_process, part)
    job = PhraseJob(location(store), making.parts, recipe, making.colours)
    with open_driver(job, workers, ray, deadline=deadline, accelerator=False) as driver:
        return making.run(phrases_by_workers(driver, making), part)
