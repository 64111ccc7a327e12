"""The runs of a study: each trains one row with one seed and answers every split."""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.load import load_split
from aligncat.evaluation.answering import answer, open_queries, save_answers
from aligncat.evaluation.answers import Answers
from aligncat.evaluation.judge import judge_choices
from aligncat.evaluation.overlaps import Overlaps
from aligncat.evaluation.questions import Questions
from aligncat.evaluation.training_images import read_training_images
from aligncat.files.locks import folder_lock
from aligncat.files.write_errors import named_write_errors
from aligncat.training.epochs import ValidationSplit
from aligncat.training.fit import fit
from aligncat.training.run_folder import check_settings, describe_split

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from aligncat.datasets.config import DataConfig
    from aligncat.datasets.split import Split
    from aligncat.evaluation.leak import Judgement
    from aligncat.evaluation.results import Seen
    from aligncat.evaluation.training_images import TrainingImages
    from aligncat.store.reader import Store
    from aligncat.studies.study import StudyRow
    from aligncat.training.presets import Preset

ANSWERS = "answers"  # the subfolder of a run's folder


@dataclass(frozen=True)
class StudyInputs:
    """The inputs shared by all runs of a study. They can be pickled and sent to worker processes.

    Attributes:
        data: the dataset.
        stores: the store narrowed to each number of candidates that a row uses; the key None is the whole store.
        splits: the splits to evaluate.
        queries: a store of every query of the detector, or None.
        detector_images: the images that the detector was trained on, as `aligncat audit` takes them, or None.
        seen: the user's claim about whether the detector was trained on the images of the splits, or None.
    """

    data: DataConfig
    stores: Mapping[int | None, Store]
    splits: tuple[str, ...]
    queries: Path | None
    detector_images: str | None
    seen: Seen | None


class LoadedInputs:
    """The inputs of a study in one process, each file read once."""

    def __init__(self, inputs: StudyInputs) -> None:
        """Wrap the inputs. Files are read when they are first needed."""
        self.inputs = inputs
        self._splits: dict[str, Split] = {}
        self._questions: dict[tuple[int | None, str], Questions] = {}

    def read_splits(self) -> None:
        """Read the expressions of all splits at once, so that each annotation file is parsed only once."""
        with AnnotationFiles() as files:
            for name in ("train", *self.inputs.splits):
                self._splits[name] = self._read(name, files)

    def split(self, name: str) -> Split:
        """Return a split's expressions."""
        if name not in self._splits:
            self._splits[name] = self._read(name)
        return self._splits[name]

    def _read(self, name: str, files: AnnotationFiles | None = None) -> Split:
        labels = next(iter(self.inputs.stores.values())).labels
        return load_split(self.inputs.data, name, check_images=False, categories=labels, files=files)

    def questions(self, candidates: int | None, split: str) -> Questions:
        """Return a split with its truth and the store narrowed to a number of candidates (None for all)."""
        key = candidates, split
        if key not in self._questions:
            self._questions[key] = Questions.load(self.inputs.data, self.inputs.stores[candidates], split)
        return self._questions[key]

    def validation(self, candidates: int | None) -> ValidationSplit:
        """Return the expressions of the split val that have a target, and the function that judges choices for them."""
        val = self.questions(candidates, "val")
        pairs = val.split.with_targets()
        if pairs is val.split:
            return ValidationSplit(pairs, judge_choices(val.overlaps), pairs)
        return ValidationSplit(pairs, judge_choices(Overlaps.of(val.store, pairs, val.truth)), pairs)

    @cached_property
    def training_images(self) -> TrainingImages | None:
        """The images that the detector was trained on, or None if the user named none."""
        source = self.inputs.detector_images
        return None if source is None else read_training_images(source)


@dataclass(frozen=True)
class StudyRun:
    """One row of a study with one seed.

    Attributes:
        row: the row.
        settings: the preset with the changes of the row.
        seed: the training seed.
        folder: the grounder's folder; the answers are in its subfolder ANSWERS.
        word_vectors: the initial word vectors, or None.
    """

    row: StudyRow
    settings: Preset
    seed: int
    folder: Path
    word_vectors: Path | None

    @property
    def name(self) -> str:
        """The name of the run, which contains the row and the seed."""
        return self.folder.name

    def answers(self, data: DataConfig, split: str) -> Path:
        """Return the path of the answers on a split."""
        return self.folder / ANSWERS / f"{self.row.name}-{data.division}-{split}.parquet"

    def is_done(self, loaded: LoadedInputs, judged: Mapping[str, Judgement]) -> bool:
        """Return whether the run is trained and its saved answers contain everything that the inputs ask for.

        Args:
            loaded: the inputs.
            judged: by split, whether the detector was trained on its images.

        Raises:
            ConfigError: the folder holds a run with other settings or data.
        """
        if not all(self._is_answered(split, loaded, judged[split]) for split in loaded.inputs.splits):
            return False
        store = loaded.inputs.stores[self.row.candidates]
        settings = {
            "alignment": asdict(self.settings.alignment),
            "text": asdict(self.settings.text),
            "training": asdict(self.settings.training),
            "data": describe_split(self.row.training_split(loaded.split("train"), self.seed)),
            "store": store.manifest.detector.to_json(),
            "word_vectors": None if self.word_vectors is None else self.word_vectors.name,
        }
        check_settings(self.folder, settings)
        return True

    def _is_answered(self, split: str, loaded: LoadedInputs, judged: Judgement) -> bool:
        path = self.answers(loaded.inputs.data, split)
        if not path.is_file():
            return False
        answers = Answers.load(path)
        saved = (answers.result.seen, answers.result.seen_claimed, answers.result.images_seen)
        expected = [(e.id, e.text) for e in loaded.split(split).expressions]
        table = answers.rows.select(["expression_id", "text", "query_right"])
        return (
            [*zip(table["expression_id"].to_pylist(), table["text"].to_pylist(), strict=True)] == expected
            and (loaded.inputs.queries is None or table["query_right"].null_count == 0)
            and saved == astuple(judged)
        )

    def work(self, loaded: LoadedInputs) -> None:
        """Train the run, or resume its training, and save its answers on every split.

        Raises:
            AligncatError: the settings do not fit the data, a file cannot be read or written, or another process is
                working in the run's folder.
        """
        with folder_lock(self.folder), named_write_errors(self.folder):
            self._work(loaded)

    def _work(self, loaded: LoadedInputs) -> None:
        inputs = loaded.inputs
        candidates = self.row.candidates
        val = loaded.validation(candidates)
        grounder = fit(
            train=self.row.training_split(loaded.split("train"), self.seed),
            validation=val,
            store=inputs.stores[candidates],
            out=self.folder,
            alignment=self.settings.alignment,
            text=self.settings.text,
            training=self.settings.training,
            word_vectors=self.word_vectors,
            lexicon=inputs.data.lexicon,
            progress=False,
        )
        queries = None if inputs.queries is None else open_queries(inputs.queries, inputs.stores[candidates])
        for split in inputs.splits:
            answers = answer(
                grounder,
                self.row.name,
                loaded.questions(candidates, split),
                folder=self.folder,
                queries=queries,
                training=loaded.training_images,
                seen=inputs.seen,
            )
            save_answers(answers, self.folder / ANSWERS, self.row.name)
