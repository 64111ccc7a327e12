"""Fold a shifted position index of Swin into the bias table that it points to.

Each attention block of the original Swin stores the integer buffer `relative_position_index` beside its
`relative_position_bias_table`: for each pair of patches in a window, the row of the table that is their bias. The
buffer follows from the window size, so a converted model computes it. QueryMatch's training averages all buffers, this
one too, and truncates the result to integers. Its checkpoints have the shifted index, and its results were measured
with it. Averaging treats equal numbers equally, so the shift depends on the row alone: a table whose rows are moved
accordingly gives the same biases with the computed index.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from aligncat.errors import CheckpointError

_INDEX = re.compile(r"(?:.*\.)?backbone\.layers\.\d+\.blocks\.\d+\.attn\.relative_position_index")


@dataclass(frozen=True)
class FoldedIndex:
    """The bias tables of a checkpoint whose position indices were folded into them.

    Attributes:
        tables: the moved tables, by their original names; empty if no index is shifted.
        names: the names of the shifted indices.
        blocks: the number of blocks that have an index in the checkpoint.
        entries: the share of shifted entries, over the indices of all blocks, in [0, 1].
    """

    tables: dict[str, Tensor]
    names: tuple[str, ...]
    blocks: int
    entries: float

    def summary(self) -> str:
        """Return what was done, for the log and the records of the converted folder."""
        return (
            f"shifted in {len(self.names)} of {self.blocks} blocks ({self.entries:.0%} of all entries), as by "
            "QueryMatch's averaging; the shift was folded into relative_position_bias_table"
        )


def fold_position_index(state: Mapping[str, Tensor], source: str) -> FoldedIndex:
    """Return the bias tables that give, with the computed index, the biases of a checkpoint's own index.

    If `saved` is the checkpoint's index as a function of the computed one, the new table is
    `table'[v] = table[saved(v)]`.

    Args:
        state: the checkpoint's tensors by their original names; a block without an index is left alone.
        source: the file's name, for error messages.

    Raises:
        CheckpointError: an index does not fit its table, or its shift does not depend on the computed index alone.
    """
    tables: dict[str, Tensor] = {}
    shifted: list[str] = []
    blocks = entries = shifted_entries = 0
    for name in filter(_INDEX.fullmatch, state):
        table_name = name.removesuffix("index") + "bias_table"
        if table_name not in state:  # check_keys reports it
            continue
        saved, table = state[name], state[table_name]
        computed = _computed_index(saved, table, name, source)
        blocks += 1
        entries += saved.numel()
        if differing := int((saved != computed).sum()):
            shifted.append(name)
            shifted_entries += differing
            tables[table_name] = table[_rows_of(saved, computed, len(table), name, source)]
    return FoldedIndex(tables, tuple(shifted), blocks, shifted_entries / max(entries, 1))


def _computed_index(saved: Tensor, table: Tensor, name: str, source: str) -> Tensor:
    """Return the index that follows from the window size, (W * W, W * W) int64: (dy + W - 1)(2W - 1) + dx + W - 1."""
    patches = saved.shape[0] if saved.ndim == 2 else 0
    window = round(patches**0.5)
    rows = (2 * window - 1) ** 2
    if not patches or saved.shape[1] != patches or window**2 != patches or table.ndim != 2 or len(table) != rows:
        raise CheckpointError(
            f"{source}: {name} has shape {tuple(saved.shape)}, which does not fit its bias table of shape "
            f"{tuple(table.shape)}; download the file again"
        )
    patch = torch.arange(patches)
    down, across = (place[:, None] - place[None] + window - 1 for place in (patch // window, patch % window))
    index: Tensor = down * (2 * window - 1) + across
    return index


def _rows_of(saved: Tensor, computed: Tensor, rows: int, name: str, source: str) -> Tensor:
    """Return the saved index of each computed one, (rows,) int64."""
    if saved.is_complex() or not torch.equal(saved, saved.long()) or saved.min() < 0 or saved.max() >= rows:
        raise CheckpointError(
            f"{source}: {name} has values that are not rows of its bias table (0 to {rows - 1}); download the file "
            "again"
        )
    found = torch.zeros(rows, dtype=torch.int64)
    found[computed.flatten()] = saved.long().flatten()
    if not torch.equal(found[computed], saved.long()):
        raise CheckpointError(
            f"{source}: {name} differs from the index that follows from the window size, and not in the way that "
            "QueryMatch's averaging shifts it: pairs of patches with the same offset have different values. The bias "
            "table cannot express that, so the scores would be wrong; give a checkpoint of the original Mask2Former or "
            "of QueryMatch"
        )
    return found
