"""Training runs: reproducible, resumable, the best epoch is kept, and invalid input is refused."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.fabricate import write_jsonl_dataset, write_refer_dataset
from helpers.tiny_run import (
    ALIGNMENT,
    STEPS,
    TEXT,
    TRAINING,
    World,
    averaged,
    checkpoint,
    equal,
    interrupted_at,
    logged,
    run,
    weights,
)
from safetensors.torch import load_file

from aligncat.alignment.config import AlignmentConfig
from aligncat.api.extract import extract
from aligncat.api.train import train
from aligncat.datasets.load import load_split
from aligncat.errors import AligncatError, ConfigError, DataError, DetectorError, StoreError
from aligncat.evaluation.questions import Questions
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.model import GroundingModel, ModelConfig
from aligncat.language.vocabulary import Vocabulary
from aligncat.training.data import GroundingData


@pytest.fixture(scope="module")
def early_best(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path]:
    """A seed whose best epoch is neither the first nor the last, and the folder of its run."""
    folder = tmp_path_factory.mktemp("early")
    for seed in range(20):
        run(world, folder / str(seed), seed=seed)
        rec = logged(folder / str(seed), "val/rec")
        if 0 < rec.index(max(rec)) < len(rec) - 1:
            return seed, folder / str(seed)
    raise AssertionError("no seed has its best epoch in the middle: change the tiny world or its settings")


# A softmax cancels these biases: of the keys, of the words' weights, and of the queries, whose product with a text is
# the same for its positive and its negatives. Their gradients are nothing but rounding, which Adam enlarges.
CANCELLED = {
    "text.blocks.0.attend_in.bias": slice(TEXT.dim, 2 * TEXT.dim),
    "text.pooling.score.2.bias": slice(None),
    "alignment.fine.phrase_attention.weigh.bias": slice(None),
    "alignment.global_query.bias": slice(None),
    "alignment.fine.query.bias": slice(None),
}


class TestReproducible:
    def test_the_seed_determines_the_weights(self, world: World, trained: Path, tmp_path: Path) -> None:
        run(world, tmp_path / "same")
        run(world, tmp_path / "other", seed=1)
        assert weights(tmp_path / "same") == weights(trained)
        assert weights(tmp_path / "other") != weights(trained)

    def test_repeating_a_finished_run_changes_nothing(self, world: World, early_best: tuple[int, Path]) -> None:
        seed, out = early_best
        before = weights(out)
        run(world, out, seed=seed)
        assert weights(out) == before

    def test_training_equals_a_plain_loop(self, world: World, tmp_path: Path) -> None:
        """The loop spells out Adam with its betas and eps, the schedule per step, clipping, and Eq. 19 with dropout."""
        out = tmp_path / "run"
        changes: dict[str, Any] = {"epochs": 2, "warmup_epochs": 1, "clip_norm": 0.05, "ema_decay": 0.0, "seed": 3}
        run(world, out, val_split=None, **changes)

        split, store = load_split(world.data, "train"), world.open()
        vocabulary = Vocabulary.from_expressions(expression.text for expression in split.expressions)
        batches = GroundingData(
            train=split,
            val=None,
            store=store,
            vocabulary=vocabulary,
            max_length=8,
            batch_size=8,
            seed=3,
            with_labels=True,
        )
        torch.manual_seed(3)
        config = ModelConfig(ALIGNMENT, TEXT)
        model = GroundingModel(config, len(vocabulary), feature_dim=store.manifest.feature_dim, classes=3).train()
        optimizer = torch.optim.Adam(model.parameters(), betas=(0.9, 0.98), eps=1e-9, fused=True)
        clipped = 0
        for step in range(2 * STEPS):
            if step % STEPS == 0:
                loader = batches.train_dataloader()
                loader.batch_sampler.sampler.set_epoch(step // STEPS)  # type: ignore[attr-defined]
                torch.manual_seed(3 * 2**20 + step // STEPS)
                steps = iter(loader)
            batch = next(steps)
            alignment = model(batch.images, batch.tokens, batch.labels)
            losses = model.alignment.losses(alignment, batch.images.valid, batch.image_index, batch.labels)
            optimizer.zero_grad()
            losses["total"].backward()
            clipped += float(torch.nn.utils.clip_grad_norm_(model.parameters(), 0.05)) > 0.05
            rising = 1e-7 + (0.02 - 1e-7) * step / STEPS
            falling = 1e-6 + (0.02 - 1e-6) * (1 + math.cos(math.pi * (step - STEPS) / STEPS)) / 2
            optimizer.param_groups[0]["lr"] = rising if step < STEPS else falling
            optimizer.step()
        assert clipped == 2 * STEPS
        found = load_file(out / "model.safetensors")
        for name, expected in model.state_dict().items():
            if name in CANCELLED:
                found[name][CANCELLED[name]] = expected[CANCELLED[name]] = 0
            torch.testing.assert_close(found[name], expected, rtol=1e-4, atol=1e-6, msg=name)


class TestResume:
    @pytest.mark.parametrize(
        ("passes", "training"),
        [
            pytest.param(1, True, id="before the first step"),
            pytest.param(2, True, id="in epoch 1"),
            pytest.param(STEPS + 1, True, id="after epoch 1"),
            pytest.param(2 * STEPS, True, id="in epoch 2"),
            pytest.param(2 * STEPS + 1, True, id="after epoch 2"),
            pytest.param(3 * STEPS + 1, True, id="after epoch 3"),
            pytest.param(4 * STEPS, True, id="in the last step"),
            pytest.param(1, False, id="in the first validation"),
            pytest.param(4, False, id="in the last validation"),
        ],
    )
    def test_stopped_and_resumed_equals_uninterrupted(
        self, passes: int, training: bool, world: World, early_best: tuple[int, Path], tmp_path: Path
    ) -> None:
        seed, whole = early_best
        handler = signal.getsignal(signal.SIGINT)
        with interrupted_at(passes, training=training), pytest.raises(KeyboardInterrupt):
            run(world, tmp_path / "run", seed=seed)
        assert signal.getsignal(signal.SIGINT) is handler
        assert torch.utils.deterministic.fill_uninitialized_memory, "torch's global settings must be restored"
        assert not (tmp_path / "run" / "model.safetensors").exists()
        run(world, tmp_path / "run", seed=seed)
        assert weights(tmp_path / "run") == weights(whole)
        assert equal(averaged(tmp_path / "run", "last"), averaged(whole, "last"))

    def test_stopped_after_every_epoch(self, world: World, early_best: tuple[int, Path], tmp_path: Path) -> None:
        seed, whole = early_best
        for _ in range(3):
            with interrupted_at(STEPS + 1), pytest.raises(KeyboardInterrupt):
                run(world, tmp_path / "run", seed=seed)
        run(world, tmp_path / "run", seed=seed)
        assert weights(tmp_path / "run") == weights(whole)
        # The logs of all four starts together contain every epoch.
        logs = [logged(tmp_path / "run", "val/rec", start) for start in range(4)]
        assert [len(log) for log in logs] == [1, 1, 1, 1]
        assert [rec for log in logs for rec in log] == logged(whole, "val/rec")

    def test_in_a_folder_that_was_moved(self, world: World, early_best: tuple[int, Path], tmp_path: Path) -> None:
        seed, whole = early_best
        with interrupted_at(3 * STEPS + 1), pytest.raises(KeyboardInterrupt):
            run(world, tmp_path / "here", seed=seed)
        (tmp_path / "here").rename(tmp_path / "there")
        run(world, tmp_path / "there", seed=seed)
        assert weights(tmp_path / "there") == weights(whole)

    def test_without_validation(self, world: World, tmp_path: Path) -> None:
        run(world, tmp_path / "whole", val_split=None)
        with interrupted_at(2 * STEPS + 2), pytest.raises(KeyboardInterrupt):
            run(world, tmp_path / "run", val_split=None)
        run(world, tmp_path / "run", val_split=None)
        assert weights(tmp_path / "run") == weights(tmp_path / "whole")

    def test_after_an_upgrade_of_a_library(
        self, world: World, early_best: tuple[int, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        seed, whole = early_best
        with interrupted_at(STEPS + 1), pytest.raises(KeyboardInterrupt):
            run(world, tmp_path / "run", seed=seed)
        path = tmp_path / "run" / "run" / "settings.json"
        settings = json.loads(path.read_text())
        del settings["content_sha256"]  # it would show that the file was edited
        settings["versions"]["torch"] = "2.6.0"
        path.write_text(json.dumps(settings))
        run(world, tmp_path / "run", seed=seed)
        assert weights(tmp_path / "run") == weights(whole)
        assert "other versions" in caplog.text

    def test_started_by_a_version_whose_settings_have_sizes(
        self, world: World, early_best: tuple[int, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        seed, whole = early_best
        with interrupted_at(STEPS + 1), pytest.raises(KeyboardInterrupt):
            run(world, tmp_path / "run", seed=seed)
        path = tmp_path / "run" / "run" / "settings.json"
        settings = json.loads(path.read_text())
        del settings["content_sha256"]  # it would show that the file was edited
        settings["alignment"] |= {"visual_dim": 32, "text_dim": 16, "classes": 3}
        path.write_text(json.dumps(settings))
        caplog.clear()
        run(world, tmp_path / "run", seed=seed)
        assert weights(tmp_path / "run") == weights(whole)
        warned = [
            record.getMessage()
            for record in caplog.records
            if record.levelname == "WARNING" and record.funcName != "calibrate"
        ]
        assert [message.split(": ")[0] for message in warned] == [str(path)]

    def test_killed_in_the_middle(self, world: World, early_best: tuple[int, Path], tmp_path: Path) -> None:
        """Another process is killed in a step of the third epoch."""
        seed, whole = early_best
        arguments = [world.data.path, world.detector, world.store, tmp_path / "run", seed, 2 * STEPS + 2]
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, *map(str, arguments)],
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads()), "PYTHONPATH": ":".join(sys.path)},
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert checkpoint(tmp_path / "run", "last")["epoch"] == 1
        run(world, tmp_path / "run", seed=seed)
        assert weights(tmp_path / "run") == weights(whole)


KILLED = """
import os, signal, sys
from pathlib import Path
from helpers.fabricate import ReferFiles
from helpers.tiny_run import World, interrupted_at, run
from aligncat.datasets.config import DataConfig
data, detector, store, out = map(Path, sys.argv[1:5])
seed, passes = map(int, sys.argv[5:])
with interrupted_at(passes, by=lambda: os.kill(os.getpid(), signal.SIGKILL)):
    run(World(ReferFiles(DataConfig(data, "refcoco"), data), detector, store), out, seed=seed)
"""


class TestBest:
    def test_the_best_epoch_is_kept(self, world: World, early_best: tuple[int, Path], tmp_path: Path) -> None:
        seed, out = early_best
        rec = logged(out, "val/rec")
        best = rec.index(max(rec))
        assert checkpoint(out, "best")["epoch"] == best
        # A run without validation, stopped after that epoch, has the expected averaged weights.
        with interrupted_at((best + 1) * STEPS + 1), pytest.raises(KeyboardInterrupt):
            run(world, tmp_path / "stopped", seed=seed, val_split=None)
        assert checkpoint(tmp_path / "stopped", "last")["epoch"] == best
        assert equal(load_file(out / "model.safetensors"), averaged(tmp_path / "stopped", "last"))
        assert not equal(load_file(out / "model.safetensors"), averaged(out, "last"))

    def test_without_validation_the_last_epoch_is_kept(self, world: World, tmp_path: Path) -> None:
        out = tmp_path / "run"
        run(world, out, val_split=None)
        assert checkpoint(out, "last")["epoch"] == 3
        assert equal(load_file(out / "model.safetensors"), averaged(out, "last"))

    def test_logs_have_losses_and_validation_metrics(self, early_best: tuple[int, Path]) -> None:
        _, out = early_best
        for key in ("total", "contrastive", "global", "fine", "category"):
            losses = logged(out, f"train/{key}")
            assert len(losses) == 4 and all(map(math.isfinite, losses))
        assert len(logged(out, "val/rec")) == len(logged(out, "val/res")) == 4
        assert list((out / "run" / "tensorboard").glob("events.out.tfevents.*"))

    def test_validation_metrics_equal_those_of_the_evaluation(self, world: World, trained: Path) -> None:
        from aligncat.evaluation.answering import answer

        answers = answer(Grounder.from_pretrained(trained), "x", Questions.load(world.data, world.open(), "val"))
        assert answers.result.metrics.rec == pytest.approx(max(logged(trained, "val/rec")))


class TestRefused:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"seed": 5}, r"training\.seed was 0 and is 5"),
            ({"learning_rate": 0.5}, r"training\.learning_rate was 0\.02 and is 0\.5"),
            ({"val_split": None}, r"val_split was 'val' and is None"),
            ({"alignment": replace(ALIGNMENT, keep=3)}, r"alignment\.keep was 4 and is 3"),
        ],
    )
    def test_a_run_with_other_settings(
        self, changes: dict[str, Any], message: str, world: World, trained: Path
    ) -> None:
        before = contents(trained)
        with pytest.raises(ConfigError, match=message):
            run(world, trained, **changes)
        assert contents(trained) == before

    def test_a_folder_with_other_files(self, world: World, tmp_path: Path) -> None:
        (tmp_path / "notes").mkdir()
        (tmp_path / "notes" / "thesis.txt").write_text("years of work")
        with pytest.raises(ConfigError, match="not an empty folder"):
            run(world, tmp_path)
        assert contents(tmp_path) == {"notes/thesis.txt": b"years of work"}

    def test_a_file_in_place_of_the_folder(self, world: World, tmp_path: Path) -> None:
        (tmp_path / "out").write_text("x")
        with pytest.raises(ConfigError, match="out is a file; choose another folder"):
            run(world, tmp_path / "out")

    def test_a_batch_size_above_the_number_of_referents_which_can_then_be_corrected(
        self, world: World, tmp_path: Path
    ) -> None:
        with pytest.raises(ConfigError, match="batch_size is 25 and the training split has only 24 referents"):
            run(world, tmp_path / "run", batch_size=25)
        assert not (tmp_path / "run").exists()
        run(world, tmp_path / "run", batch_size=24, epochs=1)

    def test_a_store_without_the_images(self, world: World, tmp_path: Path) -> None:
        other = write_refer_dataset(tmp_path / "data", splits={"train": 30, "val": 2})
        with pytest.raises(StoreError, match="not in the store"):
            run(world, tmp_path / "run", data=other.config)

    def test_a_category_that_the_detector_does_not_have(self, world: World, tmp_path: Path) -> None:
        other = write_refer_dataset(tmp_path / "data", splits={"train": 12, "val": 4})
        for category in other.instances["categories"]:
            category["name"] = category["name"].replace("couch", "armchair")
        other.save()
        with pytest.raises(DetectorError, match=r"no category 'armchair'.*Use a detector"):
            run(world, tmp_path / "run", data=other.config)
        # QueryMatch uses no categories, so no category can be missing.
        run(world, tmp_path / "run", data=other.config, alignment=preset("querymatch"), val_split=None, epochs=1)

    def test_no_label_at_all(self, world: World, tmp_path: Path) -> None:
        data = write_jsonl_dataset(tmp_path / "data")
        for path in data.path.glob("*.jsonl"):
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            bare = [{k: v for k, v in row.items() if k != "category"} | {"expression": "the one there"} for row in rows]
            path.write_text("".join(json.dumps(row) + "\n" for row in bare))
        extract(out=tmp_path / "store", data=data, detector=str(world.detector), candidates=6)
        arguments: dict[str, Any] = {
            "data": data,
            "store": tmp_path / "store",
            "text": TEXT,
            "training": replace(TRAINING, batch_size=3, epochs=1),
            "progress": False,
        }
        for name in ("aligncat", "classifier-in-both", "classifier-at-inference"):
            with pytest.raises(ConfigError, match=r"no expression of jsonl train has one.*querymatch"):
                train(out=tmp_path / "run", alignment=preset(name), **arguments)
        train(out=tmp_path / "run", alignment=preset("global+fine"), **arguments)

    def test_a_missing_dataset(self, world: World, tmp_path: Path) -> None:
        with pytest.raises(DataError):
            run(world, tmp_path / "run", data=replace(world.data, path=tmp_path))

    def test_word_vectors_of_another_size(self, world: World, tmp_path: Path) -> None:
        (tmp_path / "vectors.txt").write_text("person 1 2 3\ndog 4 5 6\n")
        with pytest.raises(AligncatError, match=r"text\.word_dim"):
            train(
                data=world.data,
                store=world.store,
                out=tmp_path / "run",
                alignment=ALIGNMENT,
                text=TEXT,
                training=TRAINING,
                word_vectors=tmp_path / "vectors.txt",
                progress=False,
            )
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["querymatch", "global+class", "fine+global+class", "category-at-confidence"])
def test_other_presets_are_trained_and_loaded(name: str, world: World, tmp_path: Path) -> None:
    grounder = run(world, tmp_path / "run", alignment=preset(name), epochs=1)
    again = Grounder.from_pretrained(tmp_path / "run")
    assert again.model.config == grounder.model.config
    found = asdict(again.model.config.alignment)
    assert {key: found[key] for key in ("order", "category_train", "category_infer", "category_stage")} == {
        key: value for key, value in asdict(preset(name)).items() if key in ("order",) or key.startswith("category")
    }


def test_third_party_messages_and_warnings_are_silenced(
    world: World,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
) -> None:
    run(world, tmp_path / "validated", epochs=2)
    run(world, tmp_path / "alone", epochs=2, val_split=None)
    with interrupted_at(STEPS + 1), pytest.raises(KeyboardInterrupt):
        run(world, tmp_path / "stopped")
    caplog.clear()
    run(world, tmp_path / "stopped")
    assert capfd.readouterr() == ("", "")
    # The tiny split is too small for a calibration, which is said too.
    assert [each for each in caplog.records if each.funcName not in ("on_train_epoch_end", "calibrate")] == []
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.parametrize("progress", [False, True])
def test_without_a_terminal_each_epoch_is_a_line_of_the_log(
    progress: bool, world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="aligncat"):
        run(world, tmp_path / "run", epochs=2, progress=progress)
    lines = [line for line in caplog.messages if line.startswith("epoch ")]
    assert [line.split(":")[0] for line in lines] == ["epoch 1 of 2", "epoch 2 of 2"]
    losses, recs = logged(tmp_path / "run", "train/total"), logged(tmp_path / "run", "val/rec")
    expected = [f"loss {loss:.4g}, val/rec {rec:.4g}" for loss, rec in zip(losses, recs, strict=True)]
    assert [line.split(": ")[1] for line in lines] == expected


def test_the_progress_bar_is_on_stderr(
    world: World, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    run(world, tmp_path / "run", epochs=1, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "val/rec" in err and "v_num" not in err


def preset(name: str) -> AlignmentConfig:
    return AlignmentConfig.preset(name, dim=16, negatives_per_image=2, keep=4)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_missing_validation_split_is_an_error_that_says_how_to_go_on(world: World, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no split 'dev', only train, .*--val_split null"):
        run(world, tmp_path / "run", val_split="dev")
    assert not (tmp_path / "run").exists()
