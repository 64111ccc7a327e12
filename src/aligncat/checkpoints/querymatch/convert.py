"""QueryMatch's own weights and vocabulary in our terms.

Names and shapes are those of its release (Chen et al., ACM MM 2024): a GRU over frozen GloVe vectors, self-attention
blocks, attentive pooling, and one linear layer for queries and one for text, whose dot product is the score. Its head
has no weights.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from aligncat.alignment.config import AlignmentConfig
from aligncat.checkpoints.check_keys import check_keys
from aligncat.errors import CheckpointError
from aligncat.files.fields import as_mapping, optional_strs, parse_json, read_text, required_list
from aligncat.grounder.model import GroundingModel, ModelConfig
from aligncat.language.config import TextEncoderConfig
from aligncat.language.tokens import tokenize
from aligncat.language.vocabulary import Vocabulary

HEADS = 8  # of its self-attention; the weights do not tell
DETECTOR = "visual_encoder."
_BLOCK = re.compile(r"lang_encoder\.sa_list\.(\d+)\.")
# Words that GloVe has close to each other, with a cosine of 0.6 and more.
_CLOSE = (("left", "right"), ("man", "woman"), ("boy", "girl"), ("black", "white"), ("red", "blue"), ("top", "bottom"))
_CLOSE_ENOUGH = 0.3


@dataclass(frozen=True)
class _Sizes:
    """What the shapes of a checkpoint tell."""

    words: int
    word_dim: int
    hidden: int
    visual: int
    feedforward: int
    blocks: int


@dataclass(frozen=True)
class _Weight:
    """One tensor of ours, and the tensors of QueryMatch that lie in it above each other, each of one shape."""

    target: str
    sources: tuple[str, ...]
    shape: tuple[int, ...]


def querymatch_model(
    tensors: Mapping[str, Tensor], *, words: int, classes: int, max_length: int, source: str
) -> GroundingModel:
    """The grounding model that a QueryMatch checkpoint is.

    Args:
        tensors: its state; that of its detector is passed over.
        words: the words of its vocabulary, special symbols included.
        classes: C, the detector's categories.
        max_length: words that it reads of an expression.
        source: the file, for messages.

    Raises:
        CheckpointError: a key is missing, is one too many or of a shape that does not fit the others, or the
            vocabulary is of another size.
    """
    state = {name: tensor for name, tensor in tensors.items() if not name.startswith(DETECTOR)}
    sizes = _sizes(state, source)
    expected = list(_weights(sizes))
    shapes = {name: weight.shape for weight in expected for name in weight.sources}
    check_keys(state, shapes, (), source)
    if sizes.words != words:
        raise CheckpointError(
            f"{source}: has vectors of {sizes.words} words, and the annotations have {words} with PAD, UNK and CLS: "
            "give the very file that it was trained with"
        )
    config = ModelConfig(
        alignment=AlignmentConfig.querymatch(dim=sizes.hidden),
        text=TextEncoderConfig(
            word_dim=sizes.word_dim,
            dim=sizes.hidden,
            blocks=sizes.blocks,
            heads=HEADS,
            feedforward=sizes.feedforward,
            norm="deviation",
            max_length=max_length,
            freeze_vectors=True,
            unknown_rate=0.0,
        ),
    )
    model = GroundingModel(config, words, feature_dim=sizes.visual, classes=classes)
    model.load_state_dict(
        {weight.target: torch.cat([state[name].float() for name in weight.sources]) for weight in expected}
    )
    return model


def querymatch_vocabulary(annotations: Path) -> Vocabulary:
    """QueryMatch's vocabulary: the words of all splits of its annotations file, in the order first seen.

    Args:
        annotations: SimREC's JSON, {split: [{"refs": [sentence, ...], ...}, ...]}.

    Raises:
        DataError: the file is missing or is something else.
    """
    document = as_mapping(parse_json(read_text(annotations), str(annotations)), str(annotations))
    words: dict[str, None] = {}
    for split in document:
        for number, value in enumerate(required_list(document, split, str(annotations))):
            where = f"{annotations}: {split}[{number}]"
            row = as_mapping(value, where)
            required_list(row, "refs", where)
            for sentence in optional_strs(row, "refs", where):
                words.update(dict.fromkeys(tokenize(sentence)))
    return Vocabulary(list(words))


def check_word_order(vocabulary: Vocabulary, vectors: Tensor, source: str) -> None:
    """Make sure that words sit at their vectors, which their number alone does not tell.

    Args:
        vocabulary: from an annotations file.
        vectors: (V, word_dim), GloVe's, of the checkpoint.
        source: the checkpoint, for the message.

    Raises:
        CheckpointError: words that GloVe has close together are far apart, so the file is not that of the training.
    """
    pairs = [pair for pair in _CLOSE if all(word in vocabulary for word in pair)]
    if len(pairs) < 3:
        return
    first, second = (vectors[[vocabulary.id(pair[side]) for pair in pairs]] for side in (0, 1))
    cosine = float(F.cosine_similarity(first, second).mean())
    if cosine < _CLOSE_ENOUGH:
        raise CheckpointError(
            f"{source}: its vectors of {' and '.join(pairs[0])}, and of {len(pairs) - 1} more such pairs, have little "
            f"in common (cosine {cosine:.2f}), so the annotations have their words in another order: give the very "
            "file that it was trained with"
        )


def _sizes(state: Mapping[str, Tensor], source: str) -> _Sizes:
    def shape(name: str) -> tuple[int, int]:
        if name not in state or state[name].ndim != 2:
            raise CheckpointError(f"{source}: no matrix {name!r}, so this is no QueryMatch: give a checkpoint of it")
        rows, columns = state[name].shape
        return rows, columns

    words, word_dim = shape("lang_encoder.embedding.weight")
    hidden, visual = shape("linear_vs.weight")
    if hidden % HEADS:
        raise CheckpointError(f"{source}: its {hidden} dimensions are no multiple of QueryMatch's {HEADS} heads")
    blocks = {int(match[1]) for name in state if (match := _BLOCK.match(name))}
    feedforward = shape("lang_encoder.sa_list.0.ffn.mlp.fc.linear.weight")[0] if blocks else 1
    return _Sizes(words, word_dim, hidden, visual, feedforward, max(blocks, default=-1) + 1)


def _weights(sizes: _Sizes) -> Iterator[_Weight]:
    hidden = sizes.hidden
    yield _Weight("text.embedding.weight", ("lang_encoder.embedding.weight",), (sizes.words, sizes.word_dim))
    for part, incoming in (("ih", sizes.word_dim), ("hh", hidden)):
        yield _Weight(f"text.gru.weight_{part}_l0", (f"lang_encoder.GRU.weight_{part}_l0",), (3 * hidden, incoming))
        yield _Weight(f"text.gru.bias_{part}_l0", (f"lang_encoder.GRU.bias_{part}_l0",), (3 * hidden,))
    for block in range(sizes.blocks):
        old, new = f"lang_encoder.sa_list.{block}.", f"text.blocks.{block}."
        attention = tuple(f"{old}mhatt.linear_{part}" for part in "qkv")
        yield from _linear(new + "attend_in", attention, hidden, hidden)
        yield from _linear(new + "attend_out", (old + "mhatt.linear_merge",), hidden, hidden)
        yield from _linear(new + "expand", (old + "ffn.mlp.fc.linear",), sizes.feedforward, hidden)
        yield from _linear(new + "contract", (old + "ffn.mlp.linear",), hidden, sizes.feedforward)
        yield from _linear(new + "attended_norm", (old + "norm1",), hidden)
        yield from _linear(new + "norm", (old + "norm2",), hidden)
    yield from _linear("text.pooling.score.0", ("lang_encoder.att_flat.mlp.fc.linear",), hidden // 2, hidden)
    yield from _linear("text.pooling.score.2", ("lang_encoder.att_flat.mlp.linear",), 1, hidden // 2)
    yield from _linear("text.pooling.project", ("lang_encoder.att_flat.linear_merge",), hidden, hidden)
    yield from _linear("alignment.global_query", ("linear_vs",), hidden, sizes.visual)
    yield from _linear("alignment.global_text", ("linear_ts",), hidden, hidden)


def _linear(target: str, sources: tuple[str, ...], *shape: int) -> Iterator[_Weight]:
    """A weight of a shape, and the bias of its outputs."""
    yield _Weight(target + ".weight", tuple(f"{source}.weight" for source in sources), shape)
    yield _Weight(target + ".bias", tuple(f"{source}.bias" for source in sources), shape[:1])
