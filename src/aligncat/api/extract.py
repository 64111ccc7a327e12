"""The public function `aligncat.extract`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, overload

from aligncat.cluster.start import DEADLINE, check_workers
from aligncat.datasets.config import DataConfig
from aligncat.detectors.known import MINI
from aligncat.detectors.masks import DEFAULT_MASKS, MaskMode
from aligncat.detectors.preprocessing import PreprocessingMode
from aligncat.detectors.protocol import Detector
from aligncat.detectors.registry import CANDIDATES, open_detector
from aligncat.errors import ConfigError
from aligncat.files.writable import check_writable
from aligncat.locations import location

if TYPE_CHECKING:
    from aligncat.locations import Location
    from aligncat.store.photo import Photo
    from aligncat.store.reader import Store
    from aligncat.types import ImageRecord


class Settings(TypedDict, total=False):
    """The arguments of `extract` besides those that decide what it returns."""

    data: DataConfig | None
    splits: tuple[str, ...] | None
    images: str | Path | None
    detector: str | Path | Detector | None
    candidates: int
    image_size: int | None
    preprocessing: PreprocessingMode | None
    device: str | None
    every_query: bool
    masks: MaskMode
    appearance: bool
    skip_bad_images: bool
    skip_bad_rows: bool
    workers: int | None
    ray: str | None
    deadline: float


@overload
def extract(*, out: str | Path, shards: None = None, **settings: Unpack[Settings]) -> Store: ...


@overload
def extract(*, out: str | Path, shards: str, **settings: Unpack[Settings]) -> Store | None: ...


def extract(
    *,
    out: str | Path,
    data: DataConfig | None = None,
    splits: tuple[str, ...] | None = None,
    images: str | Path | None = None,
    detector: str | Path | Detector | None = None,
    candidates: int = CANDIDATES,
    image_size: int | None = None,
    preprocessing: PreprocessingMode | None = None,
    device: str | None = None,
    every_query: bool = False,
    masks: MaskMode = DEFAULT_MASKS,
    appearance: bool = False,
    skip_bad_images: bool = False,
    skip_bad_rows: bool = False,
    workers: int | None = None,
    shards: str | None = None,
    ray: str | None = None,
    deadline: float = DEADLINE,
) -> Store | None:
    """Run the frozen detector once on every image and write its candidates to a store.

    If the command is interrupted, running it again continues. The finished store has the same bytes as without an
    interruption. Photos that have changed since their candidates were extracted are an error.

    Args:
        out: the store's folder, or its address on a remote file system such as s3://bucket/store (docs/scale.md).
        data: the dataset whose images to process; give either this or `images`.
        splits: the splits of the dataset; by default all.
        images: a folder of photos, or its address on a remote file system; the id of an image is then its path inside
            the folder.
        detector: "mini" or "mini2" (shipped, for MojiRef and its version 2), a detector of transformers by hub name or
            local folder (Mask2Former, MaskFormer, EoMT, DETR, RT-DETR, D-FINE and others), or name:argument for a
            detector that another package has registered. In Python also a detector of your own, an object. By default
            mini2 for MojiRef's version 2, otherwise mini.
        candidates: O, the number of candidates kept per image.
        image_size: the side of the square that images are fitted into, in pixels; by default the detector's own size
            if it records one.
        preprocessing: how images are fitted into the detector's square: letterbox-416, letterbox-416-to-800 (as
            QueryMatch does), hub-384 (as Mask2Former's image processor does) or squash (as those of RT-DETR and its kin
            do). The second and the third fix the size. By default letterbox-416, or squash where the detector was
            trained with it.
        device: the device for the detector: "cpu", "cuda", "cuda:1", "mps" and so on; by default an accelerator if
            there is one.
        every_query: keep each of the detector's N queries once and ignore `candidates`. Such a store is not for
            training but for `aligncat evaluate --queries`, which then distinguishes referents that the detector missed
            from referents that the confidence filter dropped.
        masks: how masks and boxes are made from the detector's mask logits: interpolated, or querymatch (exactly as
            QueryMatch's code, to compare with its published figures; needs --preprocessing letterbox-416-to-800 and the
            extra [querymatch]).
        appearance: also keep what each candidate looks like, which `alignment.features: query+appearance` reads: colour
            statistics of the photo under its mask, and features of the detector's own levels if its family gives them.
        skip_bad_images: leave out images that cannot be read, or whose names are not UTF-8, and list them, instead of
            stopping.
        skip_bad_rows: leave out bad rows of the dataset and report them, instead of stopping. Categories of the data
            that the detector lacks are then reported too, instead of being an error.
        workers: the number of processes that run the detector, or of Ray's workers; by default this process alone, and
            with `ray` one for each accelerator of the cluster, or each core if there is none.
        shards: write only a part of the store, for one of many jobs: 3/16 is the third of sixteen parts. The last part
            finishes the store. So does the same command without `shards`, at any time.
        ray: a Ray cluster whose machines run the detector (extra [ray]): auto for the one that this machine belongs to,
            HOST:PORT, or local for one on this machine. All its machines must see the photos and the store.
        deadline: seconds that a worker has for a shard of 64 images. One that takes longer is ended, and another one
            does its shard.

    Returns:
        The store; None if `shards` is given and other parts are missing.

    Raises:
        ConfigError: both or neither of `data` and `images` are given, the preprocessing requires another size, the
            masks require another preprocessing or a package, the device is not available, or an option about workers
            is out of range.
        DataError: the dataset cannot be read, or the server of remote photos cannot be reached.
        DetectorError: the detector cannot be loaded, lacks a category of the data, or gives something else than
            candidates.
        ImageError: an image cannot be read.
        StoreError: the folder holds another store, or cannot be written; or photos have changed since.
        WorkerError: workers died or did not return again and again.
    """
    from aligncat.store.complete import COMPLETE

    check_workers(workers, ray, deadline)
    folder = location(out)
    if isinstance(folder, Path) and not (folder / COMPLETE).exists():
        check_writable(folder)  # a finished store is only checked, which a read-only disk allows
    from aligncat.cluster.extraction import ExtractionJob, by_workers
    from aligncat.cluster.start import open_driver
    from aligncat.datasets.known import known_dataset
    from aligncat.datasets.missing_categories import check_categories
    from aligncat.store.extract import SHARD_SIZE, Extraction
    from aligncat.store.manifest import Manifest
    from aligncat.store.part import Part

    part = None if shards is None else Part.parse(shards)
    if (data is None) == (images is None):
        raise ConfigError("give either a dataset (--data.path, --data.dataset) or a folder of photos (--images)")
    if ray is None:
        _check_device(device)
    if data is not None:
        photos, categories = _photos_of(data, splits, skip_bad_rows=skip_bad_rows)
    elif images is not None:
        photos, categories = _photos_below(location(images), skip_bad_images=skip_bad_images), []
    ids = [photo.id for photo in photos]
    chosen_detector = detector or (MINI if data is None else known_dataset(data.dataset).detector)
    opening = partial(
        _open,
        chosen_detector,
        candidates=candidates,
        image_size=image_size,
        preprocessing=preprocessing,
        device=device,
        every_query=every_query,
        masks=masks,
        appearance=appearance,
    )
    if workers is None and ray is None:
        opened = opening()
        check_categories(categories, opened.labels, opened.description().name, skip=skip_bad_rows)
        extraction = Extraction(photos, Manifest.of(opened, ids, SHARD_SIZE), folder)
        return extraction.run(extraction.in_this_process(opened, skip_bad_images=skip_bad_images), part)
    job = ExtractionJob(opening, folder, SHARD_SIZE, skip_bad_images)
    accelerator = None if device is None else device.startswith("cuda")
    with open_driver(job, workers, ray, deadline=deadline, accelerator=accelerator) as driver:
        manifest: Manifest = driver.greeting()
        check_categories(categories, manifest.labels, manifest.detector.name, skip=skip_bad_rows)
        extraction = Extraction(photos, manifest.with_images(ids), folder)
        return extraction.run(by_workers(driver, extraction), part)


def _photos_of(
    data: DataConfig, splits: tuple[str, ...] | None, *, skip_bad_rows: bool
) -> tuple[Sequence[Photo], list[str | None]]:
    """Return the photos of a dataset, sorted by id, and the categories that its expressions have themselves."""
    from aligncat.datasets.formats.annotation_files import AnnotationFiles
    from aligncat.datasets.load import load_split, split_names
    from aligncat.datasets.split import split_tuple

    records: dict[str, ImageRecord] = {}
    categories: list[str | None] = []
    with AnnotationFiles() as files:
        for name in split_tuple(splits) or split_names(data, files=files):
            split = load_split(data, name, skip_bad_rows=skip_bad_rows, files=files)
            records |= split.images
            categories += [each.category for each in split.expressions if not each.derived]
    return [records[key] for key in sorted(records)], categories


def _photos_below(folder: Location, *, skip_bad_images: bool) -> Sequence[Photo]:
    """Return the photos below a folder, sorted by id."""
    from aligncat.datasets.photos import photos_in, remote_photos
    from aligncat.store.photo import RemotePhoto

    if isinstance(folder, Path):
        return photos_in(folder, skip_bad_names=skip_bad_images)
    return [RemotePhoto(name, path) for name, path in remote_photos(folder)]


def _check_device(device: str | None) -> str:
    """Return a device of this machine: the given one, or an accelerator if there is one."""
    from aligncat.detectors.device import check_device, default_device

    chosen = device or default_device()
    check_device(chosen)
    return chosen


def _open(detector: str | Path | Detector, *, device: str | None, **settings: Any) -> Detector:
    """Return the detector on a device of the machine that runs it."""
    return open_detector(detector, device=_check_device(device), **settings)
