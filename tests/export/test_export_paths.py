"""No exported graph holds a path of the machine that wrote it, so its bytes do not depend on where aligncat is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.tiny_run import World

import aligncat
from aligncat.files.hashes import file_sha256
from aligncat.grounder.exported_files import EXPORTED

PACKAGE = Path(aligncat.__file__).parent
FILE_NAMES = re.compile(rb"[\w./\\-]+\.py\b")


def paths_in(file: Path, *folders: Path) -> set[bytes]:
    """Return the folders of this machine, and the names of Python files, that are in a file."""
    content = file.read_bytes()
    known = (PACKAGE, Path(torch.__file__).parents[1], *folders)
    return {name for name in map(os.fsencode, known) if name in content} | set(FILE_NAMES.findall(content))


def test_paths_are_found_where_there_are_some(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(f'text "{PACKAGE}/detectors/mask2former.py", line 3')
    assert os.fsencode(PACKAGE) in paths_in(tmp_path / "file")
    assert any(each.endswith(b"mask2former.py") for each in paths_in(tmp_path / "file"))


def test_no_file_for_onnx_runtime_holds_a_path(onnx: Path, exported: Path, calibrated: Path, world: World) -> None:
    files = [file for folder in (onnx, exported) for file in folder.rglob("*") if file.is_file()]
    assert {"model.onnx", "grounder.onnx", "config.json", EXPORTED} <= {file.name for file in files}
    for file in files:
        # What a grounder was trained with is named in its record, as in its source's config.json.
        folders = (onnx, calibrated) if file.name == EXPORTED else (onnx, calibrated, world.detector, world.store)
        assert paths_in(file, *folders) == set(), file


def test_torch_s_exporter_leaves_no_notes_on_operations(onnx: Path, exported: Path) -> None:
    import onnx as onnx_package

    for file in (onnx / "model.onnx", exported / "grounder.onnx"):
        model = onnx_package.load(file)
        assert model.metadata_props and not model.graph.metadata_props
        assert len(model.graph.node) > 100
        assert not [node.name for node in model.graph.node if node.metadata_props or node.doc_string]


@pytest.mark.slow
def test_no_file_for_openvino_holds_a_path(
    openvino: Path, exported_openvino: Path, calibrated: Path, world: World
) -> None:
    for file in (*openvino.iterdir(), *exported_openvino.glob("grounder.*")):
        folders = (openvino, calibrated) if file.name == EXPORTED else (openvino, calibrated, world.detector)
        assert paths_in(file, *folders) == set(), file


EXPORT = """
import sys
from pathlib import Path
import aligncat
from aligncat.export.detector import export_detector
from aligncat.export.grounder import export_grounder
detector, grounder, out = map(Path, sys.argv[1:])
assert Path(aligncat.__file__).is_relative_to(out)
for to in ("onnx", "openvino"):
    export_detector(detector, out / to, to=to)
    export_grounder(grounder, out / f"grounder-{to}", to=to, detector=out / to)
"""


@pytest.mark.slow
def test_another_place_of_the_package_and_the_detector_gives_equal_bytes(
    onnx: Path,
    openvino: Path,
    exported: Path,
    exported_openvino: Path,
    calibrated: Path,
    world: World,
    tmp_path: Path,
) -> None:
    package = shutil.copytree(PACKAGE, tmp_path / "elsewhere" / "aligncat", ignore=shutil.ignore_patterns("*.pyc"))
    detector = shutil.copytree(world.detector, tmp_path / world.detector.name)
    subprocess.run(
        [sys.executable, "-c", EXPORT, detector, calibrated, tmp_path],
        env={**os.environ, "PYTHONPATH": str(package.parent)},
        cwd=tmp_path,
        check=True,
    )
    grounders = {"grounder-onnx": exported, "grounder-openvino": exported_openvino}
    for name, first in {"onnx": onnx, "openvino": openvino, **grounders}.items():
        again = {str(each.relative_to(tmp_path / name)): each for each in (tmp_path / name).rglob("*")}
        assert {place: file_sha256(each) for place, each in again.items() if each.is_file()} == {
            str(each.relative_to(first)): file_sha256(each) for each in first.rglob("*") if each.is_file()
        }
