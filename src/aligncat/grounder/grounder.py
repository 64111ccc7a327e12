"""The trained grounder, which finds the objects that expressions refer to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

from huggingface_hub import ModelCard, ModelHubMixin

from aligncat.alignment.config import AlignmentConfig
from aligncat.datasets.split import Split
from aligncat.detectors.description import DetectorDescription
from aligncat.detectors.device import check_device
from aligncat.detectors.protocol import Detector
from aligncat.detectors.registry import check_same, load_detector, open_detector, renamed
from aligncat.errors import ConfigError
from aligncat.grounder.card_results import CardResult
from aligncat.grounder.download import find_folder
from aligncat.grounder.exported_files import is_exported
from aligncat.grounder.features import ScaledColumn
from aligncat.grounder.fingerprint import fingerprint
from aligncat.grounder.folder import Contents, read_folder, write_folder
from aligncat.grounder.forward_passes import choose_all
from aligncat.grounder.matcher import Matcher
from aligncat.grounder.matching import Calibration
from aligncat.grounder.model import GroundingModel
from aligncat.grounder.model_card import model_card
from aligncat.grounder.names import TRAINING_FREE
from aligncat.grounder.torch_scorer import TorchScorer
from aligncat.grounder.trained_grounder import TrainedGrounder
from aligncat.grounder.unlike import Familiar
from aligncat.language.pretrained import PretrainedText
from aligncat.language.tokens import Tokens
from aligncat.language.vocabulary import Vocabulary
from aligncat.loading import model_loading
from aligncat.store.reader import Store
from aligncat.types import Choices


class Grounder(TrainedGrounder, ModelHubMixin):
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
        words: Vocabulary | None = None,
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
            words: the words of the training phrases of a transformer, whose word pieces spell any word; None if not
                recorded. Others in a phrase are reported as unknown.
        """
        self.model = model.eval()
        self.vocabulary = vocabulary
        self.labels = tuple(labels)
        self.detector_description = detector_description
        self.provenance = dict(provenance)
        self.pretrained = pretrained
        self.columns = tuple(columns)
        self.calibration = calibration
        self.max_length = model.config.text.max_length
        self._scorer = TorchScorer(self.model, vocabulary, None if calibration is None else calibration.references)
        self.matcher = None
        if calibration is not None:
            self.matcher = Matcher(calibration.present, calibration.answer, self._scorer, vocabulary, self.max_length)
        self.familiar = familiar
        self.words = words
        self._detector: Detector | None = None
        self._given_detector: Detector | None = None

    @property
    def scorer(self) -> TorchScorer:
        """Its model, as what scores candidates."""
        return self._scorer

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

        A detector that was given as an object stays where it is.

        Args:
            device: "cpu", "cuda", "cuda:1", "mps" and so on.

        Raises:
            ConfigError: the device is not available.
        """
        check_device(device)
        before = self.device
        self.model.to(device)
        if self.device != before:
            self._detector = self._given_detector
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
        return choose_all(self, store, split)

    def _save_pretrained(self, save_directory: Path) -> None:
        write_folder(self.contents(), save_directory)

    def generate_model_card(self, *, results: Sequence[CardResult] = ()) -> ModelCard:
        """Return the model card, which `save_pretrained` and `push_to_hub` write as README.md.

        To publish results with the grounder, convert what `aligncat.evaluate` returned:

            results = card_results([answers.result for answers in evaluated])  # from aligncat.report.card
            grounder.push_to_hub("me/mine", model_card_kwargs={"results": results})

        Args:
            results: see `aligncat.grounder.model_card.model_card`.
        """
        return model_card(self.contents().config(), results)

    def fingerprint(self) -> str:
        """Return a hash of everything that decides the answers; a grounder that was loaded twice has the same."""
        return fingerprint(self.contents())

    def contents(self) -> Contents:
        """Return what its folder contains."""
        return Contents(
            self.model,
            self.vocabulary,
            self.labels,
            self.detector_description,
            self.provenance,
            self.pretrained,
            self.columns,
            self.calibration,
            self.familiar,
            self.words,
        )

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        device: str = "cpu",
        detector: str | Path | Detector | None = None,
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
            detector: the folder or hub name of the grounder's detector, if it has moved since training, or of an export
                of it, or the detector itself, if it is an object of your own; for "training-free", any detector.
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
            DetectorError: `detector` is an object, and not the detector that the grounder was trained with; or that of
                "training-free" cannot be loaded.
            TypeError: `model_kwargs` is not empty.
        """
        # The mixin's own method would parse config.json before this class can explain what is wrong with it.
        if model_kwargs:
            raise TypeError(f"Grounder.from_pretrained has no argument {next(iter(model_kwargs))!r}")
        check_device(device)
        if str(pretrained_model_name_or_path) == TRAINING_FREE:
            from aligncat.grounder.training_free import TrainingFreeGrounder

            return cast("Self", TrainingFreeGrounder.with_detector(detector, device))
        if is_exported(pretrained_model_name_or_path):
            raise ConfigError(
                f"{pretrained_model_name_or_path}: an exported grounder, which is no torch model; open it with "
                "aligncat.ExportedGrounder.from_pretrained"
            )
        folder = find_folder(
            pretrained_model_name_or_path,
            revision=revision,
            cache_dir=cache_dir,
            force_download=force_download,
            local_files_only=local_files_only,
            token=token,
        )
        grounder = cls(*read_folder(folder, text_encoder))
        if detector is not None and not isinstance(detector, str | Path):
            given = open_detector(detector)
            check_same(given, grounder.detector_description, [each.column for each in grounder.columns])
            grounder._detector = grounder._given_detector = given
        elif detector is not None:
            grounder.detector_description = renamed(grounder.detector_description, str(detector))
        return grounder.to(device)
