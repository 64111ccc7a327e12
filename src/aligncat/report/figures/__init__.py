"""Figures of what grounders answered. Importing this loads no matplotlib; drawing does."""

from aligncat.report.figures.draw import FigureFile, draw_all

__all__ = ["FigureFile", "draw_all"]
