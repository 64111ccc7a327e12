"""The files of a report: the runs it accepts, the data it writes, and the input it refuses."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from helpers.descriptions import detector_description
from helpers.fabricate_answers import COLOURS, HEIGHT, LEFT, WIDTH, answers, paint, row, save
from PIL import Image

from aligncat.api.report import write_report
from aligncat.cli import main, settings
from aligncat.errors import DataError, WriteError
from aligncat.evaluation.answering import save_answers
from aligncat.evaluation.floors import Floors
from aligncat.evaluation.metrics import Metrics
from aligncat.report.images import copy_images
from aligncat.report.runs import read_runs, run_names
from aligncat.report.scripts import number, write_script
from aligncat.store.manifest import MANIFEST, shard_name
from aligncat.studies.runs import ANSWERS


def data(index: Path, name: str) -> Any:
    """Return the value that a data file passes to the page."""
    text = (index.parent / "data" / f"{name}.js").read_text(encoding="utf-8")
    found = re.fullmatch(r'report\.receive\("[\w-]+",(.*)\);\n', text, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


@pytest.fixture
def run(tmp_path: Path, pictures: list[Path]) -> Path:
    return save(tmp_path / "runs" / "mine", [row(0, pictures[0]), row(1, pictures[1], cause="wrong_object")])


def test_the_baselines_are_rows_beside_a_learned_result(pictures: list[Path], tmp_path: Path) -> None:
    rows = [row(0, pictures[0]), row(1, pictures[1], cause="wrong_object")]
    one, none = (Metrics(2, rec, 1.0, 2, rec, rec, 1.0, None, None, None) for rec in (1.0, 0.0))
    runs = [
        save(tmp_path / f"{name}-{seed}", rows, config=name, seed=seed, floors=Floors(none, one, coloured=True))
        for name, seed in (("AlignCAT", 0), ("AlignCAT", 1), ("QueryMatch", 0))
    ]
    index = write_report(runs, out=tmp_path / "report", photos=Path("/"), figures=False)
    lines = [
        (dict(line["words"]), {name: mean for name, mean, _ in line["metrics"]})
        for line in data(index, "index")["results"]
    ]
    assert [(words["Config"], words["Seeds"], words["Features"], metrics["REC"]) for words, metrics in lines] == [
        ("AlignCAT", "0, 1", "query", 50.0),
        ("QueryMatch", "0", "query", 50.0),
        ("most confident", "none", "none", 0.0),
        ("training-free", "none", "colour", 100.0),
    ]


class TestRuns:
    def test_a_folder_a_file_and_a_folder_of_folders_are_accepted(self, run: Path, pictures: list[Path]) -> None:
        save(run, [row(0, pictures[0])], split="testA")
        save(run.parent / "other", [row(0, pictures[0])], config="QueryMatch")
        assert [path.name for path in read_runs([run])] == ["AlignCAT-toy-testA.parquet", "AlignCAT-toy-val.parquet"]
        assert list(read_runs([run / "AlignCAT-toy-val.parquet"])) == [run / "AlignCAT-toy-val.parquet"]
        assert len(read_runs([run.parent])) == 3

    def test_the_folder_of_a_study_is_accepted(self, pictures: list[Path], tmp_path: Path) -> None:
        out = tmp_path / "abl"
        for name in ("aligncat", "querymatch"):
            for split in ("val", "testA"):
                folder = out / "toy" / f"{name}-seed0" / ANSWERS
                save_answers(answers([row(0, pictures[0])], config=name, split=split), folder, name)
        (out / "table3-toy.json").write_text("{}")
        (out / "queries").mkdir()
        for file in (MANIFEST, shard_name(0)):
            (out / "queries" / file).write_bytes(b"a store, not answers")
        expected = [
            out / "toy" / f"{name}-seed0" / "answers" / f"{name}-toy-{split}.parquet"
            for name in ("aligncat", "querymatch")
            for split in ("testA", "val")
        ]
        assert list(read_runs([out])) == list(read_runs([out / "toy"])) == expected
        with pytest.raises(DataError, match="queries holds no answers"):
            read_runs([out / "queries"])

    def test_different_detectors_of_the_same_name_are_refused(self, pictures: list[Path], tmp_path: Path) -> None:
        made = detector_description(name="mini").to_json()
        stores = {
            "same": made,
            "renamed": {**made, "name": "copy"},
            "resized": {**made, "preprocessing": {"mode": "hub-384"}, "weights_sha256": "bb"},
            "fewer": {**made, "candidates": 5},
            "silent": None,
        }
        runs = {
            name: save(tmp_path / name, [row(0, pictures[0])], config=name, provenance=store and {"store": store})
            for name, store in stores.items()
        }
        assert len(read_runs([runs["silent"], runs["same"], runs["renamed"], runs["fewer"]])) == 4
        said = r"same.*resized.*preprocessing\.mode: .*letterbox-416.*hub-384.*weights_sha256: .*aa.*bb"
        with pytest.raises(DataError, match=said):
            read_runs([runs["silent"], runs["same"], runs["resized"]])
        other = save(
            tmp_path / "other", [row(0, pictures[0])], detector="large", provenance={"store": stores["resized"]}
        )
        assert len(read_runs([runs["same"], other])) == 2
        seed = save(
            tmp_path / "seed", [row(0, pictures[0])], config="same", seed=1, provenance={"store": stores["fewer"]}
        )
        with pytest.raises(DataError, match=r"candidates: the store has 20, not 5"):
            read_runs([runs["same"], seed])

    def test_a_run_given_twice_is_shown_once_with_a_warning(
        self, run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "link").symlink_to(run)
        with caplog.at_level(logging.WARNING):
            assert len(read_runs([run, run, tmp_path / "link"])) == 1
        assert [record.message.split(" is given twice")[0] for record in caplog.records] == [
            str(run / "AlignCAT-toy-val.parquet"),
            str(tmp_path / "link" / "AlignCAT-toy-val.parquet"),
        ]

    def test_two_indistinguishable_runs_are_refused(self, run: Path, pictures: list[Path]) -> None:
        other = save(run.parent / "copy", [row(0, pictures[0])])
        with pytest.raises(DataError, match=r"mine.*copy.*both answer toy val as AlignCAT, seed 0.*leave one out"):
            read_runs([run, other])

    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("missing", None, "no such file or folder; create it with `aligncat evaluate --out"),
            ("empty", {}, r"holds no answers \(\*\.parquet\); write some with `aligncat evaluate --out"),
            ("text", {"a.parquet": b"hello"}, r"a\.parquet does not hold answers"),
        ],
    )
    def test_a_path_without_answers_is_named(
        self, tmp_path: Path, name: str, content: dict[str, bytes] | None, said: str
    ) -> None:
        if content is not None:
            (tmp_path / name).mkdir()
            for file, text in content.items():
                (tmp_path / name / file).write_bytes(text)
        with pytest.raises(DataError, match=rf"{name}.*{said}"):
            read_runs([tmp_path / name])

    def test_another_parquet_file_is_named(self, tmp_path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
        with pytest.raises(DataError, match=r"other\.parquet does not hold answers"):
            read_runs([tmp_path / "other.parquet"])

    def test_names_are_unique_and_short(self, run: Path, pictures: list[Path]) -> None:
        rows = [row(0, pictures[0])]
        folders = [
            save(run.parent / str(place), rows, **identity)
            for place, identity in enumerate(
                ({"config": "A"}, {"config": "B"}, {"config": "B", "seed": 1}, {"config": "B", "detector": "large"})
            )
        ]
        names = run_names(answers.result for answers in read_runs(folders).values())
        assert list(names.values()) == ["A", "B, seed 0, mini", "B, seed 1, mini", "B, seed 0, large"]


class TestSeveralRuns:
    def test_several_detectors_splits_and_datasets_fit_in_one_report(
        self, run: Path, pictures: list[Path], tmp_path: Path
    ) -> None:
        rows = [row(0, pictures[0])]
        others = [
            save(run.parent / "detector", rows, detector="large", seen="leaked"),
            save(run.parent / "split", rows, split="testA"),
            save(run.parent / "dataset", [row(0, pictures[2], "another")], dataset="other", split_by="umd"),
        ]
        index = write_report([run, *others], out=tmp_path / "report", photos=Path("/"), figures=False)
        found = data(index, "index")
        assert [split["name"] for split in found["splits"]] == ["toy val", "toy testA", "other val (umd)"]
        assert [run["name"] for run in found["runs"]] == ["AlignCAT, mini", "AlignCAT, large"]
        assert [[run["run"] for run in split["runs"]] for split in found["splits"]] == [[0, 1], [0], [0]]
        assert [run["training"] for run in found["splits"][0]["runs"]] == [
            "has not seen the images",
            "HAS SEEN the images",
        ]
        assert data(index, "split-2")["text"] == ["another"]

    def test_val_comes_before_test_in_splits_and_results(self, run: Path, pictures: list[Path], tmp_path: Path) -> None:
        for split in ("testA", "testB"):
            save(run, [row(0, pictures[0])], split=split)
            save(tmp_path / "second", [row(0, pictures[0])], config="B", split=split)
        other = tmp_path / "other"
        for split in ("test", "val"):
            save(other, [row(0, pictures[0])], dataset="other", split=split)
        found = data(
            write_report([run, tmp_path / "second", other], out=tmp_path / "report", photos=Path("/"), figures=False),
            "index",
        )
        expected = ["toy val", "toy testA", "toy testB", "other val", "other test"]
        assert [split["name"] for split in found["splits"]] == expected
        words = [dict(line["words"]) for line in found["results"]]
        lines = ["toy val AlignCAT", *(f"toy test{part} {name}" for part in "AB" for name in ("AlignCAT", "B"))]
        lines += ["other val AlignCAT", "other test AlignCAT"]
        assert [f"{line['Dataset']} {line['Split']} {line['Config']}" for line in words] == lines

    def test_the_first_shown_are_one_of_each_config(self, pictures: list[Path], tmp_path: Path) -> None:
        rows = [row(0, pictures[0])]
        runs = [
            save(tmp_path / f"{config}{seed}", rows, config=config, seed=seed) for config in "ABCD" for seed in (0, 1)
        ]
        found = data(write_report(runs, out=tmp_path / "report", photos=Path("/"), figures=False), "index")
        assert [found["runs"][place]["name"] for place in found["splits"][0]["first"]] == [
            "A, seed 0",
            "B, seed 0",
            "C, seed 0",
        ]
        found = data(write_report(runs[:2], out=tmp_path / "report", photos=Path("/"), figures=False), "index")
        assert found["splits"][0]["first"] == [0, 1]  # the seeds, since there is only one config

    def test_published_values_are_separate_from_ours(self, run: Path, pictures: list[Path], tmp_path: Path) -> None:
        real = save(
            tmp_path / "real", [row(0, pictures[0])], config="mine", dataset="refcoco", split="testA", split_by="unc"
        )
        found = data(write_report([run, real], out=tmp_path / "report", photos=Path("/"), figures=False), "index")
        assert [dict(line["words"])["Config"] for line in found["results"]] == ["AlignCAT", "mine"]  # both ours
        by_system = {line["system"]: line for line in found["published"]}
        assert (by_system["AlignCAT"]["rec"], by_system["AlignCAT"]["res"]) == (70.27, 62.75)  # Tables 2 and 1
        assert (by_system["VC"]["rec"], by_system["VC"]["res"]) == (32.68, None)
        assert "TPAMI'19" in by_system["VC"]["source"] and "AlignCAT" in by_system["VC"]["source"]
        assert {line["split"] for line in found["published"]} == {"testA"}
        assert (
            data(write_report([run], out=tmp_path / "report", photos=Path("/"), figures=False), "index")["published"]
            == []
        )

    def test_seeds_are_shown_as_mean_and_spread(self, run: Path, pictures: list[Path], tmp_path: Path) -> None:
        rows = [row(0, pictures[0]), row(1, pictures[1])]  # 100%, next to the 50% of the first
        index = write_report(
            [run, save(run.parent / "second", rows, seed=1)], out=tmp_path / "report", photos=Path("/"), figures=False
        )
        [line] = data(index, "index")["results"]
        assert dict(line["words"])["Seeds"] == "0, 1"
        assert line["metrics"][0] == ["REC", 75, 35.355]  # 50 / sqrt(2)

    @pytest.mark.parametrize(
        ("change", "said"),
        [({"text": "the cat"}, "text"), ({"image_id": "7"}, "image id"), ({"truth_box": (0, 0, 1, 1)}, "truth box")],
    )
    def test_other_data_under_the_same_name_is_refused(
        self, run: Path, pictures: list[Path], tmp_path: Path, change: dict[str, Any], said: str
    ) -> None:
        other = save(run.parent / "other", [row(1, pictures[1], **change)], config="B")
        with pytest.raises(DataError, match=rf"other.*: the {said} of expression '1' is not the one in .*mine"):
            write_report([run, other], out=tmp_path / "report", photos=Path("/"), figures=False)
        assert not (tmp_path / "report").exists()

    def test_runs_on_different_expressions_are_aligned(self, pictures: list[Path], tmp_path: Path) -> None:
        first = save(tmp_path / "first", [row(number, pictures[0]) for number in (3, 1)], config="A")
        second = save(
            tmp_path / "second", [row(number, pictures[0], cause="no_query") for number in (1, 2)], config="B"
        )
        split = data(write_report([first, second], out=tmp_path / "report", photos=Path("/"), figures=False), "split-0")
        assert split["expression_id"] == ["3", "1", "2"]
        assert [answers["cause"] for answers in split["answers"]] == [
            ["right", "right", None],
            [None, "no_query", "no_query"],
        ]

    def test_an_expression_answered_twice_is_refused(self, pictures: list[Path], tmp_path: Path) -> None:
        twice = save(tmp_path / "twice", [row(0, pictures[0]), row(0, pictures[0])])
        with pytest.raises(DataError, match=r"twice.*answers an expression twice"):
            write_report([twice], out=tmp_path / "report", photos=Path("/"), figures=False)


class TestFolder:
    def test_an_answer_is_written_with_its_candidates_and_scores(self, run: Path, tmp_path: Path) -> None:
        index = write_report([run], out=tmp_path / "report", photos=Path("/"), figures=False)
        details = data(index, "answers-0-0-0")
        assert details["candidates"][0]["boxes"] == [*LEFT, 36, 12, 60, 36, 0, 0, WIDTH, HEIGHT]
        assert [answer["candidates"] for answer in details["rows"]] == [0, 1]  # of two images
        assert details["rows"][0]["scores"] == {
            "class": [1, 1, 0],
            "global": [0.5, 0.25, -0.125],
            "coarse": [100.5, 100.25, None],
        }
        assert data(index, "split-0")["truth"] == [list(LEFT)] * 2

    def test_an_answer_in_an_image_without_candidates_has_no_box(self, pictures: list[Path], tmp_path: Path) -> None:
        nothing = {name: [] for name in ("boxes", "categories", "confidences", "kept", "probabilities", "ious")}
        scores = {"class_scores": [], "global_scores": None, "coarse_scores": None}
        lost = row(0, pictures[0], cause="no_candidate", choice=-1, score=0.0, chosen_mask=None, **nothing, **scores)
        index = write_report([save(tmp_path / "run", [lost])], out=tmp_path / "report", photos=Path("/"), figures=False)
        assert data(index, "split-0")["answers"][0]["box"] == [None]

    def test_an_earlier_report_is_replaced(self, run: Path, pictures: list[Path], tmp_path: Path) -> None:
        write_report([run], out=tmp_path / "report", photos=Path("/"), figures=False)
        index = write_report(
            [save(run.parent / "new", [row(0, pictures[0])], config="new")],
            out=tmp_path / "report",
            photos=Path("/"),
            figures=False,
        )
        assert data(index, "index")["runs"][0]["name"] == "new"
        assert sorted(path.name for path in (tmp_path / "report").parent.iterdir()) == ["report", "runs"]

    @pytest.mark.parametrize("names", [["thesis.tex"], ["index.html", "data/x", "page/x", "thesis.tex"]])
    def test_a_folder_with_anything_but_a_report_is_left_alone(
        self, run: Path, tmp_path: Path, names: list[str]
    ) -> None:
        for name in names:
            (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "out" / name).write_text("mine")
        with pytest.raises(DataError, match=r"out exists and is not empty; choose another folder or remove it first"):
            write_report([run], out=tmp_path / "out", photos=Path("/"), figures=False)
        assert (tmp_path / "out" / "thesis.tex").read_text() == "mine"

    def test_a_report_that_fails_leaves_nothing(
        self, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        index = write_report([run], out=tmp_path / "report", photos=Path("/"), figures=False)
        before = index.read_bytes(), data(index, "index")

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("aligncat.report.folder.write_script", full)
        with pytest.raises(WriteError, match=r"report: cannot be written \(No space left on device\); free some disk"):
            write_report([run], out=tmp_path / "report", photos=Path("/"), figures=False)
        assert (index.read_bytes(), data(index, "index")) == before
        assert sorted(path.name for path in tmp_path.iterdir()) == ["report", "runs"]

    def test_it_can_be_made_in_the_current_folder(
        self, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for _ in range(2):  # first into an empty folder, then in place of a report
            (tmp_path / "here").mkdir(exist_ok=True)
            monkeypatch.chdir(tmp_path / "here")
            write_report([run], out=Path(), photos=Path("/"), figures=False)
            assert data(tmp_path / "here" / "index.html", "index")["runs"][0]["name"] == "AlignCAT"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "runs"]

    def test_only_the_file_name_of_a_picture_is_written(self, run: Path, pictures: list[Path], tmp_path: Path) -> None:
        index = write_report([run], out=tmp_path / "report", photos=Path("/"), figures=False)
        assert [image["name"] for image in data(index, "split-0")["images"]] == ["0.png", "1.png"]
        files = [path for path in index.parent.rglob("*") if path.suffix in (".js", ".html")]
        assert not [path for path in files if str(pictures[0].parent) in path.read_text(encoding="utf-8")]

    def test_a_picture_with_an_impossible_name_is_reported(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        name = "x" * 300 + ".png"  # longer than file systems allow
        run = save(tmp_path / "run", [row(0, tmp_path / name)])
        with caplog.at_level(logging.WARNING):
            index = write_report([run], out=tmp_path / "report", photos=Path("/"), figures=False)
        assert name in caplog.text
        assert data(index, "split-0")["images"][0]["file"] is None

    def test_missing_pictures_are_counted(
        self, pictures: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "broken.png").write_bytes(b"no picture")
        paths = [pictures[0], tmp_path / "gone.png", tmp_path / "broken.png"]
        run = save(tmp_path / "run", [row(number, path) for number, path in enumerate(paths)])
        with caplog.at_level(logging.WARNING):
            index = write_report([run], out=tmp_path / "report", photos=Path("/"), figures=False)
        assert "2 of 3 pictures are missing or cannot be read" in caplog.text
        assert [image["file"] for image in data(index, "split-0")["images"]] == ["00000.jpg", None, None]


class TestStrangersAnswers:
    """A file of answers may name any file on the disk of whoever makes the report."""

    def test_only_pictures_in_the_photos_folder_are_copied(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        [photo] = paint(tmp_path / "photos" / "deep", 1)
        [secret] = paint(tmp_path / "home", 1)
        (tmp_path / "photos" / "link.png").symlink_to(secret)
        (tmp_path / "photos" / "circle.png").symlink_to(tmp_path / "photos" / "circle.png")
        (tmp_path / "other").symlink_to(tmp_path / "photos")
        paths = [
            photo,
            secret,
            tmp_path / "photos" / ".." / "home" / secret.name,
            tmp_path / "photos" / "link.png",
            tmp_path / "photos" / "circle.png",
            tmp_path / "other" / "deep" / photo.name,
            Path("x" * 5000),
        ]
        run = save(tmp_path / "run", [row(number, path, cause="wrong_object") for number, path in enumerate(paths)])
        with caplog.at_level(logging.WARNING):
            index = write_report([run], out=tmp_path / "report", photos=tmp_path / "other", figures=False)
        copies = [image["file"] for image in data(index, "split-0")["images"]]
        assert [copy is not None for copy in copies] == [True, False, False, False, False, True, False]
        assert len(list((index.parent / "images").iterdir())) == 2
        assert f"5 of 7 pictures are not in {tmp_path / 'photos'}" in caplog.text

    def test_the_current_folder_is_the_default_and_the_message_names_the_option(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        [near], [far] = paint(tmp_path / "here" / "photos", 1), paint(tmp_path / "there", 1)
        run = save(tmp_path / "here" / "run", [row(0, near), row(1, far)])
        monkeypatch.chdir(tmp_path / "here")
        with caplog.at_level(logging.WARNING):
            index = write_report([run], figures=False)
        assert [image["file"] is not None for image in data(index, "split-0")["images"]] == [True, False]
        assert f"make the report again with --photos {tmp_path / 'there'}" in caplog.text
        caplog.clear()
        assert main(["report", str(run), "--photos", str(tmp_path), "--figures", "false"]) == 0
        assert [image["file"] is not None for image in data(index, "split-0")["images"]] == [True, True]
        assert caplog.text == ""

    def test_figures_leave_the_same_pictures_out(self, tmp_path: Path) -> None:
        pytest.importorskip("matplotlib", reason="figures need the extra [report]")
        from aligncat.report.figures.failures import failures_figure

        [near], [far] = paint(tmp_path / "photos", 1), paint(tmp_path / "there", 1)
        made = answers([row(0, near, cause="wrong_object"), row(1, far, cause="poor_mask")])
        figure = failures_figure(made, photos=tmp_path / "photos")
        assert [len(axes.images) for axes in figure.axes if axes.patches] == [0, 1]
        assert [text.get_text() for axes in figure.axes for text in axes.texts if "left out" in text.get_text()]


class TestPictures:
    def test_pictures_are_copied_and_shrunk(self, tmp_path: Path) -> None:
        Image.new("RGB", (1200, 600), COLOURS[0]).save(tmp_path / "large.png")
        small = paint(tmp_path / "small", 1)[0]
        names = [*copy_images([tmp_path / "large.png", small], 2, tmp_path / "out")]
        assert names == ["00000.jpg", "00001.jpg"]
        with Image.open(tmp_path / "out" / "00000.jpg") as copy:
            assert (copy.format, copy.size) == ("JPEG", (480, 240))
        with Image.open(tmp_path / "out" / "00001.jpg") as copy:
            assert copy.size == (WIDTH, HEIGHT)

    def test_many_pictures_get_smaller_copies(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        Image.new("RGB", (1200, 600)).save(tmp_path / "large.png")
        monkeypatch.setattr("aligncat.report.images.MANY", 1)
        assert len([*copy_images([tmp_path / "large.png"] * 4, 4, tmp_path / "out")]) == 4  # a quarter of the area each
        with Image.open(tmp_path / "out" / "00003.jpg") as copy:
            assert copy.size == (240, 120)


class TestScripts:
    def test_no_text_ends_the_script(self, tmp_path: Path) -> None:
        text = "</script><!--&\u2028\u2029"
        write_script(tmp_path, "a", [text])
        written = (tmp_path / "a.js").read_text(encoding="utf-8")
        assert not set("<>&\u2028\u2029") & set(written)
        assert json.loads(written[len('report.receive("a",') : -3]) == [text]

    @pytest.mark.parametrize(
        ("given", "written"),
        [(1 / 3, 0.333), (100.123456, 100.123), (2.0, 2), (float("-inf"), None), (float("nan"), None), (None, None)],
    )
    def test_numbers_are_rounded_and_finite(self, given: float | None, written: float | None) -> None:
        assert number(given) == written


def test_the_verb_takes_runs_as_positional_arguments(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert settings("report", ["a", "b", "--out", "r"]) == {
        "runs": ["a", "b"],
        "out": Path("r"),
        "photos": Path(),
        "figures": True,
    }
    assert main(["report", str(run), "--out", str(tmp_path / "report"), "--figures", "false"]) == 0
    assert (tmp_path / "report" / "index.html").is_file()
    assert main(["report", str(tmp_path / "nothing"), "--out", str(tmp_path / "other")]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("aligncat report: ")
