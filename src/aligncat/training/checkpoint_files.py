"""Checkpoints that are there whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from aligncat.files.atomic import write_atomic


class WholeFiles(TorchCheckpointIO):
    """Writes beside the file and renames. Lightning goes through the system's temporary folder, so that a kill or a
    full disk can leave half a checkpoint where that is another disk."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write one checkpoint.

        Raises:
            OSError: it could not be written; the one that was there before is as it was.
        """
        content = io.BytesIO()
        torch.save(checkpoint, content)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(Path(path), content.getvalue())
