"""The public function `aligncat.extract`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aligncat.datasets.config import DataConfig
from aligncat.detectors.known import MINI
from aligncat.detectors.masks import DEFAULT_MASKS, MaskMode
from aligncat.detectors.preprocessing import PreprocessingMode
from aligncat.detectors.protocol import Detector
from aligncat.detectors.registry import CANDIDATES, open_detector
from aligncat.errors import ConfigError
from aligncat.files.writable import check_writable

if TYPE_CHECKING:
    from aligncat.store.reader import Store
    from aligncat.types import ImageRecord


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
) -> Store:
    """Run the frozen detector once on every image and write its candidates to a store.

    If the command is interrupted, running it again continues. The finished store has the same bytes as without an
    interruption. Photos that have changed since their candidates were extracted are an error.

    Args:
        out: the store's folder.
        data: the dataset whose images to process; give either this or `images`.
        splits: the splits of the dataset; by default all.
        images: a folder of photos; the id of an image is then its path inside the folder.
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

    Returns:
        The store.

    Raises:
        ConfigError: both or neither of `data` and `images` are given, the preprocessing requires another size, the
            masks require another preprocessing or a package, or the device is not available.
        DataError: the dataset cannot be read.
        DetectorError: the detector cannot be loaded, lacks a category of the data, or gives something else than
            candidates.
        ImageError: an image cannot be read.
        StoreError: the folder holds another store, or cannot be written; or photos have changed since.
    """
    from aligncat.store.complete import COMPLETE

    if not (Path(out) / COMPLETE).exists():  # a finished store is only checked, which a read-only disk allows
        check_writable(out)
    from aligncat.datasets.formats.annotation_files import AnnotationFiles
    from aligncat.datasets.known import known_dataset
    from aligncat.datasets.load import load_split, split_names
    from aligncat.datasets.missing_categories import check_categories
    from aligncat.datasets.photos import photos_in
    from aligncat.datasets.split import split_tuple
    from aligncat.detectors.device import check_device, default_device
    from aligncat.store.extract import extract_images

    if (data is None) == (images is None):
        raise ConfigError("give either a dataset (--data.path, --data.dataset) or a folder of photos (--images)")
    chosen_device = device or default_device()
    check_device(chosen_device)
    records: dict[str, ImageRecord] = {}
    categories: list[str | None] = []
    if data is not None:
        with AnnotationFiles() as files:
            for name in split_tuple(splits) or split_names(data, files=files):
                split = load_split(data, name, skip_bad_rows=skip_bad_rows, files=files)
                records |= split.images
                categories += [each.category for each in split.expressions if not each.derived]
    elif images is not None:
        records = {record.id: record for record in photos_in(Path(images), skip_bad_names=skip_bad_images)}
    chosen_detector = detector or (MINI if data is None else known_dataset(data.dataset).detector)
    opened = open_detector(
        chosen_detector,
        candidates=candidates,
        image_size=image_size,
        preprocessing=preprocessing,
        device=chosen_device,
        every_query=every_query,
        masks=masks,
        appearance=appearance,
    )
    check_categories(categories, opened.labels, opened.description().name, skip=skip_bad_rows)
    return extract_images(
        images=[records[key] for key in sorted(records)],
        detector=opened,
        out=Path(out),
        skip_bad_images=skip_bad_images,
    )
