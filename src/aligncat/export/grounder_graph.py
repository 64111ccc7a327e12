"""Write the model of a grounder as an ONNX file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from aligncat.alignment.inputs import ImageTensors
from aligncat.export.tracing import clear_traces, quiet_tracing
from aligncat.grounder.exported_files import INPUTS, ONNXRUNTIME, OPSETS
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.torch_scorer import References, score_tensors

_PHRASES, _CANDIDATES, _WORDS = 3, 5, 4  # none of the traced sizes is 1, which the exporter would fix


class _Scores(nn.Module):
    """The scores of a grounder's model, as a module whose outputs are in a fixed order.

    Args:
        grounder: the grounder.
    """

    def __init__(self, grounder: Grounder) -> None:
        super().__init__()
        self.model = grounder.model
        self._references: References | None = grounder.scorer.references(torch.device("cpu"))
        self.names: list[str] = []

    def forward(
        self,
        features: Tensor,
        categories: Tensor,
        valid: Tensor,
        confidences: Tensor,
        boxes: Tensor,
        tokens: Tensor,
    ) -> tuple[Tensor, ...]:
        """Return the tensors of `score_tensors`, whose names are then in `names`."""
        images = ImageTensors(features, categories, valid, confidences, boxes)
        found = score_tensors(self.model, images, tokens, self._references)
        self.names = list(found)
        return tuple(found.values())


def graph_bytes(grounder: Grounder, metadata: Mapping[str, str]) -> bytes:
    """Return the content of an ONNX file with a grounder's model, for any number of phrases, candidates and words.

    Args:
        grounder: the grounder, on the CPU.
        metadata: what to keep inside the file.
    """
    import onnx

    with quiet_tracing():
        scores, inputs = _Scores(grounder).eval(), _inputs(grounder)
        scores(*inputs)
        phrases, candidates, words = (torch.export.Dim(name) for name in ("phrases", "candidates", "words"))
        of_images = {0: phrases, 1: candidates}
        program = torch.onnx.export(
            scores,
            tuple(inputs),
            dynamo=True,
            dynamic_shapes=(*[of_images] * len(ImageTensors._fields), {0: phrases, 1: words}),
            input_names=list(INPUTS),
            output_names=scores.names,
            opset_version=OPSETS[ONNXRUNTIME],
            custom_translation_table={torch.ops.aten.sort.stable: _stable_sort},
            verbose=False,
        )
    assert program is not None
    clear_traces(program)
    program.model.metadata_props.update(metadata)
    content: bytes = program.model_proto.SerializeToString()
    onnx.checker.check_model(content)
    return content


def _inputs(grounder: Grounder) -> Sequence[Tensor]:
    """Return made-up inputs in the order of INPUTS."""
    length = grounder.model.alignment.sizes.visual_dim
    corners = torch.rand(_PHRASES, _CANDIDATES, 2, generator=torch.Generator().manual_seed(0)) / 2
    images = (
        torch.ones(_PHRASES, _CANDIDATES, length, dtype=torch.float16),
        torch.zeros(_PHRASES, _CANDIDATES, dtype=torch.int64),
        torch.ones(_PHRASES, _CANDIDATES, dtype=torch.bool),
        torch.ones(_PHRASES, _CANDIDATES),
        torch.cat([corners, corners + 0.5], dim=-1),
    )
    return (*images, grounder.vocabulary.encode(["left red dog there"] * _PHRASES, _WORDS))


def _stable_sort(values: Any, *, stable: bool | None = None, dim: int = -1, descending: bool = False) -> Any:
    """Return the operations of a stable sort: of equal values, ONNX's TopK gives the one with the lower index first."""
    from onnxscript import opset20 as operations

    size: Any = operations.Gather(operations.Shape(values), operations.Constant(value_ints=[dim]))  # type: ignore[type-var]
    return operations.TopK(values, size, axis=dim, largest=int(descending))
