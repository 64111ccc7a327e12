"""Measure aligncat on an accelerator, in less than nine minutes and without a network.

    python benchmarks/accelerator.py [--device cuda] [--parts NAME ...] [--out FILE]

The parts are forward passes of Mask2Formers of real size (Swin-Tiny, Swin-Base; random weights, 416 px) in float32,
bfloat16 and compiled; a whole extraction; a training step of the preset refcoco, and one epoch at RefCOCO's size; and
the selection of negatives for batches from 28 to 1,024. Each figure stands beside its limit at the rates of a matrix
product or a copy, which are measured in the same process. Times are wall-clock times, the device's included.

Each part runs in its own process, and has its own budget of seconds. A part that needs longer is ended. What it did not
reach is reported as not run. `--device cpu` is a rehearsal with tiny sizes, whose figures say nothing.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from measuring import Figure, add_out, alternated, peak_mb, processor, write

if TYPE_CHECKING:
    import torch

TOTAL = 535.0
"""Seconds for all parts together."""
BY_PRODUCT = "its operations at the rate of a matrix product of the same type"


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        backbones: by name, the settings of `SwinConfig`.
        settings: further settings of `Mask2FormerConfig`.
        image: side of the model's input, pixels.
        batch: images in a forward pass.
        rounds: the rounds of each comparison.
        product: rows and columns of the matrix product.
        copied: bytes of the copied block.
        photos: photos of the whole extraction.
        share: the share of RefCOCO's size that an epoch has.
        negatives: the batches whose negatives are selected.
        compiler: the backend of `torch.compile`.
    """

    backbones: Mapping[str, Mapping[str, Any]]
    settings: Mapping[str, Any]
    image: int
    batch: int
    rounds: int
    product: int
    copied: int
    photos: int
    share: float
    negatives: Sequence[int]
    compiler: str


def real_sizes() -> Sizes:
    from real_size import BACKBONES

    return Sizes(
        backbones=BACKBONES,
        settings={},
        image=416,
        batch=8,
        rounds=10,
        product=8192,
        copied=2**31,
        photos=64,
        share=1.0,
        negatives=(28, 64, 128, 256, 512, 1024),
        compiler="inductor",
    )


def tiny_sizes() -> Sizes:
    swin = {"embed_dim": 12, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 2, 4], "window_size": 4}
    return Sizes(
        backbones={"swin-tiny": swin, "swin-base": swin},
        settings={
            **{"num_queries": 6, "num_labels": 4, "hidden_dim": 32, "feature_size": 32, "mask_feature_size": 32},
            **{"encoder_feedforward_dim": 32, "dim_feedforward": 32, "num_attention_heads": 4},
            **{"encoder_layers": 1, "decoder_layers": 2},
        },
        image=64,
        batch=2,
        rounds=2,
        product=64,
        copied=2**16,
        photos=2,
        share=0.002,
        negatives=(4, 8),
        compiler="eager",
    )


@dataclass(frozen=True)
class Device:
    """The device that is measured.

    Attributes:
        name: "cuda" or "cpu".
    """

    name: str

    def times(self, parts: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
        """Return the seconds of parts that alternate, each until the device has finished it."""
        from floors import synchronised

        waiting = {name: synchronised(part, self.name) for name, part in parts.items()}
        return alternated(waiting, rounds, warm=2, clock=time.perf_counter)

    def rate(self, sizes: Sizes, dtype: torch.dtype) -> float:
        """Return the operations per second of a matrix product."""
        from floors import Product

        product = Product(sizes.product, self.name, dtype)
        return product.rate(min(self.times({"product": product}, 5)["product"]))

    def forget_peak(self) -> None:
        """Start to count the peak of memory anew."""
        import torch

        if self.name != "cpu":
            torch.cuda.reset_peak_memory_stats()

    def peak(self) -> float:
        """Return the most memory that was taken on the device, MB; on a CPU, that of the process."""
        import torch

        return peak_mb() if self.name == "cpu" else torch.cuda.max_memory_allocated() / 1e6


def rates(sizes: Sizes, device: Device) -> Iterator[Figure]:
    """Yield the rates of matrix products and of a copy."""
    import torch
    from floors import Copy

    for dtype in (torch.float32, torch.bfloat16):
        rate = device.rate(sizes, dtype) / 1e12
        yield Figure(f"matrix product of {sizes.product} x {sizes.product}, {dtype}", rate, "10^12 operations/s")
    copy = Copy(sizes.copied, device.name)
    rate = copy.rate(min(device.times({"copy": copy}, 5)["copy"])) / 1e9
    yield Figure(f"copy of {sizes.copied / 2**20:,.0f} MiB", rate, "GB/s read and written")


def negatives(sizes: Sizes, device: Device) -> Iterator[Figure]:
    """Yield the time and the memory of the selection of negatives by batch."""
    from alignment import SLOTS, drawn

    from aligncat.alignment.negatives import select_negatives

    for batch in sizes.negatives:
        scores, queries, valid, image_index = drawn(batch, device.name)
        flat = queries.flatten(0, 1)
        select = partial(select_negatives, scores, queries, valid, image_index, 4)
        device.forget_peak()
        before = device.peak()
        select()
        growth = device.peak() - before
        times = device.times({"select": select, "product": partial(_product, flat)}, sizes.rounds)
        limit = 1000 * min(times["product"])
        what = f"negatives of {batch} phrases"
        yield Figure.time(what, times["select"], "ms", limit=limit, limit_is="the product of all candidates")
        table = (batch * SLOTS) ** 2 * 4 / 1e6
        yield Figure(f"memory for {what}", growth, "MB", limit=table, limit_is="the table of that product")


def _product(rows: torch.Tensor) -> torch.Tensor:
    return rows @ rows.T


def training_step(sizes: Sizes, device: Device) -> Iterator[Figure]:
    """Yield the time of a training step of the preset refcoco, in float32 and in bfloat16."""
    import torch
    from alignment import HALF, TOGETHER, training_steps
    from floors import operations

    from aligncat.training.presets import load_preset

    preset = load_preset("refcoco")
    if device.name == "cpu":  # a rehearsal
        preset = replace(preset, training=replace(preset.training, batch_size=4, ranks=2))
    steps = training_steps(preset, device.name)
    floor = operations(steps[TOGETHER]) / device.rate(sizes, torch.float32)
    device.forget_peak()
    times = device.times({name: steps[name] for name in (TOGETHER, HALF)}, 3 * sizes.rounds)
    what = f"training step of {preset.training.batch_size} referents"
    yield Figure.time(f"{what}, float32", times[TOGETHER], "ms", limit=1000 * floor, limit_is=BY_PRODUCT)
    yield Figure.ratio(f"{what}, bfloat16", times[HALF], times[TOGETHER], "times that in float32")
    yield Figure("memory of both", device.peak(), "MB")


def epoch(sizes: Sizes, device: Device) -> Iterator[Figure]:
    """Yield the time of one epoch of the preset refcoco, with the opening of the data and validation."""
    import torch
    from alignment import TOGETHER, training_steps
    from floors import operations
    from refcoco_rehearsal import COUNTS, fabricate, train_one_epoch

    from aligncat.training.presets import load_preset

    preset = load_preset("refcoco")
    step = operations(training_steps(preset, device.name)[TOGETHER]) / device.rate(sizes, torch.float32)
    with tempfile.TemporaryDirectory() as folder:
        fabricate(Path(folder), sizes.share)
        device.forget_peak()
        found = train_one_epoch(Path(folder))
    referents = int(sizes.share * COUNTS["train"][1])
    limit = found["steps"] * step
    what = f"one epoch of {referents:,} referents"
    yield Figure(what, found["seconds"], "s", limit=limit, limit_is="the operations of its steps")
    yield Figure(f"memory of {what}", device.peak(), "MB")


def forward(sizes: Sizes, device: Device, *, backbone: str) -> Iterator[Figure]:
    """Yield the time of a forward pass of a Mask2Former in float32 and bfloat16, by image."""
    import torch
    from floors import operations

    model, run, pixels = _model(sizes, device, backbone)
    what = f"forward pass of {backbone}, {sizes.image} px, by image"
    with torch.inference_mode():
        device.forget_peak()
        times = device.times({"ours": run, "theirs": partial(model, pixel_values=pixels)}, sizes.rounds)
        yield _pass(what, times["ours"], sizes, operations(run) / device.rate(sizes, torch.float32))
        yield Figure.ratio(what, times["ours"], times["theirs"], "times the pass of transformers")
        yield Figure(f"memory of {backbone}, {sizes.batch} images", device.peak(), "MB")
        with torch.autocast(device.name, torch.bfloat16):
            times = device.times({"ours": run}, sizes.rounds)
            yield _pass(f"{what}, bfloat16", times["ours"], sizes, operations(run) / device.rate(sizes, torch.bfloat16))


def compiled(sizes: Sizes, device: Device, *, backbone: str) -> Iterator[Figure]:
    """Yield the time of a compiled forward pass, and its ratio to the plain one."""
    import torch

    _, run, _ = _model(sizes, device, backbone)
    what = f"compiled forward pass of {backbone}, {sizes.image} px"
    fast = torch.compile(run, backend=sizes.compiler)
    with torch.inference_mode():
        begun = time.perf_counter()
        fast()
        yield Figure(f"compilation of {backbone}", time.perf_counter() - begun, "s")
        for name, enabled in (("float32", False), ("bfloat16", True)):
            with torch.autocast(device.name, torch.bfloat16, enabled=enabled):
                times = device.times({"plain": run, "compiled": fast}, sizes.rounds)
            yield Figure.ratio(f"{what}, {name}", times["compiled"], times["plain"], "times the plain pass")


def extraction(sizes: Sizes, device: Device) -> Iterator[Figure]:
    """Yield the time of a whole extraction against the forward passes that it makes."""
    import numpy as np
    from PIL import Image
    from real_size import random_mask2former

    from aligncat.detectors.registry import open_detector
    from aligncat.store.extract import extract_images
    from aligncat.types import ImageRecord

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        images = []
        for number in range(sizes.photos):
            rough = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8))
            rough.resize((640, 480)).save(folder / f"{number}.jpg")
            images.append(ImageRecord(str(number), folder / f"{number}.jpg"))
        backbone = next(iter(sizes.backbones))
        random_mask2former(sizes.backbones[backbone], **sizes.settings).save_pretrained(folder / "detector")
        detector = open_detector(str(folder / "detector"), device=device.name, image_size=sizes.image)
        pixels = np.zeros((detector.batch_size, 3, sizes.image, sizes.image), np.float32)
        passes = -(-len(images) // detector.batch_size)

        def bare() -> None:
            for _ in range(passes):
                detector.forward(pixels)  # type: ignore[attr-defined]

        stores = iter(range(100))
        times = device.times(
            {
                "whole": lambda: extract_images(images=images, detector=detector, out=folder / f"store-{next(stores)}"),
                "bare": bare,
            },
            2,
        )
    yield Figure.ratio(
        f"extraction of {len(images)} photos with {backbone}",
        times["whole"],
        times["bare"],
        "times the forward passes",
        limit=1.0,
        limit_is="the forward passes alone",
    )


def _model(sizes: Sizes, device: Device, backbone: str) -> tuple[Any, Callable[[], Any], torch.Tensor]:
    """Return a model of transformers, our forward pass over it for a batch, and the batch."""
    import torch
    from real_size import random_mask2former

    from aligncat.detectors.mask2former_forward import Mask2FormerForward

    model = random_mask2former(sizes.backbones[backbone], **sizes.settings).to(device.name)
    pixels = torch.rand(sizes.batch, 3, sizes.image, sizes.image, device=device.name)
    return model, partial(Mask2FormerForward(model), pixels), pixels


def _pass(what: str, times: Sequence[float], sizes: Sizes, floor: float) -> Figure:
    by_image = [each / sizes.batch for each in times]
    return Figure.time(what, by_image, "ms", limit=1000 * floor / sizes.batch, limit_is=BY_PRODUCT)


Part = Callable[[Sizes, Device], Iterator[Figure]]
PARTS: Mapping[str, tuple[Part, float]] = MappingProxyType(
    {
        "rates": (rates, 20.0),
        "negatives": (negatives, 30.0),
        "training-step": (training_step, 30.0),
        "swin-tiny": (partial(forward, backbone="swin-tiny"), 40.0),
        "swin-base": (partial(forward, backbone="swin-base"), 50.0),
        "extraction": (extraction, 40.0),
        "epoch": (epoch, 145.0),
        "swin-tiny-compiled": (partial(compiled, backbone="swin-tiny"), 75.0),
        "swin-base-compiled": (partial(compiled, backbone="swin-base"), 100.0),
    }
)
"""By name, what it yields, and its budget in seconds with the start of its process. They add up to less than TOTAL."""


def run_part(part: Part, budget: float, sizes: Sizes, device: Device) -> tuple[list[Figure], str | None]:
    """Run a part in its own process; return what it found within its budget, and why that is not all, or None."""
    if budget <= 0:
        return [], "no time was left for it"
    context = get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(part, sizes, device, sending))
    process.start()
    sending.close()
    found: list[Figure] = []
    end = time.monotonic() + budget
    try:
        while receiving.poll(max(end - time.monotonic(), 0)):
            match receiving.recv():
                case Figure() as figure:
                    found.append(figure)
                case reason:
                    return found, reason
    except EOFError:
        process.join()
        return found, f"its process ended with code {process.exitcode}"
    finally:
        process.kill()
        process.join()
    return found, f"it needs more than its {budget:.0f} s"


def _send(part: Part, sizes: Sizes, device: Device, sending: Connection) -> None:
    try:
        for figure in part(sizes, device):
            sending.send(figure)
    except Exception as error:  # whatever stops a part is reported, and the other parts go on
        sending.send(f"{type(error).__name__}: {error}"[:500])
    else:
        sending.send(None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    add_out(parser)
    options = parser.parse_args()
    import torch

    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no CUDA device; --device cpu rehearses with tiny sizes")
    real = options.device != "cpu"
    sizes, device = real_sizes() if real else tiny_sizes(), Device(options.device)
    end = time.monotonic() + TOTAL
    figures: list[Figure] = []
    not_run = {name: "not asked for" for name in PARTS if name not in options.parts}
    for name in options.parts:
        part, budget = PARTS[name]
        found, reason = run_part(part, min(budget, end - time.monotonic()), sizes, device)
        figures += found
        if reason is not None:
            not_run[name] = reason
    write(
        figures,
        options,
        clock="wall-clock time",
        machine=torch.cuda.get_device_name() if real else f"{processor()} (a rehearsal with tiny sizes)",
        not_run=not_run,
    )


if __name__ == "__main__":
    main()
