from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from aligncat.alignment.config import ALL_PRESETS, FURTHER_PRESETS, PRESETS, TABLES, AlignmentConfig, Sizes
from aligncat.alignment.model import AlignmentModel
from aligncat.errors import ConfigError
from aligncat.grounder.old_sizes import without_old_sizes


def test_the_defaults_are_the_papers() -> None:
    config = AlignmentConfig()
    assert (config.alpha, config.keep, config.dim) == (100, 10, 512)
    assert (config.temperature, config.negatives_per_image) == (1.0, 4)
    assert config == PRESETS["aligncat"]


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        (
            "Table 3",
            [
                ("coarse", "none", "none", "coarse"),
                ("coarse", "label", "classifier", "coarse"),
                ("coarse-fine", "none", "none", "coarse"),
                ("fine-coarse", "label", "classifier", "coarse"),
                ("coarse-fine", "label", "classifier", "coarse"),
            ],
        ),
        (
            "Table 4",
            [
                ("coarse-fine", "none", "none", "coarse"),
                ("coarse-fine", "label", "none", "coarse"),
                ("coarse-fine", "none", "classifier", "coarse"),
                ("coarse-fine", "classifier", "classifier", "coarse"),
                ("coarse-fine", "label", "classifier", "coarse"),
            ],
        ),
        (
            "Table 5",
            [
                ("coarse-fine", "none", "classifier", "coarse"),
                ("coarse-fine", "label", "classifier", "confidence"),
                ("coarse-fine", "label", "classifier", "coarse"),
            ],
        ),
    ],
)
def test_every_row_of_the_papers_tables_has_a_preset(table: str, rows: list[tuple[str, str, str, str]]) -> None:
    configs = [PRESETS[name] for name in TABLES[table]]
    assert [(c.order, c.category_train, c.category_infer, c.category_stage) for c in configs] == rows


def test_every_preset_is_a_row_and_no_two_are_equal() -> None:
    assert {name for rows in TABLES.values() for name in rows} == set(PRESETS)
    assert len(set(ALL_PRESETS.values())) == len(ALL_PRESETS) == len(PRESETS) + len(FURTHER_PRESETS)


def test_the_papers_presets_read_the_query_feature_alone_and_the_others_more() -> None:
    assert {(config.features, config.context) for config in PRESETS.values()} == {("query", "none")}
    assert ("query", "none") not in {(config.features, config.context) for config in FURTHER_PRESETS.values()}
    plus = dataclasses.replace(PRESETS["aligncat"], features="query+appearance", context="relations")
    assert FURTHER_PRESETS["aligncat-plus"] == plus


@pytest.mark.parametrize("name", ALL_PRESETS)
def test_a_model_has_only_the_parts_that_its_config_uses(name: str) -> None:
    config = AlignmentConfig.preset(name, dim=8)
    model = AlignmentModel(config, Sizes(visual_dim=4, text_dim=6, classes=3))
    parts = {key.split(".")[0] for key, _ in model.named_parameters()}
    expected = {"global_query", "global_text"}
    expected |= {"fine"} if config.order != "coarse" else set()
    expected |= {"classifier"} if "classifier" in (config.category_train, config.category_infer) else set()
    expected |= {"relations"} if config.context == "relations" else set()
    assert parts == expected


def test_a_preset_can_be_changed() -> None:
    assert AlignmentConfig.querymatch(keep=3) == dataclasses.replace(PRESETS["querymatch"], keep=3)
    with pytest.raises(ConfigError, match="unknown alignment preset 'clip'; known presets are aligncat, querymatch"):
        AlignmentConfig.preset("clip")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keep": 0}, r"alignment\.keep is 0"),
        ({"alpha": 0.0}, r"alignment\.alpha"),
        ({"alpha": float("nan")}, r"alignment\.alpha"),
        ({"temperature": -1.0}, r"alignment\.temperature"),
        ({"negatives_per_image": 0}, r"alignment\.negatives_per_image"),
        ({"lambda_2": -0.1}, r"alignment\.lambda_2"),
        ({"lambda_2": 0.0, "context": "relations"}, r"alignment\.lambda_2 is 0 and .* would not be trained: set "),
        ({"weighting": "uncertainty", "lambda_2": 0.0}, r"alignment\.lambda_1 and alignment\.lambda_2 must be above 0"),
        (
            {"category_stage": "confidence", "category_train": "none", "category_infer": "none"},
            "no category is used",
        ),
        ({"context": "relation"}, r"alignment\.context is 'relation'; it must be one of none, relations"),
        (
            {"context": "relations", "context_without": "all"},
            r"context_without is 'all'; it must be null or one of dir",
        ),
        ({"context_without": "gate"}, r"alignment\.context is 'none', so there is nothing to leave out"),
        (
            {"context": "relations", "context_without": "global", "order": "coarse"},
            r"alignment\.order is 'coarse', which has the global space only",
        ),
    ],
)
def test_an_invalid_value_is_an_error_that_names_the_key(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AlignmentConfig.preset("aligncat", **change)


@pytest.mark.parametrize("name", ["visual_dim", "text_dim", "classes"])
def test_a_size_below_one_is_an_error_that_names_it(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is 0; it must be at least 1"):
        Sizes(**{"visual_dim": 4, "text_dim": 6, "classes": 3, name: 0})


def test_only_the_fine_space_needs_an_even_text_dim() -> None:
    sizes = Sizes(visual_dim=4, text_dim=33, classes=3)
    with pytest.raises(ConfigError, match=r"text\.dim is 33; it must be even"):
        AlignmentModel(AlignmentConfig(dim=8), sizes)
    AlignmentModel(AlignmentConfig.querymatch(dim=8), sizes)


def test_sizes_of_earlier_versions_are_dropped_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    old = {"keep": 4, "visual_dim": 32, "text_dim": 16, "classes": 3, "bogus": 1}
    assert without_old_sizes(old, "run/settings.json") == {"keep": 4, "bogus": 1}
    [warning] = caplog.messages
    assert warning == (
        "run/settings.json: ignored alignment.visual_dim, alignment.text_dim, alignment.classes: the store and "
        "text.dim decide these sizes"
    )


def test_current_settings_are_read_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    today = dataclasses.asdict(AlignmentConfig())
    assert without_old_sizes(today, "run/settings.json") == today and caplog.messages == []


def test_the_config_is_imported_without_torch() -> None:
    code = "import sys, aligncat.alignment.config, aligncat.grounder.old_sizes; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ALL_PRESETS)
def test_the_stages_of_a_preset_do_not_change_other_settings(name: str) -> None:
    own = AlignmentConfig(dim=32, negatives_per_image=2, lambda_2=0.5, temperature=0.7)
    staged, row = own.with_stages(name), ALL_PRESETS[name]
    assert (staged.order, staged.category_train, staged.category_infer, staged.category_stage) == (
        row.order,
        row.category_train,
        row.category_infer,
        row.category_stage,
    )
    assert (staged.features, staged.context, staged.context_without) == (row.features, row.context, None)
    assert (staged.dim, staged.negatives_per_image) == (32, 2)
    assert (staged.lambda_2, staged.temperature) == (0.5, 0.7)
