"""Reading and writing files: atomic writes, new folders, pickles and images from strangers."""
