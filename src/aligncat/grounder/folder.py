"""Read and write the folder of a grounder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.torch import save

from aligncat.alignment.config import AlignmentConfig
from aligncat.detectors.description import DetectorDescription
from aligncat.errors import ConfigError, DataError, DetectorError
from aligncat.files.atomic import write_atomic, write_files_atomic
from aligncat.files.documents import read_json
from aligncat.files.fields import as_mapping, optional_strs, required_list
from aligncat.files.seals import check_seal, sealed
from aligncat.grounder.exported_files import is_exported
from aligncat.grounder.features import COLUMNS_KEY, ScaledColumn
from aligncat.grounder.match_file import KEY as MATCH
from aligncat.grounder.match_file import REFERENCES, match_bytes, match_config, read_match
from aligncat.grounder.matching import Calibration
from aligncat.grounder.model import GroundingModel, ModelConfig
from aligncat.grounder.old_sizes import without_old_sizes
from aligncat.grounder.unlike import KEY as FAMILIAR
from aligncat.grounder.unlike import Familiar
from aligncat.grounder.weights import load_weights, made_without_weights
from aligncat.language.config import TextEncoderConfig
from aligncat.language.pretrained import PretrainedText, load_pretrained_text, untrained_text
from aligncat.language.tokens import FIRST_RULE, RULE_KEY, Tokens
from aligncat.language.vocabulary import Vocabulary
from aligncat.loading import model_loading
from aligncat.wording import first_line

FORMAT = 1
FILES = CONFIG, WEIGHTS, VOCABULARY = "config.json", "model.safetensors", "vocabulary.json"
TEXT = "text"  # the subfolder for the config and tokenizer of a fine-tuned transformer
HASHES = "sha256"
"""The key of config.json with the SHA-256 of every other file of the folder that a grounder is read from."""
SHIPPED = Path(__file__).resolve().parents[1] / "assets" / "mojiref-grounder"
"""The folder of the grounder that aligncat ships, which was trained on the drawings of MojiRef."""

_REMEDY = "restore the folder from a copy, download it again, or train it again"
_DETECTOR = "a detector, not a grounder; give it with --detector"
# What reading a folder raises whose hashes are missing and whose values are wrong.
_UNUSABLE = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RuntimeError,
    OverflowError,
    MemoryError,
    OSError,
    DataError,
    DetectorError,
)


class Contents(NamedTuple):
    """The contents of a grounder's folder. The fields are the arguments of `Grounder`, in that order."""

    model: GroundingModel
    vocabulary: Tokens
    labels: tuple[str, ...]
    detector_description: DetectorDescription
    provenance: Mapping[str, Any]
    pretrained: PretrainedText | None
    columns: tuple[ScaledColumn, ...] = ()
    calibration: Calibration | None = None
    familiar: Familiar | None = None
    words: Vocabulary | None = None

    @property
    def listed(self) -> Vocabulary | None:
        """The words of vocabulary.json: the vocabulary, or the words of the phrases that a transformer learned."""
        return self.vocabulary if isinstance(self.vocabulary, Vocabulary) else self.words

    def config(self) -> dict[str, Any]:
        """Return the content of config.json."""
        encoder = None
        if self.pretrained is not None:
            encoder = {"name": self.pretrained.name, "sha256": self.pretrained.sha256}
        # Grounders with the first rule, which are imported or of an earlier version, do not record it.
        rule = FIRST_RULE if self.listed is None else self.listed.rule
        return {
            "format": FORMAT,
            "alignment": asdict(self.model.config.alignment),
            "text": asdict(self.model.config.text),
            **({} if rule == FIRST_RULE else {RULE_KEY: rule}),
            "text_encoder": encoder,
            "feature_dim": self.model.alignment.sizes.visual_dim,
            **({COLUMNS_KEY: [each.to_json() for each in self.columns]} if self.columns else {}),
            "labels": list(self.labels),
            "detector": self.detector_description.to_json(),
            "provenance": dict(self.provenance),
            **({} if self.calibration is None else {MATCH: match_config(self.calibration)}),
            **({} if self.familiar is None else {FAMILIAR: self.familiar.to_json()}),
        }


def write_folder(contents: Contents, folder: Path) -> None:
    """Write a grounder's folder: each file atomically, config.json last.

    config.json has the SHA-256 of each other file and of its own content, so that damage is found on reading.

    Args:
        contents: the contents.
        folder: an existing folder.
    """
    # safetensors refuses tensors that share memory, and T5 refers to its word embeddings twice, so copy all tensors.
    weights = {name: tensor.contiguous().clone() for name, tensor in contents.model.state_dict().items()}
    files = {WEIGHTS: save(weights)}
    if contents.listed is not None:
        files[VOCABULARY] = json.dumps(contents.listed.to_dict(), ensure_ascii=False).encode()
    if contents.calibration is not None:
        files[REFERENCES] = match_bytes(contents.calibration)
    for name, content in files.items():
        write_atomic(folder / name, content)
    if contents.pretrained is not None and contents.model.config.text.train_encoder:
        write_files_atomic(folder / TEXT, contents.pretrained.save)  # its weights are in WEIGHTS
        files |= {f"{TEXT}/{path.name}": path.read_bytes() for path in sorted((folder / TEXT).iterdir())}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    config = json.dumps(sealed({**contents.config(), HASHES: hashes}), indent=2, ensure_ascii=False) + "\n"
    write_atomic(folder / CONFIG, config.encode())


def read_folder(folder: Path, text_encoder: str | Path | None = None) -> Contents:
    """Read a grounder's folder. Only JSON and safetensors are read, never pickles.

    Each file is checked against the hash in config.json, and config.json against its own. A folder of an earlier
    version has no hashes and is read without these checks.

    Args:
        folder: the folder that `aligncat train` wrote.
        text_encoder: the folder or hub name of the grounder's frozen transformer, if that has moved since training.

    Raises:
        ConfigError: the folder is not a grounder or is damaged, or the text encoder cannot be loaded.
    """
    _need(folder, CONFIG, WEIGHTS)  # names both if both are missing
    config = read_config(folder)
    try:
        if config["format"] != FORMAT:
            raise ValueError(f"format is {config['format']!r}, not {FORMAT}")
        model_config = ModelConfig(
            alignment=AlignmentConfig(**config["alignment"]), text=TextEncoderConfig(**config["text"])
        )
        with model_loading():
            pretrained, vocabulary = _read_text_encoder(folder, model_config.text, config, text_encoder)
            required_list(config, "labels", CONFIG)
            labels = optional_strs(config, "labels", CONFIG)
            with made_without_weights():  # sizes of a strange config.json allocate nothing
                model = GroundingModel(
                    model_config,
                    len(vocabulary),
                    feature_dim=config["feature_dim"],
                    classes=len(labels),
                    pretrained=pretrained,
                )
            # Weights with the hash that config.json records are as they were written.
            remedy = "another version of aligncat wrote it; train it again" if HASHES in config else _REMEDY
            load_weights(model, _checked(folder, WEIGHTS, config), folder / WEIGHTS, remedy)
        detector = DetectorDescription.from_json(config["detector"])
        columns = tuple(ScaledColumn.from_json(each, COLUMNS_KEY) for each in config.get(COLUMNS_KEY, []))
        calibration = _read_match(folder, config, model.alignment.sizes.visual_dim)
        familiar = Familiar.from_json(config[FAMILIAR]) if FAMILIAR in config else None
        provenance = dict(as_mapping(config["provenance"], "provenance"))
        words = None if isinstance(vocabulary, Vocabulary) else _read_words(folder, config)
        return Contents(
            model, vocabulary, labels, detector, provenance, pretrained, columns, calibration, familiar, words
        )
    except _UNUSABLE as error:
        raise ConfigError(
            f"{folder}: damaged or written by another version of aligncat ({first_line(error)}); train it again"
        ) from error


def read_config(folder: Path) -> dict[str, Any]:
    """Return the content of a grounder's config.json in the current form.

    Raises:
        ConfigError: the file is missing, is damaged, or is not the config of a grounder.
    """
    _need(folder, CONFIG)
    path = folder / CONFIG
    try:
        content = read_json(path, ConfigError)
    except ConfigError as error:
        raise ConfigError(f"{error}; {_REMEDY}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: not the config of a grounder; give the folder that `aligncat train` wrote")
    check_seal(content, str(path), _REMEDY, error=ConfigError)
    try:
        return current_config(content, str(path))
    except (KeyError, TypeError, AttributeError) as error:
        if _is_detector(folder):
            raise ConfigError(f"{folder}: {_DETECTOR}") from error
        raise ConfigError(
            f"{path}: not the config of a grounder ({error!r}); give the folder that `aligncat train` wrote"
        ) from error


def current_config(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the content of a config.json in the current form.

    Earlier versions stored `visual_dim`, `text_dim` and `classes` among the fields of the alignment.

    Args:
        config: the content of the file.
        where: the path of the file, for the warning that `without_old_sizes` logs.

    Raises:
        KeyError: the alignment or the length of the detector's features is missing.
    """
    alignment = config["alignment"]
    feature_dim = config["feature_dim"] if "feature_dim" in config else alignment["visual_dim"]
    return {**config, "alignment": without_old_sizes(alignment, where), "feature_dim": feature_dim}


def _need(folder: Path, *names: str) -> None:
    """Check that files of a grounder exist.

    Raises:
        ConfigError: a file is missing. The message says so if the folder is a detector's or an exported grounder's.
    """
    if missing := [name for name in names if not (folder / name).is_file()]:
        if is_exported(folder):
            raise ConfigError(f"{folder}: an exported grounder; give the folder that `aligncat train` wrote")
        if _is_detector(folder):
            raise ConfigError(f"{folder}: {_DETECTOR}")
        raise ConfigError(
            f"{folder}: {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing, so this is not a "
            "trained grounder; give the folder that `aligncat train` wrote, or run that command again if it was "
            "interrupted"
        )


def _is_detector(folder: Path) -> bool:
    """Return whether a folder has the config.json of a model of transformers, or of an exported detector."""
    try:
        config = read_json(folder / CONFIG, ConfigError)
    except ConfigError:
        return False
    return isinstance(config, dict) and "model_type" in config


def _checked(folder: Path, name: str, config: Mapping[str, Any]) -> bytes:
    """Return the content of a file, which is the one whose hash config.json has, if it has hashes.

    Raises:
        ConfigError: the file is missing, or differs from the one that was written.
    """
    _need(folder, name)
    content = (folder / name).read_bytes()
    if HASHES in config and config[HASHES].get(name) != hashlib.sha256(content).hexdigest():
        raise ConfigError(f"{folder / name}: damaged or replaced: its hash differs from that in {CONFIG}; {_REMEDY}")
    return content


def _read_match(folder: Path, config: Mapping[str, Any], feature_dim: int) -> Calibration | None:
    """Return a grounder's calibration, or None if it has none.

    Raises:
        ConfigError: the file with the reference images is missing or damaged.
    """
    if MATCH not in config:
        return None
    content = _checked(folder, REFERENCES, config)
    return read_match(config[MATCH], content, folder / REFERENCES, feature_dim=feature_dim, remedy=_REMEDY)


def _read_words(folder: Path, config: Mapping[str, Any]) -> Vocabulary | None:
    """Return the words of the phrases that a transformer was trained on; None in a folder of an earlier version.

    Raises:
        ConfigError: the file with the words is missing or damaged.
        DataError: it is not a vocabulary.
    """
    return _read_vocabulary(folder, config) if VOCABULARY in config.get(HASHES, {}) else None


def _read_vocabulary(folder: Path, config: Mapping[str, Any]) -> Vocabulary:
    _checked(folder, VOCABULARY, config)
    return Vocabulary.load(folder / VOCABULARY, config.get(RULE_KEY, FIRST_RULE))


def _read_text_encoder(
    folder: Path, text: TextEncoderConfig, config: Mapping[str, Any], text_encoder: str | Path | None
) -> tuple[PretrainedText | None, Tokens]:
    """Return a grounder's transformer, or None if it has none, and its vocabulary.

    A fine-tuned transformer is read from the grounder's folder, a frozen one from its own folder or the hub.

    Raises:
        ConfigError: the transformer cannot be loaded, or differs from the one used in training.
        DataError: the vocabulary is damaged.
    """
    if text.recurrent:
        return None, _read_vocabulary(folder, config)
    name, sha256 = config["text_encoder"]["name"], config["text_encoder"]["sha256"]
    if text.train_encoder:
        for file in config.get(HASHES, {}):
            if file.startswith(f"{TEXT}/"):
                _checked(folder, file, config)
        found = untrained_text(folder / TEXT, name, sha256)
        return found, found.pieces
    found = load_pretrained_text(str(text_encoder or name))
    if found.sha256 != sha256:
        raise ConfigError(
            f"{folder}: the weights of the text encoder {found.name!r} differ from those that the grounder was trained "
            "with; restore them, give a copy as text_encoder, or train again"
        )
    return found, found.pieces
