"""The grounder whose weights a training starts from, instead of random ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import torch

from aligncat.errors import ConfigError
from aligncat.files.hashes import files_sha256
from aligncat.grounder.download import find_folder
from aligncat.grounder.features import ScaledColumn
from aligncat.grounder.folder import CONFIG, VOCABULARY, WEIGHTS, Contents, read_folder
from aligncat.grounder.model import GroundingModel, ModelConfig
from aligncat.grounder.weights import check_tensors
from aligncat.language.encoder import TextEncoder
from aligncat.language.pretrained import PretrainedText
from aligncat.language.tokens import RULE
from aligncat.language.vocabulary import Vocabulary
from aligncat.store.manifest import Manifest, detector_differences

_WORDS = "text.embedding.weight"


@dataclass(frozen=True)
class Initial:
    """A grounder to start from.

    Attributes:
        name: the name of its folder, without the folders above it.
        sha256: the hash of its files.
        contents: its model, vocabulary and provenance.
    """

    name: str
    sha256: str
    contents: Contents

    @classmethod
    def read(cls, name_or_folder: str | Path) -> Self:
        """Read a grounder.

        Args:
            name_or_folder: its folder, or its name on the hub.

        Raises:
            ConfigError: it is not a grounder, or is damaged.
        """
        folder = find_folder(name_or_folder)
        contents = read_folder(folder)
        files = [folder / name for name in (CONFIG, WEIGHTS, VOCABULARY) if (folder / name).is_file()]
        return cls(Path(name_or_folder).name, files_sha256(files, with_names=True), contents)

    @property
    def rule(self) -> int:
        """The rule of `tokenize` of its vocabulary."""
        vocabulary = self.contents.vocabulary
        return vocabulary.rule if isinstance(vocabulary, Vocabulary) else RULE

    def provenance(self) -> dict[str, Any]:
        """Return what is recorded of it, as JSON values: name, hash, and what it was trained on and started from."""
        origin = self.contents.provenance
        return {"name": self.name, "sha256": self.sha256, "data": origin.get("data"), "init": origin.get("init")}

    def check(self, config: ModelConfig, manifest: Manifest, columns: Sequence[ScaledColumn]) -> None:
        """Check that the weights fit a training, and mean the same in it.

        Args:
            config: the settings of the model that is trained.
            manifest: the manifest of the store that it is trained with.
            columns: the columns of the store that the trained model reads beside f_q.

        Raises:
            ConfigError: a setting of the model differs, another detector made the candidates, or it reads other columns
                or another version of them. One message lists all differences.
        """
        own, wanted = asdict(self.contents.model.config), asdict(config)
        differing = [
            f"{part}.{name}: it has {own[part][name]!r}, not {value!r}"
            for part in wanted
            for name, value in wanted[part].items()
            if own[part][name] != value
        ]
        stored, learned_from = manifest.detector, self.contents.detector_description
        differing += detector_differences(stored, learned_from, ignoring=("masks", "candidates"))
        if tuple(manifest.labels) != self.contents.labels:
            differing.append("the detector's categories")
        if own["alignment"]["features"] == wanted["alignment"]["features"] and self.contents.columns != tuple(columns):
            read, needed = (
                " and ".join(f"{each.column} times {each.scale}" for each in some)
                for some in (self.contents.columns, columns)
            )
            differing.append(f"it reads {read}, not {needed}")
        if differing:
            raise ConfigError(
                f"{self.name}: training cannot start from this grounder, because it differs: {'; '.join(differing)}. "
                "Use its settings and the store of its detector, or leave --init out"
            )

    def check_text_encoder(self, pretrained: PretrainedText) -> None:
        """Check that the grounder was trained with the same transformer.

        Raises:
            ConfigError: the weights of the transformer differ.
        """
        own = self.contents.pretrained
        if own is None or own.sha256 != pretrained.sha256:
            raise ConfigError(
                f"{self.name}: training cannot start from this grounder, because it has another text encoder than "
                f"{pretrained.name!r}; use its text encoder, or leave --init out"
            )

    def words_before(self, vocabulary: Vocabulary) -> Vocabulary:
        """Return a vocabulary of the grounder's words, with their ids, and then those of another one that it lacks."""
        own = self.contents.vocabulary
        assert isinstance(own, Vocabulary), "`check` has compared the text encoders"
        return own.with_words(vocabulary.words)

    def load_into(self, model: GroundingModel) -> None:
        """Copy the weights into a model of the same settings. Words that the grounder lacks keep their new vectors.

        Raises:
            ConfigError: a weight has another shape.
        """
        weights = self.contents.model.state_dict()
        if isinstance(model.text, TextEncoder):
            with torch.no_grad():
                words = model.text.embedding.weight.clone()
                words[: len(weights[_WORDS])] = weights[_WORDS]
            weights = {**weights, _WORDS: words}
        remedy = "use the store that the grounder was trained with, or leave --init out"
        check_tensors(weights, model.state_dict(), f"{self.name} / {WEIGHTS}", remedy)
        model.load_state_dict(weights)
