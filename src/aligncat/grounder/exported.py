"""The exported grounder: answers phrases from a graph, without torch and transformers."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from aligncat.alignment.config import AlignmentConfig
from aligncat.detectors.description import DetectorDescription
from aligncat.detectors.protocol import Detector
from aligncat.detectors.registry import check_same, load_detector, open_detector, renamed
from aligncat.errors import ConfigError, DataError, DetectorError
from aligncat.files.fields import as_mapping, optional_strs, required_str
from aligncat.files.seals import SEAL
from aligncat.grounder.exported_files import (
    CONTENTS,
    DETECTOR,
    GRAPHS,
    OPENVINO,
    REMEDY,
    SOURCE,
    SPECIAL,
    TOKENIZER,
    VOCABULARY,
    check_files,
    read_exported,
    runtime_of,
)
from aligncat.grounder.features import COLUMNS_KEY, ScaledColumn
from aligncat.grounder.match_file import KEY as MATCH
from aligncat.grounder.match_file import read_logistics
from aligncat.grounder.matcher import Matcher
from aligncat.grounder.onnx_scorer import OnnxScorer
from aligncat.grounder.openvino_scorer import OpenVinoScorer
from aligncat.grounder.trained_grounder import TrainedGrounder
from aligncat.grounder.unlike import KEY as FAMILIAR
from aligncat.grounder.unlike import Familiar
from aligncat.language.tokens import FIRST_RULE, RULE_KEY, Tokens
from aligncat.language.vocabulary import Vocabulary
from aligncat.wording import first_line

if TYPE_CHECKING:
    from aligncat.datasets.split import Split
    from aligncat.store.reader import Store
    from aligncat.types import Choices

# What reading a folder raises that was edited by hand, with a new seal.
_UNUSABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, DataError, DetectorError)


class ExportedGrounder(TrainedGrounder):
    """A grounder that `aligncat export grounder` wrote. It works on the CPU, and cannot be trained or saved.

    Its answers are those of the grounder that it was made from, but for rounding. Threads can share it.

    Example:
        >>> grounder = ExportedGrounder.from_pretrained("exported")  # doctest: +SKIP
        >>> [found] = grounder.ground("photo.jpg", ["girl with spoon"])  # doctest: +SKIP
    """

    def __init__(self, folder: Path) -> None:
        """Read the folder. Most users call `from_pretrained` instead.

        Raises:
            ConfigError: see `from_pretrained`.
        """
        record = read_exported(folder)
        files = check_files(folder, record)
        try:
            self._read(as_mapping(record[CONTENTS], CONTENTS), record, files, folder)
        except _UNUSABLE as error:
            raise ConfigError(f"{folder}: damaged or edited ({first_line(error)}); {REMEDY}") from error
        self._sealed = str(record.get(SEAL))
        self._detector: Detector | None = None
        self._lock = threading.Lock()

    def _read(
        self, contents: Mapping[str, Any], record: Mapping[str, Any], files: Mapping[str, bytes], folder: Path
    ) -> None:
        """Set the attributes from the content of a folder."""
        runtime = runtime_of(record)
        first, *further = GRAPHS[runtime]
        path, content = folder / first, files[first]
        graph: OnnxScorer | OpenVinoScorer = (
            OpenVinoScorer(content, files[further[0]], path) if runtime == OPENVINO else OnnxScorer(content, path)
        )
        if graph.source != required_str(record, SOURCE, str(folder)):
            raise ConfigError(f"{path}: the graph of another grounder; {REMEDY}")
        self._scorer = graph
        self._alignment = AlignmentConfig(**contents["alignment"])
        self.max_length = int(contents["text"]["max_length"])
        words = None
        if VOCABULARY in files:
            words = Vocabulary.from_dict(json.loads(files[VOCABULARY]), contents.get(RULE_KEY, FIRST_RULE))
        self.vocabulary, self.words = _tokens(files, record, words)
        self.labels = optional_strs(contents, "labels", str(folder))
        self.columns = tuple(ScaledColumn.from_json(each, COLUMNS_KEY) for each in contents.get(COLUMNS_KEY, []))
        self.familiar = Familiar.from_json(contents[FAMILIAR]) if FAMILIAR in contents else None
        self.provenance = dict(as_mapping(contents["provenance"], "provenance"))
        self.matcher = None
        if MATCH in contents:
            present, answer = read_logistics(contents[MATCH], folder, REMEDY)
            self.matcher = Matcher(present, answer, graph, self.vocabulary, self.max_length)
        self.detector_description = DetectorDescription.from_json(contents["detector"])
        if (folder / DETECTOR).is_dir():
            self.detector_description = renamed(self.detector_description, str(folder / DETECTOR))

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        *,
        device: str | None = "cpu",
        detector: str | Path | Detector | None = None,
        text_encoder: str | Path | None = None,
    ) -> Self:
        """Open the folder of an exported grounder. Neither torch nor transformers is imported.

        Args:
            folder: a folder that `aligncat export grounder` wrote.
            device: "cpu" or None; it works on no other.
            detector: the folder or hub name of another export of the grounder's detector, or of the detector itself,
                which needs torch; or an object of your own. By default the one in the folder, or else the one that the
                grounder was trained with.
            text_encoder: must be None; the text encoder is in the folder.

        Raises:
            ConfigError: the folder is no exported grounder, was written by a newer version or is damaged, or the
                runtime of its graph is not installed.
            DetectorError: `detector` is an object, and not the detector that the grounder was trained with.
        """
        if device not in (None, "cpu"):
            raise ConfigError(f"{folder}: an exported grounder works on the CPU, not on {device}; leave the device out")
        if text_encoder is not None:
            raise ConfigError(f"{folder}: an exported grounder has its text encoder inside; leave text_encoder out")
        grounder = cls(Path(folder))
        if isinstance(detector, str | Path):
            grounder.detector_description = renamed(grounder.detector_description, str(detector))
        elif detector is not None:
            given = open_detector(detector)
            check_same(given, grounder.detector_description, [each.column for each in grounder.columns])
            grounder._detector = given
        return grounder

    @property
    def scorer(self) -> OnnxScorer | OpenVinoScorer:
        """Its model, as what scores candidates."""
        return self._scorer

    @property
    def alignment(self) -> AlignmentConfig:
        """The config of its alignment model."""
        return self._alignment

    @property
    def device(self) -> str:
        """The device that it works on, "cpu"."""
        return "cpu"

    @property
    def detector(self) -> Detector:
        """Its detector, loaded at first use.

        Raises:
            DetectorError: the detector cannot be loaded, differs from the one that made the training store, or does not
                give the further features that the grounder reads.
        """
        with self._lock:  # of several threads that get here first, one loads it and the others wait
            if self._detector is None:
                columns = [each.column for each in self.columns]
                self._detector = load_detector(self.detector_description, device="cpu", columns=columns)
            return self._detector

    def choose(self, store: Store, split: Split) -> Choices:
        """Choose a candidate for every expression of a split; see `Grounder.choose`. This needs torch."""
        from aligncat.grounder.forward_passes import choose_all

        return choose_all(self, store, split)

    def fingerprint(self) -> str:
        """Return a hash of everything that decides the answers."""
        decides = [self._sealed, self.detector_description.to_json()]
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def _tokens(
    files: Mapping[str, bytes], record: Mapping[str, Any], words: Vocabulary | None
) -> tuple[Tokens, Vocabulary | None]:
    """Return what splits expressions, and the words of a transformer's training phrases, if they are recorded.

    Raises:
        ValueError: there is neither a vocabulary nor a tokenizer.
    """
    if TOKENIZER not in files:
        if words is None:
            raise ValueError(f"neither {VOCABULARY} nor {TOKENIZER}")
        return words, None
    from tokenizers import Tokenizer

    from aligncat.language.wordpieces import WordPieces

    try:
        tokenizer = Tokenizer.from_str(files[TOKENIZER].decode())
    except Exception as error:  # tokenizers raises nothing more special
        raise ValueError(f"{TOKENIZER}: {first_line(error)}") from error
    return WordPieces(tokenizer, [int(each) for each in record[SPECIAL]]), words
