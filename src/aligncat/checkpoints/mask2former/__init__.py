"""Convert original (detectron2) Mask2Former checkpoints into folders that transformers loads."""
