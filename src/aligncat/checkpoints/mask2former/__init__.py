"""Original (detectron2) Mask2Former checkpoints, turned into folders that transformers loads."""
