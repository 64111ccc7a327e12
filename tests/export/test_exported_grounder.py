"""An exported grounder answers as its source does, without torch, and each fault of its folder is told."""

from __future__ import annotations

import hashlib
import json
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
from helpers.descriptions import detector_description
from helpers.tiny_run import ALIGNMENT, TEXT, World
from helpers.tiny_text import save_tiny_text
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import aligncat
from aligncat.alignment.config import AlignmentConfig
from aligncat.api.evaluate import evaluate
from aligncat.cli import main
from aligncat.datasets.load import load_split
from aligncat.detectors.colour import COLOUR
from aligncat.detectors.registry import open_detector
from aligncat.errors import AligncatError, ConfigError, DataError, DetectorError
from aligncat.export.grounder import export_grounder
from aligncat.export.grounder_graph import graph_bytes
from aligncat.export.openvino_graph import convert_onnx
from aligncat.files.seals import sealed
from aligncat.grounder.exported import ExportedGrounder
from aligncat.grounder.exported_files import EXPORTED, GRAPHS, SOURCE, TOKENIZER, VOCABULARY, is_exported
from aligncat.grounder.features import ScaledColumn
from aligncat.grounder.folder import read_config
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.images import Images
from aligncat.grounder.matching import Calibration, Logistic
from aligncat.grounder.model import GroundingModel, ModelConfig
from aligncat.grounder.onnx_scorer import OnnxScorer
from aligncat.grounder.opening import open_grounder
from aligncat.grounder.openvino_scorer import OpenVinoScorer
from aligncat.grounder.scored import Scored
from aligncat.language.pretrained import load_pretrained_text
from aligncat.language.vocabulary import Vocabulary
from aligncat.serving.grounders import load_grounders

[GRAPH] = GRAPHS["onnxruntime"]
PHRASES = ["red dog on the left", "person", "zorblax couch", "the dogs", "blue car behind the dog"]
CONFIGS: dict[str, AlignmentConfig] = {
    "querymatch": ALIGNMENT.with_stages("querymatch"),
    "aligncat": ALIGNMENT,
    "fine+global+class": ALIGNMENT.with_stages("fine+global+class"),
    "global+class": ALIGNMENT.with_stages("global+class"),
    "category-at-confidence": ALIGNMENT.with_stages("category-at-confidence"),
    "label-in-training": ALIGNMENT.with_stages("label-in-training"),
    "aligncat-plus": ALIGNMENT.with_stages("aligncat-plus"),
    "without gate": replace(ALIGNMENT, context="relations", context_without="gate"),
    "without category": replace(ALIGNMENT, context="relations", context_without="category"),
    "without object": replace(ALIGNMENT, context="relations", context_without="object"),
    "in one space": replace(ALIGNMENT, context="relations", context_without="global"),
}


@pytest.fixture
def copy(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "copy"))


@pytest.fixture
def bare(copy: Path) -> Path:
    """Return a copy without the exported detector, as --without_detector writes it."""
    shutil.rmtree(copy / "detector")
    return copy


def test_a_detector_and_a_grounder_in_each_others_place_are_told(
    exported: Path, onnx: Path, calibrated: Path, world: World, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"tiny: a detector, not a grounder; give it with --detector"):
        open_grounder(str(onnx))
    with pytest.raises(ConfigError, match=r"a detector, not a grounder"):
        Grounder.from_pretrained(world.detector)
    with pytest.raises(ConfigError, match=r"AlignCAT: an exported grounder; give the folder that `aligncat train`"):
        read_config(exported)
    for folder, said in (
        (exported, r"AlignCAT: an exported grounder; give its detector, .*AlignCAT.detector"),
        (calibrated, r"a grounder, not a detector; give it with --grounder"),
    ):
        with pytest.raises(DetectorError, match=said):
            open_detector(str(folder))


@pytest.fixture(scope="module")
def photos(world: World) -> list[Path]:
    return [image.path for image in load_split(world.data, "train").images.values()][:3]


def assert_alike(found: Any, expected: Any, *, tolerance: float = 1e-5) -> None:
    """Compare JSON values, numbers but for rounding."""
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert_alike(found[key], value, tolerance=1e-3 if key in ("box", "bbox", "scores") else tolerance)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_alike(one, other, tolerance=tolerance)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=tolerance)
    else:
        assert found == expected


class TestAnswers:
    @pytest.mark.parametrize("how", [{}, {"several": True}, {"top": 3}], ids=str)
    def test_they_are_those_of_the_source(
        self, how: dict[str, Any], exported: Path, calibrated: Path, world: World
    ) -> None:
        ours, theirs, store = open_grounder(exported), Grounder.from_pretrained(calibrated), world.open()
        for image_id in store.image_ids[:6]:
            candidates = store.candidates(image_id)
            found = ours.ground_candidates(candidates, PHRASES, **how)
            expected = theirs.ground_candidates(candidates, PHRASES, **how)
            assert_alike([each.to_dict() for each in found], [each.to_dict() for each in expected])
            assert all(each.match is not None for each in found)

    def test_one_candidate_and_many_phrases(self, exported: Path, calibrated: Path, world: World) -> None:
        candidates = world.open().candidates(world.open().image_ids[0])
        names = ("features", "queries", "categories", "confidences", "boxes")
        changes = {name: getattr(candidates, name)[:1] for name in names}
        one = replace(candidates, masks=None if candidates.masks is None else candidates.masks[:1], **changes)
        many = ["dog"] * 300
        found = open_grounder(exported).ground_candidates(one, many)
        expected = Grounder.from_pretrained(calibrated).ground_candidates(one, many)
        assert_alike([each.to_dict() for each in found], [each.to_dict() for each in expected])

    def test_of_a_photo_they_are_those_of_the_source(
        self, exported: Path, calibrated: Path, photos: list[Path]
    ) -> None:
        ours, theirs = open_grounder(exported), Grounder.from_pretrained(calibrated)
        for photo in photos:
            found, expected = ours.ground(photo, PHRASES), theirs.ground(photo, PHRASES)
            assert [each.choice for each in found] == [each.choice for each in expected]
            for one, other in zip(found, expected, strict=True):
                assert one.box == pytest.approx(other.box, abs=0.1)
                assert one.probability == pytest.approx(other.probability, abs=1e-3)  # of two runtimes' features

    @pytest.mark.parametrize("format", ["jsonl", "coco", "label-studio", "csv"])
    def test_written_answers_are_those_of_the_source(
        self,
        format: str,
        exported: Path,
        calibrated: Path,
        world: World,
        photos: list[Path],
        tmp_path: Path,
    ) -> None:
        """With the source's detector and a store, both see the same candidates."""
        for name, grounder in (("ours", exported), ("theirs", calibrated)):
            words = ["ground", *map(str, photos), "red dog", "the dogs", "--grounder", str(grounder)]
            words += ["--detector", str(world.detector), "--store", str(world.store), "--several", "true"]
            words += ["--format", format, "--out", str(tmp_path / name)]
            assert main(words) == 0
        name = "tasks.json" if format == "label-studio" else ""
        found, expected = ((tmp_path / run / name).read_text() for run in ("ours", "theirs"))
        if format == "csv":
            assert [line.split(",")[:3] for line in found.splitlines()] == [
                line.split(",")[:3] for line in expected.splitlines()
            ]
        else:
            texts = (found.splitlines(), expected.splitlines()) if format == "jsonl" else ([found], [expected])
            ours, theirs = (without_names([json.loads(text) for text in part]) for part in texts)
            assert_alike(ours, theirs)

    def test_evaluation_gives_the_metrics_of_the_source(self, bare: Path, calibrated: Path, world: World) -> None:
        found, expected = (
            evaluate(grounder=each, data=world.data, store=world.store, splits=("val",)) for each in (bare, calibrated)
        )
        assert found[0].result.metrics == expected[0].result.metrics

    def test_a_server_takes_it(self, exported: Path) -> None:
        [(name, grounder)] = load_grounders([f"fast={exported}"]).items()
        assert name == "fast" and isinstance(grounder, ExportedGrounder)

    def test_it_knows_what_its_source_knows(self, exported: Path, calibrated: Path) -> None:
        ours, theirs = aligncat.ExportedGrounder.from_pretrained(exported), Grounder.from_pretrained(calibrated)
        assert (ours.labels, ours.alignment, ours.columns) == (theirs.labels, theirs.alignment, theirs.columns)
        assert (ours.provenance, ours.familiar, ours.device) == (theirs.provenance, theirs.familiar, "cpu")
        assert ours.fingerprint() == ExportedGrounder.from_pretrained(exported).fingerprint() != theirs.fingerprint()
        assert ours.detector_description.weights_sha256 == theirs.detector_description.weights_sha256


def without_names(value: Any) -> Any:
    """Return JSON values without what names the grounder or the moment."""
    if isinstance(value, dict):
        left_out = ("grounder", "date_created", "created", "model_version", "id")
        return {key: without_names(each) for key, each in value.items() if key not in left_out}
    return [without_names(each) for each in value] if isinstance(value, list) else value


GROUND = """
import json, sys, time
from aligncat.cli import main
status = main(sys.argv[1:])
print(time.process_time(), *sys.modules, file=sys.stderr)
sys.exit(status)
"""


def ground_alone(*words: str, other: str = "torch") -> list[Any]:
    """Run the verb in a process of its own, check that it has not imported torch, and return all of the answers.

    Args:
        words: what follows the verb.
        other: a further package that it must not have imported.
    """
    command = [sys.executable, "-c", GROUND, "ground", *words, "--candidates", "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seconds, *imported = done.stderr.splitlines()[-1].split()
    print(f"{float(seconds):.2f} s of processor time")
    assert not {"torch", "transformers", other} & set(imported)
    of_photo = ("image", "width", "height")
    return [{key: each[key] for key in each if key not in of_photo} for each in json.loads(done.stdout)]


class TestOpenVino:
    @pytest.mark.slow
    @pytest.mark.parametrize("how", [{}, {"several": True}, {"top": 3}], ids=str)
    def test_answers_are_those_of_the_source(
        self, how: dict[str, Any], exported_openvino: Path, calibrated: Path, world: World
    ) -> None:
        ours, theirs, store = open_grounder(exported_openvino), Grounder.from_pretrained(calibrated), world.open()
        assert isinstance(ours, ExportedGrounder) and isinstance(ours.scorer, OpenVinoScorer)
        for image_id in store.image_ids[:6]:
            candidates = store.candidates(image_id)
            found = ours.ground_candidates(candidates, PHRASES, **how)
            expected = theirs.ground_candidates(candidates, PHRASES, **how)
            assert_alike([each.to_dict() for each in found], [each.to_dict() for each in expected])

    @pytest.mark.slow
    def test_a_photo_from_end_to_end_without_torch_and_onnxruntime(
        self, exported_openvino: Path, exported: Path, photos: list[Path]
    ) -> None:
        found = ground_alone(str(photos[0]), *PHRASES, "--grounder", str(exported_openvino), other="onnxruntime")
        expected = open_grounder(exported).ground(photos[0], PHRASES)
        assert [each["choice"] for each in found] == [each.choice for each in expected]
        for one, other in zip(found, expected, strict=True):
            assert one["probability"] == pytest.approx(other.probability, abs=1e-3)

    @pytest.mark.slow
    def test_it_computes_in_float32_and_threads_share_it(self, exported_openvino: Path, world: World) -> None:
        grounder, candidates = open_grounder(exported_openvino), world.open().candidates("1000")
        compiled = grounder.scorer._graph._compiled  # type: ignore[attr-defined]
        assert compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"
        phrases = PHRASES * 4
        alone = [grounder.ground_candidates(candidates, phrase) for phrase in phrases]
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda phrase: grounder.ground_candidates(candidates, phrase), phrases)) == alone

    @pytest.mark.slow
    def test_faults_of_the_folder_are_told(
        self, exported_openvino: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        copy = Path(shutil.copytree(exported_openvino, tmp_path / "copy"))
        for name, content in (("grounder.xml", b"no graph"), ("grounder.bin", b"")):
            whole = (copy / name).read_bytes()
            (copy / name).write_bytes(whole[:-1])
            with pytest.raises(ConfigError, match=f"{name}: damaged or replaced"):
                ExportedGrounder.from_pretrained(copy)
            rehashed(copy, name, content)
            with pytest.raises(ConfigError, match=r"grounder\.xml: openvino cannot load the graph") as error:
                ExportedGrounder.from_pretrained(copy)
            assert "\n" not in str(error.value)
            rehashed(copy, name, whole)
        edited(copy, lambda record: record.update(source="f" * 64))
        with pytest.raises(ConfigError, match=r"grounder\.xml: the graph of another grounder"):
            ExportedGrounder.from_pretrained(copy)
        edited(copy, lambda record: record.update(runtime="onnxruntime", opset=20))
        with pytest.raises(ConfigError, match=r"hashes are not those of grounder\.onnx"):
            ExportedGrounder.from_pretrained(copy)
        edited(copy, lambda record: record.update(runtime="abacus"))
        with pytest.raises(ConfigError, match=r"with opset 20 for abacus, but this version .*update aligncat"):
            ExportedGrounder.from_pretrained(copy)
        monkeypatch.setitem(sys.modules, "openvino", None)
        with pytest.raises(ConfigError, match=r"needs openvino.*pip install 'aligncat\[openvino\]'"):
            ExportedGrounder.from_pretrained(exported_openvino)

    def test_a_folder_that_says_no_runtime_is_for_onnx_runtime(self, copy: Path) -> None:
        edited(copy, lambda record: record.pop("runtime"))
        assert isinstance(ExportedGrounder.from_pretrained(copy).scorer, OnnxScorer)


class TestWithoutTorch:
    def test_a_photo_from_end_to_end(self, exported: Path, photos: list[Path]) -> None:
        found = ground_alone(str(photos[0]), *PHRASES, "--grounder", str(exported))
        expected = [each.to_dict() for each in open_grounder(exported).ground(photos[0], PHRASES)]
        assert_alike(found, json.loads(json.dumps(expected)))

    def test_candidates_of_a_store(self, bare: Path, world: World, photos: list[Path]) -> None:
        ground_alone(str(photos[0]), "red dog", "--grounder", str(bare), "--store", str(world.store))

    def test_training_free_with_an_exported_detector(self, onnx: Path, world: World, photos: list[Path]) -> None:
        phrases = ["left dog", "second person from the right", "red couch"]
        found = ground_alone(str(photos[0]), *phrases, "--grounder", "training-free", "--detector", str(onnx))
        source = open_grounder("training-free", detector=world.detector)
        assert [each["choice"] for each in found] == [each.choice for each in source.ground(photos[0], phrases)]

    def test_a_server_process_opens_it(self, exported: Path) -> None:
        code = f"import sys; from aligncat import ExportedGrounder; ExportedGrounder.from_pretrained({str(exported)!r})"
        done = subprocess.run([sys.executable, "-c", f"{code}; assert 'torch' not in sys.modules"], check=False)
        assert done.returncode == 0


class TestConfigs:
    """The graphs and the torch model share no runtime; every config gives the same scores in all."""

    @pytest.mark.slow
    @pytest.mark.parametrize("name", CONFIGS)
    def test_every_config(self, name: str, tmp_path: Path) -> None:
        alignment = CONFIGS[name]
        columns = (ScaledColumn(COLOUR, 2.0),) if alignment.features == "query+appearance" else ()
        vocabulary = Vocabulary.from_expressions(PHRASES[:2] + PHRASES[3:])
        length = 8 + sum(each.column.dim for each in columns)
        text = replace(TEXT, blocks=2, norm="deviation" if name == "querymatch" else "variance")
        check(ModelConfig(alignment, text), vocabulary, length, tmp_path, columns=columns)

    @pytest.mark.slow
    @pytest.mark.parametrize("trained", [False, True])
    def test_a_transformer(self, trained: bool, tmp_path: Path) -> None:
        encoder = str(save_tiny_text(tmp_path / "bert"))
        text = replace(TEXT, encoder=encoder, train_encoder=trained)
        grounder = check(ModelConfig(ALIGNMENT, text), None, 8, tmp_path)
        grounder.save_pretrained(tmp_path / "source")
        out = export_grounder(tmp_path / "source", tmp_path / "out", to="onnx", without_detector=True)
        assert {each.name for each in out.iterdir()} == {EXPORTED, GRAPH, TOKENIZER, VOCABULARY}
        ours, source = open_grounder(out), Grounder.from_pretrained(tmp_path / "source")
        assert isinstance(ours, ExportedGrounder) and ours.words == source.words
        for phrase in (*PHRASES, "[SEP] dog", "The player, playing"):
            assert np.array_equal(ours.vocabulary.ids([phrase], 8), source.vocabulary.ids([phrase], 8))
            assert ours.vocabulary.weigh(phrase, [0.1] * 8) == source.vocabulary.weigh(phrase, [0.1] * 8)

    @pytest.mark.slow
    def test_the_graph_has_the_same_bytes_again(self, calibrated: Path) -> None:
        first, again = (graph_bytes(Grounder.from_pretrained(calibrated), {}) for _ in range(2))
        assert first == again


def check(
    config: ModelConfig, vocabulary: Vocabulary | None, length: int, out: Path, columns: tuple[ScaledColumn, ...] = ()
) -> Grounder:
    """Compare the graphs of a model with random weights with the model, for several sizes, and return its grounder."""
    torch.manual_seed(0)
    pretrained = None if vocabulary is not None else load_pretrained_text(config.text.encoder)
    tokens = vocabulary if pretrained is None else pretrained.pieces
    assert tokens is not None
    model = GroundingModel(config, len(tokens), feature_dim=length, classes=3, pretrained=pretrained).eval()
    for name, parameter in model.named_parameters():
        if not name.startswith("text.transformer"):
            parameter.data.normal_(std=0.4)
    rng = np.random.default_rng(0)
    logistic = Logistic((1.0, 0.5, 0.5, 1.0), 0.0)
    references = made_up(rng, 9, 4, length)
    references.valid[2, 1:] = False
    grounder = Grounder(
        model,
        tokens,
        ("dog", "person", "car"),
        detector_description(),
        {},
        pretrained,
        columns,
        Calibration(logistic, logistic, references, {}),
        words=None if pretrained is None else Vocabulary.from_expressions(PHRASES),
    )
    content = graph_bytes(grounder, {SOURCE: "value"})
    convert_onnx(content, out / "graph.xml", "grounder", {SOURCE: "value"})
    converted = OpenVinoScorer((out / "graph.xml").read_bytes(), (out / "graph.bin").read_bytes(), Path("graph"))
    graphs = (OnnxScorer(content, Path("graph")), converted)
    assert [graph.source for graph in graphs] == ["value", "value"]
    for texts, slots in ((["dog"], 1), (["red dog on the left"], 20), (PHRASES, 7), (["dog", "person"], 3)):
        images = made_up(rng, len(texts), slots, length)
        images.valid[0, 1:] = len(texts) != 2  # padding
        ids = tokens.ids(texts, config.text.max_length)
        expected = grounder.scorer.score(images, ids, relative=True)
        for graph in graphs:
            assert_same(graph.score(images, ids), expected)
    return grounder


def made_up(rng: np.random.Generator, count: int, slots: int, length: int) -> Images:
    corners = rng.random((count, slots, 2), np.float32) / 2
    return Images(
        rng.normal(size=(count, slots, length)).astype(np.float16),
        rng.integers(0, 3, (count, slots)),
        np.ones((count, slots), bool),
        rng.random((count, slots), np.float32),
        np.concatenate([corners, corners + rng.random((count, slots, 2), np.float32) / 2], axis=-1),
    )


def assert_same(found: Scored, expected: Scored) -> None:
    for name in ("kept", "choice", "predicted", "category", "category_matched"):
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert np.array_equal(ours, theirs) and (ours is None or ours.dtype == theirs.dtype), name
    assert found.scores.keys() == expected.scores.keys()
    pairs = [(found.scores[name], expected.scores[name]) for name in expected.scores]
    pairs += [(found.probabilities, expected.probabilities), (found.relative, expected.relative)]
    if expected.word_weights is not None:  # a graph of a transformer keeps the padding of special symbols
        width = expected.word_weights.shape[1]
        pairs += [(found.word_weights[:, :width], expected.word_weights)]  # type: ignore[index]
        assert not found.word_weights[:, width:].any()  # type: ignore[index]
    for ours, theirs in pairs:
        assert ours is not None and theirs is not None and ours.dtype == theirs.dtype == np.float32
        finite = np.isfinite(theirs)
        assert np.array_equal(np.isfinite(ours), finite)
        assert ours[finite] == pytest.approx(theirs[finite], abs=2e-5, rel=1e-5)


def edited(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Change grounder.json as somebody would who seals it anew, and return the folder."""
    content = json.loads((folder / EXPORTED).read_text())
    change(content)
    (folder / EXPORTED).write_text(json.dumps(sealed(content)))
    return folder


def rehashed(folder: Path, name: str, content: bytes) -> Path:
    """Replace a file and its hash."""
    (folder / name).write_bytes(content)
    return edited(folder, lambda record: record["sha256"].update({name: hashlib.sha256(content).hexdigest()}))


class TestBadFolders:
    def test_the_class_for_training_says_what_to_use(self, exported: Path, calibrated: Path) -> None:
        assert is_exported(exported) and not is_exported(calibrated)
        with pytest.raises(ConfigError, match=r"open it with aligncat\.ExportedGrounder\.from_pretrained"):
            Grounder.from_pretrained(exported)
        with pytest.raises(ConfigError, match=r"grounder\.json is missing; give a folder that `aligncat export"):
            ExportedGrounder.from_pretrained(calibrated)

    def test_a_newer_format_or_opset_is_named(self, copy: Path) -> None:
        edited(copy, lambda record: record.update(format=3))
        with pytest.raises(
            ConfigError, match=r"of format 3 with opset 20 for onnxruntime, but this version .*update aligncat"
        ):
            ExportedGrounder.from_pretrained(copy)
        edited(copy, lambda record: record.update(format=1, opset=99))
        with pytest.raises(ConfigError, match="of format 1 with opset 99"):
            ExportedGrounder.from_pretrained(copy)

    @pytest.mark.parametrize("name", [GRAPH, VOCABULARY])
    def test_a_cut_or_missing_file_is_named(self, name: str, copy: Path) -> None:
        (copy / name).write_bytes((copy / name).read_bytes()[:-7])
        with pytest.raises(ConfigError, match=f"{name}: damaged or replaced: its hash differs") as error:
            ExportedGrounder.from_pretrained(copy)
        assert "export the grounder again" in str(error.value)
        (copy / name).unlink()
        with pytest.raises(ConfigError, match=f"{name}: the file is missing"):
            ExportedGrounder.from_pretrained(copy)

    def test_a_graph_that_the_runtime_cannot_load(self, copy: Path) -> None:
        rehashed(copy, GRAPH, (copy / GRAPH).read_bytes()[:-7])
        with pytest.raises(ConfigError, match="onnxruntime cannot load the graph") as error:
            ExportedGrounder.from_pretrained(copy)
        assert "\n" not in str(error.value)

    def test_the_graph_of_another_grounder(self, copy: Path) -> None:
        edited(copy, lambda record: record.update(source="f" * 64))
        with pytest.raises(ConfigError, match="the graph of another grounder"):
            ExportedGrounder.from_pretrained(copy)

    def test_an_edited_record(self, copy: Path) -> None:
        path = copy / EXPORTED
        path.write_text(path.read_text().replace('"couch"', '"sofa"'))
        with pytest.raises(ConfigError, match="damaged or edited"):
            ExportedGrounder.from_pretrained(copy)

    def test_the_export_of_another_detector(
        self, copy: Path, exported: Path, onnx: Path, photos: list[Path], capsys: pytest.CaptureFixture[str]
    ) -> None:
        edited(copy, lambda record: record["grounder"]["detector"].update(weights_sha256="a" * 64))
        assert main(["ground", str(photos[0]), "dog", "--grounder", str(copy), "--detector", str(onnx)]) == 1
        said = capsys.readouterr().err
        assert "has changed since it was last used (it differs in weights_sha256)" in said
        assert main(["ground", str(photos[0]), "dog", "--grounder", str(copy)]) == 1

    def test_a_damaged_detector(self, copy: Path, photos: list[Path]) -> None:
        path = copy / "detector" / "model.onnx"
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(DetectorError, match=r"model\.onnx: damaged"):
            open_grounder(copy).ground(photos[0], "dog")

    def test_a_device_and_a_text_encoder_are_refused(self, exported: Path, photos: list[Path]) -> None:
        for options, problem in (({"device": "cuda"}, "works on the CPU"), ({"text_encoder": "x"}, "text encoder")):
            with pytest.raises(ConfigError, match=problem):
                open_grounder(exported, **options)  # type: ignore[arg-type]
        with pytest.raises(DataError, match="has no words"):
            open_grounder(exported).ground(photos[0], "?!")

    def test_the_runtime_is_not_installed(self, exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        with pytest.raises(ConfigError, match=r"needs onnxruntime.*pip install 'aligncat\[onnx\]'"):
            ExportedGrounder.from_pretrained(exported)

    def test_keys_that_are_gone_are_one_error_or_none(self, copy: Path) -> None:
        content = json.loads((copy / EXPORTED).read_text())
        for place in ((), ("grounder",), ("grounder", "match"), ("grounder", "detector")):
            for key in nested(content, place):
                edited(copy, lambda record: (record.clear(), record.update(json.loads(json.dumps(content)))))
                edited(copy, lambda record, place=place, key=key: nested(record, place).pop(key, None))  # type: ignore[misc]
                try:
                    ExportedGrounder.from_pretrained(copy)
                except ConfigError as error:
                    assert "\n" not in str(error)

    @settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.data())
    def test_any_damage_of_the_record_is_told(self, copy: Path, data: st.DataObject) -> None:
        whole = (copy.parent / "whole").read_bytes() if (copy.parent / "whole").exists() else None
        if whole is None:
            whole = (copy / EXPORTED).read_bytes()
            (copy.parent / "whole").write_bytes(whole)
        place = data.draw(st.integers(0, len(whole) - 2))
        kind = data.draw(st.sampled_from(["cut", "byte"]))
        byte = bytes([data.draw(st.integers(0, 255))])
        changed = whole[:place] if kind == "cut" else whole[:place] + byte + whole[place + 1 :]
        (copy / EXPORTED).write_bytes(changed)
        try:
            found = ExportedGrounder.from_pretrained(copy)
        except AligncatError:
            return
        assert json.loads(changed) == json.loads(whole) and found.labels


def nested(content: dict[str, Any], place: tuple[str, ...]) -> dict[str, Any]:
    for key in place:
        content = content[key]
    return content


class TestBadExports:
    def test_what_has_nothing_to_export(self, exported: Path, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"the training-free grounder has nothing to export: export a detector"):
            export_grounder("training-free", tmp_path / "out", to="onnx")
        with pytest.raises(ConfigError, match="exported already"):
            export_grounder(exported, tmp_path / "out", to="onnx")
        with pytest.raises(ConfigError, match="contradict each other"):
            export_grounder(exported, tmp_path / "out", to="onnx", detector="mini", without_detector=True)
        assert not (tmp_path / "out").exists()

    def test_packages_that_are_missing_are_named_first(
        self, calibrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "onnxscript", None)
        with pytest.raises(ConfigError, match=r"needs onnxscript.*pip install 'aligncat\[onnx\]'"):
            export_grounder(calibrated, tmp_path / "out", to="onnx")
        with pytest.raises(ConfigError, match=r"openvino: needs onnxscript.*pip install 'aligncat\[onnx,openvino\]'"):
            export_grounder(calibrated, tmp_path / "out", to="openvino")

    def test_a_folder_that_is_not_empty(self, calibrated: Path, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(DataError, match="is not empty"):
            export_grounder(calibrated, tmp_path, to="onnx")

    @pytest.mark.slow
    def test_the_export_of_another_detector_writes_nothing(self, trained: Path, onnx: Path, tmp_path: Path) -> None:
        source = Grounder.from_pretrained(trained)
        source.detector_description = replace(source.detector_description, weights_sha256="a" * 64)
        source.save_pretrained(tmp_path / "other")
        with pytest.raises(DetectorError, match="differs in weights_sha256"):
            export_grounder(tmp_path / "other", tmp_path / "out", to="onnx", detector=onnx)
        assert not (tmp_path / "out").exists()
