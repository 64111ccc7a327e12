"""The page in a real browser: what people do with it."""

from __future__ import annotations

import json
import re
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from axe_core_python.selenium import Axe
from helpers.browser import Page
from helpers.fabricate import write_image
from helpers.served import SMALL, HeldDetector, Served, served
from pycocotools.coco import COCO

from aligncat.grounder.grounder import Grounder
from aligncat.serving.app import AppSettings
from aligncat.serving.page.examples import examples

READY = "return !!document.querySelector('#examples button')"
SHOWN = "return document.querySelectorAll('#answers .answer').length === arguments[0]"
IDLE = "return !document.body.classList.contains('asking')"


class Trial:
    """The page, opened."""

    def __init__(self, page: Page, server: Served) -> None:
        self.page = page
        self.server = server
        self.driver = page.driver
        self.driver.get("about:blank")
        page.errors()
        self.driver.get(f"{server.url}/page/")
        page.wait(READY)

    def upload(self, path: Path) -> Trial:
        self.driver.find_element("id", "file").send_keys(str(path))
        return self

    def write(self, *phrases: str) -> Trial:
        field = self.driver.find_element("css selector", "#phrases textarea")
        field.clear()
        field.send_keys("\n".join(phrases))
        return self

    def beside(self, name: str) -> Trial:
        self.page.run(
            "const labels = [...document.querySelectorAll('#second label')];"
            "labels.find((each) => each.textContent.trim() === arguments[0]).click()",
            name,
        )
        return self

    def ask(self, answers: int = 1) -> Trial:
        self.page.run("document.querySelectorAll('#answers .answer').forEach((each) => each.remove())")
        self.driver.find_element("id", "ask").click()
        return self.answered(answers)

    def answered(self, answers: int = 1) -> Trial:
        for condition in (SHOWN.replace("arguments[0]", str(answers)), IDLE):
            self.page.wait(condition)
        return self

    def slide(self, name: str, value: float) -> Trial:
        """Move a slider."""
        self.page.run(
            "const slider = document.getElementById(arguments[0]);"
            "slider.value = arguments[1]; slider.dispatchEvent(new Event('input', { bubbles: true }))",
            name,
            value,
        )
        return self

    def offered(self) -> list[str]:
        """Return the labels of the settings that are shown, and what is said beside them."""
        found: list[str] = self.page.run(
            "return [...document.querySelectorAll('#settings :is(label, #without-match)')]"
            ".filter((each) => each.checkVisibility()).map((each) => each.textContent)"
        )
        return found

    def download(self, folder: Path, name: str, place: int) -> Path:
        """Press a button for a download, and return the file once it is there."""
        self.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
        self.page.click("[data-download]", place)
        until = time.monotonic() + 60
        while not (folder / name).exists():
            assert time.monotonic() < until, self.page.texts("#status")
            time.sleep(0.05)
        return folder / name

    def facts(self, answer: int = 0) -> list[dict[str, str]]:
        """Return the terms of each phrase of an answer."""
        found: list[dict[str, str]] = self.page.run(
            "return [...document.querySelectorAll('#answers .answer')[arguments[0]].querySelectorAll('.phrases > li')]"
            ".map((li) => Object.fromEntries([...li.querySelectorAll('dl > div')].map("
            "(div) => [div.querySelector('dt').textContent, div.querySelector('dd').textContent])))",
            answer,
        )
        return found

    def violations(self) -> list[str]:
        """Return what axe finds wrong, once no colour is changing any more."""
        self.page.wait("return document.getAnimations().every((each) => each.playState !== 'running')")
        found = Axe().run(self.driver)["violations"]
        return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]

    def width(self) -> int:
        """Return the width of all that can be scrolled to."""
        return int(self.page.run("return document.documentElement.scrollWidth"))


@pytest.fixture
def trial(page: Page, page_server: Served) -> Trial:
    return Trial(page, page_server)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return write_image(tmp_path / "a photo.png", 2)


def test_a_photo_is_uploaded_and_grounded(trial: Trial, photo: Path, keep: Callable[[str], Path]) -> None:
    trial.upload(photo).write("red dog", "couch on the left").ask()
    grounder = trial.server.service.grounders["mine"]
    expected = grounder.ground(photo, ["red dog", "couch on the left"])
    assert trial.facts() == [
        {
            "Probability": f"{each.probability:.2f}",
            "Match": f"{each.match:.2f}",
            "Category": each.category,
            "Box": ", ".join(str(round(number)) for number in each.box),
        }
        for each in expected
    ]
    assert trial.page.texts("#answers h3") == ["mine"]
    headings = [" ".join(each.split()) for each in trial.page.texts("#answers h4")]
    assert headings == ["1 red dog", "2 couch on the left"]
    nothing = [each.match is not None and each.match < 0.5 for each in expected]
    shown = trial.page.run(
        "return [...document.querySelectorAll('.phrases > li')].map((li) => !!li.querySelector('p.nothing'))"
    )
    assert shown == nothing
    assert [" ".join(each.split()) for each in trial.page.texts(".word")] == [
        f"{word} {weight:.2f}" for each in expected for word, weight in each.word_weights
    ]
    assert trial.page.run("return document.querySelector('.picture img').naturalWidth") > 0
    assert "Answered." in trial.page.texts("#status")
    keep("page")
    assert trial.page.errors() == []


def test_two_grounders_answer_side_by_side(trial: Trial, photo: Path) -> None:
    trial.upload(photo).write("red dog").beside("free").ask(2)
    assert trial.page.texts("#answers h3") == ["mine", "free"]
    [alone] = trial.server.service.grounders["free"].ground(photo, ["red dog"])
    assert trial.facts(1)[0]["Probability"] == f"{alone.probability:.2f}"
    assert "Match" not in trial.facts(1)[0]
    left, right = trial.page.run(
        "return [...document.querySelectorAll('#answers .answer')].map((e) => e.getBoundingClientRect().left)"
    )
    assert left < right
    assert trial.page.errors() == []


def test_candidates_are_shown_on_request(trial: Trial, photo: Path) -> None:
    trial.upload(photo).write("red dog").ask()
    boxes = "return getComputedStyle(document.querySelector('.picture .candidates')).display"
    assert trial.page.run(boxes) == "none"
    trial.driver.find_element("css selector", "details.candidates summary").click()
    assert trial.page.run(boxes) != "none"
    [expected] = trial.server.service.grounders["mine"].ground(photo, ["red dog"])
    rows = trial.page.cells("details.candidates tbody tr")
    assert [row[:4] for row in rows] == [
        [str(number), each.category, f"{each.probability:.2f}", f"{each.confidence:.2f}"]
        for number, each in enumerate(expected.candidates, 1)
    ]
    assert trial.page.run("return [...document.querySelectorAll('tr.chosen th')].map((e) => e.textContent)") == [
        str(expected.choice + 1)
    ]


def test_an_example_is_one_click(trial: Trial) -> None:
    trial.page.click("#examples button", 1)
    trial.answered()
    phrases = examples()[1].phrases
    assert trial.driver.find_element("css selector", "#phrases textarea").get_property("value") == "\n".join(phrases)
    assert len(trial.facts()) == len(phrases)
    assert trial.page.errors() == []


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_a_photo_is_pasted_or_dropped(trial: Trial, photo: Path, kind: str) -> None:
    event = {
        "paste": "document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true }))",
        "drop": "document.getElementById('drop').dispatchEvent(new DragEvent('drop', { dataTransfer: data }))",
    }[kind]
    trial.page.run(
        "const data = new DataTransfer();"
        f"data.items.add(new File([new Uint8Array(arguments[0])], 'given.png', {{ type: 'image/png' }})); {event}",
        list(photo.read_bytes()),
    )
    assert trial.page.texts("#chosen") == ["Chosen: given.png"]
    trial.write("red dog").ask()
    assert len(trial.facts()) == 1


def test_what_cannot_be_answered_is_told(trial: Trial, photo: Path) -> None:
    def refusal() -> str:
        [message] = trial.page.texts("#answers [role=alert]")
        return message

    trial.driver.find_element("id", "ask").click()
    trial.page.wait("return document.querySelector('#answers [role=alert]')")
    assert refusal().startswith("There is no photo yet.")
    trial.upload(photo).driver.find_element("id", "ask").click()
    trial.page.wait("return document.querySelector('#answers [role=alert]').textContent.includes('phrase yet')")
    trial.upload(photo).write("...").ask()
    assert refusal().startswith("The expression '...' has no words")
    trial.write(*["red dog"] * 6).ask()
    assert refusal() == "6 phrases; the limit is 5 for one photo."
    trial.write("red dog").ask()
    assert len(trial.facts()) == 1
    assert trial.page.errors() == []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("broken.jpg", b"\xff\xd8\xff\xe0 and no picture", "The photo cannot be read ("),
        ("large.jpg", bytes(300_001), "The photo has 300,001 bytes; the limit is 300,000."),
    ],
)
def test_a_file_that_is_no_photo_is_told_when_it_is_chosen(
    trial: Trial, photo: Path, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    trial.upload(tmp_path / name).page.wait("return document.getElementById('chosen').matches('.refusal')")
    [told] = trial.page.texts("#chosen")
    assert told.startswith(f"Not chosen: {name}. {said}")
    trial.write("red dog").ask()
    assert trial.page.texts("#answers [role=alert]")[0].startswith("There is no photo yet.")
    trial.upload(photo).page.wait("return !document.getElementById('preview').hidden")
    assert trial.page.texts("#chosen") == ["Chosen: a photo.png"]
    trial.ask()
    assert len(trial.facts()) == 1
    assert trial.page.errors() == []


def test_an_example_replaces_no_phrases_of_the_reader(trial: Trial) -> None:
    field = trial.driver.find_element("css selector", "#phrases textarea")
    trial.page.click("#examples button", 1)
    trial.answered()
    trial.page.click("#examples button", 2)  # what another example wrote is no phrase of the reader
    trial.page.wait("return document.getElementById('chosen').textContent.includes('example-3')")
    trial.page.wait(f"return document.querySelector('#phrases textarea').value === {json.dumps(_phrases_of(2))}")
    trial.answered().write("the horse on the right", "person")
    trial.page.click("#examples button", 0)
    trial.page.wait("return document.querySelectorAll('#answers h4').length === 2").wait(IDLE)
    assert field.get_property("value") == "the horse on the right\nperson"
    assert [each.split(maxsplit=1)[1] for each in trial.page.texts("#answers h4")] == [
        "the horse on the right",
        "person",
    ]
    assert trial.page.errors() == []


def test_an_answer_about_another_photo_is_marked(trial: Trial, photo: Path, tmp_path: Path) -> None:
    older = "return document.getElementById('before').checkVisibility()"
    trial.upload(photo).write("red dog").ask()
    assert trial.page.run(older) is False
    trial.upload(write_image(tmp_path / "other.png", 3))
    trial.page.wait(older)
    assert trial.page.run("return getComputedStyle(document.getElementById('answers')).opacity") == "0.5"
    trial.driver.find_element("id", "ask").click()
    trial.page.wait("return !document.getElementById('before').checkVisibility()").wait(IDLE)
    assert trial.page.run("return getComputedStyle(document.getElementById('answers')).opacity") == "1"
    assert trial.page.errors() == []


def test_ctrl_and_enter_ask(trial: Trial, photo: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    field = trial.driver.find_element("css selector", "#phrases textarea")
    trial.upload(photo).write("red dog")
    field.send_keys(Keys.ENTER, "couch", Keys.CONTROL, Keys.ENTER)
    trial.answered()
    assert len(trial.facts()) == 2 and field.get_property("value") == "red dog\ncouch"


def test_a_grounder_is_not_compared_with_itself(trial: Trial) -> None:
    shown = (
        "return [...document.querySelectorAll('#second label')].filter((e) => e.checkVisibility())"
        ".map((e) => e.textContent.trim()).join()"
    )
    trial.page.wait(f"return (() => {{ {shown} }})() === 'none,free'")
    trial.beside("free").page.run("[...document.querySelectorAll('#first label')].at(-1).click()")
    trial.page.wait(f"return (() => {{ {shown} }})() === 'none,mine'")
    trial.page.wait("return document.querySelector('#second input').checked")  # none
    assert trial.page.errors() == []


def _phrases_of(example: int) -> str:
    return "\n".join(examples()[example].phrases)


def test_a_server_that_is_gone_is_told(page: Page, tiny_detector: Path, photo: Path) -> None:
    free = Grounder.from_pretrained("training-free", detector=tiny_detector)
    with served({"free": free}, AppSettings(page=True)) as server:
        trial = Trial(page, server).upload(photo).write("red dog").ask()
        assert page.run("return document.querySelectorAll('#second input').length") == 0  # there is no other
    trial.driver.find_element("id", "ask").click()
    page.wait("return document.querySelector('#answers [role=alert]')")
    assert page.texts("#answers [role=alert]") == ["The server cannot be reached. Check that it runs, then try again."]
    assert page.texts("#status") == ["Not answered."]
    page.click("#examples button", 1)
    page.wait("return document.getElementById('status').textContent.startsWith('The server cannot be reached.')")


def test_a_refusal_is_not_called_an_answer(trial: Trial, photo: Path) -> None:
    trial.upload(photo).write("red dog").ask()
    assert trial.page.texts("#status") == ["Answered."]
    trial.write("...").ask()
    assert trial.page.texts("#status") == ["Not answered."]
    trial.write("red dog").beside("free").ask(2)
    assert trial.page.texts("#status") == ["Answered."]
    trial.write("...").ask()  # both refuse it, which is said once
    assert len(trial.page.texts("#answers [role=alert]")) == 1 and trial.page.texts("#answers h3") == []
    assert trial.page.texts("#status") == ["Not answered."]
    trial.write(" ").driver.find_element("id", "ask").click()
    trial.page.wait("return document.querySelector('#answers [role=alert]').textContent.includes('phrase yet')")
    assert trial.page.texts("#status") == ["Not answered."]
    assert trial.page.errors() == []


def test_a_fault_of_the_page_reaches_the_reader_and_the_console(trial: Trial, photo: Path) -> None:
    trial.upload(photo).write("red dog")
    trial.page.run(
        "document.getElementById('answers').getBoundingClientRect = () => { throw new TypeError('broken on purpose') }"
    )
    trial.driver.find_element("id", "ask").click()
    trial.page.wait("return document.querySelector('#answers [role=alert]')").wait(IDLE)
    [told] = trial.page.texts("#answers [role=alert]")
    assert told == "The page failed (broken on purpose). Load it again, and try once more."
    assert trial.page.texts("#status") == ["Not answered."]
    assert ["broken on purpose" in each for each in trial.page.errors()] == [True]


def test_what_cannot_be_asked_does_not_end_what_was(page: Page, held: HeldDetector, photo: Path) -> None:
    limits = replace(SMALL, answer_seconds=300.0)
    with served({"free": held.grounder()}, AppSettings(limits, page=True)) as server:
        trial = Trial(page, server).upload(photo).write("red dog")
        held.go.clear()
        trial.driver.find_element("id", "ask").click()
        assert held.begun.wait(60)
        trial.write(" ").driver.find_element("id", "ask").click()
        page.wait("return document.querySelector('#answers [role=alert]')")
        assert page.texts("#status") == ["Looking …"]
        held.go.set()
        trial.answered()
        assert len(trial.facts()) == 1 and page.texts("#status") == ["Answered."]
        held.go.clear()
        held.begun.clear()
        trial.write("red dog").driver.find_element("id", "ask").click()
        assert held.begun.wait(60)
        trial.write("couch", "cup").driver.find_element("id", "ask").click()  # which does end it
        held.go.set()
        page.wait("return document.querySelectorAll('#answers h4').length === 2").wait(IDLE)
        assert page.errors() == []


def test_all_objects_of_a_phrase_are_found_and_downloaded(
    trial: Trial, photo: Path, tmp_path: Path, keep: Callable[[str], Path]
) -> None:
    boxes = "return document.querySelectorAll('.picture rect.box').length"
    trial.upload(photo).write("both dogs").ask()
    assert trial.page.run(boxes) == 1
    unticked = trial.page.colours("#several", 0.5, 0.5, reach=4)
    trial.driver.find_element("id", "several").click()
    assert trial.page.colours("#several", 0.5, 0.5, reach=4) != unticked
    trial.ask()
    [expected] = trial.server.service.grounders["mine"].ground(photo, ["both dogs"], several=True)
    assert len(expected.answers) == 2 == trial.page.run(boxes)
    keep("page-several")
    assert [" ".join(each.split()) for each in trial.page.texts(".objects li")] == [
        f"{each.category}: probability {each.probability:.2f}, match {each.match:.2f}, box "
        f"{', '.join(str(round(number)) for number in each.box)}"
        for each in expected.answers
    ]
    assert trial.facts()[0]["Objects"] == "2"
    chosen = trial.page.run("return [...document.querySelectorAll('tr.chosen th')].map((e) => e.textContent)")
    assert sorted(chosen) == sorted(str(each.choice + 1) for each in expected.answers)
    folder = tmp_path / "downloads"
    [line] = json.loads(trial.download(folder, "a photo.mine.json", 0).read_text())
    assert line["answers"] == json.loads(json.dumps(expected.to_dict()["answers"]))
    annotations = json.loads(trial.download(folder, "a photo.mine.coco.json", 1).read_text())["annotations"]
    assert [each["bbox"][:2] for each in annotations] == [list(each.box[:2]) for each in expected.answers]
    with zipfile.ZipFile(trial.download(folder, "a photo.mine.label-studio.zip", 2)) as archive:
        [task] = json.loads(archive.read("tasks.json"))
    kinds = [each["type"] for each in task["predictions"][0]["result"]]
    assert kinds == ["rectanglelabels", "brushlabels"] * 2
    assert trial.page.errors() == []


def test_doubtful_answers_are_left_out(trial: Trial, photo: Path, tmp_path: Path) -> None:
    [found] = trial.server.service.grounders["mine"].ground(photo, ["red dog"])
    assert found.match is not None and found.probability < 0.6 and 0.4 < found.match < 0.9
    trial.upload(photo).write("red dog").slide("min-probability", 0.6).ask()
    assert trial.page.texts("#settings output") == ["0.60", "any"]
    said = f"Left out: nothing is probable enough: probability {found.probability:.2f}."
    assert trial.page.texts(".left-out p") == [said]
    assert trial.page.run("return document.querySelectorAll('.picture rect.box').length") == 0
    assert json.loads(trial.download(tmp_path / "downloads", "a photo.mine.json", 0).read_text()) == []
    trial.slide("min-probability", 0).slide("min-match", 0.9).ask()
    assert trial.page.texts(".left-out p") == [f"Left out: nothing matches: match {found.match:.2f}."]
    trial.slide("min-match", 0.4).ask()
    assert len(trial.facts()) == 1
    assert trial.page.errors() == []


def test_what_a_grounder_lacks_is_said_instead_of_offered(trial: Trial, photo: Path) -> None:
    labels = ["All objects that a phrase means, such as “both dogs”", "Minimum probability", "Minimum match"]
    said = "free has no match: it answers each phrase with one object, even if the photo shows nothing that fits."
    assert trial.offered() == labels
    trial.driver.find_element("id", "several").click()
    trial.slide("min-match", 0.05).beside("free")
    trial.page.wait("return !document.getElementById('without-match').hidden")
    assert trial.offered() == [*labels, said]
    trial.upload(photo).write("both dogs").ask(2)  # and free is not asked for what it lacks
    assert trial.page.texts("#status") == ["Answered."]
    trial.page.run("[...document.querySelectorAll('#first label')].at(-1).click()")
    trial.page.wait("return document.getElementById('several').closest('p').hidden")
    assert trial.offered() == [labels[1], said]
    trial.ask()
    assert len(trial.facts()) == 1
    assert trial.page.errors() == []


def test_text_is_never_markup(trial: Trial, photo: Path, tmp_path: Path) -> None:
    name = "<img src=x onerror=hit=1>.png"
    (tmp_path / name).write_bytes(photo.read_bytes())
    phrases = ["<script>hit=1</script> dog", "red {{#if value}} ${hit=1} `dog`", "<b>dog</b> &lt; </section>"]
    trial.upload(tmp_path / name).write(*phrases).beside("free").ask(2)
    assert trial.page.run("return typeof hit") == "undefined"
    assert trial.page.texts("#chosen") == [f"Chosen: {name}"]
    headings = [re.sub(r"^\s*\d+\s*", "", each) for each in trial.page.texts(".answer:first-child h4")]
    assert headings == phrases
    assert trial.page.run("return document.querySelectorAll('#answers script, #answers h4 b, #chosen img').length") == 0
    assert trial.page.errors() == []


def test_only_this_server_is_asked(trial: Trial, photo: Path) -> None:
    trial.upload(photo).write("red dog").beside("free").ask(2)
    asked = trial.page.run("return performance.getEntriesByType('resource').map((each) => each.name)")
    assert len(asked) > 20
    assert {re.match(r"data:|blob:|http://[^/]+", each)[0] for each in asked} <= {  # type: ignore[index]
        trial.server.url,
        "data:",
        "blob:",
    }
    paths = {each.removeprefix(trial.server.url).partition("?")[0] for each in asked}
    assert {each for each in paths if not each.startswith(("/page/assets/", "/page/static/", "data:", "blob:"))} == {
        "/page/answer",
        "/page/page.css",
        "/page/photo",
        "/page/page.js",
        "/page/theme.css",
        *(f"/page/examples/{number}.png" for number in range(4)),
    }
    assert trial.page.errors() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong(trial: Trial, photo: Path, scheme: str, keep: Callable[[str], Path]) -> None:
    trial.page.prefer(scheme)
    trial.page.wait(f"return document.body.classList.contains('dark') === {json.dumps(scheme == 'dark')}")
    assert trial.violations() == []
    trial.upload(photo).write("red dog", "zebra riding a unicorn").beside("free").ask(2)
    trial.page.run("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    assert trial.violations() == []
    background = trial.page.run("return getComputedStyle(document.body).backgroundColor")
    red, green, blue = map(int, re.findall(r"\d+", background)[:3])
    assert (red + green + blue > 600) == (scheme == "light")
    keep(f"page-{scheme}")
    assert trial.page.errors() == []


def test_a_phone_scrolls_in_one_direction(trial: Trial, photo: Path, keep: Callable[[str], Path]) -> None:
    trial.page.resize(390, 844)
    assert trial.width() == 390
    word = "wheelbarrow" * 6
    trial.upload(photo).write(f"red {word}", "couch").beside("free").ask(2)
    trial.page.run("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    assert trial.width() == 390
    tops = trial.page.run(
        "return [...document.querySelectorAll('#answers .answer')].map((e) => e.getBoundingClientRect().top)"
    )
    assert tops[0] < tops[1]  # one below the other
    assert 0 <= tops[0] < 844  # and in sight
    keep("page-phone")


def test_the_accessibility_tree_names_every_control(trial: Trial, photo: Path) -> None:
    trial.upload(photo).write("red dog").ask()
    nodes = trial.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]

    def names(role: str) -> list[str]:
        return [
            each.get("name", {}).get("value", "")
            for each in nodes
            if each.get("role", {}).get("value") == role and not each["ignored"]
        ]

    assert names("textbox") == ["Phrases, one on each line"]
    assert sorted(each.partition(".")[0] for each in names("button")) == [
        "COCO",
        "Choose a photo, drop one here, or paste one",
        *(f"Example {number}" for number in range(1, 5)),
        "Find",
        "JSON",
        "Label Studio",
    ]
    assert sorted(names("radiogroup")) == ["Compare with", "Grounder"]
    assert names("radio") == ["mine", "free", "none", "free"]  # mine is not compared with itself
    assert names("checkbox") == ["All objects that a phrase means, such as “both dogs”"]
    assert names("slider") == ["Minimum probability", "Minimum match"]
    assert "Settings" in names("group")
    headings = {" ".join(each.split()) for each in names("heading")}
    assert headings == {"aligncat", "Or try an example", "Answers", "mine", "red dog", "The grounders"}
    assert "Answer of mine" in names("region")
    assert "The photo with 1 answer, which is described below" in names("image")


def test_all_works_with_the_keyboard_alone(trial: Trial, photo: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    def focus(selector: str) -> None:
        for _ in range(40):
            trial.page.press(Keys.TAB)
            if trial.page.run("return document.activeElement.matches(arguments[0])", selector):
                return
        raise AssertionError(f"{selector} cannot be reached")

    def outlined() -> bool:
        return bool(
            trial.page.run(
                "const e = document.activeElement, f = e.id === 'file' ? e.closest('#drop') : e;"
                "return getComputedStyle(f).outlineStyle !== 'none' || getComputedStyle(f).boxShadow !== 'none'"
            )
        )

    focus("#file")
    assert outlined()
    trial.upload(photo)
    focus("#examples button")
    assert outlined()
    focus("#phrases textarea")
    trial.page.press("red dog")
    focus("#first input")
    focus("#second input")
    trial.page.press(Keys.ARROW_RIGHT)
    focus("#several")
    assert outlined()
    trial.page.press(Keys.SPACE)
    assert trial.page.run("return document.activeElement.checked")
    focus("#min-probability")
    assert outlined()
    trial.page.press(Keys.ARROW_RIGHT)
    assert trial.page.texts("#settings output") == ["0.05", "any"]
    focus("#min-match")
    focus("#ask")
    assert outlined()
    trial.page.press(Keys.ENTER)
    trial.answered(2)
    focus("details.candidates summary")
    assert outlined()
    trial.page.press(Keys.ENTER)
    assert trial.page.run("return document.activeElement.parentElement.open")
    focus(".scroll")
    focus("[data-download=json]")
    assert trial.page.errors() == []


def test_answers_are_downloaded(trial: Trial, photo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "downloads"
    trial.upload(photo).write("red dog", "couch").ask()
    names = [f"a photo.mine{each}" for each in (".json", ".coco.json", ".label-studio.zip")]
    for place, name in enumerate(names):
        trial.download(folder, name, place)
    expected: list[Any] = [
        each.to_dict() for each in trial.server.service.grounders["mine"].ground(photo, ["red dog", "couch"])
    ]
    written = json.loads((folder / names[0]).read_text())
    assert [each.pop("image") for each in written] == ["a photo.png"] * 2
    width, height = [each.pop("width") for each in written], [each.pop("height") for each in written]
    assert written == json.loads(json.dumps(expected))
    coco = COCO(str(folder / names[1]))
    assert coco.dataset["images"] == [{"id": 1, "file_name": "a photo.png", "width": width[0], "height": height[0]}]
    assert [each["expression"] for each in coco.dataset["annotations"]] == ["red dog", "couch"]
    with zipfile.ZipFile(folder / names[2]) as archive:
        assert archive.namelist() == ["tasks.json", "config.xml"]
        [task] = json.loads(archive.read("tasks.json"))
        assert '<Label value="red dog"/>' in archive.read("config.xml").decode()
    assert {each["type"] for each in task["predictions"][0]["result"]} == {"rectanglelabels", "brushlabels"}
    assert trial.page.errors() == []


def test_the_browser_gives_the_key(page: Page, tiny_detector: Path, photo: Path) -> None:
    from aligncat.serving.access import Access

    free = Grounder.from_pretrained("training-free", detector=tiny_detector)
    with served({"free": free}, AppSettings(access=Access("correct horse", any_host=True), page=True)) as server:
        page.driver.get(server.url.replace("http://", "http://anybody:correct%20horse@") + "/page/page.css")
        trial = Trial(page, server)  # without the key in its address: the browser has kept it
        trial.upload(photo).write("red dog").ask()
        assert len(trial.facts()) == 1
        assert page.errors() == []
