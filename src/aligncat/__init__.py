"""aligncat: weakly supervised visual grounding, learned from photos and phrases without boxes or masks."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aligncat.alignment.config import AlignmentConfig
    from aligncat.api.ablate import ablate
    from aligncat.api.evaluate import evaluate
    from aligncat.api.extract import extract
    from aligncat.api.prepare import prepare
    from aligncat.api.report import write_report
    from aligncat.api.train import train
    from aligncat.api.train_detector import train_detector
    from aligncat.datasets.config import DataConfig
    from aligncat.detectors.description import DetectorDescription
    from aligncat.detectors.protocol import Detector
    from aligncat.detectors.training.recipe import DetectorRecipe
    from aligncat.errors import AligncatError
    from aligncat.grounder.exported import ExportedGrounder
    from aligncat.grounder.grounder import Grounder
    from aligncat.grounder.grounding import Grounding
    from aligncat.grounder.interop import to_pandas, to_supervision
    from aligncat.language.config import TextEncoderConfig
    from aligncat.store.reader import Store
    from aligncat.training.config import TrainingConfig
    from aligncat.types import Candidates, Expression, Truth

    __version__: str

_MODULES = {
    "AlignmentConfig": "alignment.config",
    "AligncatError": "errors",
    "Candidates": "types",
    "DataConfig": "datasets.config",
    "Detector": "detectors.protocol",
    "DetectorDescription": "detectors.description",
    "DetectorRecipe": "detectors.training.recipe",
    "ExportedGrounder": "grounder.exported",
    "Expression": "types",
    "Grounder": "grounder.grounder",
    "Grounding": "grounder.grounding",
    "Store": "store.reader",
    "TextEncoderConfig": "language.config",
    "TrainingConfig": "training.config",
    "Truth": "types",
    "ablate": "api.ablate",
    "evaluate": "api.evaluate",
    "extract": "api.extract",
    "prepare": "api.prepare",
    "to_pandas": "grounder.interop",
    "to_supervision": "grounder.interop",
    "train": "api.train",
    "train_detector": "api.train_detector",
    "write_report": "api.report",
}
"""The module that defines each public name. It is imported when the name is first used, so `import aligncat` and the
command line do not load torch."""

__all__ = [
    "AligncatError",
    "AlignmentConfig",
    "Candidates",
    "DataConfig",
    "Detector",
    "DetectorDescription",
    "DetectorRecipe",
    "ExportedGrounder",
    "Expression",
    "Grounder",
    "Grounding",
    "Store",
    "TextEncoderConfig",
    "TrainingConfig",
    "Truth",
    "__version__",
    "ablate",
    "evaluate",
    "extract",
    "prepare",
    "to_pandas",
    "to_supervision",
    "train",
    "train_detector",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name == "__version__":
        from importlib.metadata import version

        return version("aligncat")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"aligncat.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names too, including those that have not been imported yet."""
    return sorted({*globals(), *__all__})
