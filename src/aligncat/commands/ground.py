"""`aligncat ground`: find the objects that phrases refer to in photos."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from aligncat.cluster.start import DEADLINE, check_workers
from aligncat.errors import ConfigError
from aligncat.files.locks import remove_left
from aligncat.files.writable import check_writable
from aligncat.locations import location

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligncat.cluster.driver import Driver
    from aligncat.cluster.grounding import GroundingJob
    from aligncat.grounder.ground_many import PhotoAnswer
    from aligncat.grounder.grounding import Grounding
    from aligncat.grounder.photo_grounder import PhotoGrounder
    from aligncat.grounder.requests.request import Request
    from aligncat.grounder.writers.output import Written
    from aligncat.store.by_content import StoredPhotos

_SHOWN = 10  # bad photos; the settings of the output have all

logger = logging.getLogger(__name__)


def ground(
    image: str | Path,
    expressions: list[str] = [],  # noqa: B006 - the command line gives a list, and nobody changes it
    *,
    phrases: str | Path | None = None,
    grounder: str | Path | None = None,
    detector: str | Path | None = None,
    text_encoder: str | Path | None = None,
    device: str | None = None,
    store: str | Path | None = None,
    out: str | Path | None = None,
    format: str | None = None,
    classes: Literal["phrase", "category"] = "phrase",
    image_url: str = "/data/local-files/?d=",
    candidates: bool = False,
    polygons: bool = False,
    overlay: str | Path | None = None,
    several: bool = False,
    top: int = 1,
    min_match: float | None = None,
    min_probability: float | None = None,
    skip_bad_images: bool = False,
    workers: int | None = None,
    shards: str | None = None,
    ray: str | None = None,
    deadline: float = DEADLINE,
) -> list[Grounding] | Written:
    """Find the objects that phrases refer to in photos, and print or write the answers.

    Answers for one photo are printed as a JSON list, and each again in a line for people on the standard error. Those
    for several photos are printed as JSON lines, with the lines for people only if the output is a terminal. With --out
    they are written in one of many formats; if the command is interrupted, running it again continues.

    Args:
        image: a photo, a folder of photos, a pattern such as 'photos/*.jpg', or a table (.csv, .jsonl, .parquet) with
            the columns image and phrase. More photos may follow. Photos and folders may be URLs such as
            s3://bucket/photos (docs/scale.md), also in a table.
        expressions: one or more phrases after the photos, each in quotes if it contains spaces. The detector runs once
            for all of them.
        phrases: a text file of phrases, one a line, instead of phrases on the command line; - for the standard input.
        grounder: a folder that `aligncat train` or `aligncat export grounder` wrote, a hub name, or "training-free" for
            the grounder that needs a detector but no training; by default the shipped one, which knows the drawings of
            MojiRef, not photos.
        detector: the folder or hub name of the grounder's detector, if it has moved since training; the detector of
            "training-free".
        text_encoder: the folder or hub name of the grounder's frozen transformer, if it has moved since training.
        device: the device: "cpu", "cuda", "cuda:1", "mps" and so on; by default an accelerator if there is one.
        store: a store of the grounder's detector. Photos with the same bytes as one in it are not detected again.
        out: the file or folder of the answers. It must not exist, unless the same command has written it.
        format: the format of the answers: jsonl, csv, coco (a dataset), coco-results, yolo, label-studio or overlay; by
            default that of the suffix of --out (docs/answers.md).
        classes: what is a class in COCO, YOLO and Label Studio: the phrase, or the detector's category.
        image_url: what the address of a photo begins with in Label Studio; the photo's name follows.
        candidates: also give all candidates with their scores and the weights of words, in what is printed and in JSON
            lines.
        polygons: masks as polygons instead of run lengths in COCO datasets, and instead of boxes in YOLO (extra
            [polygons]).
        overlay: an image file to write, for one photo: the photo with boxes, masks and phrases drawn on it.
        several: answer a phrase for several objects, such as "both dogs", with all of them ("answers").
        top: give this many of the best candidates ("answers") instead of one.
        min_match: leave out phrases whose match is lower, from 0 to 1. Match is the probability that the image has
            what the phrase says.
        min_probability: leave out answers whose probability is lower, from 0 to 1.
        skip_bad_images: report photos that cannot be read, or in which nothing is found, and go on.
        workers: with --out, the number of processes that answer, or of Ray's workers; by default this process alone,
            and with --ray one for each accelerator of the cluster, or each core if there is none.
        shards: with --out, write only a share of the answers, for one of many jobs: 3/16 is the third of sixteen. The
            last share finishes the output. So does the same command without --shards, at any time.
        ray: with --out, a Ray cluster whose machines answer (extra [ray]): auto for the one that this machine belongs
            to, HOST:PORT, or local for one on this machine. All its machines must see the photos and the output.
        deadline: seconds that a worker has for a part of 64 photos. One that takes longer is ended, and another one
            does its part.

    Returns:
        One grounding per phrase that was not left out, for one photo without `out`; otherwise what was written.

    Raises:
        ImageError: a photo cannot be read.
        DataError: a phrase has no words, a photo comes after a phrase, a table or a file of phrases cannot be read, or
            `out` exists with other settings.
        ConfigError: the grounder does not exist, the device is not available, an output cannot be written, the format
            is unknown, a probability is not from 0 to 1, the grounder has no match and is asked for it, or an option
            about workers is out of range.
        DetectorError: the detector cannot be loaded.
        StoreError: the store was made by another detector.
        WorkerError: workers died or did not return again and again.
    """
    from aligncat.grounder.doubts import Thresholds
    from aligncat.grounder.requests.words import requests_of
    from aligncat.grounder.writers.formats import find_format
    from aligncat.store.part import Part

    check_workers(workers, ray, deadline)
    thresholds = Thresholds(min_match, min_probability)
    requests = requests_of(
        location(image),
        expressions or [],
        phrases=None if phrases is None else Path(phrases),
        skip_bad_images=skip_bad_images,
    )
    if overlay is not None:
        _check_overlay(Path(overlay), requests, out)
    chosen_format = None if out is None else find_format(format, Path(out))
    share = None if shards is None else Part.parse(shards)
    many = workers is not None or ray is not None
    if out is None:
        _check_no_output(format=format is not None, polygons=polygons, many=many, shards=shards is not None)
    from aligncat.detectors.masks import NO_MASKS
    from aligncat.grounder.ground_many import Answering, ground_photos
    from aligncat.grounder.opening import open_grounder

    if grounder is None:
        from aligncat.grounder.folder import SHIPPED

        grounder = SHIPPED
    opening = partial(open_grounder, grounder, device=device, detector=detector, text_encoder=text_encoder)
    loaded = opening()
    stored = None if store is None else _stored(store, loaded)
    answering = Answering(several, top, thresholds)
    if polygons and loaded.detector_description.masks == NO_MASKS:
        raise ConfigError("--polygons: the detector gives boxes alone, so there are no masks to outline; leave it out")
    if out is not None and chosen_format is not None:
        from rich.progress import MofNCompleteColumn, TimeRemainingColumn

        from aligncat.cluster.grounding import GroundingJob, parts_by_workers
        from aligncat.console import progress_bar
        from aligncat.grounder.writers.output import Output
        from aligncat.grounder.writers.part import count_photos
        from aligncat.grounder.writers.write import write_answers

        job = GroundingJob(
            opening,
            None if store is None else partial(_stored, store),
            answering,
            skip_bad_images,
            candidates,
        )
        with (
            progress_bar(MofNCompleteColumn(), TimeRemainingColumn(), shown=len(requests) > 1) as progress,
            _driver(job, workers, ray, device, deadline) if many else nullcontext() as driver,
        ):
            task = progress.add_task("ground", total=count_photos(requests, share))
            return write_answers(
                loaded,
                requests,
                Output(Path(out), chosen_format, classes, image_url, candidates, polygons),
                answering=answering,
                store=stored,
                skip_bad_images=skip_bad_images,
                advance=lambda photos: progress.advance(task, photos),
                write_parts=None if driver is None else parts_by_workers(driver, loaded, stored),
                share=share,
            )
    pairs = [(request.path, request.phrases) for request in requests]
    answers = ground_photos(
        loaded,
        pairs,
        answering=answering,
        batch_size=1 if len(pairs) == 1 else None,
        store=stored,
        skip_bad_images=skip_bad_images,
    )
    from aligncat.grounder.writers.printed import print_answer, print_answers

    if len(requests) > 1 or requests[0].path != location(image):
        return print_answers(requests, answers, candidates=candidates)
    [answer] = answers
    if overlay is not None and answer.error is None:
        _draw(requests[0], answer, Path(overlay))
    return print_answer(requests[0], answer, thresholds, candidates=candidates)


def _draw(request: Request, answer: PhotoAnswer, out: Path) -> None:
    """Draw the answers for a photo into an image file."""
    from aligncat.files.given_images import as_rgb
    from aligncat.grounder.overlay import draw_groundings, save_picture

    remove_left(out.parent)
    save_picture(draw_groundings(as_rgb(request.path), answer.groundings), out)


def _stored(store: str | Path, loaded: PhotoGrounder) -> StoredPhotos:
    """Return the photos of a store of a grounder's detector."""
    from aligncat.store.by_content import StoredPhotos
    from aligncat.store.reader import Store

    return StoredPhotos(Store.open(store, expect=loaded.detector_description))


def _driver(job: GroundingJob, workers: int | None, ray: str | None, device: str | None, deadline: float) -> Driver:
    from aligncat.cluster.start import open_driver

    accelerator = None if device is None else device.startswith("cuda")
    return open_driver(job, workers, ray, deadline=deadline, accelerator=accelerator)


def report_written(result: list[Grounding] | Written) -> None:
    """Print what was left out of the answers for many photos, and how many answers have warnings."""
    if isinstance(result, list):
        return
    shown = len(result.bad) if result.path is None else _SHOWN
    for reason in result.bad[:shown]:
        logger.warning("left out: %s", reason)
    if len(result.bad) > shown:
        logger.warning("left out: %s more photos, which the output's settings name", f"{len(result.bad) - shown:,}")
    if result.left_out:
        logger.warning("%s answers were below --min_match or --min_probability", f"{result.left_out:,}")
    if result.doubtful:
        logger.warning(
            "%s of %s answers have warnings, which are in the output", f"{result.doubtful:,}", f"{result.answers:,}"
        )


def _check_no_output(*, format: bool, polygons: bool, many: bool, shards: bool) -> None:
    """Check that no option is given that is about an output.

    Raises:
        ConfigError: one is.
    """
    if format:
        raise ConfigError("--format says how to write the answers; give --out, the file or folder to write")
    if polygons:
        raise ConfigError("--polygons is for --format coco and yolo; give them with --out")
    if many:
        raise ConfigError("--workers and --ray write answers to a file; give --out")
    if shards:
        raise ConfigError("--shards writes a share of the answers to a file; give --out")


def _check_overlay(path: Path, requests: Sequence[Request], out: str | Path | None) -> None:
    """Check that Pillow can write a file, before the slow work starts.

    Raises:
        ConfigError: there are several photos or another output, the folder does not exist, or the suffix names no
            format that Pillow can write.
    """
    from PIL import Image

    if len(requests) > 1 or out is not None:
        raise ConfigError("--overlay draws one photo; use --out FOLDER --format overlay instead")
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: the folder {path.parent} does not exist; create it first")
    check_writable(path.parent)
    if Image.registered_extensions().get(path.suffix.lower()) not in Image.SAVE:
        raise ConfigError(f"{path}: no image format that can be written has this suffix; use .png, for example")
