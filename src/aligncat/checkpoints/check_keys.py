"""Check the names and shapes of a checkpoint's tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from aligncat.errors import CheckpointError

_NAMED = 3  # keys of each kind that the error message names


def check_keys(
    state: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], dropped: Iterable[str], source: str
) -> None:
    """Make sure that a checkpoint holds exactly what is expected.

    Args:
        state: what it holds.
        expected: names and shapes that it has to have.
        dropped: names that it may have.
        source: the file, for the message.

    Raises:
        CheckpointError: otherwise; it names the first few missing, extra and wrong-shaped keys.
    """
    missing = [name for name in expected if name not in state]
    extra = sorted(set(state) - set(expected) - set(dropped))
    misshapen = [
        f"{name} {tuple(state[name].shape)}, not {shape}"
        for name, shape in expected.items()
        if name in state and tuple(state[name].shape) != shape
    ]
    problems = [
        f"{len(keys)} {kind}: {'; '.join(keys[:_NAMED])}{' ...' if len(keys) > _NAMED else ''}"
        for kind, keys in (("missing", missing), ("extra", extra), ("of another shape", misshapen))
        if keys
    ]
    if problems:
        raise CheckpointError(
            f"{source}: its keys are not those of the model that was named ({' | '.join(problems)}): name another "
            "model, or get the file again"
        )
