"""The verb `aligncat detector train`."""

from __future__ import annotations

import logging
from pathlib import Path

from aligncat.detectors.known import MINI
from aligncat.detectors.training.recipe import DetectorRecipe
from aligncat.errors import ConfigError, DataError
from aligncat.files.writable import check_writable

logger = logging.getLogger(__name__)


def train_detector(
    *,
    data: str | Path,
    images: str | Path,
    out: str | Path,
    from_: str | Path = MINI,
    val: str | Path | None = None,
    val_images: str | Path | None = None,
    recipe: DetectorRecipe = DetectorRecipe(),
    save_every: int = 50,
    device: str | None = None,
    skip_bad_rows: bool = False,
    skip_bad_images: bool = False,
) -> Path:
    """Fine-tune a detector on your own categories, from photos with the boxes and masks of their objects.

    It learns from objects, as every detector does, and from no phrase. Which photos it has learned from is written into
    its folder, and `aligncat evaluate` counts the photos of a split among them.

    If the command is interrupted at any moment, running it again continues, and on the same machine the detector has
    the same bytes as without an interruption.

    Args:
        data: the annotations: COCO's instances.json with your categories. An object without a mask is learned with its
            whole box as the mask. Crowds are not learned.
        images: the folder of the photos that it names.
        out: the folder to write. It must be new or empty.
        from_: the detector that training starts from: mini, a folder, or a name on the hub. Its family must be one of
            queries with class and mask logits, such as Mask2Former. Categories that it knows by name keep what it has
            learned.
        val: annotations of photos to choose the best weights by; by default, a share of `data` is held out.
        val_images: the folder of these photos; by default `images`.
        recipe: the settings of the training.
        save_every: steps between saved states, in files beside `out`.
        device: the device to train on: "cpu", "cuda", "cuda:1", "mps" and so on; by default an accelerator if there is
            one.
        skip_bad_rows: leave out bad annotations and report them, instead of stopping.
        skip_bad_images: leave out photos that are missing or broken and report them, instead of stopping.

    Returns:
        The folder.

    Raises:
        ConfigError: a setting is impossible, the folder cannot be written, or the device is not available.
        DataError: the annotations cannot be read, or have no object; or the folder is not empty.
        DetectorError: the detector cannot be trained, a gradient is not finite, or the saved state belongs to another
            training.
        ImageError: a photo is missing or broken.
        WriteError: a file cannot be written, for example because the disk is full.
    """
    check_writable(out)
    from aligncat.datasets.categories import canonical_category
    from aligncat.datasets.labelled import read_labelled
    from aligncat.detectors.device import check_device, default_device
    from aligncat.detectors.registry import detector_folder
    from aligncat.detectors.training.fine_tune import Labels, fine_tune
    from aligncat.detectors.training.labelled import hold_out
    from aligncat.detectors.training.segmenter import check_trainable, labels_of

    if save_every < 1:
        raise ConfigError(f"save_every is {save_every}, but must be at least 1")
    if val is None and val_images is not None:
        raise ConfigError("--val_images is the folder of the photos of --val, which is missing")
    chosen_device = device or default_device()
    check_device(chosen_device)
    start = detector_folder(str(from_))
    check_trainable(start)
    theirs = {canonical_category(label): index for index, label in enumerate(labels_of(start))}
    read = read_labelled(Path(data), Path(images), skip_bad_rows=skip_bad_rows, skip_bad_images=skip_bad_images)
    if val is None:
        photos, held_out = hold_out(read.photos, recipe.held_out, recipe.seed)
    else:
        photos = read.photos
        held_out = read_labelled(
            Path(val),
            Path(val_images or images),
            labels=read.labels,
            skip_bad_rows=skip_bad_rows,
            skip_bad_images=skip_bad_images,
        ).photos
        if both := {photo.path.resolve() for photo in photos} & {photo.path.resolve() for photo in held_out}:
            raise DataError(f"{val}: {len(both)} of its photos are also in {data}, such as {min(both)}; remove them")
    return fine_tune(
        start,
        Labels(names=read.labels, same=tuple(theirs.get(canonical_category(name)) for name in read.labels)),
        photos,
        held_out,
        Path(out),
        recipe=recipe,
        save_every=save_every,
        device=chosen_device,
    )
