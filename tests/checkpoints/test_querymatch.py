"""`aligncat import querymatch`: the grounder gives QueryMatch's scores, and no unexpected key is accepted."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from helpers.original_mask2former import Weights, averaged_index
from helpers.original_querymatch import scores, vocabulary
from helpers.tiny_original import Original, original
from torch import Tensor

from aligncat.checkpoints.mask2former.architectures import ARCHITECTURES
from aligncat.checkpoints.mask2former.folder import import_detector
from aligncat.checkpoints.querymatch.folder import import_querymatch
from aligncat.cli import main
from aligncat.errors import CheckpointError, ConfigError, DataError, UnsafePickleError
from aligncat.geometry import encode_mask
from aligncat.grounder.grounder import Grounder
from aligncat.types import Candidates

DOCUMENT = {  # val comes first, because the vocabulary has the order of the file
    "val": [{"refs": ["Man on the left.", "left man"]}, {"refs": ["lady, right!"]}],
    "train": [{"refs": ["the red t-shirt/jacket", "..."]}, {"refs": ["a girl's black bag"]}],
    "testA": [{"refs": ["blue umbrella top-right"]}],
}
EXPRESSIONS = (
    "man on the left",
    "the purple UMBRELLA",
    "left " * 9,
)  # the second has an unknown word; the third is cut after 6 words
MAX_WORDS = 6


class Trained(NamedTuple):
    """A trained QueryMatch: its folder, its state, the query features of an image and its scores for them."""

    folder: Path
    state: dict[str, Tensor]
    features: np.ndarray[Any, np.dtype[np.float16]]
    scores: list[Tensor]


def make(folder: Path, query_dim: int) -> Trained:
    generator = torch.Generator().manual_seed(0)
    weights = Weights(generator)
    features = torch.randn(9, query_dim, generator=generator).half()
    ids = vocabulary(DOCUMENT)
    found = [scores(weights, ids, sentence, features.float(), MAX_WORDS) for sentence in EXPRESSIONS]
    (folder / "anns.json").write_text(json.dumps(DOCUMENT))
    return Trained(folder, weights.state, features.numpy(), found)


@pytest.fixture
def trained(tmp_path: Path) -> Trained:
    return make(tmp_path, query_dim=32)


def save(trained: Trained, state: dict[str, Tensor] | None = None, prefix: str = "") -> Path:
    named = {prefix + name: tensor for name, tensor in (trained.state if state is None else state).items()}
    path = trained.folder / "seg_best.pth"
    torch.save({"epoch": 3, "state_dict": named, "optimizer": {"state": {}}, "lr": 1e-4}, path)
    return path


def candidates(features: np.ndarray[Any, np.dtype[np.float16]]) -> Candidates:
    count = len(features)
    return Candidates(
        image_id="image",
        width=8,
        height=8,
        features=features,
        queries=np.arange(count, dtype=np.int32),
        categories=np.zeros(count, dtype=np.int32),
        confidences=np.linspace(1, 0.5, count, dtype=np.float32),
        boxes=np.tile(np.array([0, 0, 8, 8], np.float32), (count, 1)),
        masks=(encode_mask(np.ones((8, 8), bool)),) * count,
    )


def check_scores(folder: Path, trained: Trained) -> None:
    grounder = Grounder.from_pretrained(folder)
    found = grounder.ground_candidates(candidates(trained.features), EXPRESSIONS)
    for grounding, expected in zip(found, trained.scores, strict=True):
        ours = torch.tensor([candidate.scores["global"] for candidate in grounding.candidates])
        torch.testing.assert_close(ours, expected, atol=1e-4, rtol=0)
        assert grounding.choice == int(expected.argmax())
        assert not {"class", "fine"} & set(grounding.candidates[0].scores)
    assert min(float(expected.std()) for expected in trained.scores) > 0.1  # far above the tolerance


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_grounder_gives_the_scores_of_querymatch(
    trained: Trained, prefix: str, tiny_detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = save(trained, prefix=prefix), tmp_path / "grounder"
    options = ["--annotations", str(tmp_path / "anns.json"), "--detector", str(tiny_detector), "--max-words", "6"]
    assert main(["import", "querymatch", str(source), str(out), *options]) == 0
    check_scores(out, trained)
    grounder = Grounder.from_pretrained(out)
    assert grounder.detector_description.candidates == 20
    assert grounder.detector_description.image_size == 800
    assert grounder.provenance["querymatch"]["file"] == "seg_best.pth"
    # QueryMatch's own rule for words: it removes semicolons and keeps typographic characters.
    assert "words" not in json.loads((out / "config.json").read_text())
    assert grounder.vocabulary.words_of("man;left—one") == ["manleft—one"]
    assert main(["import", "querymatch", str(source), str(out), *options]) == 1
    assert "already contains a grounder" in capsys.readouterr().err


@pytest.mark.parametrize("stopped_before", [False, True], ids=["new", "stopped after the detector"])
def test_the_grounder_uses_the_detector_inside_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, stopped_before: bool
) -> None:
    made: Original = original("swin")
    monkeypatch.setitem(ARCHITECTURES, "swin-base", made.architecture)
    monkeypatch.setattr("aligncat.checkpoints.mask2former.folder.COCO_NAMES", ("cat", "dog", "cup", "tree", "bus"))
    trained = make(tmp_path, query_dim=64)
    detector = {f"visual_encoder.{name}": tensor for name, tensor in made.state.items()}
    if stopped_before:
        source = save(trained, trained.state | detector)
        import_detector(model=source, out=tmp_path / "grounder" / "detector", config="swin-base")
    with caplog.at_level("INFO", "aligncat"):
        import_querymatch(
            checkpoint=save(trained, trained.state | detector),
            out=tmp_path / "grounder",
            annotations=tmp_path / "anns.json",
            max_words=MAX_WORDS,
        )
    check_scores(tmp_path / "grounder", trained)
    found = Grounder.from_pretrained(tmp_path / "grounder").detector
    assert found.labels == ("cat", "dog", "cup", "tree", "bus")
    assert f"converted {len(trained.state)} tensors" in caplog.text
    assert f"{len(detector)} tensors of its detector: {tmp_path / 'grounder' / 'detector'}" in caplog.text


class Shifted(NamedTuple):
    """A QueryMatch whose moving average has shifted the position index of its detector, as its training saves it."""

    trained: Trained
    made: Original
    checkpoint: Path

    def run(self, name: str, detector: str | None = None) -> Grounder:
        return import_querymatch(
            checkpoint=self.checkpoint,
            out=self.trained.folder / name,
            annotations=self.trained.folder / "anns.json",
            detector=detector,
            max_words=MAX_WORDS,
        )


@pytest.fixture
def shifted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shifted:
    made = original("swin", index=averaged_index(4, steps=3000))
    monkeypatch.setitem(ARCHITECTURES, "swin-base", made.architecture)
    monkeypatch.setattr("aligncat.checkpoints.mask2former.folder.COCO_NAMES", ("cat", "dog", "cup", "tree", "bus"))
    trained = make(tmp_path, query_dim=64)
    detector = {f"visual_encoder.{name}": tensor for name, tensor in made.state.items()}
    return Shifted(trained, made, save(trained, trained.state | detector, prefix="module."))


def test_a_shifted_position_index_gives_querymatchs_own_scores(
    shifted: Shifted, caplog: pytest.LogCaptureFixture
) -> None:
    trained, made, _ = shifted
    weights = Weights(torch.Generator())
    weights.state = trained.state
    # QueryMatch's scores of the query features that its detector has with the shifted index, and with the computed one.
    expected, unshifted = (
        torch.stack([scores(weights, vocabulary(DOCUMENT), text, features, MAX_WORDS) for text in EXPRESSIONS])
        for features in (made.features, original("swin").features)
    )
    with caplog.at_level("INFO", "aligncat"):
        shifted.run("grounder")
    grounder = Grounder.from_pretrained(trained.folder / "grounder")
    features = grounder.detector.forward(made.image.numpy()).features[0]  # type: ignore[attr-defined]
    text = grounder.model.text(grounder.vocabulary.encode(EXPRESSIONS, MAX_WORDS)).sentences
    with torch.no_grad():
        found = (
            grounder.model.alignment.global_text(text)
            @ grounder.model.alignment.global_query(torch.from_numpy(features)).T
        )
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=0)
    assert (expected - unshifted).abs().max() > 0.1
    assert "relative_position_index: shifted in 6 of 6 blocks (88% of all entries)" in caplog.text
    card = (trained.folder / "grounder" / "README.md").read_text()
    assert "The detector's relative_position_index was shifted in 6 of 6 blocks" in card
    assert grounder.provenance["querymatch"]["relative_position_index"].endswith("relative_position_bias_table")


def test_another_detector_without_the_shift_is_warned_of(
    shifted: Shifted, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    torch.save({"model": original("swin").state}, tmp_path / "original.pth")
    import_detector(model=tmp_path / "original.pth", out=tmp_path / "original", config="swin-base")
    grounder = shifted.run("other", detector=str(tmp_path / "original"))
    assert "relative_position_index: shifted in the checkpoint's own detector, but not in original" in caplog.text
    assert "not in original" in grounder.provenance["querymatch"]["relative_position_index"]
    caplog.clear()
    import_detector(model=shifted.checkpoint, out=tmp_path / "own", config="swin-base")
    grounder = shifted.run("same", detector=str(tmp_path / "own"))
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    assert grounder.provenance["querymatch"]["relative_position_index"].startswith("shifted in 6 of 6 blocks")


def test_the_detector_of_an_import_that_ignored_the_shift_is_not_used(shifted: Shifted) -> None:
    folder = shifted.trained.folder / "grounder" / "detector"
    import_detector(model=shifted.checkpoint, out=folder, config="swin-base")
    config = json.loads((folder / "config.json").read_text())
    del config["aligncat_source"]["relative_position_index"]  # older versions did not record it
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match="already contains a detector"):
        shifted.run("grounder")


def test_a_detector_from_another_checkpoint_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: Original = original("swin")
    monkeypatch.setitem(ARCHITECTURES, "swin-base", made.architecture)
    monkeypatch.setattr("aligncat.checkpoints.mask2former.folder.COCO_NAMES", ("cat", "dog", "cup", "tree", "bus"))
    trained = make(tmp_path, query_dim=64)
    torch.save({"model": made.state}, tmp_path / "other.pth")
    import_detector(model=tmp_path / "other.pth", out=tmp_path / "grounder" / "detector", config="swin-base")
    source = save(trained, trained.state | {f"visual_encoder.{name}": each for name, each in made.state.items()})
    with pytest.raises(ConfigError, match="already contains a detector"):
        import_querymatch(
            checkpoint=source, out=tmp_path / "grounder", annotations=tmp_path / "anns.json", max_words=MAX_WORDS
        )


NO_DETECTOR = r"seg_best\.pth: contains no detector"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, NO_DETECTOR),
        ({"linear_ts.bias": None}, r"1 missing: linear_ts\.bias"),
        ({"lang_encoder.sa_list.0.norm1.bias": None}, r"1 missing: lang_encoder\.sa_list\.0\.norm1\.bias"),
        ({"head.weight": torch.ones(2)}, r"1 extra: head\.weight"),
        ({"lang_encoder.GRU.bias_hh_l0": torch.ones(64)}, r"GRU\.bias_hh_l0 \(64,\), not \(48,\)"),
        ({"lang_encoder.GRU.weight_ih_l0_reverse": torch.ones(48, 6)}, r"1 extra: .*reverse"),
        ({"lang_encoder.embedding.weight": None}, "no matrix 'lang_encoder.embedding.weight'.*not a QueryMatch"),
        ({"linear_vs.weight": torch.ones(12, 32)}, "12 dimensions are not a multiple of QueryMatch's 8 heads"),
        ({"lang_encoder.embedding.weight": torch.ones(9, 6)}, r"vectors for 9 words, but the annotations have 20"),
    ],
)
def test_the_error_names_a_key_that_does_not_fit(
    trained: Trained, change: dict[str, Tensor | None], message: str
) -> None:
    state = {name: tensor for name, tensor in (trained.state | change).items() if tensor is not None}
    with pytest.raises(CheckpointError, match=message):
        import_querymatch(
            checkpoint=save(trained, state), out=trained.folder / "out", annotations=trained.folder / "anns.json"
        )
    assert not (trained.folder / "out").exists()


def test_annotations_in_another_order_are_detected_by_the_word_vectors(trained: Trained, tiny_detector: Path) -> None:
    document = {"train": [{"refs": ["left man black red", "zebra bed fork tree", "right woman white blue"]}]}
    vectors = torch.randn(15, 6, generator=torch.Generator().manual_seed(0))
    vectors[11:] = vectors[3:7] + 0.1  # right is near left, woman near man, ...
    source = save(trained, trained.state | {"lang_encoder.embedding.weight": vectors})
    path = trained.folder / "other.json"
    path.write_text(json.dumps(document))
    import_querymatch(checkpoint=source, out=trained.folder / "good", annotations=path, detector=str(tiny_detector))
    path.write_text(
        json.dumps({"train": [{"refs": ["left black man red zebra right bed fork tree blue white woman"]}]})
    )
    with pytest.raises(CheckpointError, match=r"left and right, and of 3 more pairs of similar words.*another order"):
        import_querymatch(checkpoint=source, out=trained.folder / "bad", annotations=path, detector=str(tiny_detector))


def test_a_detector_with_another_feature_length_is_an_error(tmp_path: Path, tiny_detector: Path) -> None:
    trained = make(tmp_path, query_dim=48)
    with pytest.raises(CheckpointError, match=r"features of length 48.*have length 32"):
        import_querymatch(
            checkpoint=save(trained),
            out=tmp_path / "out",
            annotations=tmp_path / "anns.json",
            detector=str(tiny_detector),
        )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", r"anns\.json: not JSON"),
        (b'{"train": [{"refs": [7]}]}', r"train\[0\]: 'refs' must be a list of strings"),
        (b'{"train": [{"ref": ["a"]}]}', r"train\[0\]"),
        ('{"train": [{"refs": ["café"]}]}'.encode("latin-1"), "cannot be read as UTF-8"),
    ],
)
def test_invalid_annotations_are_an_error(trained: Trained, content: bytes, message: str) -> None:
    (trained.folder / "anns.json").write_bytes(content)
    with pytest.raises(DataError, match=message):
        import_querymatch(
            checkpoint=save(trained), out=trained.folder / "out", annotations=trained.folder / "anns.json"
        )


class Exploit:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


def test_no_code_in_a_checkpoint_is_run(tmp_path: Path) -> None:
    torch.save({"state_dict": {"linear_vs.weight": Exploit(tmp_path / "trace")}}, tmp_path / "bad.pth")
    with pytest.raises(UnsafePickleError, match=r"bad\.pth"):
        import_querymatch(checkpoint=tmp_path / "bad.pth", out=tmp_path / "out", annotations=tmp_path / "anns.json")
    assert not (tmp_path / "trace").exists()


def test_a_folder_with_a_grounder_is_not_overwritten(trained: Trained) -> None:
    (trained.folder / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="already contains a grounder"):
        import_querymatch(checkpoint=save(trained), out=trained.folder, annotations=trained.folder / "anns.json")
