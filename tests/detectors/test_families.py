"""Every family of transformers: what aligncat reads of a model is what the model's own post-processing reads."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from helpers.fabricate import CATEGORIES, ReferFiles, write_refer_dataset
from helpers.tiny_families import MODELS, QUERIES, SIZE, save_tiny
from helpers.tiny_run import ALIGNMENT, TEXT, TRAINING
from PIL import Image
from torch import Tensor

from aligncat.api.evaluate import evaluate
from aligncat.api.extract import extract
from aligncat.api.train import train
from aligncat.datasets.load import load_split
from aligncat.detectors.families import FAMILIES_OF_TRANSFORMERS, transformers_family
from aligncat.detectors.preprocessing import squash_image
from aligncat.detectors.pretrained_model import load_model, submodule
from aligncat.detectors.registry import open_detector
from aligncat.errors import ConfigError, DetectorError
from aligncat.geometry import decode_mask
from aligncat.grounder.doubts import LOW_MATCH
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.grounding import Grounding
from aligncat.grounder.overlay import draw_groundings
from aligncat.store.reader import Store
from aligncat.types import Candidates

WITH_APPEARANCE = replace(ALIGNMENT, features="query+appearance")
PAIRS = QUERIES * len(CATEGORIES)
FAST = ("eomt", "detr-masks", "rt_detr")  # one of each shape of output
VAL_PHOTOS = 40  # with four phrases each: enough to calibrate `match` for every family
ALL = [pytest.param(name, marks=[] if name in FAST else [pytest.mark.slow]) for name in MODELS]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that returns the folder of a tiny model, written once."""
    root = tmp_path_factory.mktemp("families")

    def of(name: str) -> Path:
        folder = root / name
        return folder if folder.exists() else save_tiny(name, folder, tuple(CATEGORIES.values()))

    return of


def photo(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 255, (height // 8, width // 8, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((width, height))


class Bare:
    """A model as transformers loads it, its output for a photo that was stretched, and the input of its class head."""

    def __init__(self, folder: Path, name: str, image: Image.Image) -> None:
        family, model_class = MODELS[name]
        row = transformers_family(family)
        assert row is not None
        model = getattr(transformers, model_class).from_pretrained(folder).eval()
        [of_class] = [each for each in row.models if each.name == model_class]
        heard: list[Tensor] = []
        hook = submodule(model, of_class.head).register_forward_pre_hook(lambda _, given: heard.append(given[0]))
        square = np.asarray(squash_image(image, SIZE)[0], np.float32) / 255
        if row.normalised:
            square = (square - [0.4, 0.5, 0.6]) / [0.229, 0.224, 0.225]
        with torch.no_grad():
            pixels = torch.from_numpy(square).float().permute(2, 0, 1)[None].contiguous()
            self.output = model(pixel_values=pixels)
        hook.remove()
        self.head_input = heard[-1].reshape(-1, heard[-1].shape[-1])[-QUERIES:].numpy()


def detected(folder: Path, image: Image.Image, **options: Any) -> Candidates:
    [found] = open_detector(folder, preprocessing="squash", **options).detect([image], ["a"])
    return found


@pytest.mark.parametrize("name", MODELS)
def test_the_query_feature_is_what_the_class_head_reads(folder_of: Callable[[str], Path], name: str) -> None:
    image = photo(SIZE, SIZE)
    found = detected(folder_of(name), image, candidates=PAIRS)
    expected = Bare(folder_of(name), name, image).head_input
    assert found.features.shape[1] == expected.shape[1]
    assert len({*found.queries.tolist()}) > 1
    np.testing.assert_allclose(found.features, expected[found.queries], rtol=2e-3, atol=2e-3)


BOXES = {
    **dict.fromkeys(("detr", "detr-masks"), "DetrImageProcessorPil"),
    **dict.fromkeys(("conditional_detr", "conditional_detr-masks"), "ConditionalDetrImageProcessorPil"),
    **dict.fromkeys(("rt_detr", "rt_detr_v2", "d_fine", "deimv2"), "RTDetrImageProcessorPil"),
    **dict.fromkeys(("deformable_detr", "lw_detr"), "DeformableDetrImageProcessorPil"),
}


def rf_detr_pairs(output: Any, height: int, width: int) -> dict[str, Tensor]:
    """Return what RF-DETR's processor documents, which needs torchvision: sigmoid, the best pairs, boxes in pixels."""
    scores, places = output.logits.sigmoid().flatten(1).sort(descending=True)
    queries, labels = places // output.logits.shape[2], places % output.logits.shape[2]
    x, y, w, h = output.pred_boxes[0, queries[0]].unbind(-1)
    boxes = torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], -1) * torch.tensor([width, height] * 2)
    return {"scores": scores[0], "labels": labels[0], "boxes": boxes}


@pytest.mark.parametrize(
    "name", [name for name, (family, _) in MODELS.items() if "eomt" not in family and family != "maskformer"]
)
def test_boxes_labels_and_confidences_are_those_of_the_model_s_own_post_processing(
    folder_of: Callable[[str], Path], name: str
) -> None:
    image = photo(80, 48)
    output = Bare(folder_of(name), name, image).output
    if name in BOXES:
        module = {"RTDetrImageProcessorPil": "rt_detr", "DetrImageProcessorPil": "detr"}.get(
            BOXES[name], BOXES[name].split("Detr")[0].lower() + "_detr"
        )
        processor = getattr(getattr(transformers.models, module), BOXES[name])()
        more = {"top_k": PAIRS} if module in ("conditional_detr", "deformable_detr") else {}
        [expected] = processor.post_process_object_detection(output, threshold=0.0, target_sizes=[(48, 80)], **more)
    else:
        expected = rf_detr_pairs(output, 48, 80)
    one_per_query = transformers_family(MODELS[name][0]).probabilities == "softmax"  # type: ignore[union-attr]
    found = detected(folder_of(name), image, candidates=PAIRS, every_query=one_per_query)
    rows = [
        (label, round(score, 4), *np.round(box, 1).tolist())
        for label, score, box in zip(
            expected["labels"].tolist(),
            expected["scores"].tolist(),
            np.clip(expected["boxes"].numpy(), 0, [80, 48, 80, 48]),
            strict=True,
        )
        if box[0] < box[2] and box[1] < box[3]
    ]
    ours = np.column_stack([found.categories, found.confidences, found.boxes])
    with_mask = found.masks is not None
    assert rows
    for row in rows[: len(ours)]:
        near = np.isclose(ours, row, atol=[0.1, 2e-4, 0.1, 0.1, 0.1, 0.1], rtol=0).all(axis=1)
        assert near.any() or with_mask, row  # a query whose mask is empty is no candidate
    if with_mask:
        assert len(ours)
        for row in ours:
            assert np.isclose(row, rows, atol=[0.1, 2e-4, 0.1, 0.1, 0.1, 0.1], rtol=0).all(axis=1).any(), row


@pytest.mark.parametrize("name", ["maskformer", "eomt", "eomt_dinov3"])
def test_labels_and_confidences_of_masks_are_those_of_the_model_s_own_post_processing(
    folder_of: Callable[[str], Path], name: str
) -> None:
    image = photo(SIZE, SIZE)
    output = Bare(folder_of(name), name, image).output
    grid = output.masks_queries_logits.shape[-1]
    if name == "maskformer":
        processor = transformers.models.maskformer.MaskFormerImageProcessorPil()
        [expected] = processor.post_process_instance_segmentation(output, threshold=0.0)
    else:
        processor = transformers.models.eomt.EomtImageProcessorPil()
        size = {"shortest_edge": grid, "longest_edge": grid}
        [expected] = processor.post_process_instance_segmentation(output, [(grid, grid)], threshold=0.0, size=size)
    found = detected(folder_of(name), image, candidates=PAIRS, every_query=name != "maskformer")
    assert found.masks is not None
    ours = np.column_stack([found.categories, found.confidences])
    assert expected["segments_info"]
    for segment in expected["segments_info"]:
        row = [segment["label_id"], segment["score"]]
        assert np.isclose(ours, row, atol=[0.1, 2e-6], rtol=1e-4).all(axis=1).any(), row


@pytest.mark.parametrize("name", ["detr-masks", "conditional_detr-masks", "rf_detr-masks"])
def test_a_mask_beside_a_box_is_the_model_s_own(folder_of: Callable[[str], Path], name: str) -> None:
    image = photo(96, 80)
    output = Bare(folder_of(name), name, image).output
    found = detected(folder_of(name), image, candidates=PAIRS)
    logits = torch.nn.functional.interpolate(output.pred_masks, size=(80, 96), mode="bilinear", align_corners=False)
    assert found.masks is not None
    for query, mask in zip(found.queries, found.masks, strict=True):
        assert (decode_mask(mask) == (logits[0, query] > 0).numpy()).mean() > 0.999


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ReferFiles:
    return write_refer_dataset(tmp_path_factory.mktemp("data"), splits={"train": 12, "val": VAL_PHOTOS})


@pytest.mark.parametrize("name", ALL)
def test_extract_train_evaluate_ground(data: ReferFiles, tmp_path: Path, name: str) -> None:
    # Sure of everything everywhere, a detector would leave no photo that lacks an object, to calibrate on.
    detector = save_tiny(name, tmp_path / "detector", tuple(CATEGORIES.values()), class_bias=-6.0)
    masks = name in ("maskformer", "eomt", "eomt_dinov3") or name.endswith("-masks")
    store = extract(out=tmp_path / "store", data=data.config, detector=detector, candidates=6, appearance=True)
    assert store.manifest.has_masks is masks
    one = store.candidates(store.image_ids[0])
    assert len(one) == 6 and (one.masks is not None) is masks and one.columns["colour"].shape == (6, 17)
    train(
        data=data.config,
        store=tmp_path / "store",
        out=tmp_path / "run",
        alignment=WITH_APPEARANCE,
        text=TEXT,
        training=TRAINING,
        progress=False,
    )
    [answers] = evaluate(grounder=tmp_path / "run", data=data.config, store=tmp_path / "store", splits=("val",))
    result = answers.result
    assert result.boxes_alone is not masks
    assert (result.metrics.with_mask, result.metrics.res_miou is None) == (
        (4 * VAL_PHOTOS, False) if masks else (0, True)
    )
    image = next(iter(load_split(data.config, "val").images.values())).path
    grounder = Grounder.from_pretrained(tmp_path / "run")
    assert [each.column.name for each in grounder.columns] == ["colour"]  # these families have no deep levels
    found, unknown = grounder.ground(image, ["the dog", "the blorp"])
    check_doubts(found, unknown)
    [both] = grounder.ground(image, "both dogs", several=True)
    assert both.answers and all((each.mask is not None) is masks for each in both.answers)
    assert (found.mask is not None) is masks and len(found.candidates) == 6
    assert (found.to_dict()["mask"] is not None) is masks
    with Image.open(image) as picture:
        drawn = draw_groundings(picture.convert("RGB"), [found])
    assert drawn.width % picture.width == 0
    assert Store.open(tmp_path / "store", expect=grounder.detector_description).image_ids == store.image_ids


def check_doubts(known: Grounding, unknown: Grounding) -> None:
    """Check that two answers have a match, and exactly the warnings that follow from it, the category and the words."""
    for found, words in ((known, ()), (unknown, ("blorp",))):
        assert found.match is not None and 0 <= found.match <= 1 and found.unknown_words == words
        expected = [found.match < LOW_MATCH, not found.category_matched, bool(words), bool(words)]
        guess = f"category {found.predicted_category} is a guess"
        said = ("match is", "nothing in the photo was found as one", guess, "does not know: blorp")
        assert [any(each in warning for warning in found.warnings) for each in said] == expected


def test_there_is_a_tiny_model_of_every_class_of_every_family() -> None:
    rows = {(family.name, each.name) for family in FAMILIES_OF_TRANSFORMERS for each in family.models}
    assert rows == set(MODELS.values())


class TestMistakes:
    def test_a_class_that_the_installed_transformers_lacks(
        self, folder_of: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = open_folder(folder_of("d_fine"))
        with pytest.raises(
            DetectorError, match=r"transformers 5\..* has no DFineForNothing; run pip install --upgrade"
        ):
            load_model("DFineForNothing", folder)

    def test_a_class_without_a_head_for_objects(self, folder_of: Callable[[str], Path], tmp_path: Path) -> None:
        change(folder_of("rt_detr"), tmp_path / "other", "config.json", architectures=["RTDetrModel"])
        with pytest.raises(DetectorError, match=r"architectures is .*RTDetrModel.* must name RTDetrForObjectDetection"):
            open_detector(tmp_path / "other")

    def test_masks_asked_of_a_detector_that_gives_boxes_alone(self, folder_of: Callable[[str], Path]) -> None:
        with pytest.raises(ConfigError, match=r"masks querymatch: .*rt_detr gives boxes alone, without masks"):
            open_detector(folder_of("rt_detr"), masks="querymatch", preprocessing="letterbox-416-to-800")

    def test_another_size_than_the_only_one(self, folder_of: Callable[[str], Path]) -> None:
        with pytest.raises(ConfigError, match=r"image_size 96: .*eomt accepts squares of 64 px only"):
            open_detector(folder_of("eomt"), image_size=96)

    def test_a_backbone_of_timm_that_is_not_installed(self, folder_of: Callable[[str], Path], tmp_path: Path) -> None:
        change(folder_of("detr"), tmp_path / "timm", "config.json", backbone_config={"model_type": "timm_backbone"})
        with pytest.raises(
            DetectorError, match=r"needs timm, which is not installed; run pip install 'aligncat\[timm\]'"
        ):
            open_detector(tmp_path / "timm")

    @pytest.mark.parametrize("name", ["eomt", "rt_detr"])
    def test_classes_that_do_not_start_at_0(self, folder_of: Callable[[str], Path], tmp_path: Path, name: str) -> None:
        names = {str(number): category for number, category in enumerate(CATEGORIES.values(), 1)}
        change(folder_of(name), tmp_path / "from-1", "config.json", id2label=names)
        with pytest.raises(DetectorError, match=r"id2label must name the classes 0 to 2, but names 1 to 3"):
            open_detector(tmp_path / "from-1")

    def test_tensors_are_missing(self, folder_of: Callable[[str], Path], tmp_path: Path) -> None:
        from safetensors.torch import load_file, save_file

        change(folder_of("lw_detr"), tmp_path / "less", "config.json")
        tensors = load_file(tmp_path / "less" / "model.safetensors")
        save_file(
            {k: v for k, v in tensors.items() if k != "class_embed.weight"}, tmp_path / "less" / "model.safetensors"
        )
        with pytest.raises(DetectorError, match=r"1 tensors are missing from the weights, such as class_embed.weight"):
            open_detector(tmp_path / "less")

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"image_mean": [0.5, float("nan"), 0.5]}, "preprocessor_config.json"),
            ({"image_mean": [0.5, 0.5]}, "'image_mean' must be three numbers"),
            ({"image_std": [0.5, 0, 0.5], "do_normalize": True}, "'image_std' must be above 0"),
            ({"do_rescale": False}, "pixels must be scaled by 1/255"),
            ({"rescale_factor": 1}, "pixels must be scaled by 1/255"),
            ({"size": "large"}, "'size' is 'large', which is no size of an image"),
        ],
    )
    def test_a_preprocessor_config_that_cannot_be(
        self, folder_of: Callable[[str], Path], tmp_path: Path, settings: dict[str, Any], message: str
    ) -> None:
        change(folder_of("detr"), tmp_path / "bad", "preprocessor_config.json", **settings)
        with pytest.raises(DetectorError, match=message):
            open_detector(tmp_path / "bad")


@pytest.mark.parametrize(("name", "mean"), [("rt_detr", [0.0] * 3), ("detr", [0.485, 0.456, 0.406])])
def test_without_a_preprocessor_config_the_normalisation_is_the_family_s_usual_one(
    folder_of: Callable[[str], Path], tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, mean: list[float]
) -> None:
    change(folder_of(name), tmp_path / "plain", "config.json")
    (tmp_path / "plain" / "preprocessor_config.json").unlink()
    with caplog.at_level(logging.WARNING):
        detector = open_detector(tmp_path / "plain", image_size=SIZE)
    assert detector.description().preprocessing["mean"] == mean
    assert f"no preprocessor_config.json, so pixels are {'scaled' if mean[0] == 0 else 'normalised'}" in caplog.text


@pytest.mark.parametrize(
    ("size", "side"),
    [
        ({"height": 96, "width": 64}, 96),
        ({"shortest_edge": 800, "longest_edge": 1333}, 800),
        ({"longest_edge": 128}, 128),
        (96, 96),
    ],
)
def test_the_size_is_the_one_of_the_preprocessor_config(
    folder_of: Callable[[str], Path], tmp_path: Path, size: Any, side: int
) -> None:
    change(folder_of("detr"), tmp_path / "sized", "preprocessor_config.json", size=size)
    detector = open_detector(tmp_path / "sized")
    assert (detector.description().image_size, detector.description().preprocessing["mode"]) == (side, "letterbox-416")


def open_folder(path: Path) -> Any:
    from aligncat.detectors.registry import detector_folder

    return detector_folder(str(path))


def change(source: Path, target: Path, file: str, **settings: Any) -> None:
    """Copy a detector's folder with other settings in one of its files."""
    import shutil

    shutil.copytree(source, target)
    content = json.loads((target / file).read_text())
    (target / file).write_text(json.dumps({**content, **settings}))
