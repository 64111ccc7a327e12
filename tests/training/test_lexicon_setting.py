"""The lexicon that labels second objects is a setting of runs with relations, and of these alone."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.tiny_run import ALIGNMENT, World, run, weights

from aligncat.datasets.config import DataConfig
from aligncat.errors import ConfigError

RELATIONS = replace(ALIGNMENT, context="relations")
WORDS = '[names]\ndog = ["pooch"]\n'
OTHER_WORDS = '[names]\ndog = ["hound"]\n'


def with_lexicon(world: World, path: Path | None, words: str = WORDS) -> DataConfig:
    if path is not None:
        path.write_text(words)
    return replace(world.data, lexicon=path)


def settings(out: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((out / "run" / "settings.json").read_text())
    return found


def test_a_run_with_relations_is_resumed_with_its_lexicon_alone(world: World, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run(world, out, alignment=RELATIONS, data=with_lexicon(world, tmp_path / "words.toml"), epochs=1)
    hashed = hashlib.sha256(WORDS.encode()).hexdigest()
    assert settings(out)["lexicon"] == hashed
    before = weights(out)
    run(world, out, alignment=RELATIONS, data=with_lexicon(world, tmp_path / "moved.toml"), epochs=1)
    assert weights(out) == before
    others = [
        (with_lexicon(world, tmp_path / "words.toml", OTHER_WORDS), hashlib.sha256(OTHER_WORDS.encode()).hexdigest()),
        (with_lexicon(world, None), "None"),
    ]
    for data, now in others:
        with pytest.raises(ConfigError, match="contains a run with other settings: lexicon was") as raised:
            run(world, out, alignment=RELATIONS, data=data, epochs=1)
        assert hashed in str(raised.value) and now in str(raised.value)


def test_a_run_with_relations_says_that_it_has_no_lexicon_of_its_own(world: World, tmp_path: Path) -> None:
    run(world, tmp_path / "run", alignment=RELATIONS, epochs=1)
    assert settings(tmp_path / "run")["lexicon"] is None
    with pytest.raises(ConfigError, match="other settings: lexicon was None"):
        data = with_lexicon(world, tmp_path / "words.toml")
        run(world, tmp_path / "run", alignment=RELATIONS, data=data, epochs=1)


def test_a_run_without_relations_does_not_have_it(world: World, tmp_path: Path) -> None:
    run(world, tmp_path / "run", data=with_lexicon(world, tmp_path / "words.toml"), epochs=1)
    assert "lexicon" not in settings(tmp_path / "run")
    run(world, tmp_path / "run", epochs=1)
