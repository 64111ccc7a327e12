"""The hash of the image ids of a store."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc


def ids_sha256(image_ids: Sequence[str] | pa.Array) -> str:
    """Return the SHA-256 of image ids in order, joined by newlines, in hexadecimal.

    Args:
        image_ids: the ids, as a sequence of str or as an Arrow array of strings.
    """
    if not isinstance(image_ids, pa.Array):
        return hashlib.sha256("\n".join(image_ids).encode()).hexdigest()
    if len(image_ids) == 0:
        return hashlib.sha256(b"").hexdigest()
    one = pa.LargeListArray.from_arrays(pa.array([0, len(image_ids)], pa.int64()), image_ids.cast(pa.large_string()))
    return hashlib.sha256(pc.binary_join(one, pa.scalar("\n", pa.large_string()))[0].as_buffer()).hexdigest()
