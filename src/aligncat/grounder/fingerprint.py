"""A hash of everything that decides the answers of a grounder."""

from __future__ import annotations

import hashlib
import json

import torch

from aligncat.grounder.folder import Contents
from aligncat.grounder.match_file import match_bytes


def fingerprint(contents: Contents) -> str:
    """Return the SHA-256 of a grounder's settings, vocabulary, weights and calibration, in hexadecimal.

    Args:
        contents: what its folder would contain.
    """
    digest = hashlib.sha256(json.dumps(contents.config(), sort_keys=True).encode())
    if contents.listed is not None:
        digest.update(json.dumps(contents.listed.to_dict()).encode())
    if contents.calibration is not None:
        digest.update(match_bytes(contents.calibration))
    for name, tensor in contents.model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
