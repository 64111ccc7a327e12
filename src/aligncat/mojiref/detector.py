"""Training of a mini detector, a small Mask2Former for MojiRef's objects, from class and mask labels only.

Its scenes come from a separate split ("detector") and are composed during training, so none of them is in train, val,
testA or testB. `docs/mini-detector.md` has the recipe and the results.
"""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from rich.progress import MofNCompleteColumn, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, ResNetConfig

from aligncat.console import progress_bar
from aligncat.detectors.folder import CONFIG, with_hashes
from aligncat.detectors.known import KNOWN_DETECTORS, MINI
from aligncat.detectors.preprocessing import normalize
from aligncat.detectors.registry import open_detector
from aligncat.errors import DetectorError
from aligncat.files.atomic import write_files_atomic
from aligncat.files.torch_files import load_hashed, save_hashed
from aligncat.geometry import letterbox_image
from aligncat.loading import model_loading
from aligncat.mojiref import scenes as first
from aligncat.mojiref.detector_recipe import ARCHITECTURES, MiniDetectorConfig
from aligncat.mojiref.glyphs import CATEGORIES
from aligncat.mojiref.version2 import scenes as second

logger = logging.getLogger(__name__)

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


@dataclass(frozen=True)
class _Example:
    pixels: Tensor  # (3, S, S) float32, normalised
    masks: Tensor  # (n, S, S) float32 in {0, 1}
    classes: Tensor  # (n,) int64


class _DetectorScenes(Dataset[_Example]):
    """Letterboxed scenes of the split "detector"; every second batch mirrors the previous one."""

    def __init__(self, config: MiniDetectorConfig, first: int, count: int) -> None:
        self._config, self._first, self._count = config, first, count
        self._size = ARCHITECTURES[config.version].image_size
        self._index = {category.name: index for index, category in enumerate(CATEGORIES)}
        self._mirrored: dict[int, _Example] = {}

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, item: int) -> _Example:
        batch, place = divmod(self._first + item, self._config.batch_size)
        number = batch // 2 * self._config.batch_size + place
        if batch % 2 == 1 and number in self._mirrored:
            return self._mirrored.pop(number)
        example = self._compose(number)
        # Mirror now: the data loader moves an example's memory when it is handed over, so it cannot be read later.
        mirrored = _Example(example.pixels.flip(-1), example.masks.flip(-1), example.classes.clone())
        if batch % 2 == 1:
            return mirrored
        self._mirrored[number] = mirrored
        return example

    def _compose(self, number: int) -> _Example:
        scene = _COMPOSE[self._config.version](self._config.seed, "detector", number)
        image, box = letterbox_image(Image.fromarray(scene.pixels), self._size)
        visible = torch.from_numpy(np.stack([entry.mask for entry in scene.objects])).float()
        inner = F.interpolate(visible[None], (box.inner_height, box.inner_width), mode="area")[0] > 0.5
        masks = torch.zeros(len(visible), self._size, self._size)
        masks[:, box.top : box.top + box.inner_height, box.left : box.left + box.inner_width] = inner.float()
        classes = torch.tensor([self._index[entry.category.name] for entry in scene.objects])
        return _Example(torch.from_numpy(normalize([image])[0]), masks, classes)


class _ObjectNames(nn.Module):
    """The pretraining model: it classifies objects from the backbone's features under their masks.

    Args:
        backbone: returns one feature map per stage.
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.heads = nn.ModuleList(nn.Linear(channels, len(CATEGORIES)) for channels in _CHANNELS)

    def forward(self, batch: list[_Example]) -> Tensor:
        """Return the mean cross-entropy over the objects of a batch."""
        with torch.autocast("cpu", torch.bfloat16):
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
    """Train the mini detector and save it; see `train_mini_detector`."""
    torch.manual_seed(recipe.seed)
    model = _start(recipe).train()
    naming = _ObjectNames(model.model.pixel_level_module.encoder).train()
    first = recipe.pretraining_images // recipe.batch_size
    naming_state = out.with_name(out.name + ".naming.pt")
    _train(
        naming,
        naming,
        recipe,
        steps=(0, first),
        peak_rate=recipe.pretraining_rate,
        state_file=naming_state,
        save_every=save_every,
        title="naming objects",
    )
    steps = (first, first + recipe.images // recipe.batch_size)
    state = out.with_name(out.name + ".state.pt")
    average = _train(
        model,
        partial(_loss, model),
        recipe,
        steps=steps,
        peak_rate=recipe.learning_rate,
        state_file=state,
        save_every=save_every,
        title="detecting objects",
    )
    _save(average, out, recipe)
    for file in (naming_state, state):
        file.unlink(missing_ok=True)


def _train(
    model: nn.Module,
    loss_of: Callable[[list[_Example]], Tensor],
    recipe: MiniDetectorConfig,
    *,
    steps: tuple[int, int],
    peak_rate: float,
    state_file: Path,
    save_every: int,
    title: str,
) -> AveragedModel:
    """Train for a range of steps, from the saved state if there is one, and return the averaged model."""
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema), use_buffers=True)  # type: ignore[no-untyped-call]
    decayed = [weight for weight in model.parameters() if weight.ndim > 1]
    plain = [weight for weight in model.parameters() if weight.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": decayed}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=peak_rate, weight_decay=recipe.weight_decay)
    count = steps[1] - steps[0]
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, recipe.warmup, count))
    parts: dict[str, Any] = {"model": model, "average": average, "optimizer": optimizer, "schedule": schedule}
    done = _restore(state_file, parts, recipe)
    details = (MofNCompleteColumn(), TextColumn("{task.fields[loss]}"), TimeRemainingColumn())
    with progress_bar(*details) as progress:
        task = progress.add_task(title, total=count, completed=done, loss="")
        for batch in _batches(recipe, steps[0] + done, steps[1]):
            torch.manual_seed((recipe.seed << 32) + steps[0] + done)  # Mask2Former's loss samples points
            loss = loss_of(batch)
            loss.backward()  # type: ignore[no-untyped-call]
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
            if not torch.isfinite(norm):
                raise DetectorError(
                    f"{title}: the gradient of step {done + 1} is not finite; remove {state_file.name} if it exists, "
                    "and start over with smaller learning rates"
                )
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            schedule.step()
            average.update_parameters(model)
            done += 1
            progress.update(task, advance=1, loss=f"loss {loss.item():.2f}")
            if done % 50 == 0:
                logger.info("%s: step %d of %d, loss %.3f", title, done, count, loss.item())
            if done % save_every == 0 or done == count:
                _save_state(state_file, parts, recipe, done)
    return average


def _batches(recipe: MiniDetectorConfig, start: int, stop: int) -> Iterator[list[_Example]]:
    if start >= stop:
        return
    size = recipe.batch_size
    scenes = _DetectorScenes(recipe, start * size, (stop - start) * size)
    # As bytes, batches come through a pipe. Tensors would come through shared memory, of which a container may have too
    # little; DataLoader then waits for ever.
    packed = DataLoader(
        scenes, size, num_workers=1, prefetch_factor=8, collate_fn=pickle.dumps, multiprocessing_context="fork"
    )
    yield from map(pickle.loads, packed)


def _loss(model: Mask2FormerForUniversalSegmentation, batch: list[_Example]) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        output = model(
            pixel_values=torch.stack([example.pixels for example in batch]),
            mask_labels=[example.masks for example in batch],
            class_labels=[example.classes for example in batch],
        )
    loss: Tensor = output.loss
    return loss.squeeze()


def _rate(step: int, warmup: int, steps: int) -> float:
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + float(np.cos(np.pi * (step - warmup) / max(1, steps - warmup))))


def _restore(state_file: Path, parts: dict[str, Any], recipe: MiniDetectorConfig) -> int:
    if not state_file.exists():
        return 0
    remedy = "remove the file, and the same command starts again"
    state: Any = load_hashed(state_file, remedy, error=DetectorError)
    if not isinstance(state, dict) or not {"step", "recipe", *parts} <= state.keys():
        raise DetectorError(f"{state_file}: not the state of a training; {remedy}")
    if state["recipe"] != asdict(recipe):
        raise DetectorError(f"{state_file}: belongs to another recipe; give that recipe again, or remove the file")
    for name, part in parts.items():
        part.load_state_dict(state[name])
    logger.info("resuming at step %d", state["step"])
    return int(state["step"])


def _save_state(state_file: Path, parts: dict[str, Any], recipe: MiniDetectorConfig, step: int) -> None:
    states = {name: part.state_dict() for name, part in parts.items()}
    save_hashed({"step": step, "recipe": asdict(recipe), **states}, state_file)


def _save(average: AveragedModel, out: Path, config: MiniDetectorConfig) -> None:
    half = build_mini_detector(config).half()  # type: ignore[no-untyped-call]
    half.load_state_dict(average.module.state_dict())
    half.config.aligncat_recipe = asdict(config)
    write_files_atomic(out, partial(_save_with_hashes, half))


def _save_with_hashes(model: Mask2FormerForUniversalSegmentation, folder: Path) -> None:
    model.save_pretrained(folder)
    file = folder / CONFIG
    content = with_hashes(json.loads(file.read_text(encoding="utf-8")), sorted(folder.glob("*.safetensors")))
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
