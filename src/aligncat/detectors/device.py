"""Choose and check the device that a model runs on."""

from __future__ import annotations

from aligncat.errors import ConfigError
from aligncat.wording import did_you_mean, first_line

_USUAL = ("cpu", "cuda", "mps")


def default_device() -> str:
    """Return the accelerator of this machine, "cuda" or "mps", or "cpu" if it has none."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def check_device(device: str) -> None:
    """Check that torch can compute on a device.

    Args:
        device: "cpu", "cuda", "cuda:1", "mps" and so on.

    Raises:
        ConfigError: torch cannot use the device.
    """
    if device == "cpu":  # always there, and a run without torch need not load it
        return
    import torch

    try:
        torch.device(device)
    except RuntimeError as error:
        raise ConfigError(
            f"device {device!r} cannot be used here (there is no such device); give one such as cpu, cuda, cuda:1 or "
            f"mps{did_you_mean(device, _USUAL)}"
        ) from error
    try:
        torch.zeros(1, device=device).item()  # fails on "meta", which has no values
    except (RuntimeError, AssertionError) as error:  # AssertionError: torch was built without CUDA
        raise ConfigError(
            f"device {device!r} cannot be used here ({first_line(error)}); choose another, such as cpu"
        ) from error
