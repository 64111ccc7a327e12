"""`aligncat detector import`: from a checkpoint file to a detector that finds candidates."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.original_mask2former import averaged_index, position_index
from helpers.tiny_original import CLASSES, TINY, Original, original
from PIL import Image

from aligncat.checkpoints.mask2former import architectures
from aligncat.checkpoints.mask2former.folder import import_detector
from aligncat.cli import main
from aligncat.detectors.registry import open_detector
from aligncat.errors import CheckpointError, ConfigError

LABELS = "cat\ndog\ncup\ntree\nbus\n"


@pytest.fixture(scope="module")
def made() -> Original:
    return original("swin")


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace swin-tiny, which has 47 M parameters in the release, by a much smaller Swin."""
    monkeypatch.setitem(architectures.ARCHITECTURES, "swin-tiny", TINY["swin"])


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    (tmp_path / "labels.txt").write_text(LABELS)
    return tmp_path / "labels.txt"


def write_pickle(made: Original, path: Path) -> Path:
    path.write_bytes(pickle.dumps({"model": {name: tensor.numpy() for name, tensor in made.state.items()}}))
    return path


def test_a_pickle_becomes_a_detector(
    made: Original, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = write_pickle(made, tmp_path / "model.pkl"), tmp_path / "detector"
    words = ["detector", "import", str(source), str(out), "--config", "swin-tiny", "--labels", str(labels)]
    assert main(words) == 0
    detector = open_detector(str(out), candidates=4, image_size=64)
    assert detector.labels == tuple(LABELS.split())
    class_logits, mask_logits, features = map(torch.from_numpy, detector.forward(made.image.numpy())[:3])
    torch.testing.assert_close(features[0], made.features, atol=1e-4, rtol=0)
    torch.testing.assert_close(class_logits[0], made.class_logits, atol=1e-4, rtol=0)
    torch.testing.assert_close(mask_logits[0], made.mask_logits, atol=1e-4, rtol=1e-4)
    [found] = detector.detect([Image.new("RGB", (60, 40), (200, 30, 30))], ["image"])
    assert found.features.shape[1] == 64
    written = json.loads((out / "config.json").read_text())
    assert (
        written["aligncat_source"]["file"] == "model.pkl" and written["aligncat_source"]["architecture"] == "swin-tiny"
    )
    assert main(words) == 1
    assert "already contains a detector" in capsys.readouterr().err


def test_the_log_lists_dropped_keys_with_reasons(
    made: Original, labels: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = made.state | {"criterion.empty_weight": torch.ones(CLASSES + 1)}
    torch.save({"model": state, "optimizer": {"lr": 0.1}, "iteration": 3}, tmp_path / "model.pth")
    with caplog.at_level("INFO", "aligncat"):
        converted = import_detector(
            model=tmp_path / "model.pth", out=tmp_path / "detector", config="swin-tiny", labels=labels
        )
    assert set(converted.dropped) == {"criterion.empty_weight", "optimizer", "iteration"}
    assert f"converted {len(made.state)} tensors; 7 queries, 5 categories" in caplog.text
    assert "dropped 1, such as criterion.empty_weight: only the training loss uses it" in caplog.text
    assert "dropped 2, such as optimizer" in caplog.text


def test_the_detector_inside_a_querymatch_checkpoint_is_converted(made: Original, labels: Path, tmp_path: Path) -> None:
    state = {f"module.visual_encoder.{name}": tensor for name, tensor in made.state.items()}
    torch.save({"state_dict": state | {"module.linear_vs.bias": torch.ones(3)}, "epoch": 1}, tmp_path / "seg_best.pth")
    converted = import_detector(
        model=tmp_path / "seg_best.pth", out=tmp_path / "detector", config="swin-tiny", labels=labels
    )
    assert converted.used == len(made.state)
    assert set(converted.dropped) == {"linear_vs.bias", "epoch"}


def test_a_shifted_position_index_is_folded_and_recorded(
    labels: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shifted = original("swin", index=averaged_index(4, steps=3000))
    with caplog.at_level("INFO", "aligncat"):
        import_detector(
            model=write_pickle(shifted, tmp_path / "model.pkl"),
            out=tmp_path / "detector",
            config="swin-tiny",
            labels=labels,
        )
    # Of the 256 entries for window 4, 225 are one too small after 3,000 steps; all 6 blocks have the same index.
    done = "shifted in 6 of 6 blocks (88% of all entries)"
    assert f"relative_position_index: {done}" in caplog.text
    written = json.loads((tmp_path / "detector" / "config.json").read_text())["aligncat_source"]
    assert written["relative_position_index"].startswith(done)


def test_the_computed_position_index_is_not_recorded(made: Original, labels: Path, tmp_path: Path) -> None:
    with_index = original("swin", index=position_index(4))
    folders = []
    for name, each in (("without", made), ("with", with_index)):
        source = write_pickle(each, tmp_path / f"{name}.pkl")
        import_detector(model=source, out=tmp_path / name, config="swin-tiny", labels=labels)
        folders.append((tmp_path / name / "model.safetensors").read_bytes())
        assert "relative_position_index" not in (tmp_path / name / "config.json").read_text()
    assert folders[0] == folders[1]


def test_categories_without_names_are_an_error(made: Original, tmp_path: Path) -> None:
    source = write_pickle(made, tmp_path / "model.pkl")
    with pytest.raises(CheckpointError, match="has 5 categories, but COCO has 80; give a text file with their names"):
        import_detector(model=source, out=tmp_path / "detector", config="swin-tiny")
    (tmp_path / "latin.txt").write_bytes("café\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.txt: cannot be read as UTF-8 text"):
        import_detector(model=source, out=tmp_path / "detector", config="swin-tiny", labels=tmp_path / "latin.txt")
    assert not (tmp_path / "detector").exists()


def test_another_window_size_is_detected_by_the_shape_of_the_bias_table(
    made: Original, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swin = TINY["swin"]
    monkeypatch.setitem(
        architectures.ARCHITECTURES,
        "swin-tiny",
        replace(swin, backbone=replace(swin.backbone, window=7)),  # type: ignore[arg-type]
    )
    source = write_pickle(made, tmp_path / "model.pkl")
    with pytest.raises(CheckpointError, match=r"relative_position_bias_table \(49, 1\), not \(169, 1\)"):
        import_detector(model=source, out=tmp_path / "detector", config="swin-tiny", labels=labels)


def test_the_error_of_an_unknown_architecture_lists_the_known_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["detector", "import", "model.pkl", str(tmp_path), "--config", "swin-huge"])
    assert "swin-tiny" in capsys.readouterr().err
