"""An exported detector gives what its source gives, and every use and every damage of its folder is told from it."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.fabricate import write_image
from helpers.tiny_detector import save_tiny_detector
from helpers.tiny_families import save_tiny
from helpers.tiny_run import World
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import Mask2FormerForUniversalSegmentation

from aligncat.api.extract import extract
from aligncat.cli import main
from aligncat.detectors.exported import RECORD
from aligncat.detectors.folder import CONFIG, DetectorFolder, with_hashes
from aligncat.detectors.query_detector import QueryDetector
from aligncat.detectors.registry import check_same, load_detector, open_detector, renamed
from aligncat.detectors.training_record import STARTED_FROM, TrainingRecord
from aligncat.errors import AligncatError, ConfigError, DataError, DetectorError, StoreError
from aligncat.evaluation.training_images import known_training_images
from aligncat.export.detector import export_detector
from aligncat.files.hashes import file_sha256
from aligncat.files.images import read_image
from aligncat.grounder.grounder import Grounder
from aligncat.store.reader import Store
from aligncat.types import Candidates

SIDE = 64


def pixels(batch: int) -> NDArray[np.float32]:
    coarse = torch.randn(batch, 3, 6, 6, generator=torch.Generator().manual_seed(batch))
    found: NDArray[np.float32] = torch.nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic").numpy()
    return found


def photos(folder: Path, count: int = 3) -> list[Image.Image]:
    return [read_image(write_image(folder / f"{number}.png", number)) for number in range(count)]


def detected(detector: str | Path, shown: list[Image.Image], **options: Any) -> list[Candidates]:
    return open_detector(detector, **options).detect(shown, [str(number) for number in range(len(shown))])


def assert_like_transformers(exported: Path, source: Path, *, batches: tuple[int, ...] = (1, 2, 3)) -> None:
    """Compare with the forward pass of transformers, which shares no code with the exported graph."""
    detector = open_detector(exported, appearance=True)
    assert isinstance(detector, QueryDetector)
    model = Mask2FormerForUniversalSegmentation.from_pretrained(source).eval()
    for batch in batches:
        found = detector.forward(pixels(batch))
        with torch.inference_mode():
            expected = model(pixel_values=torch.from_numpy(pixels(batch)))
            norm = model.model.transformer_module.decoder.layernorm
            features = norm(expected.transformer_decoder_last_hidden_state)
        np.testing.assert_allclose(found.class_logits, expected.class_queries_logits, rtol=0, atol=1e-4)
        np.testing.assert_allclose(found.mask_logits, expected.masks_queries_logits, rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(found.features, features, rtol=0, atol=1e-4)


def assert_same_candidates(first: list[Candidates], second: list[Candidates]) -> None:
    for one, other in zip(first, second, strict=True):
        assert (one.queries.tolist(), one.categories.tolist()) == (other.queries.tolist(), other.categories.tolist())
        np.testing.assert_allclose(one.confidences, other.confidences, atol=1e-5)
        np.testing.assert_allclose(one.features, other.features, atol=2e-3)  # float16
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1)
        for name, column in one.columns.items():
            np.testing.assert_allclose(column, other.columns[name], atol=5e-3)


def test_onnx_runtime_gives_what_transformers_gives_for_batches_of_any_size(onnx: Path, world: World) -> None:
    assert_like_transformers(onnx, world.detector)


def test_the_candidates_are_those_of_the_source(onnx: Path, world: World, tmp_path: Path) -> None:
    shown = photos(tmp_path)
    options: dict[str, Any] = {"candidates": 5, "appearance": True}
    expected = detected(world.detector, shown, **options)
    assert any(len(each) for each in expected) and set(expected[0].columns) == {"colour", "levels"}
    assert_same_candidates(detected(onnx, shown, **options), expected)
    assert not detected(onnx, shown)[0].columns


def test_every_query_is_kept_if_asked(onnx: Path, world: World) -> None:
    exported = open_detector(onnx, every_query=True)
    assert exported.candidates == open_detector(world.detector, every_query=True).candidates == 8


def test_threads_share_an_exported_detector(onnx: Path, tmp_path: Path) -> None:
    detector, shown = open_detector(onnx), photos(tmp_path, 8)
    alone = [detector.detect([photo], ["a"])[0] for photo in shown]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda photo: detector.detect([photo], ["a"])[0], shown))
    assert all(np.array_equal(a.features, b.features) for a, b in zip(alone, together, strict=True))


def test_neither_torch_nor_transformers_is_imported(onnx: Path, tmp_path: Path) -> None:
    photo = write_image(tmp_path / "photo.png", 1)
    code = f"""
import sys
sys.modules["torch"] = sys.modules["transformers"] = None
from pathlib import Path
from aligncat.detectors.registry import load_detector, open_detector
from aligncat.files.images import read_image
detector = open_detector({str(onnx)!r}, appearance=True)
again = load_detector(detector.description(), columns=detector.columns)
print(len(again.detect([read_image(Path({str(photo)!r}))], ["a"])[0]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0


def assert_near(found: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    """Check that most numbers are about the same; a query whose attention mask changes can differ by a lot."""
    assert 0 < float(np.median(np.abs(found - expected))) < 0.05 * float(np.abs(expected).max())


# What identifies it


def test_the_description_differs_from_the_source_in_what_runs_it_alone(onnx: Path, bf16: Path, world: World) -> None:
    source = open_detector(world.detector).description()
    exported = open_detector(onnx).description()
    assert sorted(each.path for each in source.differences(exported)) == ["backend", "graph_sha256"]
    assert (exported.backend, exported.precision) == ("onnxruntime", "fp32")
    assert exported.weights_sha256 == source.weights_sha256
    in_bf16 = open_detector(bf16).description()
    assert sorted(each.path for each in source.differences(in_bf16)) == ["backend", "precision"]
    assert renamed(source, str(onnx)) == exported
    assert renamed(source, str(bf16)) == in_bf16
    assert renamed(exported, str(world.detector)) == source


def test_a_store_says_what_ran_the_detector_and_is_not_taken_for_the_source_s(
    onnx: Path, world: World, tmp_path: Path
) -> None:
    for number in range(2):
        write_image(tmp_path / f"photos-{number}.png", number)
    photos_folder = tmp_path / "photos"
    photos_folder.mkdir()
    write_image(photos_folder / "a.png", 1)
    store = extract(out=tmp_path / "store", images=photos_folder, detector=onnx)
    assert store.manifest.detector.backend == "onnxruntime"
    assert Store.open(tmp_path / "store", expect=open_detector(onnx).description()).image_ids
    with pytest.raises(StoreError, match=r"made by another detector.*backend"):
        Store.open(tmp_path / "store", expect=open_detector(world.detector).description())


def test_a_grounder_runs_with_an_export_of_its_detector(
    onnx: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = write_image(tmp_path / "photo.png", 1)
    [expected] = Grounder.from_pretrained(trained).ground(photo, ["red dog"])
    grounder = Grounder.from_pretrained(trained, detector=onnx)
    [found] = grounder.ground(photo, ["red dog"])
    np.testing.assert_allclose(found.box, expected.box, atol=1)
    assert found.probability == pytest.approx(expected.probability, abs=1e-3)
    assert grounder.detector_description == replace(grounder.detector.description(), candidates=6)
    assert main(["ground", str(photo), "red dog", "--grounder", str(trained), "--detector", str(onnx)]) == 0
    assert json.loads(capsys.readouterr().out)[0]["box"] == pytest.approx(list(expected.box), abs=1)


def test_a_detector_that_is_put_back_on_the_hub_is_no_export_any_more(onnx: Path, bf16: Path, world: World) -> None:
    made, source = open_detector(onnx).description(), open_detector(world.detector).description()
    assert made.graph_sha256 and made.backend == "onnxruntime"
    back = renamed(made, "somebody/tiny")
    assert back == replace(source, name="somebody/tiny")
    assert (back.backend, back.precision, back.graph_sha256) == ("torch", "fp32", "")
    assert renamed(source, "somebody/tiny") == replace(source, name="somebody/tiny")
    assert renamed(made, str(world.detector)) == source
    assert renamed(source, str(onnx)) == made


def test_a_grounder_refuses_an_export_of_another_detector(onnx: Path, trained: Path, tmp_path: Path) -> None:
    other = export_detector(save_tiny_detector(tmp_path / "other", seed=1), tmp_path / "bf16", to="torch")
    with pytest.raises(DetectorError, match=r"has changed since it was last used \(it differs in .*weights_sha256"):
        load_detector(renamed(Grounder.from_pretrained(trained).detector_description, str(other)))
    check_same(open_detector(onnx, candidates=6), Grounder.from_pretrained(trained).detector_description)


def test_the_images_that_the_source_has_seen_are_told_of_the_export(tmp_path: Path) -> None:
    folder = save_tiny_detector(tmp_path / "own")
    config = json.loads((folder / CONFIG).read_text())
    seen = TrainingRecord(("a.jpg", "b.jpg"), ("c.jpg",), ("mini",))
    seen.write(folder)
    config = with_hashes({**config, STARTED_FROM: ["mini"]}, [folder / "model.safetensors"])
    (folder / CONFIG).write_text(json.dumps(config))
    exported = export_detector(folder, tmp_path / "exported", to="torch")
    sha256 = open_detector(exported).description().weights_sha256
    assert TrainingRecord.read(str(exported), weights_sha256=sha256) == seen
    assert TrainingRecord.read(str(folder), weights_sha256=sha256) == seen


def test_an_export_of_a_detector_of_unknown_origin_is_of_unknown_origin(onnx: Path, world: World) -> None:
    description = open_detector(onnx).description()
    training = known_training_images(str(onnx), "refcoco", weights_sha256=description.weights_sha256)
    assert training is not None and training.holds("COCO_train2014_000000000009.jpg") is None
    assert known_training_images(str(world.detector), "refcoco") is None


def test_the_record_is_inside_the_graph(onnx: Path, world: World) -> None:
    import onnx as onnx_package

    model = onnx_package.load(onnx / "model.onnx")
    [inside] = [json.loads(each.value) for each in model.metadata_props if each.key == RECORD]
    source = DetectorFolder.read("tiny", world.detector)
    assert inside["description"]["weights_sha256"] == source.weights_sha256()
    assert inside["description"]["backend"] == "onnxruntime"
    assert inside["versions"]["torch"] == torch.__version__
    [opset] = [each.version for each in model.opset_import if each.domain == ""]
    assert opset == inside["format"] == 20
    assert {each.name for each in onnx.iterdir()} == {"config.json", "model.onnx", "trained-on.txt", "held-out.txt"}


def test_torch_in_bf16_is_near_to_float32(bf16: Path, world: World) -> None:
    full, half = open_detector(world.detector), open_detector(bf16)
    assert isinstance(full, QueryDetector) and isinstance(half, QueryDetector)
    expected, found = full.forward(pixels(2)).class_logits, half.forward(pixels(2)).class_logits
    assert found.dtype == np.float32
    assert_near(found, expected)


# Damage


def copied(folder: Path, out: Path) -> Path:
    return Path(shutil.copytree(folder, out / "copy"))


def rewrite_record(folder: Path, **changed: Any) -> None:
    """Change the record in config.json, and seal it again."""
    config = json.loads((folder / CONFIG).read_text())
    config[RECORD] |= changed
    weights = config["aligncat_weights_sha256"]
    sealed = with_hashes(config, [])
    sealed = {**sealed, "aligncat_weights_sha256": weights}
    del sealed["aligncat_config_sha256"]
    (folder / CONFIG).write_text(json.dumps(sealed))


def cut(folder: Path) -> None:
    file = folder / "model.onnx"
    file.write_bytes(file.read_bytes()[:-1000])


def flip(folder: Path) -> None:
    content = bytearray((folder / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.onnx").write_bytes(content)


def remove(folder: Path) -> None:
    (folder / "model.onnx").unlink()


def cut_and_hash(folder: Path) -> None:
    cut(folder)
    rewrite_record(folder, files={"model.onnx": file_sha256(folder / "model.onnx")})


def other_labels(folder: Path) -> None:
    labels = json.loads((folder / CONFIG).read_text())[RECORD]["labels"]
    rewrite_record(folder, labels=labels[::-1])


def later_format(folder: Path) -> None:
    rewrite_record(folder, format=99)


def later_opset(folder: Path) -> None:
    import onnx as onnx_package

    model = onnx_package.load(folder / "model.onnx")
    model.opset_import[0].version = 99
    onnx_package.save(model, folder / "model.onnx")
    rewrite_record(folder, files={"model.onnx": file_sha256(folder / "model.onnx")})


def edited(folder: Path) -> None:
    (folder / CONFIG).write_text((folder / CONFIG).read_text().replace('"fp32"', '"bf16"').replace("onnx", "onny"))


def without_record(folder: Path) -> None:
    rewrite_record(folder, description=None)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, r"model\.onnx: damaged, or the graph of another detector: its hash differs .* export the detector again"),
        (flip, r"model\.onnx: damaged, or the graph of another detector: its hash differs"),
        (remove, r"model\.onnx: the file is missing; export the detector again"),
        (cut_and_hash, r"model\.onnx: onnxruntime cannot load the graph \(.*export the detector again"),
        (other_labels, r"model\.onnx: the graph of another detector: the record inside it differs"),
        (later_format, r"the graph is of version 99 of its format .* aligncat runs 20 on onnxruntime; export"),
        (later_opset, r"model\.onnx: onnxruntime cannot load the graph \(.*99"),
        (edited, r"config\.json: damaged or edited"),
        (without_record, r"config\.json: aligncat_export: must be a mapping .* export the detector again"),
    ],
)
def test_damage_is_one_clear_error(onnx: Path, tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    folder = copied(onnx, tmp_path)
    damage(folder)
    with pytest.raises(DetectorError, match=message):
        open_detector(folder)


@pytest.mark.parametrize("place", [0.1, 0.3, 0.5, 0.7, 0.9, 0.999])
def test_a_flipped_bit_anywhere_in_config_json_is_found(onnx: Path, tmp_path: Path, place: float) -> None:
    folder = copied(onnx, tmp_path)
    content = bytearray((folder / CONFIG).read_bytes())
    content[int(place * (len(content) - 2))] ^= 1
    (folder / CONFIG).write_bytes(content)
    with pytest.raises(AligncatError):
        open_detector(folder)


def test_a_graph_of_another_detector_in_the_folder_is_found(onnx: Path, bf16: Path, tmp_path: Path) -> None:
    folder = copied(onnx, tmp_path)
    import onnx as onnx_package

    model = onnx_package.load(folder / "model.onnx")
    [entry] = [each for each in model.metadata_props if each.key == RECORD]
    inside = json.loads(entry.value)
    inside["description"]["weights_sha256"] = "0" * 64
    entry.value = json.dumps(inside)
    onnx_package.save(model, folder / "model.onnx")
    rewrite_record(folder, files={"model.onnx": file_sha256(folder / "model.onnx")})
    with pytest.raises(DetectorError, match="the record inside it differs"):
        open_detector(folder)


# Refusals


def test_a_runtime_that_is_not_installed_is_named(
    onnx: Path, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DetectorError, match=r"onnxruntime need onnxruntime, .* pip install 'aligncat\[onnx\]'"):
        open_detector(onnx)
    with pytest.raises(ConfigError, match=r"--to onnx: needs onnxruntime, .* pip install 'aligncat\[onnx\]'"):
        export_detector(world.detector, tmp_path / "out", to="onnx")
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(ConfigError, match=r"--to openvino: needs nncf, .* pip install 'aligncat\[openvino\]'"):
        export_detector(world.detector, tmp_path / "out", to="openvino")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": "onnx", "precision": "bf16"}, "--precision bf16: --to onnx has fp32"),
        ({"to": "torch", "precision": "fp32"}, "--precision fp32: --to torch has bf16"),
        ({"to": "openvino", "precision": "int8"}, "--images and --precision int8 go together"),
        ({"to": "onnx", "images": "photos"}, "--images and --precision int8 go together"),
        ({"to": "torch", "image_size": SIDE}, "--to torch keeps the size and preprocessing of its source"),
        ({"to": "torch", "preprocessing": "squash"}, "--to torch keeps the size and preprocessing of its source"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    world: World, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        export_detector(world.detector, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_an_int8_export_without_photos_is_refused_before_the_slow_work(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty has no image file that can be read; give the folder with the photos"):
        export_detector("./none", tmp_path / "out", to="openvino", precision="int8", images=tmp_path / "empty")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_an_export_that_gives_numbers_that_are_not_finite_is_refused(world: World, tmp_path: Path, bad: float) -> None:
    """The class logits of this detector stay finite: only its masks are not."""
    source = copied(world.detector, tmp_path / "source")
    [file] = source.glob("*.safetensors")
    tensors = load_file(file)
    [name] = [each for each in tensors if each.endswith("mask_embedder.2.0.bias")]
    tensors[name] = torch.full_like(tensors[name], bad)
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(DetectorError, match="gives numbers that are not finite, so nothing was written"):
        export_detector(source, tmp_path / "out", to="onnx")
    assert not (tmp_path / "out").exists()


def test_a_family_that_cannot_be_exported_is_named(tmp_path: Path) -> None:
    folder = save_tiny("detr", tmp_path / "detr")
    with pytest.raises(ConfigError, match="a detr detector cannot be exported, only mask2former"):
        export_detector(folder, tmp_path / "out", to="torch")


def test_an_exported_detector_is_not_exported_again(onnx: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="exported already, for onnxruntime"):
        export_detector(onnx, tmp_path / "out", to="torch")


def test_a_folder_with_files_is_not_overwritten(world: World, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="exists and is not empty"):
        export_detector(world.detector, tmp_path, to="torch")


def test_another_size_is_refused(onnx: Path) -> None:
    assert open_detector(onnx, image_size=SIDE).description().image_size == SIDE
    with pytest.raises(ConfigError, match="exported for letterbox-416 at 64 px, not for letterbox-416 at 128 px"):
        open_detector(onnx, image_size=128)
    with pytest.raises(ConfigError, match="exported for letterbox-416 at 64 px, not for hub-384 at 384 px"):
        open_detector(onnx, preprocessing="hub-384")


# OpenVINO, slower to export


@pytest.mark.slow
def test_openvino_gives_what_transformers_gives(openvino: Path, world: World, tmp_path: Path) -> None:
    assert_like_transformers(openvino, world.detector)
    shown = photos(tmp_path)
    assert_same_candidates(detected(openvino, shown), detected(world.detector, shown))
    with ThreadPoolExecutor(4) as pool:
        detector = open_detector(openvino)
        together = list(pool.map(lambda photo: detector.detect([photo], ["a"])[0], shown * 4))
    alone = [detector.detect([photo], ["a"])[0] for photo in shown * 4]
    assert all(np.array_equal(a.features, b.features) for a, b in zip(alone, together, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_openvino_computes_in_the_precision_that_was_asked_for(
    openvino: Path, world: World, tmp_path: Path, precision: Any
) -> None:
    photo_folder = tmp_path / "photos"
    photo_folder.mkdir()
    photos(photo_folder, 4)
    images = photo_folder if precision == "int8" else None
    out = export_detector(world.detector, tmp_path / "out", to="openvino", precision=precision, images=images)
    full, less = open_detector(openvino), open_detector(out)
    assert isinstance(full, QueryDetector) and isinstance(less, QueryDetector)
    assert less.description().precision == precision
    hint = less._graph._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()  # type: ignore[attr-defined]
    assert hint == {"bf16": "bf16", "int8": "f32"}[precision]
    expected, found = full.forward(pixels(2)).class_logits, less.forward(pixels(2)).class_logits
    assert_near(found, expected)


@pytest.mark.slow
def test_openvino_writes_nothing_into_the_home_folder(openvino: Path, tmp_path: Path) -> None:
    """Its telemetry does, in each process that imports it."""
    code = f"from aligncat.detectors.registry import open_detector; open_detector({str(openvino)!r})"
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "NNCF_CI")}
    subprocess.run([sys.executable, "-c", code], env={**environment, "HOME": str(tmp_path)}, check=True)
    assert not [path for path in tmp_path.rglob("*") if "openvino" in path.name or path.name == "intel"]


@pytest.mark.slow
def test_two_exports_are_equal_bit_for_bit(onnx: Path, openvino: Path, world: World, tmp_path: Path) -> None:
    for to, first in (("onnx", onnx), ("openvino", openvino)):
        again = export_detector(world.detector, tmp_path / to, to=to)  # type: ignore[arg-type]
        assert {each.name: file_sha256(each) for each in again.iterdir()} == {
            each.name: file_sha256(each) for each in first.iterdir()
        }


def test_the_licence_and_the_credit_of_a_shipped_detector_go_along(tmp_path: Path) -> None:
    from aligncat.detectors.mask2former import Mask2FormerDetector
    from aligncat.export.detector import _record

    opened = open_detector("mini")
    assert isinstance(opened, Mask2FormerDetector)
    record = _record(opened, "onnx", "fp32")
    assert record.credit is not None and "All emojis designed by [OpenMoji]" in record.credit
    assert record.licence is not None and record.licence.startswith("The mini detector ships with aligncat")
