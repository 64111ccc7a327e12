"""A real Label Studio, from its package: projects, predictions, exports. See CONTRIBUTING.md for its environment."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from helpers.brush_reader import read_brush
from helpers.real_label_studio import COMMAND, RealLabelStudio, command, real_label_studio
from helpers.served import Process, serve_process

from aligncat.grounder.folder import SHIPPED
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.grounding import Grounding
from aligncat.mojiref.build import make_mojiref
from aligncat.mojiref.recipe import MojiRefConfig

pytestmark = pytest.mark.slow
PAGE = (Path(__file__).resolve().parents[3] / "docs" / "label-studio.md").read_text(encoding="utf-8")
CONFIG = dedent(re.findall(r"```xml\n(.*?)```", PAGE, re.DOTALL)[0])
KEY = "a key of the tests"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of MojiRef's drawings, with an odd name, as a person's may be."""
    data = tmp_path_factory.mktemp("photos") / "mojiref"
    make_mojiref(out=data, recipe=MojiRefConfig(train=2, val=2, test=2, seed=0))
    return (data / "images").rename(data / "my photos")


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Iterator[RealLabelStudio]:
    executable = command()
    if executable is None:
        pytest.skip(f"label-studio is not installed: make label-studio, and name it with {COMMAND}")
    with real_label_studio(executable, tmp_path_factory.mktemp("studio") / "data", photos.parent) as found:
        yield found


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory, studio: RealLabelStudio) -> Iterator[Process]:
    """Run the server as the page says, with the shipped grounder and a personal token."""
    log = tmp_path_factory.mktemp("backend") / "log"
    token = {"ALIGNCAT_LABEL_STUDIO_TOKEN": studio.personal_token()}
    with serve_process(log, "--label_studio_url", studio.url, environment=token) as found:
        yield found


@pytest.fixture
def project(studio: RealLabelStudio, photos: Path) -> int:
    """Return the number of a new project with the page's configuration and a local storage."""
    number: int = studio.ask("POST", "/api/projects/", 201, json={"title": "things", "label_config": CONFIG})["id"]
    storage = {"project": number, "title": "photos", "path": str(photos), "use_blob_urls": True}
    studio.ask("POST", "/api/storages/localfiles/", 201, json=storage)
    return number


def connect(studio: RealLabelStudio, project: int, url: str, expected: int = 201, **further: str) -> Any:
    return studio.ask(
        "POST", "/api/ml/", expected, json={"project": project, "url": url, "title": "aligncat", **further}
    )


def local(photo: Path) -> str:
    return f"/data/local-files/?d={quote(photo.parent.name)}/{photo.name}"


def predict(studio: RealLabelStudio, project: int) -> str:
    """Retrieve the predictions of all tasks, as in the list of tasks, and return what Label Studio says."""
    chosen = {"selectedItems": {"all": True, "excluded": []}}
    path = f"/api/dm/actions?id=retrieve_tasks_predictions&project={project}"
    return str(studio.ask("POST", path, json=chosen)["detail"])


def predictions(studio: RealLabelStudio, task: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = studio.ask("GET", f"/api/predictions?task={task}")
    return found


def check_regions(regions: list[dict[str, Any]], expected: list[Grounding], size: tuple[int, int]) -> None:
    """Compare the regions of a task with the grounder's own answers."""
    width, height = size
    boxes = [each for each in regions if each["type"] == "rectanglelabels"]
    for region, found in zip(boxes, expected, strict=True):
        value = region["value"]
        x1, y1 = value["x"] * width / 100, value["y"] * height / 100
        corners = (x1, y1, x1 + value["width"] * width / 100, y1 + value["height"] * height / 100)
        assert corners == pytest.approx(found.box) and value["rectanglelabels"] == ["object"]
        assert region["score"] == pytest.approx(found.probability, abs=1e-4)
        assert (region["original_width"], region["original_height"]) == size
    masks = [each for each in regions if each["type"] == "brushlabels"]
    for region, found in zip(masks, expected, strict=True):
        assert np.array_equal(read_brush(region["value"]["rle"], height, width) == 255, found.mask_array())


def test_predictions_are_shown_accepted_exported_and_read_back(
    studio: RealLabelStudio, backend: Process, project: int, photos: Path
) -> None:
    assert connect(studio, project, backend.url)["readable_state"] == "Connected"
    first, second = sorted(photos.iterdir())[:2]
    given = [
        {"image": local(first), "phrase": "left cat\nthe bus"},
        {"image": f"{studio.url}{local(second)}", "phrase": ["dog"]},
        {"image": "https://example.org/photo.jpg", "phrase": "dog"},
        {"image": local(first.with_name("gone.jpg")), "phrase": "dog"},
    ]
    path = f"/api/projects/{project}/import?return_task_ids=true"
    tasks = studio.ask("POST", path, 201, json=[{"data": data} for data in given])["task_ids"]
    assert predict(studio, project) == "Retrieved 4 predictions"  # of 4 tasks, whatever came back
    grounder = Grounder.from_pretrained(SHIPPED)
    expected = [grounder.ground(first, ["left cat", "the bus"]), grounder.ground(second, ["dog"])]
    sizes = [found[0].mask_array().shape[::-1] for found in expected]
    shown = [predictions(studio, task) for task in tasks]
    assert [len(each) for each in shown] == [1, 1, 0, 0], "a task that cannot be answered has no prediction"
    for [one], found, (width, height) in zip(shown[:2], expected, sizes, strict=True):
        check_regions(one["result"], found, (int(width), int(height)))
        assert one["score"] == pytest.approx(min(each.probability for each in found), abs=1e-4)
        assert one["model_version"].startswith("aligncat mojiref-grounder ")

    # The photo is there now, and only the tasks without a prediction are asked again.
    (first.parent / "gone.jpg").write_bytes(second.read_bytes())
    predict(studio, project)
    assert [len(predictions(studio, task)) for task in tasks] == [1, 1, 0, 1]

    chosen = {"selectedItems": {"all": False, "included": tasks[:2]}}
    studio.ask("POST", f"/api/dm/actions?id=predictions_to_annotations&project={project}", json=chosen)
    exported = studio.ask("GET", f"/api/projects/{project}/export?exportType=JSON")
    assert [each["id"] for each in exported] == tasks[:2]
    for task, found, (width, height) in zip(exported, expected, sizes, strict=True):
        [annotation] = task["annotations"]
        check_regions(annotation["result"], found, (int(width), int(height)))
    reply = studio.http.get(f"/api/projects/{project}/export?exportType=COCO")
    with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
        coco = json.loads(archive.read("result.json"))
    boxes = [found.box for each in expected for found in each]
    for annotation, (x1, y1, x2, y2) in zip(coco["annotations"], boxes, strict=True):
        assert annotation["bbox"] == pytest.approx([x1, y1, x2 - x1, y2 - y1], abs=0.01)


def test_a_project_that_does_not_fit_is_refused_and_the_log_says_why(studio: RealLabelStudio, backend: Process) -> None:
    config = re.sub(r"<Text .*?/>", "", CONFIG)
    wrong = studio.ask("POST", "/api/projects/", 201, json={"title": "no text", "label_config": config})["id"]
    refused = connect(studio, wrong, backend.url, 400)
    assert "422 Client Error" in str(refused["validation_errors"])
    problems = [json.loads(line).get("problem", "") for line in backend.log.read_text().splitlines() if line[0] == "{"]
    assert any("it has 0 <Text>" in each for each in problems)


def test_a_key_is_given_as_the_password_and_a_legacy_token_fetches_photos(
    studio: RealLabelStudio, project: int, photos: Path, tmp_path: Path
) -> None:
    environment = {"ALIGNCAT_LABEL_STUDIO_TOKEN": studio.token, "ALIGNCAT_API_KEY": KEY}
    with serve_process(tmp_path / "log", "--label_studio_url", studio.url, environment=environment) as backend:
        basic = {"auth_method": "BASIC_AUTH", "basic_auth_user": "anybody"}
        assert "401" in str(connect(studio, project, backend.url, 400))
        assert "401" in str(connect(studio, project, backend.url, 400, **basic, basic_auth_pass="a wrong key"))
        connect(studio, project, backend.url, 201, **basic, basic_auth_pass=KEY)
        data = {"image": local(min(photos.iterdir())), "phrase": "dog"}
        path = f"/api/projects/{project}/import?return_task_ids=true"
        [task] = studio.ask("POST", path, 201, json=[{"data": data}])["task_ids"]
        predict(studio, project)
        [one] = predictions(studio, task)
        assert one["result"]
