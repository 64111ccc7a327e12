"""Text from data, put wherever data can bring it: it arrives as text, and no control character reaches a terminal."""

from __future__ import annotations

import io
import json
import logging
import re
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from helpers.fabricate_answers import answers, paint, row
from helpers.tiny_run import World
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console
from rich.table import Table

from aligncat.api.report import write_report
from aligncat.cli import main
from aligncat.console import error_console, output_console, progress_bar, track
from aligncat.datasets.config import DataConfig
from aligncat.datasets.formats.bad_rows import check_split_name
from aligncat.datasets.prepare.check import Report, SplitCheck
from aligncat.datasets.prepare.counts import Counts
from aligncat.errors import ConfigError, DataError
from aligncat.evaluation.audit import DetectorAudit
from aligncat.evaluation.leak import SplitAudit
from aligncat.evaluation.metrics import Metrics
from aligncat.evaluation.results import Result
from aligncat.evaluation.training_images import TrainingImages
from aligncat.grounder.folder import SHIPPED
from aligncat.grounder.model_card import model_card
from aligncat.quiet import log_to_standard_error
from aligncat.report.card import card_results
from aligncat.report.dataset_tables import audit_table, counts_table
from aligncat.report.figures.draw import _free
from aligncat.report.published_tables import published_beside
from aligncat.report.terminal import (
    causes_table,
    masks_table,
    orderings_table,
    results_table,
    slices_table,
    study_table,
)
from aligncat.studies.orderings import Ordering
from aligncat.wording import visible, visible_json

PIECES = [
    *(
        "[/x]",
        "[bold]",
        "[v2]",
        "[link=file:///]",
        "\\[",
        ":smile:",
        "<script>alert(1)</script>",
        "</script>",
        "<!--",
        "&lt;",
    ),
    *(
        "\x1b[31m",
        "\x1b]0;title\x07",
        "\x9b2J",
        "\u202e",
        "\u2066",
        "\u200f",
        "\n",
        "\r\n",
        "\t",
        "\0",
        "\x7f",
        "\u2028",
    ),
    *(
        "'",
        '"',
        "`",
        "```",
        "|",
        "---",
        "\n---\n",
        "# ",
        "*a*",
        "_a_",
        "{{ x }}",
        "{% raw %}",
        "![a](b)",
        "$x$",
        "=1+1",
        "@a",
    ),
    *("__proto__", "../../x", "/", "C:\\", "כלב", "猫", "👩🏽‍🚀", "%s", "{0}", "null", "a: b", "https://a.b", "é"),
]
texts = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=6)), min_size=1, max_size=5).map("".join)
encodable = texts.filter(lambda text: text.encode(errors="ignore").decode() == text)  # as the readers demand
fast = settings(
    max_examples=12, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
slow = settings(fast, max_examples=1000, derandomize=False)

TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
MARKS = {"LEFT-TO-RIGHT MARK", "RIGHT-TO-LEFT MARK", "ARABIC LETTER MARK"}


def is_obeyed(character: str) -> bool:
    """Return whether a terminal obeys a character instead of showing it, by Unicode's tables."""
    return (
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(character) in TURNING
        or unicodedata.name(character, "") in MARKS
    )


def on_terminal(text: str) -> str:
    """Return how a text must look on a terminal."""
    return "".join(repr(c)[1:-1] if is_obeyed(c) else c for c in text)


def squeezed(text: str) -> str:
    """Return text without spaces, since tables wrap and pad it."""
    return "".join(text.split())


def assert_shown(output: str, *wanted: str) -> None:
    assert [c for c in output if is_obeyed(c) and c != "\n"] == []
    for text in wanted:
        assert squeezed(on_terminal(text)) in squeezed(output)


def test_exactly_the_characters_that_a_terminal_obeys_are_escaped() -> None:
    for character in map(chr, [*range(0x10000), 0x1F415, 0xE0001, 0x10FFFF]):
        assert visible(character) == on_terminal(character)


@fast
@given(texts)
def test_json_keeps_its_meaning_and_reaches_the_terminal_escaped(text: str) -> None:
    printed = visible_json(json.dumps([{"phrase": text}], indent=2, ensure_ascii=False))
    assert json.loads(printed) == [{"phrase": text}]
    assert_shown(printed)


# ---- tables

METRICS = Metrics(10, 0.5, 0.75, 10, 0.5, 0.5, 0.75, None, 0.5, None)


def result(text: str, **other: Any) -> Result:
    kinds = {text.replace("+", "plus"): replace(METRICS, expressions=4)}  # a card leaves out kinds of two attributes
    fields: dict[str, Any] = {"dataset": text, "split": text, "split_by": text, "config": text, "detector": text}
    metrics = replace(METRICS, by_kind=kinds, by_attribute={text: {"needed": METRICS}})
    return Result(**{**fields, "seen": "unknown", "seed": 0, "versions": {}, "metrics": metrics, **other})


def some_answers(text: str) -> Any:
    words: dict[str, Any] = {
        "kind": text,
        "referent_category": text,
        "predicted_category": text,
        "needed": [text],
        "words": [text],
    }
    words |= {"word_weights": [1.0]}
    rows = [row(number, Path("x.png"), text, cause) | words for number, cause in enumerate(("right", "wrong_object"))]
    return answers(rows, config=text, dataset=text, split=text, detector=text)


def study(text: str) -> Table:
    return study_table(text, {text: text}, {text: {text: [result(text)]}}, {text: {text: 70.0}})


def audited(text: str) -> Table:
    training = TrainingImages(text, lambda _: True, None)
    return audit_table(DetectorAudit(training, (SplitAudit(text, text, text, 3, 2, 0),), (text,), ()))


def counted(text: str) -> Table:
    data = DataConfig(Path(text.replace("\0", "")), "own")
    split = SplitCheck(text, Counts(1, 2, 3), None)
    return counts_table(Report(data, (split,), (), 0, Path(), ()))


def beside(text: str) -> Table:
    known = {"dataset": "refcoco", "split": "testA", "split_by": "unc"}
    table = published_beside([result(text, **known)])
    assert table is not None
    return table


TABLES: dict[str, Callable[[str], Table]] = {
    "results": lambda text: results_table([result(text)]),
    "results that differ": lambda text: results_table([result(text), result(f"{text}2")]),
    "masks": lambda text: masks_table([result(text)]),
    "slices": lambda text: slices_table([result(text)]),
    "study": study,
    "orderings": lambda text: orderings_table({text: text}, [Ordering(text, text, text, 1.0, 1.0, None, 0, 2, "yes")]),
    "causes": lambda text: causes_table(some_answers(text)),
    "published": beside,
    "audit": audited,
    "counts": counted,
}


def printed(table: Table, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield a table as our console prints it, and as a console of the user prints it."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", io.StringIO())
        output_console(piped_width=20_000).print(table)
        yield sys.stdout.getvalue()  # type: ignore[attr-defined]
    theirs = io.StringIO()
    Console(file=theirs, width=20_000).print(table)
    yield theirs.getvalue()


def check_table(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for output in printed(TABLES[name](text), monkeypatch):
        assert_shown(output, text)


@pytest.mark.parametrize("name", TABLES)
def test_tables_show_text_as_it_is(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fast(given(texts)(lambda text: check_table(name, text, monkeypatch)))()


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_tables_show_a_thousand_texts_as_they_are(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slow(given(texts)(lambda text: check_table(name, text, monkeypatch)))()


# ---- lines, bars, logs, errors


def test_lines_and_bars_show_text_as_it_is(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "2000")

    @fast
    @given(texts)
    def check(text: str) -> None:
        output_console(piped_width=2000).print(text)
        output_console(piped_width=2000).rule(text)
        assert_shown(capsys.readouterr().out, text)
        error_console().print(text)
        with progress_bar() as progress:
            progress.add_task(text, total=1)
        assert list(track([1], text)) == [1]
        assert_shown(capsys.readouterr().err, text)

    check()


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Set up logging as the command line does, and return what it writes."""
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    root = logging.getLogger()
    before, root.handlers = root.handlers, []
    logging.captureWarnings(False)  # a verb that ran in another test may have left it on
    log_to_standard_error()
    yield written
    logging.captureWarnings(False)
    root.handlers = before


def test_log_lines_and_warnings_show_text_as_it_is(logs: io.StringIO) -> None:
    import warnings

    text = "".join(PIECES)
    logging.getLogger("aligncat.some").warning("left out: %s", text)
    assert_shown(logs.getvalue(), f"left out: {text}")
    assert logs.getvalue().count("\n") == 1
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"of {text}", stacklevel=1)
    assert "UserWarning: of [/x][bold]" in logs.getvalue()
    logging.getLogger("other").warning("two\nlines %s", "\x1b[31m")
    assert_shown(logs.getvalue(), "two lines \x1b[31m")


@pytest.mark.parametrize("text", ["[/x]", "run[v2]", "a\x1b]0;owned\x07b", "a\nb\u202ec", "\x9b31m", "\udcff.png"])
@pytest.mark.parametrize(
    "words",
    [
        ["report", "{}", "--out", "nowhere"],
        ["ground", "{}", "cup"],
        ["data", "check", "--data.path", "{}", "--data.dataset", "refcoco"],
        ["data", "check", "--data.path", "x", "--data.dataset", "{}"],
        ["evaluate", "--grounder", "{}", "--data.path", "x", "--data.dataset", "refcoco", "--store", "y"],
        ["extract", "--images", "{}", "--out", "nowhere"],
        ["audit", "--detector_images", "{}", "--data.path", "x", "--data.dataset", "refcoco"],
        ["published", "--dataset", "{}"],
        ["{}"],
    ],
    ids=lambda words: " ".join(words),
)
def test_errors_show_names_as_they_are(
    words: list[str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        assert main([word.format(text) for word in words]) in (1, 2)
    except SystemExit as stopped:
        assert stopped.code == 2
    found = capsys.readouterr()
    assert_shown(found.out + found.err)
    assert len(found.err.strip().splitlines()) == 1 or words == ["{}"]


def test_a_grounder_folder_with_a_hostile_name_is_shown_whole(
    world: World, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder's name becomes the config's name, and the first part of the answers' file names."""
    folder = tmp_path / "run[v2][/x]\x1b[31m\u202e"
    shutil.copytree(trained, folder)
    where = ["--data.path", str(world.data.path), "--data.dataset", "refcoco", "--store", str(world.store)]
    assert main(["evaluate", "--grounder", str(folder), *where, "--out", str(tmp_path / "answers")]) == 0
    found = capsys.readouterr()
    assert_shown(found.out, folder.name)
    assert_shown(found.err)
    assert main(["report", str(tmp_path / "answers"), "--out", str(tmp_path / "report"), "--figures", "false"]) == 0
    assert_shown(capsys.readouterr().err)


# ---- the page's data, the figures, the model card, file names


class Tags(HTMLParser):
    """The tags of a document, in order."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)


def strings(value: Any) -> set[str]:
    if isinstance(value, str):
        return {value}
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {text for each in inner for text in strings(each)}


def page_data(index: Path) -> dict[str, Any]:
    scripts = {path.stem: path.read_text(encoding="utf-8") for path in (index.parent / "data").iterdir()}
    return {name: json.loads(text[len(f'report.receive("{name}",') : -len(");\n")]) for name, text in scripts.items()}


@settings(fast, max_examples=6)
@given(text=encodable)
def test_every_string_reaches_the_page_as_a_string(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("page")
    made = some_answers(text)
    made.save(folder / "a.parquet")
    index = write_report([folder / "a.parquet"], out=folder / "report", figures=False)
    for name, value in page_data(index).items():
        assert text in strings(value), name
    raw = "".join(path.read_text(encoding="utf-8") for path in (folder / "report" / "data").iterdir())
    assert not set(raw) & {"<", ">", "&", "\u2028", "\u2029"}
    assert sorted(path.name for path in (folder / "report").iterdir()) == ["data", "images", "index.html", "page"]


def test_figures_are_well_formed_and_keep_to_their_folder(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="figures need the extra [report]")
    text = "".join(PIECES)
    [picture] = paint(tmp_path / "pictures", 1)
    words = {"kind": text, "words": [text], "word_weights": [1.0], "referent_category": text}
    rows = [row(number, picture, text, cause, **words) for number, cause in enumerate(("right", "wrong_object"))]
    made = answers(rows, config=text, dataset=text, split=text, detector=text)
    made.save(tmp_path / "a.parquet")
    write_report([tmp_path / "a.parquet"], out=tmp_path / "report", photos=tmp_path)
    drawn = sorted((tmp_path / "report" / "figures").iterdir())
    assert len(drawn) >= 4
    for path in drawn:
        assert re.fullmatch(r"[A-Za-z0-9+._-]{1,130}", path.name)
        tags = {element.tag.split("}")[-1] for element in ElementTree.parse(path).iter()}
        assert not tags & {"script", "a", "foreignObject", "iframe"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "pictures", "report"]


def card_of(text: str) -> str:
    """Return a card in which a text replaces every string that data can bring."""
    config = json.loads((SHIPPED / "config.json").read_text(encoding="utf-8"))
    config["detector"] |= {"name": text, "weights_sha256": text}
    config["labels"] = [text]
    config["provenance"]["data"] |= {"dataset": text, "split": text, "split_by": text, "sha256": text}
    config["provenance"] |= {"val_split": text, "versions": {text: text}, "word_vectors": text}
    config["text_encoder"] = {"name": text, "sha256": text}
    return str(model_card(config, card_results([result(text), result(text, seed=1)])))


def paragraphs(card: str) -> tuple[dict[str, Any], list[str]]:
    """Return the card's metadata, and the tags of its text as Markdown renders it."""
    _, head, body = re.split(r"^---\n", card, maxsplit=2, flags=re.MULTILINE)
    metadata = yaml.safe_load(head)
    assert isinstance(metadata, dict)
    return metadata, Tags(MarkdownIt("commonmark").enable("table").render(body)).tags


def check_card(text: str) -> None:
    metadata, tags = paragraphs(card_of(text))
    plain_metadata, plain_tags = paragraphs(card_of("mine"))
    assert metadata.keys() == plain_metadata.keys()
    assert metadata["license"] == "apache-2.0"
    assert [c for c in card_of(text) if is_obeyed(c) and c != "\n"] == []
    assert tags == plain_tags


@fast
@given(encodable.filter(lambda text: any(c.isprintable() and not c.isspace() for c in text)))
def test_a_model_card_shows_text_as_it_is(text: str) -> None:
    check_card(text)


@pytest.mark.slow
@slow
@given(encodable.filter(lambda text: any(c.isprintable() and not c.isspace() for c in text)))
def test_a_model_card_shows_a_thousand_texts_as_they_are(text: str) -> None:
    check_card(text)


@fast
@given(texts)
def test_only_plain_names_become_parts_of_file_names(text: str) -> None:
    allowed = all(c.isalnum() or c in "_.+-" or unicodedata.category(c) in ("Mn", "Mc") for c in text) and text not in (
        ".",
        "..",
    )
    for check in (lambda: DataConfig(Path(), text), lambda: check_split_name(text, "here")):
        try:
            check()
        except (DataError, ConfigError):
            continue
        assert allowed
    assert re.fullmatch(r"[A-Za-z0-9+._-]*", _free(text, set()))
