"""Training of a mini detector, a small Mask2Former for MojiRef's objects, from class and mask labels only.

Its scenes come from a separate split ("detector") and are composed during training, so none of them is in train, val,
testA or testB. `docs/mini-detector.md` has the recipe and the results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, ResNetConfig

from aligncat.detectors.known import KNOWN_DETECTORS, MINI
from aligncat.detectors.preprocessing import normalize
from aligncat.detectors.registry import open_detector
from aligncat.detectors.training.examples import Example, fit_masks
from aligncat.detectors.training.loop import Phase, train_steps
from aligncat.detectors.training.recipe import Optimisation
from aligncat.detectors.training.segmenter import MINI_RECIPE, example_loss, save_segmenter
from aligncat.files.atomic import write_files_atomic
from aligncat.geometry import letterbox_image
from aligncat.loading import model_loading
from aligncat.mojiref import scenes as first
from aligncat.mojiref.detector_recipe import ARCHITECTURES, MiniDetectorConfig
from aligncat.mojiref.glyphs import CATEGORIES
from aligncat.mojiref.version2 import scenes as second

_COMPOSE: dict[int, Callable[[int, str, int], first.Scene | second.Scene]] = {1: first.compose, 2: second.compose}
_CHANNELS = [48, 96, 192, 320]  # in the backbone's four stages


def build_mini_detector(recipe: MiniDetectorConfig) -> Mask2FormerForUniversalSegmentation:
    """Return an untrained Mask2Former on a small ResNet, with MojiRef's categories (COCO's names) as labels.

    From scratch, a ResNet learns drawings several times faster than a Swin (docs/mini-detector.md).
    """
    backbone = ResNetConfig(  # type: ignore[call-arg]
        embedding_size=48,
        hidden_sizes=_CHANNELS,
        depths=[2, 2, 2, 2],
        layer_type="basic",
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    names = [category.name for category in CATEGORIES]
    with model_loading():
        config = Mask2FormerConfig(
            backbone_config=backbone,
            feature_size=128,
            mask_feature_size=128,
            hidden_dim=128,
            encoder_layers=3,
            encoder_feedforward_dim=512,
            decoder_layers=4,
            dim_feedforward=512,
            num_attention_heads=4,
            num_queries=ARCHITECTURES[recipe.version].queries,
            dropout=0.0,
            train_num_points=1024,
            class_weight=recipe.class_weight,
            id2label=dict(enumerate(names)),
            label2id={name: index for index, name in enumerate(names)},
        )
    config.aligncat_image_size = ARCHITECTURES[recipe.version].image_size
    return Mask2FormerForUniversalSegmentation(config)


def _start(recipe: MiniDetectorConfig) -> Mask2FormerForUniversalSegmentation:
    """Return the detector with its initial weights."""
    model = build_mini_detector(recipe)
    if ARCHITECTURES[recipe.version].starts_from_mini:
        [mini] = [known for known in KNOWN_DETECTORS if known.name == MINI]
        open_detector(MINI)  # checks the hashes of its files
        with model_loading():
            shipped = Mask2FormerForUniversalSegmentation.from_pretrained(mini.folder, dtype=torch.float32)
        own = model.state_dict()
        for name, tensor in shipped.state_dict().items():  # only the queries are more
            own[name] = torch.cat([tensor, own[name][len(tensor) :]]) if tensor.ndim else tensor
        model.load_state_dict(own)
    return model


class _DetectorScenes(Dataset[Example]):
    """Letterboxed scenes of the split "detector"; every second batch mirrors the previous one."""

    def __init__(self, config: MiniDetectorConfig, first: int, count: int) -> None:
        self._config, self._first, self._count = config, first, count
        self._size = ARCHITECTURES[config.version].image_size
        self._index = {category.name: index for index, category in enumerate(CATEGORIES)}
        self._mirrored: dict[int, Example] = {}

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, item: int) -> Example:
        batch, place = divmod(self._first + item, self._config.batch_size)
        number = batch // 2 * self._config.batch_size + place
        if batch % 2 == 1 and number in self._mirrored:
            return self._mirrored.pop(number)
        example = self._compose(number)
        # Mirror now: the data loader moves an example's memory when it is handed over, so it cannot be read later.
        mirrored = Example(example.pixels.flip(-1), example.masks.flip(-1), example.classes.clone())
        if batch % 2 == 1:
            return mirrored
        self._mirrored[number] = mirrored
        return example

    def _compose(self, number: int) -> Example:
        scene = _COMPOSE[self._config.version](self._config.seed, "detector", number)
        image, box = letterbox_image(Image.fromarray(scene.pixels), self._size)
        masks = fit_masks(np.stack([entry.mask for entry in scene.objects]), box).float()
        classes = torch.tensor([self._index[entry.category.name] for entry in scene.objects])
        return Example(torch.from_numpy(normalize([image])[0]), masks, classes)


class _ObjectNames(nn.Module):
    """The pretraining model: it classifies objects from the backbone's features under their masks.

    Args:
        backbone: returns one feature map per stage.
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.heads = nn.ModuleList(nn.Linear(channels, len(CATEGORIES)) for channels in _CHANNELS)

    def forward(self, batch: Sequence[Example]) -> Tensor:
        """Return the mean cross-entropy over the objects of a batch."""
        maps = self.backbone(torch.stack([example.pixels for example in batch])).feature_maps
        logits = torch.cat([self._logits(example.masks, place, maps) for place, example in enumerate(batch)])
        return F.cross_entropy(logits.float(), torch.cat([example.classes for example in batch]))

    def _logits(self, masks: Tensor, place: int, maps: Sequence[Tensor]) -> Tensor:
        """Return (n, C) logits for the n objects of an image, from the mean feature under each mask at each stage."""
        parts = []
        for head, features in zip(self.heads, maps, strict=True):
            weights = F.interpolate(masks[:, None], features.shape[-2:], mode="area").flatten(1)
            weights = weights / (weights.sum(dim=1, keepdim=True) + 1e-4)
            parts.append(head(weights @ features[place].flatten(1).T))
        return torch.stack(parts).sum(dim=0)


def train_detector(out: Path, recipe: MiniDetectorConfig, save_every: int) -> None:
    """Train the mini detector and save it; see `train_mini_detector`.

    The second phase is the training of `aligncat detector train`, on scenes that are composed as it goes on.
    """
    torch.manual_seed(recipe.seed)
    model = _start(recipe)
    naming = _ObjectNames(model.model.pixel_level_module.encoder)
    first = recipe.pretraining_images // recipe.batch_size
    last = first + recipe.images // recipe.batch_size

    def phase(title: str, steps: range, peak_rate: float, state: str) -> Phase:
        return Phase(
            title=title,
            examples=partial(_DetectorScenes, recipe),
            steps=steps,
            batch_size=recipe.batch_size,
            optimisation=_optimisation(recipe, peak_rate),
            identity=asdict(recipe),
            state_file=out.with_name(f"{out.name}.{state}.pt"),
            save_every=save_every,
        )

    naming_phase = phase("naming objects", range(first), recipe.pretraining_rate, "naming")
    detecting_phase = phase("detecting objects", range(first, last), recipe.learning_rate, "state")
    train_steps(naming, naming, naming_phase)
    average, _ = train_steps(model, partial(example_loss, model), detecting_phase)
    half = build_mini_detector(recipe).half()  # type: ignore[no-untyped-call]
    half.load_state_dict(average.state_dict())
    write_files_atomic(out, partial(save_segmenter, half, settings={MINI_RECIPE: asdict(recipe)}))
    for file in (naming_phase.state_file, detecting_phase.state_file):
        file.unlink(missing_ok=True)


def _optimisation(recipe: MiniDetectorConfig, peak_rate: float) -> Optimisation:
    return Optimisation(
        learning_rate=peak_rate,
        warmup=recipe.warmup,
        weight_decay=recipe.weight_decay,
        clip=recipe.clip,
        ema=recipe.ema,
        seed=recipe.seed,
        bfloat16=True,
    )
