"""Compare the rows of a study and save the results and comparisons."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from aligncat.files.atomic import write_atomic
from aligncat.studies.orderings import Ordering, ordering

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from aligncat.evaluation.answers import Answers
    from aligncat.evaluation.results import Result
    from aligncat.studies.study import Study, StudyRow


@dataclass(frozen=True)
class StudyResult:
    """The results of a study.

    Attributes:
        study: the study.
        rows: the rows that were run, in the order of the study.
        results: by row and split, one result per seed.
        orderings: the comparisons: of all pairs of rows for the tables of the paper, else of each row with the
            reference row.
        published: the published REC accuracy in percent, by row and split; empty for studies that are not in the
            paper.
        train: the names, counts and hash of the training split, as `describe_split` returns them. Rows that use a
            share of its referents take it from this split.
    """

    study: Study
    rows: tuple[StudyRow, ...]
    results: Mapping[str, Mapping[str, Sequence[Result]]]
    orderings: tuple[Ordering, ...]
    published: Mapping[str, Mapping[str, float]]
    train: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        study: Study,
        rows: Sequence[StudyRow],
        answers: Mapping[str, Mapping[str, Sequence[Answers]]],
        published: Mapping[str, Mapping[str, float]],
        train: Mapping[str, Any],
    ) -> StudyResult:
        """Compare the answers of a study's rows.

        Args:
            study: the study.
            rows: the rows that were run.
            answers: by row and split, the answers of each seed.
            published: the published REC accuracy in percent, by row and split.
            train: the description of the training split.
        """
        return cls(
            study=study,
            rows=tuple(rows),
            results={
                row: {split: [each.result for each in seeds] for split, seeds in splits.items()}
                for row, splits in answers.items()
            },
            orderings=tuple(
                each for pair in _pairs(study, rows) for each in _compare(*pair, answers=answers, published=published)
            ),
            published=published,
            train=train,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the results and comparisons as JSON values."""
        first = next(iter(self.results[self.rows[0].name].values()))
        return {
            "study": self.study.name,
            "title": self.study.title,
            "dataset": first[0].dataset,
            "detector": first[0].detector,
            "seeds": [each.seed for each in first],
            "train": dict(self.train),
            "rows": [
                {
                    "name": row.name,
                    "label": row.label,
                    "results": [each.to_json() for split in self.results[row.name].values() for each in split],
                }
                for row in self.rows
            ],
            "orderings": [asdict(each) for each in self.orderings],
        }

    def save(self, path: Path) -> None:
        """Write the results and comparisons as JSON.

        Raises:
            OSError: the file cannot be written.
        """
        write_atomic(path, (json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n").encode())


def _pairs(study: Study, rows: Sequence[StudyRow]) -> Iterator[tuple[StudyRow, StudyRow]]:
    if study.reference is None:
        yield from combinations(rows, 2)
        return
    [reference] = [row for row in rows if row.name == study.reference]
    yield from ((row, reference) for row in rows if row is not reference)


def _compare(
    first: StudyRow,
    second: StudyRow,
    *,
    answers: Mapping[str, Mapping[str, Sequence[Answers]]],
    published: Mapping[str, Mapping[str, float]],
) -> Iterator[Ordering]:
    """Compare two rows on every split. The row with the higher published accuracy, if any, comes first."""
    for split in answers[first.name]:
        accuracies = [published.get(row.name, {}).get(split) for row in (first, second)]
        one, other = first, second
        difference = None
        if accuracies[0] is not None and accuracies[1] is not None:
            difference = accuracies[0] - accuracies[1]
            if difference < 0:
                one, other, difference = second, first, -difference
        yield ordering((one.name, answers[one.name][split]), (other.name, answers[other.name][split]), difference)
