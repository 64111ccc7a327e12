"""The table of studies: every row fits every preset, and a row's name always means the same config."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from aligncat.alignment.config import TABLES, AlignmentConfig
from aligncat.errors import ConfigError
from aligncat.evaluation.published import published_ablation
from aligncat.studies.studies import STUDIES, StudyName, study_of
from aligncat.studies.study import ALIGNCAT, Study, StudyRow, rows_for
from aligncat.training.presets import load_preset


@pytest.mark.parametrize("preset", ["mojiref", "refcoco", "refcoco+", "refcocog-umd", "refcocog-google"])
def test_every_row_of_every_study_fits_every_preset(preset: str) -> None:
    found = load_preset(preset)
    names: dict[str, object] = {}
    for study in STUDIES.values():
        rows = rows_for(study, found)
        assert len({row.name for row, _ in rows}) == len(rows) >= 2
        assert study.reference is None or study.reference in {row.name for row, _ in rows}
        for row, settings in rows:
            what = (settings, row.candidates, row.over_specified, row.pairs, row.word_vectors)
            assert names.setdefault(row.name, what) == what, "two rows with the same name differ"


@pytest.mark.parametrize("table", ["table3", "table4", "table5"])
def test_the_rows_of_the_papers_tables_are_presets_with_published_results(table: str) -> None:
    rows = rows_for(study_of(table), load_preset("refcoco"))
    names = [row.name for row, _ in rows]
    assert names == list(TABLES[f"Table {table[-1]}"]) == list(published_ablation(table))
    for row, settings in rows:
        assert settings.alignment == AlignmentConfig.preset(row.name)


def test_a_row_that_repeats_the_preset_is_left_out() -> None:
    values = {row.label for row, _ in rows_for(study_of("negatives"), load_preset("refcoco"))}
    assert values == {"as it is", "1", "8"}  # RefCOCO's preset has 4 already
    assert "4" in {row.label for row, _ in rows_for(study_of("negatives"), load_preset("mojiref"))}


def test_fewer_pairs_are_trained_for_the_same_number_of_steps() -> None:
    preset = load_preset("mojiref")
    for row, settings in rows_for(study_of("pairs"), preset):
        assert settings.training.epochs * row.pairs == pytest.approx(preset.training.epochs)
        assert settings.training.warmup_epochs * row.pairs == pytest.approx(preset.training.warmup_epochs)


@pytest.mark.parametrize(("name", "share"), [("fine-3", 0.03), ("fine-10", 0.1), ("fine-30", 0.3), ("fine-100", 1.0)])
def test_table_3_with_appearance_by_share(name: str, share: float) -> None:
    preset = load_preset("mojiref")
    found = rows_for(study_of(name), preset)
    assert [row.label for row, _ in found] == [
        "S_global",
        "S_global + S_fine",
        "S_global + S_class",
        "S_global + S_class + S_fine",
    ]
    stages = ["querymatch", "global+fine", "global+class", "aligncat"]
    for stage, (row, settings) in zip(stages, found, strict=True):
        assert row.pairs == share and settings.training.epochs * share == pytest.approx(
            preset.training.epochs, rel=0.01
        )
        assert settings.alignment == replace(preset.alignment.with_stages(stage), features="query+appearance")


def test_some_rows_of_a_study_keep_its_order_and_its_reference() -> None:
    plus = study_of("plus")
    some = plus.only(["aligncat-plus", "aligncat"])
    assert [row.name for row in some.rows] == ["aligncat", "aligncat-plus"] and some.reference == "aligncat"
    assert plus.only(["querymatch", "aligncat-plus"]).reference is None
    with pytest.raises(ConfigError, match="study 'plus': no row 'aligncat3'; its rows are querymatch, querymatch\\+a"):
        plus.only(["aligncat", "aligncat3"])
    with pytest.raises(ConfigError, match="no rows were named"):
        plus.only([])


def test_an_unknown_study_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="unknown study 'table6'; known studies are table3, "):
        study_of("table6")


def test_another_study_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (ALIGNCAT, StudyRow("tiny=3", "3", alignment={"keep": 3}), StudyRow("tiny=10", "10", alignment={"keep": 10}))
    monkeypatch.setitem(STUDIES, "tiny", Study("tiny", "K, the refined set", rows, reference="aligncat"))
    found = rows_for(study_of("tiny"), load_preset("mojiref"))
    # The row of 10, the preset's own K, is left out.
    assert [(row.name, settings.alignment.keep) for row, settings in found] == [("aligncat", 10), ("tiny=3", 3)]


def test_the_command_line_offers_every_study() -> None:
    assert get_args(StudyName) == tuple(STUDIES)
