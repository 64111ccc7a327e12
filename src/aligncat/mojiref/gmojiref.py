"""The rows of gmojiref, the flavour whose phrases mean any number of objects: one, several or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from aligncat.mojiref.any_number import STYLE, describe_near_miss, describe_several, groups_of, may_be_called
from aligncat.mojiref.attributes import Item
from aligncat.mojiref.grammar import Phrase, describe
from aligncat.mojiref.recipe import MojiRefConfig
from aligncat.mojiref.refer_files import allowed_groups, refs_of_scene
from aligncat.mojiref.scenes import SPLITS

DATASET = "gmojiref"
# In gRefCOCO, 29% of the expressions mean several objects and 12% none (Liu, Ding & Jiang, GRES, CVPR 2023).
SEVERAL = 0.5  # probability that a row means several objects if the scene has such; 29% of the phrases then do
NONE = 0.12  # share of the phrases that mean nothing
NEAR_MISS = 0.5  # share of these in which an object nearly fits, so that both halves can be measured
_TRIES = 100  # for a phrase of another image that means nothing here
# The last number of a random stream's seed; the other flavours have 1 to 3.
_SCENE, _OTHERS = 4, 5


@dataclass(frozen=True, slots=True)
class _SceneRows:
    """The rows of a scene, without the phrases of other scenes.

    Attributes:
        index: the scene's number in its split.
        items: its objects.
        row: the fields that all its rows share.
        refs: its rows.
        mismatches: the number of phrases of other scenes that it gets.
    """

    index: int
    items: Sequence[Item]
    row: dict[str, Any]
    refs: list[dict[str, Any]]
    mismatches: int


class AnyNumber:
    """The rows of gmojiref, collected scene by scene.

    Args:
        recipe: size and seed of the benchmark.
    """

    def __init__(self, recipe: MojiRefConfig) -> None:
        self._recipe = recipe
        self._scenes: dict[str, list[_SceneRows]] = {}
        self._phrases: dict[str, list[tuple[str, dict[str, Any]]]] = {}

    def add(
        self,
        items: Sequence[Item],
        rows: Sequence[dict[str, Any]],
        *,
        groups: Sequence[str],
        split: str,
        index: int,
        file_name: str,
    ) -> None:
        """Make the rows of a scene.

        Args:
            items: the scene's objects.
            rows: their annotations.
            groups: the group of each object's category.
            split: the split's name.
            index: the scene's number in its split.
            file_name: the image's file name.
        """
        rng = self._rng(split, index, _SCENE)
        recipe = self._recipe
        shared = {"image_id": rows[0]["image_id"], "file_name": file_name, "split": split}
        allowed = [group in allowed_groups(split) for group in groups]
        possible = groups_of(items, allowed)
        count = min(len(possible), int(rng.binomial(recipe.referents, SEVERAL)))
        refs = []
        for number in rng.choice(len(possible), size=count, replace=False) if count else ():
            group = possible[number]
            sentences: dict[str, dict[str, Any]] = {}
            for _ in range(recipe.sentences):
                phrase = describe_several(rng, items, group, redundancy=recipe.redundancy)
                if phrase is not None:
                    sentences.setdefault(phrase.text, sentence_of(phrase, "several"))
            refs.append(_row(shared, list(sentences.values()), [rows[each] for each in group]))
        for ref in refs_of_scene(
            rng,
            rows,
            partial(self._one, rng, items),
            groups=groups,
            split=split,
            file_name=file_name,
            most_referents=recipe.referents - count,
            most_sentences=recipe.sentences,
        ):
            refs.append({**ref, "ann_id": [ref["ann_id"]], "category_id": [ref["category_id"]], "no_target": False})
        categories = {row["id"]: item.category for row, item in zip(rows, items, strict=True)}
        phrases = [(categories[ref["ann_id"][0]], sentence) for ref in refs for sentence in ref["sentences"]]
        self._phrases.setdefault(split, []).extend(phrases)
        absent = int(rng.binomial(len(phrases), NONE / (1 - NONE)))
        misses: dict[str, dict[str, Any]] = {}
        for _ in range(int(rng.binomial(absent, NEAR_MISS))):
            phrase = describe_near_miss(rng, items, allowed, redundancy=recipe.redundancy)
            if phrase is not None:
                misses.setdefault(phrase.text, sentence_of(phrase, "none"))
        refs += [_row(shared, [sentence]) for sentence in misses.values()]
        self._scenes.setdefault(split, []).append(_SceneRows(index, items, shared, refs, absent - len(misses)))

    def refs(self) -> list[dict[str, Any]]:
        """Return all rows, with phrases of other images of the split for scenes that have nothing of their category."""
        found = []
        for split, scenes in self._scenes.items():
            for scene in scenes:
                found += scene.refs
                found += [_row(scene.row, [sentence]) for sentence in self._mismatches(split, scene)]
        return found

    def _mismatches(self, split: str, scene: _SceneRows) -> list[dict[str, Any]]:
        """Return sentences of other images of a split that mean nothing in a scene."""
        rng = self._rng(split, scene.index, _OTHERS)
        phrases = self._phrases[split]
        there = {item.category for item in scene.items}
        found: dict[str, dict[str, Any]] = {}
        for _ in range(_TRIES if phrases else 0):
            if len(found) == scene.mismatches:
                break
            category, sentence = phrases[rng.integers(len(phrases))]
            if not any(may_be_called(other, category) for other in there):
                mentioned = [*sentence["needed"], *sentence["redundant"]]
                found[sentence["sent"]] = {**sentence, "kind": "none", "needed": [], "redundant": mentioned}
        return list(found.values())

    def _one(self, rng: np.random.Generator, items: Sequence[Item], number: int) -> dict[str, Any] | None:
        """Return a sentence for the n-th object of a scene."""
        others = [item for other, item in enumerate(items) if other != number]
        phrase = describe(rng, STYLE, items[number], others, redundancy=self._recipe.redundancy)
        return None if phrase is None else sentence_of(phrase)

    def _rng(self, split: str, index: int, stream: int) -> np.random.Generator:
        return np.random.default_rng([self._recipe.seed, SPLITS.index(split), index, stream])


def sentence_of(phrase: Phrase, targets: str | None = None) -> dict[str, Any]:
    """Return a sentence of a row.

    Args:
        phrase: the phrase.
        targets: "several" or "none", with which its kind begins; None for one target.
    """
    return {
        "raw": phrase.text,
        "sent": phrase.text,
        "kind": phrase.kind if targets is None else "+".join((targets, *phrase.needed)),
        "needed": list(phrase.needed),
        "redundant": list(phrase.redundant),
    }


def _row(
    shared: dict[str, Any], sentences: list[dict[str, Any]], targets: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """Return a row for the annotations of several objects, or of none."""
    return {
        **shared,
        "ann_id": [row["id"] for row in targets] or [-1],
        "category_id": [row["category_id"] for row in targets] or [-1],
        "no_target": not targets,
        "sentences": sentences,
    }
