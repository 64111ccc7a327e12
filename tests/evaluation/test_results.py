from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import pytest
from rich.console import Console

from aligncat.errors import DataError
from aligncat.evaluation.causes import CAUSES
from aligncat.evaluation.outcomes import measure
from aligncat.evaluation.results import Result, summaries, summarise
from aligncat.report.terminal import masks_table, results_table, slices_table
from aligncat.versions import installed_versions


@pytest.fixture
def result(by_hand):
    """A result with REC 0.5 on four expressions and seed 0."""
    metrics = measure(by_hand(), [0, 2, 1, 0], ["person", "dog", "dog", None])
    return Result("mojiref", "val", "unc", "AlignCAT", "mini", "clean", 0, installed_versions(), metrics)


def with_rec(result: Result, seed: int, rec: float) -> Result:
    return replace(result, seed=seed, metrics=replace(result.metrics, rec=rec))


def shown(table) -> str:
    console = Console(file=io.StringIO(), width=400)
    console.print(table)
    return console.file.getvalue()


def lines_of(table) -> list[tuple[str, ...]]:
    return list(zip(*(map(str, column.cells) for column in table.columns), strict=True))


def test_a_saved_result_holds_everything_and_loads_unchanged(result, tmp_path):
    result.save(tmp_path / "val.json")
    assert [path.name for path in tmp_path.iterdir()] == ["val.json"]
    written = json.loads((tmp_path / "val.json").read_text())
    assert {name: written[name] for name in ("dataset", "split", "split_by", "detector", "seen", "seed")} == {
        "dataset": "mojiref",
        "split": "val",
        "split_by": "unc",
        "detector": "mini",
        "seen": "clean",
        "seed": 0,
    }
    assert written["scores"]["expressions"] == 4
    assert "torch" in written["versions"]
    assert Result.load(tmp_path / "val.json") == result


def test_a_flipped_bit_of_a_stored_result_is_an_error_or_changes_nothing(result, tmp_path):
    path = tmp_path / "val.json"
    result.save(path)
    content = path.read_bytes()
    errors = []
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :])
        try:
            assert Result.load(path) == result
        except DataError as error:
            errors.append(str(error))
    assert len(errors) > 0.9 * len(re.sub(rb"\s", b"", content))  # white space means nothing
    assert any("val.json: damaged or edited" in each and each.endswith("; evaluate again") for each in errors)


def test_a_result_of_an_earlier_version_has_no_hash(result, tmp_path):
    (tmp_path / "val.json").write_text(json.dumps(result.to_json()))
    assert Result.load(tmp_path / "val.json") == result


def test_a_result_older_than_recorded_claims_is_read(result, tmp_path):
    written = replace(result, seen_claimed=True).to_json()
    del written["seen_claimed"]
    assert Result.from_json(written, "val.json") == result


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"seen": "clean", "images": 4, "images_seen": 0}, "has not seen the images"),
        ({"seen": "leaked", "images": 1500, "images_seen": 3}, "HAS SEEN 3 of 1,500 images"),
        ({"seen": "leaked", "images": 1500, "images_seen": 1500}, "HAS SEEN 1,500 of 1,500 images"),
        ({"seen": "leaked"}, "HAS SEEN the images"),
        ({"seen": "unknown", "images": 4}, "may have seen the images"),
        ({"seen": "clean", "images": 4, "seen_claimed": True}, "said not to have seen the images"),
        ({"seen": "leaked", "images": 4, "seen_claimed": True}, "SAID TO HAVE SEEN the images"),
    ],
)
def test_a_table_says_what_the_detector_has_seen_and_whether_that_is_only_a_claim(result, said, words):
    assert f"Detector's training: {words} ·" in " ".join(shown(results_table([replace(result, **said)])).split())


def test_counted_and_claimed_leaks_are_separate_lines(result):
    table = results_table([result, replace(result, seed=1, seen_claimed=True)])
    assert [line[0] for line in lines_of(table)] == ["has not seen the images", "said not to have seen the images"]


def test_a_result_that_cannot_be_written_leaves_nothing_behind(result, tmp_path):
    taken = tmp_path / "val.json"
    (taken / "inside").mkdir(parents=True)
    with pytest.raises(OSError):
        result.save(taken)
    assert [path.name for path in tmp_path.iterdir()] == ["val.json"]


def test_an_undefined_metric_is_never_written_as_nan(result, tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        with_rec(result, 0, float("nan")).save(tmp_path / "val.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"scores": {}}', '{"scores": {"errors": null, "by_kind": []}}', None]
)
def test_a_file_that_is_not_a_result_is_named(tmp_path, text):
    path = tmp_path / "val.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=r"val\.json is not a result"):
        Result.load(path)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("dataset", 7, "'dataset' must be a string"),
        ("seed", "0", "'seed' must be a whole number"),
        ("seed", 10**30, "'seed' must be a whole number"),
        ("versions", ["torch"], "versions: must be a mapping"),
        ("versions", {"torch": 2}, "'torch' must be a string"),
        ("images", -1, "'images' must not be negative"),
        ("seen_claimed", "no", "'seen_claimed' must be true or false"),
        ("surprise", 1, "unknown key 'surprise'"),
        ("scores.rec", 1.5, "scores: 'rec' must be a number from 0 to 1"),
        ("scores.rec", True, "'rec' must be a number from 0 to 1"),
        ("scores.rec", None, "'rec' must be a number from 0 to 1"),
        ("scores.res_miou", "0.5", "'res_miou' must be a number from 0 to 1"),
        ("scores.expressions", 4.0, "'expressions' must be a whole number"),
        ("scores.with_mask", 5, "'with_mask' is 5, but there are only 4 expressions"),
        ("scores.precision", {"0.5": 2}, "precision: '0.5' must be a number from 0 to 1"),
        ("scores.errors", {"wrong_object": 0.5}, "errors: key 'not_among_candidates' is missing"),
        ("scores.by_kind", {"color": {}}, "by_kind 'color': key"),
        ("scores.by_attribute", {"color": {"both": {}}}, "unknown key 'both'"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_its_place(result, tmp_path, key, value, said):
    written = json.loads(json.dumps(result.to_json()))
    part = written["scores"] if key.startswith("scores.") else written
    part[key.removeprefix("scores.")] = value
    (tmp_path / "val.json").write_text(json.dumps(written))
    with pytest.raises(DataError, match=rf"val\.json is not a result .*{said}"):
        Result.load(tmp_path / "val.json")


def test_an_unknown_value_of_seen_is_refused(result, tmp_path):
    replace(result, seen="perhaps").save(tmp_path / "val.json")
    with pytest.raises(DataError, match="'perhaps'"):
        Result.load(tmp_path / "val.json")


def test_mean_and_sample_standard_deviation_over_seeds(result):
    summary = summarise([with_rec(result, seed, rec) for seed, rec in enumerate((0.5, 0.6, 0.7))])
    spread = summary.metric(lambda metrics: metrics.rec)
    assert summary.seeds == (0, 1, 2)
    # deviations -0.1, 0, 0.1: the square root of 0.02 / 2
    assert (spread.mean, spread.deviation) == (pytest.approx(0.6), pytest.approx(0.1))


def test_one_seed_has_no_spread_and_an_undefined_metric_no_mean(result):
    assert summarise([result]).metric(lambda metrics: metrics.rec).deviation is None
    assert summarise([result]).metric(lambda metrics: None) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "testA", "seed": 1}, "split 'val' and 'testA'"),
        ({"config": "QueryMatch", "seed": 1}, "config 'AlignCAT' and 'QueryMatch'"),
        ({"detector": "swin-large", "seed": 1}, "detector 'mini' and 'swin-large'"),
        ({"seen": "leaked", "seed": 1}, "seen 'clean' and 'leaked'"),
        ({"seed": 0}, "not all different"),
    ],
)
def test_results_without_a_common_mean_are_refused(result, change, message):
    with pytest.raises(DataError, match=message):
        summarise([result, replace(result, **change)])


def test_results_over_other_expressions_are_refused(result):
    with pytest.raises(DataError, match="over 4 and 3 expressions"):
        summarise([result, replace(result, seed=1, metrics=replace(result.metrics, expressions=3))])


def test_no_results_are_refused():
    with pytest.raises(DataError, match="no results"):
        summarise([])


def test_results_are_grouped_by_config_and_split(result):
    other = replace(result, config="QueryMatch")
    groups = summaries([result, other, replace(result, seed=1)])
    assert [(group.first.config, group.seeds) for group in groups] == [
        ("AlignCAT", (0, 1)),
        ("QueryMatch", (0,)),
    ]


def test_a_table_always_states_the_conditions(result):
    alone = shown(results_table([result]))
    for words in (
        "mojiref",
        "val",
        "unc",
        "AlignCAT",
        "mini",
        "has not seen the images",
        "Features: query",
        "Seeds: 0",
    ):
        assert words in alone
    leaked = shown(results_table([result, replace(result, seen="leaked", split="testA")]))
    for words in ("HAS SEEN the images", "has not seen the images", "testA"):
        assert words in leaked


def test_a_table_shows_mean_and_spread_in_percent_and_a_dash_if_undefined(result):
    results = [with_rec(result, seed, rec) for seed, rec in enumerate((0.5, 0.6, 0.7))]
    results = [replace(r, metrics=replace(r.metrics, category_accuracy=None)) for r in results]
    (line,) = lines_of(results_table(results))
    # N, REC, oracle, mIoU, oracle, category
    assert line == ("4", "60.0±10.0", "75.0", "75.0", "87.5", "-")
    (line,) = lines_of(masks_table(results))
    assert line == ("4", "70.0", "50.0", "50.0", "50.0", "50.0", "50.0")


def test_the_table_of_slices_has_a_line_per_slice_with_its_count(result):
    found = {name: metrics for name, *metrics in lines_of(slices_table([result]))}
    # N, REC, oracle, mIoU, out of reach, other category, same category
    assert found["all"] == ["4", "50.0", "75.0", "75.0", "25.0", "25.0", "0.0"]
    assert found["kind color"] == ["2", "50.0", "100.0", "75.0", "0.0", "50.0", "0.0"]
    assert found["place redundant"] == ["2", "100.0", "100.0", "100.0", "0.0", "0.0", "0.0"]


def test_no_heading_of_an_error_share_is_the_name_of_a_cause(result):
    headings = {str(column.header).lower() for column in slices_table([result]).columns}
    assert {"out of reach", "other category", "same category"} <= headings
    assert not headings & {cause.replace("_", " ") for cause in CAUSES}


def test_a_table_of_no_results_is_empty():
    assert results_table([]).row_count == 0
