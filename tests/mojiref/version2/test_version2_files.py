"""The files that make_mojiref writes for version 2, and its settings."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.checker import FLAVOURS, SPLITS
from helpers.checker_version2 import Version2Files, read_flavours

from aligncat.cli import main
from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import load_split, load_truth
from aligncat.errors import ConfigError
from aligncat.mojiref.build import make_mojiref
from aligncat.mojiref.recipe import MojiRefConfig

TINY = MojiRefConfig(train=3, val=1, test=1)


def digests(folder: Path) -> dict[str, str]:
    """Return path -> hash for every file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_verb_gives_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    sizes = ["--recipe.train", "3", "--recipe.val", "1", "--recipe.test", "1"]
    words = ["data", "mojiref", "--version", "2", "--out", str(tmp_path / "there"), *sizes]
    environment = {**os.environ, "PYTHONHASHSEED": "42", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-m", "aligncat", *words], check=True, env=environment, capture_output=True)
    here = digests(make_mojiref(out=tmp_path / "here", version=2, recipe=TINY))
    assert len(here) == 6 + 3 * 2 + 1
    assert digests(tmp_path / "there") == here


def test_more_scenes_do_not_change_the_first_ones(mojiref2: Path, tmp_path: Path) -> None:
    few, many = digests(make_mojiref(out=tmp_path / "few", version=2, recipe=TINY)), digests(mojiref2)
    assert all(many[name] == digest for name, digest in few.items() if name.startswith("images"))


def test_no_image_has_a_name_or_a_number_of_version_1(flavours2: dict[str, Version2Files], tmp_path: Path) -> None:
    rows = flavours2["mojiref"].instances["images"]
    first = Version2Files(make_mojiref(out=tmp_path / "first", recipe=TINY), "mojiref").instances["images"]
    for key in ("id", "file_name"):
        assert not {row[key] for row in rows} & {row[key] for row in first}
    assert max(row["id"] for row in first) < 10_000_000 < min(row["id"] for row in rows)


def test_splits_share_no_picture(mojiref2: Path, flavours2: dict[str, Version2Files]) -> None:
    pictures = digests(mojiref2 / "images")
    assert len(pictures) == len(set(pictures.values())) == 120
    for files in flavours2.values():
        images = {split: {ref["image_id"] for ref in files.refs if ref["split"] == split} for split in SPLITS}
        assert sum(map(len, images.values())) == len(set.union(*images.values()))


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_readers_of_refcoco_read_it(mojiref2: Path, flavours2: dict[str, Version2Files], flavour: str) -> None:
    files = flavours2[flavour]
    config = DataConfig(mojiref2, files.flavour)  # type: ignore[arg-type]
    assert config.dataset != flavour
    written = [(ref, sentence) for ref, sentence in files.sentences() if ref["split"] == "val"]
    read = load_split(config, "val")
    assert [e.text for e in read.expressions] == [sentence["sent"] for _, sentence in written]
    for expression, (_, sentence) in zip(read.expressions, written, strict=True):
        assert (expression.kind, list(expression.needed)) == (sentence["kind"], sentence["needed"])
    assert set(load_truth(config, "val")) == {expression.referent_id for expression in read.expressions}


def test_the_recipe_and_the_light_are_recorded(flavours2: dict[str, Version2Files]) -> None:
    instances = flavours2["mojiref"].instances
    assert instances["info"]["config"] == {
        **{"train": 60, "val": 20, "test": 20, "referents": 3, "sentences": 3, "seed": 0},
        **{"version": 2, "over_specification": 0.33},
    }
    assert {"cast", "gradient", "distractors"} < set(instances["images"][0])
    assert instances == flavours2["mojiref+"].instances == flavours2["mojirefg"].instances


def test_with_over_specification_0_no_attribute_is_redundant(tmp_path: Path) -> None:
    recipe = MojiRefConfig(train=10, val=1, test=1)
    root = make_mojiref(out=tmp_path / "bare", version=2, over_specification=0.0, recipe=recipe)
    for files in read_flavours(root).values():
        assert not any(sentence["redundant"] for _, sentence in files.sentences())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"over_specification": 0.5}, "over_specification is a setting of version 2"),
        ({"version": 2, "recipe": MojiRefConfig(redundancy=0.5)}, "redundancy is a setting of version 1"),
        ({"version": 2, "over_specification": 1.5}, "over_specification 1.5: must be between 0 and 1"),
        ({"version": 2, "over_specification": float("nan")}, "over_specification nan: must be between 0 and 1"),
    ],
)
def test_a_setting_of_the_other_version_or_out_of_range_is_refused(
    tmp_path: Path, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        make_mojiref(out=tmp_path / "out", **settings)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_an_unknown_version_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["data", "mojiref", "--version", "3", "--out", str(tmp_path / "out")])
    error = capsys.readouterr().err
    assert "--version" in error and error.count("\n") == 1
