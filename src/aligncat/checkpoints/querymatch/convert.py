"""Convert the weights and the vocabulary of a QueryMatch checkpoint.

Names and shapes are those of its release (Chen et al., ACM MM 2024). The model has a GRU over frozen GloVe vectors,
self-attention blocks, attentive pooling, and one linear layer each for queries and text. The score is the dot product
of the two, without further weights.
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
from aligncat.files.documents import MAX_ANNOTATION_BYTES, read_json
from aligncat.files.fields import as_mapping, optional_strs, required_list
from aligncat.grounder.model import GroundingModel, ModelConfig
from aligncat.language.config import TextEncoderConfig
from aligncat.language.tokens import FIRST_RULE, tokenize
from aligncat.language.vocabulary import Vocabulary

HEADS = 8  # of the self-attention, which the shapes of the weights do not show
DETECTOR_PREFIX = "visual_encoder."
_BLOCK = re.compile(r"lang_encoder\.sa_list\.(\d+)\.")
# Words whose GloVe vectors have a cosine similarity of at least 0.6.
_SIMILAR_WORDS = (
    ("left", "right"),
    ("man", "woman"),
    ("boy", "girl"),
    ("black", "white"),
    ("red", "blue"),
    ("top", "bottom"),
)
_MIN_COSINE = 0.3


@dataclass(frozen=True)
class _Sizes:
    """The sizes of a model, from the shapes of its weights."""

    words: int
    word_dim: int
    hidden: int
    visual: int
    feedforward: int
    blocks: int


@dataclass(frozen=True)
class _Weight:
    """One of our tensors, and the QueryMatch tensors of the given shape that are stacked in it."""

    target: str
    sources: tuple[str, ...]
    shape: tuple[int, ...]


def querymatch_model(
    tensors: Mapping[str, Tensor], *, words: int, classes: int, max_length: int, source: str
) -> GroundingModel:
    """Return the grounding model of a QueryMatch checkpoint.

    Args:
        tensors: the checkpoint's tensors by name. Those of its detector are ignored.
        words: the size of the vocabulary, including the special symbols.
        classes: C, the number of the detector's categories.
        max_length: the number of words that the model reads of an expression.
        source: the file's name, for error messages.

    Raises:
        CheckpointError: a tensor is missing, unexpected or of the wrong shape, or the vocabulary has another size.
    """
    state = {name: tensor for name, tensor in tensors.items() if not name.startswith(DETECTOR_PREFIX)}
    sizes = _sizes(state, source)
    expected = list(_weights(sizes))
    shapes = {name: weight.shape for weight in expected for name in weight.sources}
    check_keys(state, shapes, (), source)
    if sizes.words != words:
        raise CheckpointError(
            f"{source}: has vectors for {sizes.words} words, but the annotations have {words}, including PAD, UNK and "
            "CLS; give the annotations file that the checkpoint was trained with"
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
    """Return QueryMatch's vocabulary: the words of all splits of its annotations file, in order of first occurrence.

    Args:
        annotations: a JSON file of SimREC, {split: [{"refs": [sentence, ...], ...}, ...]}.

    Raises:
        DataError: the file is missing or has another content.
    """
    document = as_mapping(read_json(annotations, limit=MAX_ANNOTATION_BYTES, by_row=True), str(annotations))
    words: dict[str, None] = {}
    for split in document:
        for number, value in enumerate(required_list(document, split, str(annotations))):
            where = f"{annotations}: {split}[{number}]"
            row = as_mapping(value, where)
            required_list(row, "refs", where)
            for sentence in optional_strs(row, "refs", where):
                words.update(dict.fromkeys(tokenize(sentence, FIRST_RULE)))
    return Vocabulary(list(words), FIRST_RULE)


def check_word_order(vocabulary: Vocabulary, vectors: Tensor, source: str) -> None:
    """Check that the words of a vocabulary are in the order of a checkpoint's word vectors.

    The number of words can agree although their order differs. So pairs of words that are similar in GloVe must have
    similar vectors.

    Args:
        vocabulary: the vocabulary from an annotations file.
        vectors: (V, word_dim), the checkpoint's GloVe vectors.
        source: the checkpoint's name, for the error message.

    Raises:
        CheckpointError: the vectors of the pairs differ, so the checkpoint was trained with another annotations file.
    """
    pairs = [pair for pair in _SIMILAR_WORDS if all(word in vocabulary for word in pair)]
    if len(pairs) < 3:
        return
    first, second = (vectors[[vocabulary.id(pair[side]) for pair in pairs]] for side in (0, 1))
    cosine = float(F.cosine_similarity(first, second).mean())
    if cosine < _MIN_COSINE:
        raise CheckpointError(
            f"{source}: its vectors of {' and '.join(pairs[0])}, and of {len(pairs) - 1} more pairs of similar words, "
            f"differ (mean cosine {cosine:.2f}), so the words of the annotations are in another order; give the "
            "annotations file that the checkpoint was trained with"
        )


def _sizes(state: Mapping[str, Tensor], source: str) -> _Sizes:
    def shape(name: str) -> tuple[int, int]:
        if name not in state or state[name].ndim != 2:
            raise CheckpointError(
                f"{source}: has no matrix {name!r}, so this is not a QueryMatch; give a QueryMatch checkpoint"
            )
        rows, columns = state[name].shape
        return rows, columns

    words, word_dim = shape("lang_encoder.embedding.weight")
    hidden, visual = shape("linear_vs.weight")
    if hidden % HEADS:
        raise CheckpointError(
            f"{source}: its {hidden} dimensions are not a multiple of QueryMatch's {HEADS} heads; give a QueryMatch "
            "checkpoint"
        )
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
    """Yield a weight of a shape and the bias of its outputs."""
    yield _Weight(target + ".weight", tuple(f"{source}.weight" for source in sources), shape)
    yield _Weight(target + ".bias", tuple(f"{source}.bias" for source in sources), shape[:1])
