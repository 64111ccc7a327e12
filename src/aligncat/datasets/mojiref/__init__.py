"""MojiRef: a benchmark of OpenMoji scenes and phrases that can be made anywhere in a minute."""

from aligncat.datasets.mojiref.build import MojiRefConfig, make_mojiref
from aligncat.datasets.mojiref.grammar import FLAVOURS, Flavour

__all__ = ["FLAVOURS", "Flavour", "MojiRefConfig", "make_mojiref"]
