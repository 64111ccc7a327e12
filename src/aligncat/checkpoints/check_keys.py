"""Check the names and shapes of a checkpoint's tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from aligncat.errors import CheckpointError

_MAX_EXAMPLES = 3  # keys of each kind that the error message lists


def check_keys(
    state: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], dropped: Iterable[str], source: str
) -> None:
    """Check that a checkpoint has exactly the expected tensors.

    Args:
        state: the checkpoint's tensors by name.
        expected: the names and shapes of the required tensors.
        dropped: the names of further tensors that are allowed.
        source: the file's name, for the error message.

    Raises:
        CheckpointError: tensors are missing, unexpected or of another shape; the message lists the first few of each.
    """
    missing = [name for name in expected if name not in state]
    extra = sorted(set(state) - set(expected) - set(dropped))
    misshapen = [
        f"{name} {tuple(state[name].shape)}, not {shape}"
        for name, shape in expected.items()
        if name in state and tuple(state[name].shape) != shape
    ]
    problems = [
        f"{len(keys)} {kind}: {'; '.join(keys[:_MAX_EXAMPLES])}{' ...' if len(keys) > _MAX_EXAMPLES else ''}"
        for kind, keys in (("missing", missing), ("extra", extra), ("of another shape", misshapen))
        if keys
    ]
    if problems:
        raise CheckpointError(
            f"{source}: the tensors do not match the expected model ({' | '.join(problems)}); choose another model, or "
            "download the file again"
        )
