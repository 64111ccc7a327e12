"""Open a grounder of any kind: trained, exported or training-free. Only what it needs is imported."""

from __future__ import annotations

from pathlib import Path

from aligncat.detectors.device import default_device
from aligncat.detectors.protocol import Detector
from aligncat.grounder.exported_files import is_exported
from aligncat.grounder.names import TRAINING_FREE
from aligncat.grounder.photo_grounder import PhotoGrounder


def open_grounder(
    name: str | Path,
    *,
    device: str | None = "cpu",
    detector: str | Path | Detector | None = None,
    text_encoder: str | Path | None = None,
) -> PhotoGrounder:
    """Return the grounder of a name.

    Args:
        name: a folder that `aligncat train` or `aligncat export grounder` wrote, a hub name, or "training-free".
        device: "cpu", "cuda" and so on; None for an accelerator if the grounder can use one and there is one.
        detector: see `Grounder.from_pretrained`.
        text_encoder: see `Grounder.from_pretrained`.

    Raises:
        ConfigError: see `Grounder.from_pretrained` and `ExportedGrounder.from_pretrained`.
        DetectorError: see there.
    """
    if is_exported(name):
        from aligncat.grounder.exported import ExportedGrounder

        return ExportedGrounder.from_pretrained(name, device=device, detector=detector, text_encoder=text_encoder)
    if str(name) == TRAINING_FREE:
        from aligncat.grounder.training_free import TrainingFreeGrounder

        return TrainingFreeGrounder.with_detector(detector, device)
    from aligncat.grounder.grounder import Grounder

    return Grounder.from_pretrained(
        name, device=device or default_device(), detector=detector, text_encoder=text_encoder
    )
