"""The training of a detector as a whole: its folder, resumption, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.fabricate import CATEGORIES
from helpers.fabricate_instances import InstancesFiles, write_instances
from helpers.tiny_detector import save_tiny_detector
from PIL import Image
from transformers import Mask2FormerForUniversalSegmentation

from aligncat.api.train_detector import train_detector
from aligncat.commands.closing import closing_line
from aligncat.detectors.registry import detector_folder, open_detector
from aligncat.detectors.training import fine_tune, loop
from aligncat.detectors.training.recipe import DetectorRecipe
from aligncat.detectors.training.scores import Scores
from aligncat.detectors.training.segmenter import start_from
from aligncat.detectors.training_record import TrainingRecord, continued
from aligncat.errors import ConfigError, DataError, DetectorError

TINY = DetectorRecipe(epochs=2, batch_size=3, validations=2, held_out=0.25, precision="float32")


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_detector(tmp_path_factory.mktemp("start") / "tiny", labels=("dog", "cup", "Couch"))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> InstancesFiles:
    return write_instances(tmp_path_factory.mktemp("data"), photos=8)


def run(files: InstancesFiles, start: Path, out: Path, recipe: DetectorRecipe = TINY, save_every: int = 1) -> Path:
    return train_detector(
        data=files.path, images=files.images, out=out, from_=start, recipe=recipe, save_every=save_every, device="cpu"
    )


@pytest.fixture(scope="module")
def trained(files: InstancesFiles, start: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(files, start, tmp_path_factory.mktemp("out") / "mine")


def test_the_folder_is_a_detector_of_the_datas_categories(trained: Path, files: InstancesFiles) -> None:
    detector = open_detector(str(trained), candidates=4)
    assert detector.labels == tuple(CATEGORIES.values()) and detector.description().image_size == 64
    told = json.loads((trained / "preprocessor_config.json").read_text())
    assert told["size"] == {"height": 64, "width": 64} and told["image_mean"] == [0.485, 0.456, 0.406]
    [found] = detector.detect([Image.open(files.images / "photo-0.png").convert("RGB")], ["0"])
    assert len(found) == 4
    assert [path.name for path in trained.parent.iterdir()] == ["mine"], "nothing is left beside it"


def test_the_folder_records_what_it_saw(trained: Path, start: Path, files: InstancesFiles, tmp_path: Path) -> None:
    record = TrainingRecord.read(str(trained))
    assert record is not None and record.started_from == (f"local folder {start.name}",)
    assert len(record.images) == 6 and len(record.held_out) == 2
    assert sorted((*record.images, *record.held_out)) == [f"photo-{number}.png" for number in range(8)]
    more = write_instances(tmp_path, photos=3, first=20)
    again = TrainingRecord.read(str(run(more, trained, tmp_path / "again", replace(TINY, held_out=0, epochs=1))))
    assert again is not None and again.started_from == record.started_from
    assert set(again.images) == {*record.images, "photo-20.png", "photo-21.png", "photo-22.png"}
    assert again.held_out == record.held_out


def test_the_card_names_the_data_and_the_scores_of_the_kept_weights(trained: Path) -> None:
    card = (trained / "README.md").read_text()
    config = json.loads((trained / "config.json").read_text())
    history = config["aligncat_training"]["history"]
    assert [entry["step"] for entry in history] == [2, 4]
    assert '"photos": 6' in card and '"objects": 12' in card and '"person"' in card
    assert len(re.findall(r"^\| [24] \|", card, re.MULTILINE)) == 2
    assert "sofa" not in card and str(trained.parent) not in card, "no path of this disk"


def test_a_copy_of_the_mini_detector_is_recorded_as_it(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(detector_folder("mini").path, tmp_path / "copy"))
    weights = detector_folder(str(copy)).weights_sha256()
    assert continued(str(copy), weights, ["a"], []).started_from == ("mini",)
    assert continued(str(copy), "0" * 64, ["a"], []).started_from == ("local folder copy",)


def test_a_training_from_mini_does_not_inherit_its_recipe(files: InstancesFiles, tmp_path: Path) -> None:
    recipe = replace(TINY, epochs=1, held_out=0, batch_size=8)
    out = train_detector(data=files.path, images=files.images, out=tmp_path / "mine", recipe=recipe, device="cpu")
    config = json.loads((out / "config.json").read_text())
    assert {key for key in config if key.startswith("aligncat_")} == {
        "aligncat_image_size",
        "aligncat_started_from",
        "aligncat_training",
        "aligncat_weights_sha256",
        "aligncat_config_sha256",
    }
    assert (config["aligncat_started_from"], config["aligncat_image_size"]) == (["mini"], 160)
    assert '"learning_rate": 0.0004' in (out / "README.md").read_text()
    # Earlier versions kept the key. A training that continues is none from a mini detector in either case.
    assert not start_from(detector_folder(str(out)), ["dog"], [None], None).own_recipe
    older = {key: value for key, value in config.items() if key != "aligncat_config_sha256"}
    (out / "config.json").write_text(json.dumps({**older, "aligncat_recipe": {}}))
    assert not start_from(detector_folder(str(out)), ["dog"], [None], None).own_recipe


@pytest.mark.parametrize(("found", "poor"), [(0.49, True), (0.5, False)])
def test_a_detector_that_finds_less_than_half_of_the_objects_is_warned_of(
    files: InstancesFiles, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, found: float, poor: bool,
) -> None:  # fmt: skip
    shares = [found, 0.1]  # the second measurement is worse, so the weights of the first are kept
    monkeypatch.setattr(
        fine_tune,
        "score_segmenter",
        lambda *_, **__: Scores(objects=1234, found=shares.pop(0), right=0.8, box_ap=0.5, mask_ap=None),
    )
    out = run(files, start, tmp_path / "mine")
    warning = f"{out} finds only 49.0% of the objects of held-out photos."
    assert [each.message.startswith(warning) for each in caplog.records if each.levelname == "WARNING"] == [True] * poor
    line = closing_line("detector train", {"out": str(out), "images": "photos"}, out)
    assert line.startswith(
        f"The detector is in {out}. Of the 1,234 objects of held-out photos it finds {100 * found:.1f}%, and names "
        "the right class for 80.0% of those (step 2). Next: aligncat extract --images photos "
    )
    caplog.clear()
    run(files, start, out)  # which has ended already
    assert [each.message.startswith(warning) for each in caplog.records if each.levelname == "WARNING"] == [True] * poor


class StopTrainingError(Exception):
    pass


@pytest.mark.parametrize("passes", [2, 4])
def test_an_interrupted_training_ends_with_the_same_bytes(
    trained: Path, files: InstancesFiles, start: Path, tmp_path: Path, passes: int
) -> None:
    count = 0

    def interrupt(module: torch.nn.Module, args: object, output: object) -> None:
        nonlocal count
        if isinstance(module, Mask2FormerForUniversalSegmentation) and module.training:
            count += 1
            if count == passes:
                raise StopTrainingError

    out = tmp_path / "mine"
    handle = torch.nn.modules.module.register_module_forward_hook(interrupt)
    try:
        with pytest.raises(StopTrainingError):
            run(files, start, out)
    finally:
        handle.remove()
    assert not out.exists() and (tmp_path / "mine.state.pt").exists()
    with pytest.raises(DetectorError, match=r"mine.state.pt: belongs to another recipe \(it differs in recipe\)"):
        run(files, start, out, replace(TINY, clip=1.0))
    run(files, start, out)
    assert [path.name for path in sorted(out.iterdir())] == [path.name for path in sorted(trained.iterdir())]
    for path in trained.iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes(), path.name
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_weights_in_the_folder_are_those_of_the_step_that_the_card_names(
    files: InstancesFiles, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repeated step may measure less than it did before the interruption, as on a GPU."""
    found: list[float] = []
    measured: dict[float, dict[str, torch.Tensor]] = {}

    def score(model: torch.nn.Module, *args: object, **others: object) -> Scores:
        measured[found[0]] = {name: each.clone() for name, each in model.state_dict().items()}
        return Scores(objects=4, found=found.pop(0), right=1.0, box_ap=0.5, mask_ap=None)

    monkeypatch.setattr(fine_tune, "score_segmenter", score)
    recipe = replace(TINY, validations=4)  # after each of the four steps
    whole = loop._Steps._save

    def stop_before_saving(steps: loop._Steps) -> None:
        if steps.done == 4:
            raise StopTrainingError
        whole(steps)

    found += [0.2, 0.3, 0.9, 0.1]
    monkeypatch.setattr(loop._Steps, "_save", stop_before_saving)
    with pytest.raises(StopTrainingError):
        run(files, start, tmp_path / "mine", recipe, save_every=2)
    monkeypatch.setattr(loop._Steps, "_save", whole)
    found += [0.25, 0.15]  # the third step, which was 0.9 in the attempt that was lost, and the fourth
    out = run(files, start, tmp_path / "mine", recipe, save_every=2)
    assert "The weights of step 2 are in this folder." in (out / "README.md").read_text()
    kept = Mask2FormerForUniversalSegmentation.from_pretrained(out).state_dict()
    for name, weight in measured[0.3].items():
        assert torch.equal(kept[name].float(), weight.float()), name
    assert any(not torch.equal(kept[name].float(), weight.float()) for name, weight in measured[0.9].items())
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_finished_training_is_not_repeated(
    trained: Path, files: InstancesFiles, start: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    before = {path: path.stat().st_mtime_ns for path in trained.iterdir()}
    assert run(files, start, trained) == trained
    assert {path: path.stat().st_mtime_ns for path in trained.iterdir()} == before
    assert "this training has ended already" in caplog.text


def test_a_folder_with_anything_else_is_not_overwritten(trained: Path, files: InstancesFiles, start: Path) -> None:
    with pytest.raises(DataError, match="is not empty"):
        run(files, start, trained, replace(TINY, seed=1))


def test_without_held_out_photos_the_last_weights_are_kept(files: InstancesFiles, start: Path, tmp_path: Path) -> None:
    out = run(files, start, tmp_path / "mine", replace(TINY, held_out=0, epochs=1))
    assert "No photo was held out" in (out / "README.md").read_text()
    line = closing_line("detector train", {"out": out, "images": "photos"}, out)
    assert line.startswith(f"The detector is in {out}. No photo was held out, so it was not measured. Next: ")
    assert TrainingRecord.read(str(out)).held_out == ()  # type: ignore[union-attr]


def test_other_photos_can_choose_the_weights_but_no_photo_can_do_both(
    files: InstancesFiles, start: Path, tmp_path: Path
) -> None:
    val = write_instances(tmp_path / "val", photos=2, first=30)
    shared = {"data": files.path, "images": files.images, "from_": start, "recipe": replace(TINY, epochs=1)}
    out = train_detector(**shared, out=tmp_path / "mine", val=val.path, val_images=val.images)  # type: ignore[arg-type]
    record = TrainingRecord.read(str(out))
    assert record is not None and len(record.images) == 8 and record.held_out == ("photo-30.png", "photo-31.png")
    with pytest.raises(DataError, match="8 of its photos are also in"):
        train_detector(**shared, out=tmp_path / "other", val=files.path)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="which is missing"):
        train_detector(**shared, out=tmp_path / "other", val_images=val.images)  # type: ignore[arg-type]


@pytest.mark.parametrize(("alone", "part"), [(True, "3 photos to train on"), (False, "1 photos held out")])
def test_both_parts_need_an_object(start: Path, tmp_path: Path, alone: bool, part: str) -> None:
    files = write_instances(tmp_path, photos=4)  # of which the seed holds out photo-2
    rows = files.content["annotations"]
    files.content["annotations"] = [row for row in rows if (row["image_id"] == 2) is alone]
    files.save()
    with pytest.raises(DataError, match=rf"none of the {part} has an annotated object; choose another"):
        run(files, start, tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_a_training_that_diverges_says_at_which_step(files: InstancesFiles, start: Path, tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match=r"detecting objects: the gradient of step [23] is not finite"):
        run(files, start, tmp_path / "mine", replace(TINY, learning_rate=1e30))
    assert not (tmp_path / "mine").exists()


def test_a_damaged_record_is_refused(trained: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained, tmp_path / "mine"))
    (folder / "trained-on.txt").unlink()
    with pytest.raises(DetectorError, match=r"trained-on.txt: the list of the images that it saw is missing"):
        TrainingRecord.read(str(folder))
