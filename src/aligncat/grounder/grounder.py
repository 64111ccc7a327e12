"""A trained grounder: a folder that anybody can load, and a call that finds what phrases mean in an image."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from huggingface_hub import ModelCard, ModelHubMixin, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from aligncat.alignment.config import AlignmentConfig
from aligncat.datasets.split import Split
from aligncat.detectors.description import DetectorDescription
from aligncat.detectors.protocol import Detector
from aligncat.detectors.registry import load_detector
from aligncat.errors import ConfigError, DataError, DetectorError
from aligncat.evaluation.results import Result
from aligncat.files.atomic import write_atomic
from aligncat.files.images import as_rgb
from aligncat.grounder.batches import SplitTensors
from aligncat.grounder.choices import choices_of, join_choices, object_probability
from aligncat.grounder.model import GroundingModel, ModelConfig
from aligncat.grounder.model_card import model_card
from aligncat.language.encoder import TextEncoderConfig
from aligncat.language.pretrained import PretrainedText, load_pretrained_text, untrained_text
from aligncat.language.tokens import Tokens, tokenize
from aligncat.language.vocabulary import Vocabulary
from aligncat.store.reader import Store
from aligncat.types import Candidates, CandidateScore, Choices, Grounding

FORMAT = 1
FILES = CONFIG, WEIGHTS, VOCABULARY = "config.json", "model.safetensors", "vocabulary.json"
TEXT = "text"  # the folder of a trained transformer's config and tokenizer


class Grounder(ModelHubMixin):
    """Finds the object that a phrase means.

    Example:
        >>> grounder = Grounder.from_pretrained("runs/aligncat")  # doctest: +SKIP
        >>> [found] = grounder.ground("photo.jpg", ["girl with spoon"])  # doctest: +SKIP
        >>> found.box  # doctest: +SKIP
        (41.0, 20.0, 180.0, 233.0)
    """

    def __init__(
        self,
        model: GroundingModel,
        vocabulary: Tokens,
        labels: Sequence[str],
        detector_description: DetectorDescription,
        provenance: Mapping[str, Any],
        pretrained: PretrainedText | None = None,
    ) -> None:
        """Wrap a trained model; `from_pretrained` is the usual way in.

        Args:
            model: trained; it is put in evaluation mode.
            vocabulary: of its training split, or its transformer's word pieces.
            labels: the detector's category names, by contiguous index.
            detector_description: of the detector whose candidates it was trained on.
            provenance: plain data on how it was made: data, training config, seed, versions.
            pretrained: the transformer in it, if its text encoder is one.
        """
        self.model = model.eval()
        self.vocabulary = vocabulary
        self.labels = tuple(labels)
        self.detector_description = detector_description
        self.provenance = dict(provenance)
        self.pretrained = pretrained
        self._detector: Detector | None = None

    @property
    def detector(self) -> Detector:
        """The detector that it was trained with, loaded at first use.

        Raises:
            DetectorError: it cannot be loaded, or is not the one that made the training store.
        """
        if self._detector is None:
            self._detector = load_detector(self.detector_description)
        return self._detector

    def ground(self, image: str | Path | Image.Image, expressions: Sequence[str]) -> list[Grounding]:
        """Find the objects that phrases mean in one image; all share one pass of the detector.

        Args:
            image: a file, or a PIL image. It is turned as its EXIF says; boxes and masks are of the turned one.
            expressions: phrases; what they mean is found independently.

        Returns:
            One Grounding for each expression.

        Raises:
            ImageError: the image cannot be read, or is empty.
            DataError: there is no expression, or one has no words.
            DetectorError: the detector cannot be loaded, or finds nothing at all in the image.
        """
        self.check(expressions)
        [candidates] = self.detector.detect([as_rgb(image)], ["image"])
        return self.ground_candidates(candidates, expressions)

    def check(self, expressions: Sequence[str]) -> None:
        """Make sure that there are expressions and that each has words, before any slow work.

        Raises:
            DataError: otherwise.
        """
        if not expressions:
            raise DataError("no expression given: name at least one object to find")
        for expression in expressions:
            if not tokenize(expression):
                raise DataError(f"the expression {expression!r} has no words: name the object to find")

    @torch.inference_mode()
    def ground_candidates(self, candidates: Candidates, expressions: Sequence[str]) -> list[Grounding]:
        """Choose among candidates that are there already, for instance in a store.

        Args:
            candidates: of one image.
            expressions: phrases.

        Raises:
            DataError: an expression has no words.
            DetectorError: there is no candidate.
        """
        self.check(expressions)
        if not len(candidates):
            raise DetectorError("the detector found nothing in the image: try another image or detector")
        tokens = self.vocabulary.encode(expressions, self.model.config.text.max_length)
        count = len(expressions)
        alignment = self.model(
            torch.tensor(candidates.features).expand(count, -1, -1),
            torch.tensor(candidates.categories).long().expand(count, -1),
            torch.ones(count, len(candidates), dtype=torch.bool),
            tokens,
        )
        choices = choices_of(alignment, expressions, self.vocabulary, self.labels)
        return [self._grounding(row, expression, candidates, choices) for row, expression in enumerate(expressions)]

    @torch.inference_mode()
    def choose(self, store: Store, split: Split) -> Choices:
        """Choose a candidate for every expression of a split.

        Args:
            store: made by the detector that the grounder was trained with (`Store.open(expect=...)` makes sure).
            split: the expressions.

        Returns:
            The choices, as indices into `Store.candidates`, with all that led to them.

        Raises:
            StoreError: the store lacks an image.
        """
        max_length = self.model.config.text.max_length
        tensors = SplitTensors(split, store, self.vocabulary, max_length=max_length, with_labels=False)
        parts = []
        for batch in tensors.batches(256):
            alignment = self.model(batch.features, batch.categories, batch.valid, batch.tokens)
            texts = [split.expressions[row].text for row in batch.rows.tolist()]
            parts.append(choices_of(alignment, texts, self.vocabulary, self.labels))
        return join_choices(parts)

    def _grounding(self, row: int, expression: str, candidates: Candidates, choices: Choices) -> Grounding:
        choice = int(choices.choice[row])
        shares = choices.probabilities[row]
        return Grounding(
            expression=expression,
            box=_box(candidates, choice),
            mask=candidates.masks[choice],
            score=object_probability(shares, candidates.boxes, choice),
            category=self.labels[candidates.categories[choice]],
            predicted_category=None if choices.predicted is None else choices.predicted[row],
            category_matched=bool(choices.category_matched[row]),
            word_weights=choices.word_weights[row],
            choice=choice,
            candidates=tuple(
                CandidateScore(
                    box=_box(candidates, slot),
                    category=self.labels[candidates.categories[slot]],
                    confidence=float(candidates.confidences[slot]),
                    kept=bool(choices.kept[row, slot]),
                    probability=float(shares[slot]),
                    scores={name: float(values[row, slot]) for name, values in choices.scores.items()},
                )
                for slot in range(len(candidates))
            ),
        )

    def _save_pretrained(self, save_directory: Path) -> None:
        """Write the folder: each file whole, the config last."""
        # Copies, as safetensors takes no two tensors in one memory, and T5 has its vocabulary's vectors twice.
        weights = {name: tensor.contiguous().clone() for name, tensor in self.model.state_dict().items()}
        write_atomic(save_directory / WEIGHTS, save(weights))
        if isinstance(self.vocabulary, Vocabulary):
            vocabulary = json.dumps(self.vocabulary.to_dict(), ensure_ascii=False)
            write_atomic(save_directory / VOCABULARY, vocabulary.encode())
        if self.pretrained is not None and self.model.config.text.train_encoder:
            _save_text(self.pretrained, save_directory / TEXT)
        config = json.dumps(self._config(), indent=2, ensure_ascii=False) + "\n"
        write_atomic(save_directory / CONFIG, config.encode())

    def generate_model_card(self, *, results: Sequence[Result] = ()) -> ModelCard:
        """The README.md of its folder; the mixin's `save_pretrained` and `push_to_hub` write it where there is none.

        Args:
            results: as `aligncat.grounder.model_card.model_card` takes them. `save_pretrained` and `push_to_hub` hand
                them on: `grounder.push_to_hub("me/mine", model_card_kwargs={"results": results})`.
        """
        return model_card(self._config(), results)

    def _config(self) -> dict[str, Any]:
        """What config.json holds."""
        encoder = None
        if self.pretrained is not None:
            encoder = {"name": self.pretrained.name, "sha256": self.pretrained.sha256}
        return {
            "format": FORMAT,
            "alignment": asdict(self.model.config.alignment),
            "text": asdict(self.model.config.text),
            "text_encoder": encoder,
            "labels": list(self.labels),
            "detector": self.detector_description.to_json(),
            "provenance": self.provenance,
        }

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        detector: str | None = None,
        text_encoder: str | None = None,
        force_download: bool = False,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        revision: str | None = None,
        **model_kwargs: Any,
    ) -> Self:
        """Load a grounder; nothing but JSON and safetensors is read.

        The mixin's own would parse the folder's config before this class can say what is wrong with it.

        Args:
            pretrained_model_name_or_path: the folder that `aligncat train` wrote, or a hub name.
            detector: where the detector that it was trained with is now, if not where it was: a folder or hub name.
            text_encoder: the same for a frozen transformer that reads its expressions.
            force_download: from the hub, again.
            token: the hub's, for a private grounder.
            cache_dir: where downloads are kept.
            local_files_only: do not ask the hub.
            revision: a branch, tag or commit on the hub.
            model_kwargs: there are none.

        Raises:
            ConfigError: there is no such grounder, it is damaged, or its text encoder is not to be had.
        """
        if model_kwargs:
            raise TypeError(f"Grounder.from_pretrained has no argument {next(iter(model_kwargs))!r}")
        folder = Path(pretrained_model_name_or_path)
        if not folder.is_dir():
            try:
                folder = Path(
                    snapshot_download(
                        str(pretrained_model_name_or_path),
                        revision=revision,
                        cache_dir=cache_dir,
                        force_download=force_download,
                        local_files_only=local_files_only,
                        token=token,
                        allow_patterns=[*FILES, f"{TEXT}/*"],
                    )
                )
            except (HfHubHTTPError, HFValidationError, OSError) as error:
                raise ConfigError(
                    f"{pretrained_model_name_or_path} is neither a folder nor a grounder that the hub gives out "
                    f"({_first_line(error)}): give the folder that `aligncat train` wrote"
                ) from error
        grounder = cls._from_folder(folder, text_encoder)
        if detector is not None:
            grounder.detector_description = replace(grounder.detector_description, name=detector)
        return grounder

    @classmethod
    def _from_folder(cls, folder: Path, text_encoder: str | None) -> Self:
        _need(folder, CONFIG, WEIGHTS)
        try:
            config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            if config["format"] != FORMAT:
                raise ValueError(f"its format is {config['format']!r}, not {FORMAT}")
            model_config = ModelConfig(
                alignment=AlignmentConfig(**config["alignment"]), text=TextEncoderConfig(**config["text"])
            )
            if len(config["labels"]) != model_config.alignment.classes:
                raise ValueError(f"it has {len(config['labels'])} labels, not {model_config.alignment.classes}")
            pretrained, vocabulary = _read_with(folder, model_config.text, config, text_encoder)
            model = GroundingModel(model_config, len(vocabulary), pretrained=pretrained)
            model.load_state_dict(load_file(folder / WEIGHTS))
            detector = DetectorDescription.from_json(config["detector"])
            return cls(model, vocabulary, config["labels"], detector, config["provenance"], pretrained)
        except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError, DataError, DetectorError) as error:
            raise ConfigError(
                f"{folder} is damaged or was written by another version of aligncat ({_first_line(error)}): "
                "train it again"
            ) from error


def _save_text(pretrained: PretrainedText, folder: Path) -> None:
    """Write a trained transformer's config and tokenizer, each file whole; its weights are in WEIGHTS."""
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        pretrained.save(Path(scratch))
        for path in sorted(Path(scratch).iterdir()):
            write_atomic(folder / path.name, path.read_bytes())


def _need(folder: Path, *names: str) -> None:
    """Make sure that the files of a grounder are there.

    Raises:
        ConfigError: one is not.
    """
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise ConfigError(
            f"{folder} is not a grounder: {', '.join(missing)} is missing; give the folder that `aligncat train` "
            "wrote, and if it was interrupted, run the same command again"
        )


def _read_with(
    folder: Path, text: TextEncoderConfig, config: Mapping[str, Any], text_encoder: str | None
) -> tuple[PretrainedText | None, Tokens]:
    """The transformer of a grounder, if it has one, and what makes token ids of expressions.

    A trained transformer comes from the grounder's folder, a frozen one from where it was or is now.

    Raises:
        ConfigError: it cannot be loaded, or is not the one that the grounder was trained with.
        DataError: the vocabulary is damaged.
    """
    if text.recurrent:
        _need(folder, VOCABULARY)
        return None, Vocabulary.load(folder / VOCABULARY)
    name, sha256 = config["text_encoder"]["name"], config["text_encoder"]["sha256"]
    if text.train_encoder:
        found = untrained_text(folder / TEXT, name, sha256)
        return found, found.pieces
    found = load_pretrained_text(text_encoder or name)
    if found.sha256 != sha256:
        raise ConfigError(
            f"the text encoder {found.name!r} is not the one that the grounder {folder} was trained with: restore that "
            "one, give a copy of it as text_encoder, or train again with this one"
        )
    return found, found.pieces


def _box(candidates: Candidates, slot: int) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = np.asarray(candidates.boxes[slot], float).tolist()
    return x1, y1, x2, y2


def _first_line(error: Exception) -> str:
    lines: Iterator[str] = (line.strip() for line in str(error).splitlines() if line.strip())
    return next(lines, type(error).__name__)
