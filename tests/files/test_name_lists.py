"""Lists of file names hold one name a line, whatever characters a name has."""

from __future__ import annotations

from pathlib import Path

from aligncat.evaluation.training_images import read_training_images
from aligncat.files.name_lists import write_names


def test_a_line_break_inside_a_name_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    write_names(path, ["a.jpg", "new\nline.jpg", "b\r\u2028c.jpg", "100%.jpg", "שלום\u200f.jpg"])
    lines = ["a.jpg", "new%0Aline.jpg", "b%0D%E2%80%A8c.jpg", "100%.jpg", "שלום\u200f.jpg"]
    assert path.read_text() == "".join(f"{line}\n" for line in lines)
    assert read_training_images(str(path)).listed == tuple(lines)
