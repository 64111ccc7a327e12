"""The model card: its metadata as the hub reads it, its text, and names that try to break either."""

from __future__ import annotations

import copy
import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.tiny_run import World
from huggingface_hub import ModelCard

from aligncat.api.evaluate import evaluate
from aligncat.errors import ConfigError, DataError
from aligncat.evaluation.metrics import Metrics
from aligncat.evaluation.results import Result, Seen
from aligncat.grounder.features import COLUMNS_KEY
from aligncat.grounder.folder import SHIPPED
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.model_card import model_card, write_model_card
from aligncat.report.card import card_results

HUB_DETECTOR = "facebook/mask2former-swin-base-coco-instance"


def metrics(rec: float, by_color: float | None = None) -> Metrics:
    plain = Metrics(7_818, rec, 0.99, 7_818, 0.8, 0.7, 0.9, None, 1.0, None)
    if by_color is None:
        return plain
    return replace(plain, by_kind={"category": replace(plain, rec=0.98), "color": replace(plain, rec=by_color)})


RESULT = Result("mojiref", "val", "unc", "aligncat", "mini", "clean", 0, {}, metrics(0.9, by_color=0.6), 994, 0)


@pytest.fixture
def config() -> dict[str, Any]:
    """The config.json of the shipped grounder as one of the paper's AlignCAT, to modify."""
    content: dict[str, Any] = json.loads((SHIPPED / "config.json").read_text(encoding="utf-8"))
    content["alignment"] |= {"features": "query", "context": "none"}
    del content[COLUMNS_KEY]
    return content


def loaded(card: ModelCard, folder: Path) -> ModelCard:
    """Write the card and load it with the hub's own reader."""
    (folder / "README.md").write_text(str(card), encoding="utf-8")
    return ModelCard.load(folder / "README.md")


def with_hub_detector(config: dict[str, Any], dataset: str) -> dict[str, Any]:
    config["detector"]["name"] = HUB_DETECTOR
    config["provenance"]["data"]["dataset"] = dataset
    return config


class TestHead:
    def test_the_hubs_reader_finds_the_metadata(self, config: dict[str, Any], tmp_path: Path) -> None:
        data = loaded(model_card(config, card_results([RESULT])), tmp_path).data
        assert (data.license, data.library_name, data.language) == ("apache-2.0", "aligncat", "en")
        assert data.datasets == ["mojiref"] and data.metrics == ["accuracy", "mean_iou"]
        assert "visual-grounding" in data.tags and data.model_name == "aligncat"
        rec, res = data.eval_results
        assert (rec.metric_type, rec.metric_value, rec.dataset_split, rec.dataset_config) == (
            "accuracy",
            90.0,
            "val",
            "unc",
        )
        assert (res.metric_type, res.metric_value) == ("mean_iou", 80.0)
        assert rec.metric_args == {
            "expressions": 7_818,
            "detector": "mini",
            "detector_has_seen_the_images": False,
            "features": "query",
            "seed": 0,
        }

    def test_before_any_evaluation_the_card_has_no_results(self, config: dict[str, Any], tmp_path: Path) -> None:
        card = loaded(model_card(config), tmp_path)
        assert card.data.eval_results is None and "model-index" not in str(card)
        assert "has not been evaluated yet" in card.text

    @pytest.mark.parametrize(("dataset", "name"), [("refcoco+", "refcocoplus"), ("mojirefg", "mojirefg")])
    def test_the_hub_accepts_the_names_of_datasets(
        self, dataset: str, name: str, config: dict[str, Any], tmp_path: Path
    ) -> None:
        config["provenance"]["data"]["dataset"] = dataset
        result = replace(RESULT, dataset=dataset)
        data = loaded(model_card(config, card_results([result])), tmp_path).data
        assert data.datasets == [name] and data.eval_results[0].dataset_type == name

    def test_custom_data_is_not_listed_as_a_dataset_of_the_hub(self, config: dict[str, Any], tmp_path: Path) -> None:
        config["provenance"]["data"]["dataset"] = "jsonl"
        data = loaded(model_card(config), tmp_path).data
        assert data.datasets is None and data.language is None

    @pytest.mark.parametrize(
        "text",
        [
            "a: b",
            "'\"{}[]",
            "# no comment",
            "\n---\n\n# Mine now\n",
            "{{ card_data }}{% raw %}",
            "line\r\nbreak \x07\x00",
            "- list",
            "عربي 漢字 🐈 " + "x" * 300,
            "null",
            "</details><script>alert(1)</script>",
            "`a` | b",
        ],
    )
    def test_odd_characters_break_neither_metadata_nor_text(
        self, text: str, config: dict[str, Any], tmp_path: Path
    ) -> None:
        card = loaded(named(text, config), tmp_path)
        head, body = str(card).split("\n---\n", 1)
        assert yaml.safe_load(head.removeprefix("---\n"))["license"] == "apache-2.0"
        assert card.data.eval_results[0].metric_value == 90.0
        shown = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        assert card.data.eval_results[0].dataset_split == shown
        assert shape(body) == shape(named("mine", config).text), "the headings or the table cells changed"
        assert not [line for line in body.splitlines() if "<script" in line and not line.startswith("    ")]


def named(text: str, config: dict[str, Any]) -> ModelCard:
    """Return a card in which a text replaces every name that a user chooses."""
    config = copy.deepcopy(config)
    config["detector"] |= {"name": text, "weights_sha256": text}
    config["provenance"]["data"] |= {"dataset": text, "split": text, "split_by": text, "sha256": text}
    config["provenance"] |= {"val_split": text, "versions": {text: text}, "word_vectors": text}
    config["text_encoder"] = {"name": text, "sha256": text}
    return model_card(
        config, card_results([replace(RESULT, dataset=text, split=text, split_by=text, config=text, detector=text)])
    )


def shape(body: str) -> list[str | int]:
    """Return the headings and the number of cells in each table row."""
    lines = body.splitlines()
    return [
        line if line.startswith("#") else line.replace("\\|", "").count("|")
        for line in lines
        if line.startswith(("#", "| "))
    ]


class TestText:
    def test_the_card_has_data_settings_and_seed(self, config: dict[str, Any]) -> None:
        text = model_card(config).text
        for expected in (
            "MojiRef, split train, split by unc",
            "94,766",
            "11,938",
            "ef90c9ac71",
            '"seed": 0',
            '"epochs": 6',
        ):
            assert expected in text
        assert "More Information" not in text

    def test_the_card_says_whether_categories_were_used_in_training(self, config: dict[str, Any]) -> None:
        assert "phrases and the category of each referent" in model_card(config).text
        config["alignment"] |= {"order": "coarse", "category_train": "none", "category_infer": "none"}
        text = model_card(config).text
        assert "images and phrases only" in text and "# querymatch on MojiRef" in text

    @pytest.mark.parametrize(
        ("dataset", "verdict"), [("refcoco", "leaked"), ("refcocog", "leaked"), ("jsonl", "unknown")]
    )
    def test_without_results_the_verdict_comes_from_the_detectors_name(
        self, dataset: str, verdict: str, config: dict[str, Any]
    ) -> None:
        text = model_card(with_hub_detector(config, dataset)).text
        assert f"Verdict: **{verdict}** (" in text
        assert ("coco-train2017" in text) == (verdict == "leaked")

    def test_the_shipped_detector_is_clean_on_mojiref_and_unknown_elsewhere(self, config: dict[str, Any]) -> None:
        assert "**clean** (it was trained on MojiRef scenes made for the detector" in model_card(config).text
        config["provenance"]["data"]["dataset"] = "refcoco"
        assert "**unknown**" in model_card(config).text

    def test_with_results_the_verdict_comes_from_them(self, config: dict[str, Any]) -> None:
        leaked = replace(RESULT, dataset="refcoco", seen="leaked", images=1500, images_seen=3)
        text = model_card(with_hub_detector(config, "refcoco"), card_results([leaked])).text
        assert "**leaked** (refcoco val: HAS SEEN 3 of 1,500 images)" in text and "are too good" in text
        both = [leaked, replace(leaked, split="testA", seen="clean", images_seen=0)]
        assert "**depends on the split**" in model_card(with_hub_detector(config, "refcoco"), card_results(both)).text

    @pytest.mark.parametrize(
        ("seen", "words", "head"),
        [
            ("clean", "said not to have seen the images", "claimed to be false"),
            ("leaked", "SAID TO HAVE SEEN the images", "claimed to be true"),
        ],
    )
    def test_a_claim_about_the_detector_is_marked_as_a_claim(
        self, seen: Seen, words: str, head: str, config: dict[str, Any], tmp_path: Path
    ) -> None:
        claimed = replace(RESULT, seen=seen, images_seen=None, seen_claimed=True)
        card = loaded(model_card(config, card_results([claimed])), tmp_path)
        assert f"**claimed to be {seen}** (mojiref val: {words})" in card.text and f"| {words} |" in card.text
        assert {each.metric_args["detector_has_seen_the_images"] for each in card.data.eval_results} == {head}
        both = model_card(config, card_results([claimed, replace(RESULT, split="testA", seen=seen)])).text
        assert "**depends on the split**" in both

    def test_these_weights_and_all_seeds_have_a_row_each(self, config: dict[str, Any], tmp_path: Path) -> None:
        results = [RESULT, replace(RESULT, seed=1, metrics=metrics(0.8)), replace(RESULT, seed=2, metrics=metrics(0.7))]
        card = loaded(model_card(config, card_results(results)), tmp_path)
        rows = [line for line in card.text.splitlines() if line.startswith("| mojiref | val | unc")]
        assert [row.split(" | ")[6:9] for row in rows] == [
            ["0 (these weights)", "7,818", "90.0"],
            ["0, 1, 2", "7,818", "80.0 ± 10.0"],  # deviations 10, 0, -10: the square root of 200 / 2
        ]
        assert [each.metric_value for each in card.data.eval_results] == [90.0, 80.0], "of these weights only"

    def test_one_run_has_no_spread(self, config: dict[str, Any]) -> None:
        text = model_card(config, card_results([RESULT])).text
        assert "±" not in text and "the spread over seeds is unknown" in text

    def test_rec_is_shown_by_needed_attribute_where_the_data_records_it(self, config: dict[str, Any]) -> None:
        text = model_card(config, card_results([RESULT])).text
        assert "| mojiref | val | 98.0 | 60.0 |" in text and "REC by the attribute that a phrase needs" in text

    def test_rec_is_shown_by_whether_an_attribute_is_needed_where_only_this_is_recorded(
        self, config: dict[str, Any]
    ) -> None:
        kinds = {"attribute": metrics(0.5), "category": metrics(0.8)}
        refcoco = replace(RESULT, dataset="refcoco", metrics=replace(RESULT.metrics, by_kind=kinds))
        text = model_card(config, card_results([refcoco])).text
        assert "| refcoco | val | 50.0 | 80.0 |" in text and "REC by whether the referent is the only object" in text
        assert "the attribute that" not in text and "data records it" not in text
        both = model_card(config, card_results([refcoco, RESULT])).text
        assert "REC by whether" in both and "data records it" in both

    def test_limits_and_licences_are_those_of_the_data_and_the_detector(self, config: dict[str, Any]) -> None:
        text = model_card(config).text
        assert "trained on the drawings of MojiRef" in text and "Colour is weak" in text and "CC BY-SA 4.0" in text
        assert "CC BY-NC" not in text
        text = model_card(with_hub_detector(config, "refcoco")).text
        assert "CC BY-NC 4.0" in text
        assert "OpenMoji" not in text and "drawings" not in text and "Colour" not in text

    def test_a_detector_that_came_from_others_passes_their_credits_and_licences_on(
        self, config: dict[str, Any]
    ) -> None:
        config["provenance"]["data"]["dataset"] = "own"
        config["detector"] |= {"name": "detectors/mine", "weights_sha256": "0" * 64}
        assert "OpenMoji" not in model_card(config).text
        config["provenance"]["detector_started_from"] = ["mini"]
        text = model_card(config).text
        assert text.count("All emojis designed by [OpenMoji]") == 1 and "CC BY-NC" not in text
        config["provenance"]["detector_started_from"] = [HUB_DETECTOR, "local folder x"]
        text = model_card(config).text
        assert "OpenMoji" not in text
        assert "training started from facebook/mask2former-swin-base-coco-instance, whose weights are CC BY-NC" in text

    def test_a_copy_of_the_mini_detector_is_credited_like_it(self, config: dict[str, Any]) -> None:
        config["provenance"]["data"]["dataset"] = "own"
        config["detector"]["name"] = "detectors/copy"  # the hash of the weights is the mini detector's
        text = model_card(config).text
        assert text.count("All emojis designed by [OpenMoji]") == 1 and "Colour is weak" in text

        config["provenance"]["data"]["dataset"] = "mojiref"
        assert "**clean**" in model_card(config).text

    def test_a_grounder_that_started_from_one_of_drawings_credits_them(self, config: dict[str, Any]) -> None:
        own = with_hub_detector(config, "own")
        drawings = {"name": "a", "sha256": "0", "data": {**own["provenance"]["data"], "dataset": "mojiref+"}}
        own["provenance"]["init"] = {**drawings, "data": own["provenance"]["data"], "init": None}
        assert "OpenMoji" not in model_card(own).text
        own["provenance"]["init"]["init"] = {**drawings, "init": None}
        assert model_card(own).text.count("All emojis designed by [OpenMoji]") == 1

    def test_the_path_of_a_local_detector_is_not_published(self, config: dict[str, Any]) -> None:
        config["detector"]["name"] = "/home/somebody/detectors/swin"
        text = str(model_card(config, card_results([replace(RESULT, detector="/home/somebody/detectors/swin")])))
        assert "swin (a local folder)" in text and "somebody" not in text

    def test_the_card_of_an_imported_querymatch_names_its_origin(self, config: dict[str, Any]) -> None:
        config["provenance"] = {"querymatch": {"file": "seg_best.pth", "sha256": "ab12"}, "versions": {}}
        text = model_card(config).text
        assert (
            "imported from a trained QueryMatch" in text and "seg_best.pth" in text and "It was trained on" not in text
        )

    def test_results_with_the_same_seed_twice_are_rejected(self, config: dict[str, Any]) -> None:
        with pytest.raises(DataError, match="seeds"):
            model_card(config, card_results([RESULT, RESULT]))


class TestFolder:
    def test_training_writes_a_card_and_evaluation_adds_results_to_it(
        self, world: World, trained: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        before = ModelCard.load(trained / "README.md")
        assert "has not been evaluated yet" in before.text and before.data.datasets == ["refcoco"]
        mine = Path(shutil.copytree(trained, tmp_path / "mine", ignore=shutil.ignore_patterns("run")))
        others = {path.name: path.read_bytes() for path in mine.iterdir() if path.name != "README.md"}
        with caplog.at_level(logging.INFO):
            [answers] = evaluate(grounder=mine, data=world.data, store=world.store, splits=("val",), model_card=True)
        card = ModelCard.load(mine / "README.md")
        assert card.data.eval_results[0].metric_value == round(100 * answers.result.metrics.rec, 2)
        assert "README.md: results added" in caplog.text
        assert {path.name: path.read_bytes() for path in mine.iterdir() if path.name != "README.md"} == others

    def test_evaluation_does_not_change_the_card_unless_asked(self, world: World, trained: Path) -> None:
        before = (trained / "README.md").read_bytes()
        evaluate(grounder=trained, data=world.data, store=world.store, splits=("val",))
        assert (trained / "README.md").read_bytes() == before

    def test_save_pretrained_passes_results_to_the_card(self, trained: Path, tmp_path: Path) -> None:
        grounder = Grounder.from_pretrained(trained)
        grounder.save_pretrained(tmp_path / "with", model_card_kwargs={"results": card_results([RESULT])})
        assert ModelCard.load(tmp_path / "with" / "README.md").data.eval_results[0].metric_value == 90.0

    def test_the_shipped_card_cannot_be_overwritten(self, world: World) -> None:
        with pytest.raises(ConfigError, match="are part of aligncat"):
            evaluate(grounder=SHIPPED, data=world.data, store=world.store, model_card=True)

    @pytest.mark.parametrize("content", [None, "{", "{}", "[]"])
    def test_a_folder_that_is_not_a_grounder_is_named(self, content: str | None, tmp_path: Path) -> None:
        if content is not None:
            (tmp_path / "config.json").write_text(content)
        problem = "not the config of a grounder|not a trained grounder|not JSON"
        with pytest.raises(ConfigError, match=f"{tmp_path.name}.*({problem})"):
            write_model_card(tmp_path)
        assert not (tmp_path / "README.md").exists()
