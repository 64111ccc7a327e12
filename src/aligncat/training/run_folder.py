"""The settings in the folder of a training run, and checks that a run can start or resume in a folder."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aligncat.alignment.config import AlignmentConfig
from aligncat.datasets.split import Split
from aligncat.errors import ConfigError
from aligncat.files.atomic import write_atomic
from aligncat.files.differences import differences
from aligncat.files.documents import read_json
from aligncat.files.fields import shorten
from aligncat.files.seals import check_seal, sealed
from aligncat.files.temporary import is_temporary
from aligncat.grounder.old_sizes import without_old_sizes
from aligncat.language.config import TextEncoderConfig
from aligncat.language.tokens import FIRST_RULE, RULE, RULE_KEY
from aligncat.training.config import TrainingConfig

logger = logging.getLogger(__name__)

RUN = "run"  # the subfolder of checkpoints and logs; everything else in the folder is the grounder
SETTINGS = Path(RUN, "settings.json")


def check_run_folder(out: Path, settings: Mapping[str, Any]) -> None:
    """Check that a folder is new, empty, or contains a run with these settings.

    Raises:
        ConfigError: the folder contains anything else.
    """
    if (out / SETTINGS).is_file():
        check_settings(out, settings)
    elif out.exists() and (not out.is_dir() or any(p.is_file() and not is_temporary(p) for p in out.rglob("*"))):
        raise ConfigError(f"{out} exists and is not an empty folder: choose another --out")


def check_settings(out: Path, settings: Mapping[str, Any]) -> None:
    """Check that a run was started with these settings.

    Args:
        out: the run's folder, which contains the file SETTINGS.
        settings: the settings to compare. Other keys of the file are not compared.

    Raises:
        ConfigError: a setting differs, or the file is missing or damaged.
    """
    found = _read_settings(out)
    # A run may continue after an upgrade, so different versions are not an error.
    wanted = {key: value for key, value in json.loads(_to_json(settings)).items() if key != "versions"}
    if differing := list(differences({key: found.get(key) for key in wanted}, wanted)):
        listed = "; ".join(f"{each.path} was {each.first!r} and is {each.second!r}" for each in differing)
        raise ConfigError(
            f"{out} contains a run with other settings: {listed}. Choose another --out, or use the settings of that "
            "run to resume it"
        )
    if "versions" in settings and found.get("versions") != settings["versions"]:
        logger.warning("%s was started with other versions of its libraries, so results may differ slightly", out)


def word_rule(out: Path) -> int:
    """Return the rule of `tokenize` for a run: that of the run that the folder contains, else that of new grounders.

    A run that an earlier version started, without a recorded rule, resumes with the first rule.
    """
    try:
        content = read_json(out / SETTINGS, ConfigError)
    except ConfigError:  # there is no run, or its settings are damaged, which `check_settings` reports
        return RULE
    return RULE if isinstance(content, dict) and content.get(RULE_KEY) == RULE else FIRST_RULE


def save_settings(out: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings of a new run. The settings of a resumed run are not changed."""
    path = out / SETTINGS
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        # Values such as tuples become JSON values first, because the file is sealed as it is read.
        write_atomic(path, _to_json(sealed(json.loads(_to_json(settings)))).encode())


def _read_settings(out: Path) -> dict[str, Any]:
    """Return the settings of a run in the current form.

    Raises:
        ConfigError: the file is missing or damaged.
    """
    path = out / SETTINGS
    remedy = f"delete {out} to train it again from the first epoch, or choose another --out"
    try:
        content = read_json(path, ConfigError)
    except ConfigError as error:
        raise ConfigError(f"{error}; {remedy}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: not the settings of a run; {remedy}")
    check_seal(content, str(path), remedy, error=ConfigError)
    # A run of an earlier version lacks newer fields. Their defaults give the behaviour of that version.
    for part, default in (
        ("alignment", AlignmentConfig()),
        ("text", TextEncoderConfig()),
        ("training", TrainingConfig()),
    ):
        values = content.get(part, {})
        if not isinstance(values, dict):
            raise ConfigError(f"{path}: {part!r} must be a mapping of settings, not {shorten(values)}; {remedy}")
        values = without_old_sizes(values, str(path)) if part == "alignment" else values
        content[part] = {**asdict(default), **values}
    return content


def describe_split(split: Split) -> dict[str, Any]:
    """Return the names and counts of a training split, and a hash of all data that training reads from it."""
    digest = hashlib.sha256(b"[")  # of one list in JSON, which as a whole would take gigabytes for millions
    for number, e in enumerate(split.expressions):
        row = json.dumps((e.id, e.referent_id, e.image_id, e.text, e.category), ensure_ascii=False)
        digest.update(f"{', ' if number else ''}{row}".encode())
    digest.update(b"]")
    names = {"dataset": split.dataset, "split": split.split, "split_by": split.split_by}
    made = {} if split.made is None else {"made": dict(split.made)}
    return {
        **names,
        "expressions": len(split.expressions),
        "images": len(split.images),
        "sha256": digest.hexdigest(),
        **made,
    }


def _to_json(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, indent=2, ensure_ascii=False, default=str) + "\n"
