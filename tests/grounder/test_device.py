"""A grounder on a device: its inputs move there, its outputs move back, and its answers are those of the CPU."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.tiny_run import World
from PIL import Image
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode

from aligncat.alignment.inputs import ImageTensors
from aligncat.datasets.load import load_split
from aligncat.detectors.device import check_device, default_device
from aligncat.errors import ConfigError
from aligncat.files.given_images import as_rgb
from aligncat.grounder.folder import SHIPPED
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.grounding import Grounding
from aligncat.grounder.model import GroundingModel

PHRASES = ["red person", "the dog on the left", "couch"]
PICTURE_PHRASES = ["the green cat", "the book on the left", "the largest flower", "a dog"]
PICTURE = Path(__file__).resolve().parents[2] / "docs" / "img" / "mojiref.jpg"


class Crossings(TorchFunctionMode):
    """Fails if `.numpy()` is called on a tensor that `.cpu()` did not return.

    On a CPU, `.numpy()` works on every tensor, so only this check finds a missing `.cpu()` there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.on_cpu: list[Tensor] = []
        self.arrays = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is Tensor.numpy:
            assert any(args[0] is tensor for tensor in self.on_cpu), ".numpy() without .cpu() on an output of the model"
            self.arrays += 1
        result = func(*args, **(kwargs or {}))
        if func is Tensor.cpu:
            self.on_cpu.append(result)
        return result


def test_tensors_are_moved_to_the_cpu_before_they_become_arrays(trained: Path, world: World) -> None:
    grounder, split, store = Grounder.from_pretrained(trained), load_split(world.data, "val"), world.open()
    candidates = store.candidates(split.expressions[0].image_id)
    with Crossings() as crossings:
        grounder.ground_candidates(candidates, PHRASES)
    assert crossings.arrays >= 4, "the choice, the kept set, the probabilities and the scores"
    with Crossings() as crossings:
        grounder.choose(store, split)
    assert crossings.arrays >= 4


@pytest.mark.parametrize("call", ["ground_candidates", "choose"])
def test_the_model_gets_its_inputs_on_its_own_device(call: str, trained: Path, world: World) -> None:
    """The meta device has shapes but no values, so the test stops at the first call of the model."""
    grounder, split, store = Grounder.from_pretrained(trained), load_split(world.data, "val"), world.open()
    candidates = store.candidates(split.expressions[0].image_id)
    grounder.model.to("meta")
    devices: set[str] = set()

    class ReachedError(Exception):
        pass

    def look(module: nn.Module, inputs: tuple[ImageTensors, Tensor]) -> None:
        if isinstance(module, GroundingModel):
            images, tokens = inputs
            devices.update(str(tensor.device) for tensor in (*images, tokens))
            raise ReachedError

    hook = register_module_forward_pre_hook(look)
    try:
        with pytest.raises(ReachedError):
            if call == "choose":
                grounder.choose(store, split)
            else:
                grounder.ground_candidates(candidates, PHRASES)
    finally:
        hook.remove()
    assert devices == {"meta"}


def test_to_returns_the_grounder_and_keeps_a_detector_on_the_same_device(trained: Path) -> None:
    grounder = Grounder.from_pretrained(trained, device="cpu")
    detector = grounder.detector
    assert grounder.to("cpu") is grounder and grounder.device == "cpu"
    assert grounder.detector is detector


@pytest.mark.parametrize("device", ["cuda:99", "nonsense"])
def test_a_missing_device_is_a_one_line_error(device: str, trained: Path) -> None:
    for call in (
        lambda: check_device(device),
        lambda: Grounder.from_pretrained(trained, device=device),
        lambda: Grounder.from_pretrained(trained).to(device),
    ):
        with pytest.raises(ConfigError, match=f"device '{device}' cannot be used here") as error:
            call()
        assert "\n" not in str(error.value)


def test_a_misspelt_device_is_told_from_a_missing_one() -> None:
    with pytest.raises(ConfigError, match=r"no such device\); give one such as .* or mps; did you mean cuda\?$"):
        check_device("cdua")


def test_the_default_device_is_an_accelerator_if_there_is_one() -> None:
    accelerator = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert default_device() == accelerator
    check_device(default_device())


def test_the_device_module_does_not_import_torch() -> None:
    code = "import sys, aligncat.detectors.device; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture
def exact() -> Iterator[None]:
    """Turn off TF32, which cuDNN uses by default and which keeps three digits of each factor."""
    with torch.backends.cudnn.flags(allow_tf32=False):
        yield


@cuda
def test_cuda_and_cpu_agree_on_stored_candidates(exact: None) -> None:
    cpu, grounder = Grounder.from_pretrained(SHIPPED), Grounder.from_pretrained(SHIPPED, device="cuda")
    assert grounder.device.startswith("cuda")
    with Image.open(PICTURE) as image:
        [candidates] = cpu.detector.detect([as_rgb(image)], ["image"])
    compare(
        grounder.ground_candidates(candidates, PICTURE_PHRASES),
        cpu.ground_candidates(candidates, PICTURE_PHRASES),
        tolerance=1e-4,
    )


@cuda
def test_cuda_and_cpu_agree_on_a_picture(exact: None) -> None:
    """This includes the detector. Its features are float16, whose last bit is a thousandth of the value."""
    expected = Grounder.from_pretrained(SHIPPED).ground(PICTURE, PICTURE_PHRASES)
    grounder = Grounder.from_pretrained(SHIPPED, device="cuda")
    assert grounder.detector.device.startswith("cuda")
    compare(grounder.ground(PICTURE, PICTURE_PHRASES), expected, tolerance=1e-3)
    assert grounder.to("cpu").ground(PICTURE, PICTURE_PHRASES) == expected


@cuda
def test_cuda_and_cpu_agree_on_a_split_and_save_the_same_weights(
    exact: None, trained: Path, world: World, tmp_path: Path
) -> None:
    split, store = load_split(world.data, "val"), world.open()
    expected = Grounder.from_pretrained(trained).choose(store, split)
    grounder = Grounder.from_pretrained(trained, device="cuda")
    found = grounder.choose(store, split)
    assert found.choice.tolist() == expected.choice.tolist()
    assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-4)
    grounder.save_pretrained(tmp_path / "saved")
    assert (tmp_path / "saved" / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()


def compare(found: Sequence[Grounding], expected: Sequence[Grounding], *, tolerance: float) -> None:
    for one, other in zip(found, expected, strict=True):
        assert (one.choice, one.category, one.predicted_category) == (
            other.choice,
            other.category,
            other.predicted_category,
        )
        assert one.box == pytest.approx(other.box, abs=1.0)
        assert one.probability == pytest.approx(other.probability, abs=tolerance)
        probabilities = [candidate.probability for candidate in other.candidates]
        assert [candidate.probability for candidate in one.candidates] == pytest.approx(probabilities, abs=tolerance)
