"""The trained grounder, which finds the objects that expressions refer to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import torch
from huggingface_hub import ModelCard, ModelHubMixin

from aligncat.alignment.config import AlignmentConfig
from aligncat.datasets.split import Split
from aligncat.detectors.description import DetectorDescription
from aligncat.detectors.device import check_device
from aligncat.detectors.protocol import Detector
from aligncat.detectors.registry import load_detector
from aligncat.errors import DetectorError
from aligncat.files.given_images import ImageInput, as_rgb
from aligncat.grounder.batches import SplitTensors
from aligncat.grounder.card_results import CardResult
from aligncat.grounder.choices import choices_of, join_choices
from aligncat.grounder.expressions import checked_phrases
from aligncat.grounder.features import ScaledColumn
from aligncat.grounder.folder import Contents, find_folder, read_folder, write_folder
from aligncat.grounder.grounding import Grounding
from aligncat.grounder.groundings import grounding_of, with_answers
from aligncat.grounder.matcher import Matcher, answer_slots, required_matcher
from aligncat.grounder.matching import Calibration, Images, align
from aligncat.grounder.model import GroundingModel
from aligncat.grounder.model_card import model_card
from aligncat.grounder.names import TRAINING_FREE
from aligncat.grounder.unlike import Familiar
from aligncat.language.pretrained import PretrainedText
from aligncat.language.several import phrase_for_one
from aligncat.language.tokens import Tokens
from aligncat.loading import model_loading
from aligncat.store.reader import Store
from aligncat.types import Candidates, Choices


class Grounder(ModelHubMixin):
    """A trained grounder, which finds the object that an expression refers to.

    Threads can share a grounder: all methods but `to` may be called at the same time, with the results of calls one
    after another. Nothing is loaded twice.

    Example:
        >>> grounder = Grounder.from_pretrained("runs/aligncat")  # doctest: +SKIP
        >>> [found] = grounder.ground("photo.jpg", ["girl with spoon"])  # doctest: +SKIP
        >>> found.box  # doctest: +SKIP
        (41.0, 20.0, 180.0, 233.0)
    """

    def __init__(  # noqa: PLR0917 - the fields of `Contents`
        self,
        model: GroundingModel,
        vocabulary: Tokens,
        labels: Sequence[str],
        detector_description: DetectorDescription,
        provenance: Mapping[str, Any],
        pretrained: PretrainedText | None = None,
        columns: Sequence[ScaledColumn] = (),
        calibration: Calibration | None = None,
        familiar: Familiar | None = None,
    ) -> None:
        """Wrap a trained model. Most users call `from_pretrained` instead.

        Args:
            model: the trained model; it is switched to evaluation mode.
            vocabulary: the vocabulary of the training split, or the word pieces of the transformer.
            labels: the names of the detector's categories, by class index.
            detector_description: the description of the detector whose candidates it was trained on.
            provenance: what the grounder was made from, as JSON values: data, training config with its seed, versions.
            pretrained: the transformer that encodes its expressions, if any.
            columns: the further features of a candidate that it reads beside f_q.
            calibration: what turns its scores into `Grounding.match`; None if it is not calibrated.
            familiar: what tells images that are unlike those of its training (`unlike_training`); None if not recorded.
        """
        self.model = model.eval()
        self.vocabulary = vocabulary
        self.labels = tuple(labels)
        self.detector_description = detector_description
        self.provenance = dict(provenance)
        self.pretrained = pretrained
        self.columns = tuple(columns)
        self.matcher = None if calibration is None else Matcher(calibration, self.model, vocabulary)
        self.familiar = familiar
        self._detector: Detector | None = None

    @property
    def alignment(self) -> AlignmentConfig | None:
        """The config of its alignment model; None for a grounder that is not trained."""
        return self.model.config.alignment

    @property
    def device(self) -> str:
        """The device of the model, such as "cpu" or "cuda:0"."""
        return str(next(self.model.parameters()).device)

    def to(self, device: str) -> Self:
        """Move the grounder to a device and return it. Its detector is loaded on that device at the next use.

        Args:
            device: "cpu", "cuda", "cuda:1", "mps" and so on.

        Raises:
            ConfigError: the device is not available.
        """
        check_device(device)
        before = self.device
        self.model.to(device)
        if self.device != before:
            self._detector = None
        return self

    @property
    def detector(self) -> Detector:
        """The detector that the grounder was trained with, loaded at first use.

        Raises:
            DetectorError: the detector cannot be loaded, differs from the one that made the training store, or does not
                give the further features that the grounder reads.
        """
        found = self._detector
        if found is None:
            with model_loading():  # of several threads that get here first, one loads it and the others wait
                found = self._detector or load_detector(
                    self.detector_description, device=self.device, columns=[each.column for each in self.columns]
                )
                self._detector = found
        return found

    def ground(self, image: ImageInput, expressions: str | Sequence[str], *, several: bool = False) -> list[Grounding]:
        """Find the objects that expressions refer to in an image. The detector runs once for all expressions.

        Args:
            image: an image file (path, open binary file, or its bytes), a PIL image, or a numpy array of uint8, RGB
                (height, width, 3) or grey (height, width). A file or PIL image is rotated as its EXIF data says; boxes
                and masks refer to the rotated image.
            expressions: one phrase, or several that are grounded independently of each other.
            several: whether a phrase for several objects, such as "both dogs", is answered with all of them, in
                `Grounding.answers`. A phrase for one object has one answer.

        Returns:
            One grounding per expression, also for a single phrase.

        Raises:
            ConfigError: `several` is True and the grounder is not calibrated.
            ImageError: the image cannot be read, or is empty.
            DataError: there are no expressions, or one is not text or has no words.
            DetectorError: the detector cannot be loaded, or finds nothing in the image.
        """
        phrases = checked_phrases(expressions, self.vocabulary)
        if several:
            required_matcher(self.matcher)
        [candidates] = self.detector.detect([as_rgb(image)], ["image"])
        return self.ground_candidates(candidates, phrases, several=several)

    @torch.inference_mode()
    def ground_candidates(
        self, candidates: Candidates, expressions: str | Sequence[str], *, several: bool = False
    ) -> list[Grounding]:
        """Ground expressions in an image whose candidates are available already, for example from a store.

        Args:
            candidates: the candidates of the image.
            expressions: one phrase, or several.
            several: as for `ground`.

        Returns:
            One grounding per expression, also for a single phrase.

        Raises:
            ConfigError: `several` is True and the grounder is not calibrated.
            DataError: there are no expressions, or one is not text or has no words.
            DetectorError: there are no candidates.
            StoreError: the candidates lack a further feature that the grounder reads.
        """
        phrases = checked_phrases(expressions, self.vocabulary)
        if several:
            required_matcher(self.matcher)
        if not len(candidates):
            raise DetectorError("the detector found nothing in the image; try another image or detector")
        meant = [phrase_for_one(phrase) for phrase in phrases] if several else phrases
        tokens = self.vocabulary.encode(meant, self.model.config.text.max_length)
        images = Images.repeated(candidates, self.columns, len(phrases), self.device)
        alignment = align(self.model, images, tokens.to(self.device))
        choices = choices_of(alignment, meant, self.vocabulary, self.labels)
        match = None if self.matcher is None else self.matcher.match(images, phrases)
        if match is not None:
            choices = replace(choices, match=match.present)
        groundings = []
        for row, phrase in enumerate(phrases):
            unknown = self.vocabulary.unknown(meant[row])
            found = grounding_of(row, phrase, candidates, choices, self.labels, unknown)
            if several and match is not None:
                slots = answer_slots(phrase, found.choice, match.answers[row], candidates.relative_boxes)
                found = with_answers(found, slots, candidates, match.answers[row])
            groundings.append(found)
        return groundings

    @torch.inference_mode()
    def choose(self, store: Store, split: Split) -> Choices:
        """Choose a candidate for every expression of a split.

        Args:
            store: a store of the detector that the grounder was trained with; `Store.open(expect=...)` checks this.
            split: the expressions.

        Returns:
            The choices, as indices into `Store.candidates`, with their scores.

        Raises:
            DataError: an expression has no words.
            StoreError: the store lacks an image, or a further feature that the grounder reads.
        """
        max_length = self.model.config.text.max_length
        tensors = SplitTensors(
            split, store, self.vocabulary, max_length=max_length, with_labels=False, columns=self.columns
        )
        parts = []
        for batch in tensors.batches(256):
            images = Images.of(batch).to(self.device)
            alignment = align(self.model, images, batch.tokens.to(self.device))
            texts = [split.expressions[row].text for row in batch.rows.tolist()]
            choices = choices_of(alignment, texts, self.vocabulary, self.labels)
            if self.matcher is not None:
                match = self.matcher.match(images, texts)
                boxes = batch.boxes.numpy()
                several = np.zeros_like(choices.kept)
                for row, text in enumerate(texts):
                    several[row, answer_slots(text, int(choices.choice[row]), match.answers[row], boxes[row])] = True
                choices = replace(choices, match=match.present, several=several & batch.valid.numpy())
            parts.append(choices)
        return join_choices(parts)

    def _save_pretrained(self, save_directory: Path) -> None:
        write_folder(self._contents(), save_directory)

    def generate_model_card(self, *, results: Sequence[CardResult] = ()) -> ModelCard:
        """Return the model card, which `save_pretrained` and `push_to_hub` write as README.md.

        To publish results with the grounder, convert what `aligncat.evaluate` returned:

            results = card_results([answers.result for answers in evaluated])  # from aligncat.report.card
            grounder.push_to_hub("me/mine", model_card_kwargs={"results": results})

        Args:
            results: see `aligncat.grounder.model_card.model_card`.
        """
        return model_card(self._contents().config(), results)

    def _contents(self) -> Contents:
        return Contents(
            self.model,
            self.vocabulary,
            self.labels,
            self.detector_description,
            self.provenance,
            self.pretrained,
            self.columns,
            None if self.matcher is None else self.matcher.calibration,
            self.familiar,
        )

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        device: str = "cpu",
        detector: str | Path | None = None,
        text_encoder: str | Path | None = None,
        force_download: bool = False,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        revision: str | None = None,
        **model_kwargs: Any,
    ) -> Self:
        """Load a grounder from a folder or the hub. Only JSON and safetensors are read, never pickles.

        Args:
            pretrained_model_name_or_path: a folder that `aligncat train` wrote, a hub name, or "training-free" for the
                grounder that needs no training but a detector.
            device: the device of the grounder and its detector: "cpu", "cuda", "cuda:1", "mps" and so on.
                `aligncat.detectors.device.default_device` returns the accelerator of this machine.
            detector: the folder or hub name of the grounder's detector, if it has moved since training; for
                "training-free", any detector.
            text_encoder: the folder or hub name of the grounder's frozen transformer, if that has moved since training.
            force_download: download all files again, even those in the cache.
            token: the access token of the hub, for a private grounder.
            cache_dir: the folder for downloads.
            local_files_only: use only files that are on this machine.
            revision: a branch, tag or commit on the hub.
            model_kwargs: must be empty; it is part of the mixin's signature.

        Raises:
            ConfigError: the grounder does not exist or is damaged, its text encoder cannot be loaded, the device is not
                available, or "training-free" has no detector.
            DetectorError: the detector of "training-free" cannot be loaded.
            TypeError: `model_kwargs` is not empty.
        """
        # The mixin's own method would parse config.json before this class can explain what is wrong with it.
        if model_kwargs:
            raise TypeError(f"Grounder.from_pretrained has no argument {next(iter(model_kwargs))!r}")
        check_device(device)
        if str(pretrained_model_name_or_path) == TRAINING_FREE:
            from aligncat.grounder.training_free import TrainingFreeGrounder  # which is a Grounder

            return cast("Self", TrainingFreeGrounder.with_detector(detector, device))
        folder = find_folder(
            pretrained_model_name_or_path,
            revision=revision,
            cache_dir=cache_dir,
            force_download=force_download,
            local_files_only=local_files_only,
            token=token,
        )
        grounder = cls(*read_folder(folder, text_encoder))
        if detector is not None:
            grounder.detector_description = replace(grounder.detector_description, name=str(detector))
        return grounder.to(device)
