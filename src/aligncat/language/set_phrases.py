"""Pairs of words with a meaning of their own, in which no word is an attribute: "tank top", "red wine"."""

from __future__ import annotations

from collections.abc import Sequence

_FIXED = frozenset(
    tuple(pair.split())
    for pair in (
        *("traffic light", "stop light", "street light", "head light", "tail light", "signal light", "flash light"),
        *("light bulb", "light pole", "light post", "light fixture", "light switch", "light house", "light stand"),
        *("red wine", "white wine", "red onion", "green onion", "green bean", "green beans", "green tea"),
        *("orange juice", "orange slice", "orange slices", "orange peel", "orange half", "orange halves"),
        *("green house", "orange wedge", "orange piece", "orange pieces", "orange tree", "orange soda"),
        *("brown bear", "brown bears", "black bear"),
        *("black bears", "brown rice", "white rice", "blue jay", "black board", "white board", "black berry"),
        *("blue berry", "blue berries", "brown sugar", "white house", "white tail", "red head", "blue jeans"),
        *("blue cheese", "black belt", "gray hair", "grey hair", "gray haired", "grey haired", "white hair"),
        *("white haired", "black hair", "black haired", "red hair", "red haired", "brown hair", "brown haired"),
        *("tank top", "table top", "counter top", "stove top", "crop top", "tube top", "halter top", "roof top"),
        *("lap top", "top hat", "flat top", "back pack", "back yard", "back ground", "back packs", "hatch back"),
        *("big ben", "big bird", "big rig", "big mac", "little league", "little leaguer", "large print"),
        *("short stop", "short cake", "short sleeve", "short sleeves", "short sleeved", "short hair", "short haired"),
        *("short shorts", "short pants", "short skirt", "short dress", "short bread", "old fashioned", "old school"),
        *("year old", "years old", "yr old", "month old", "middle aged", "middle age", "middle finger", "center field"),
        *("centre field", "center piece", "center fielder", "right fielder", "left fielder", "right field"),
        *("left field", "man made", "fire man", "police man", "post man", "bat man", "snow man", "spider man"),
        *("super man", "iron man", "gingerbread man", "bat boy", "ball boy", "ball girl", "lazy boy", "cow boy"),
        *("cow girl", "over there", "over here", "over easy", "bent over", "all over", "left over", "left overs"),
        *("under armour", "under armor", "under shirt", "under wear", "light saber", "street lights"),
        *("row boat", "row boats", "traffic lights", "stop lights", "light bulbs", "light poles", "light posts"),
    )
)


def in_set_phrase(words: Sequence[str], place: int) -> bool:
    """Return whether a word belongs to such a pair, and so is no colour, side or size of an object.

    Args:
        words: the lower-case words of a phrase.
        place: the word's place among them.
    """
    return any(tuple(words[start : start + 2]) in _FIXED for start in (place - 1, place) if start >= 0)
