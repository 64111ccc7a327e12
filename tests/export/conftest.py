"""Exports of the tiny detector, made once. Tests only read them."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.tiny_run import World

from aligncat.export.detector import export_detector
from aligncat.export.grounder import export_grounder


@pytest.fixture(scope="session")
def onnx(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tiny detector, exported for ONNX Runtime."""
    return export_detector(world.detector, tmp_path_factory.mktemp("onnx") / "tiny", to="onnx")


@pytest.fixture(scope="session")
def bf16(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tiny detector for torch in bf16."""
    return export_detector(world.detector, tmp_path_factory.mktemp("bf16") / "tiny", to="torch")


@pytest.fixture(scope="session")
def openvino(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tiny detector, exported for OpenVINO."""
    return export_detector(world.detector, tmp_path_factory.mktemp("openvino") / "tiny", to="openvino")


@pytest.fixture(scope="session")
def exported(calibrated: Path, onnx: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the calibrated tiny grounder, exported with its detector for ONNX Runtime."""
    return export_grounder(calibrated, tmp_path_factory.mktemp("exported") / "AlignCAT", to="onnx", detector=onnx)


@pytest.fixture(scope="session")
def exported_openvino(calibrated: Path, openvino: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the same for OpenVINO."""
    out = tmp_path_factory.mktemp("openvino") / "AlignCAT"
    return export_grounder(calibrated, out, to="openvino", detector=openvino)
