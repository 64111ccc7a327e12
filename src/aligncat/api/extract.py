"""`aligncat.extract`: run the frozen detector once over every image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aligncat.datasets.config import DataConfig
from aligncat.detectors.preprocessing import DEFAULT_MODE, PreprocessingMode
from aligncat.detectors.registry import open_detector
from aligncat.errors import ConfigError

if TYPE_CHECKING:
    from aligncat.store.reader import Store
    from aligncat.types import ImageRecord


def extract(
    *,
    out: Path,
    data: DataConfig | None = None,
    splits: tuple[str, ...] | None = None,
    images: Path | None = None,
    detector: str = "mini",
    candidates: int = 20,
    image_size: int | None = None,
    preprocessing: PreprocessingMode = DEFAULT_MODE,
    device: str | None = None,
    every_query: bool = False,
    skip_bad_images: bool = False,
    skip_bad_rows: bool = False,
) -> Store:
    """Run the frozen detector once over every image and keep its candidates in a store.

    Stopped at any moment, the same command goes on where it was and leaves the same bytes.

    Args:
        out: the store's folder.
        data: the dataset whose images to read; or give `images`.
        splits: the dataset's splits; by default all.
        images: a folder of photos, instead of a dataset; an image's id is then its path in the folder.
        detector: a Mask2Former: "mini" (shipped, for MojiRef), a hub name, or a local folder.
        candidates: O, how many candidates are kept for an image.
        image_size: side of the letterbox that images are fitted into, px; by default the detector's own, else 416.
        preprocessing: how an image becomes the detector's square: letterbox-416, letterbox-416-to-800 (as QueryMatch
            does) or hub-384 (as the hub's image processors do). The latter two have the size in their names.
        device: where to run it: "cpu", "cuda", "cuda:1", "mps" and so on; by default an accelerator if there is one.
        every_query: keep each of the detector's N queries once, whatever `candidates` says: not to learn from, but for
            `aligncat evaluate --queries`, which then tells what the detector missed from what the filter dropped.
        skip_bad_images: leave out images that cannot be read, and list them, instead of stopping.
        skip_bad_rows: leave out bad rows of the dataset and report them, instead of stopping.

    Returns:
        The store.

    Raises:
        ConfigError: not exactly one of data and images is given, the preprocessing has another size, or the device
            cannot be used.
        DataError: the dataset cannot be read.
        DetectorError: the detector cannot be loaded.
        ImageError: an image cannot be read.
        StoreError: the folder holds another store, or cannot be written.
    """
    from aligncat.datasets.formats.annotation_files import AnnotationFiles
    from aligncat.datasets.load import load_split, split_names
    from aligncat.datasets.photos import photos_in
    from aligncat.detectors.device import check_device, default_device
    from aligncat.store.extract import extract_images

    if (data is None) == (images is None):
        raise ConfigError("give either a dataset (--data.path, --data.dataset) or a folder of photos (--images)")
    on = device or default_device()
    check_device(on)
    records: dict[str, ImageRecord] = {}
    if data is not None:
        with AnnotationFiles() as files:
            for split in splits or split_names(data, files=files):
                records |= load_split(data, split, skip_bad_rows=skip_bad_rows, files=files).images
    elif images is not None:
        records = {record.id: record for record in photos_in(images)}
    return extract_images(
        images=[records[key] for key in sorted(records)],
        detector=open_detector(
            detector,
            candidates=candidates,
            image_size=image_size,
            preprocessing=preprocessing,
            device=on,
            every_query=every_query,
        ),
        out=out,
        skip_bad_images=skip_bad_images,
    )
