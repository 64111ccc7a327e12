"""The store: a folder with the candidates of many images."""
