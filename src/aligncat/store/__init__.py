"""The candidates of many images, in a folder: written once, resumed, read fast."""
